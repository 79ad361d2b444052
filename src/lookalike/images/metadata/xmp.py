"""Read texts, date, place and camera from an XMP packet (ISO 16684-1), embedded or in a sidecar file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from xml.etree import ElementTree

from lookalike.images.metadata.facts import NO_TEXT, EmbeddedText, clean_text, whole_position
from lookalike.images.metadata.moment import iso_moment

DUBLIN_CORE = b"http://purl.org/dc/elements/1.1/"

_DC = "{http://purl.org/dc/elements/1.1/}"
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_EXIF = "{http://ns.adobe.com/exif/1.0/}"
_TIFF = "{http://ns.adobe.com/tiff/1.0/}"
_PHOTOSHOP = "{http://ns.adobe.com/photoshop/1.0/}"
_XMP = "{http://ns.adobe.com/xap/1.0/}"
_LENS = ("{http://cipa.jp/exif/1.0/}LensModel", "{http://ns.adobe.com/exif/1.0/aux/}Lens")

_POSITION = re.compile(r"(\d+(?:\.\d+)?)(?:,(\d+(?:\.\d+)?))?(?:,(\d+(?:\.\d+)?))? ?([NSEW])")
"""Degrees, minutes and seconds, the last one with decimals, and the side."""

_NAMES = {
    "taken": (b"DateTimeOriginal", b"DateCreated"),
    "digitized": (b"CreateDate", b"DateTimeDigitized"),
    "latitude": (b"GPSLatitude",),
    "camera": (b"Model", b"Make"),
    "lens": (b"LensModel", b"Lens="),
}


@dataclass(frozen=True, slots=True)
class XmpData:
    """Dates, place, camera and texts of an XMP packet; None where it has none.

    taken      when the image was taken: exif:DateTimeOriginal, else photoshop:DateCreated
    digitized  exif:DateTimeDigitized, else xmp:CreateDate
    position   latitude and longitude in degrees
    """

    text: EmbeddedText = NO_TEXT
    taken: str | None = None
    digitized: str | None = None
    make: str = ""
    model: str = ""
    lens: str = ""
    position: tuple[float, float] | None = None


def may_tell(packet: bytes, facts: Iterable[str]) -> bool:
    """Return whether a packet may hold texts, or one of these facts: parsing takes longer than looking."""
    return DUBLIN_CORE in packet or any(name in packet for fact in facts for name in _NAMES[fact])


def read_xmp(packet: bytes) -> XmpData:
    """Return what a packet says.

    A packet with a document type is ignored, because it could define entities that expand without limit.
    """
    text = packet.decode("utf-8").lstrip("\ufeff").strip("\x00 \r\n\t")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        return XmpData()
    root = ElementTree.fromstring(text)  # noqa: S314 - without a document type there are no entities
    texts = EmbeddedText(
        title=next(iter(_items(root, _DC + "title")), ""),
        description=next(iter(_items(root, _DC + "description")), ""),
        keywords=tuple(_items(root, _DC + "subject")),
    )
    original = _moment(root, _EXIF + "DateTimeOriginal", _PHOTOSHOP + "DateCreated")
    return XmpData(
        text=texts,
        taken=original,
        digitized=_moment(root, _EXIF + "DateTimeDigitized", _XMP + "CreateDate"),
        make=_first(root, _TIFF + "Make"),
        model=_first(root, _TIFF + "Model"),
        lens=_first(root, *_LENS),
        position=_position(root),
    )


def _first(root: ElementTree.Element, *names: str) -> str:
    return next((item for name in names for item in _items(root, name)), "")


def _moment(root: ElementTree.Element, *names: str) -> str | None:
    found = (iso_moment(item) for name in names for item in _items(root, name))
    return next((moment for moment in found if moment), None)


def _position(root: ElementTree.Element) -> tuple[float, float] | None:
    return whole_position(
        _degrees(_first(root, _EXIF + "GPSLatitude"), "NS"),
        _degrees(_first(root, _EXIF + "GPSLongitude"), "EW"),
    )


def _degrees(text: str, sides: str) -> float | None:
    match = _POSITION.fullmatch(text.strip())
    if match is None or match[4] not in sides:
        return None
    degrees: float = sum(
        float(part or 0) / 60**place for place, part in enumerate(match.groups()[:3])
    )
    return -degrees if match[4] == sides[1] else degrees


def _items(root: ElementTree.Element, name: str) -> list[str]:
    """Return the items of a property; of alternatives the default language comes first."""
    items: list[tuple[bool, str]] = []
    for element in root.iter(name):
        # Only the items of its own list: searching the whole subtree of nested properties takes
        # quadratic time.
        inner = element.findall(f"*/{_RDF}li") or [element]
        for item in inner:
            language = item.get("{http://www.w3.org/XML/1998/namespace}lang", "x-default")
            items.append((language != "x-default", clean_text(item.text or "")))
    # A simple value may be an attribute.
    simple = (element.get(name, "") for element in root.iter(_RDF + "Description"))
    items += [(False, clean_text(text)) for text in simple]
    return [text for _, text in sorted(items, key=lambda item: item[0]) if text]
