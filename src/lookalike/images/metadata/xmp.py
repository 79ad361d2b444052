"""Read what an XMP packet (ISO 16684-1) says of an image, embedded or in a sidecar file."""

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
_REGION = "{http://www.metadataworkinggroup.com/schemas/regions/}"
_PERSON = "{http://ns.microsoft.com/photo/1.2/t/Region#}PersonDisplayName"
_PEOPLE = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}PersonInImage"
_HIERARCHIES = (
    "{http://ns.adobe.com/lightroom/1.0/}hierarchicalSubject",
    "{http://www.digikam.org/ns/1.0/}TagsList",
    "{http://ns.microsoft.com/photo/1.0/}LastKeywordXMP",
)
_COLORS_OF_DIGIKAM = "{http://www.digikam.org/ns/1.0/}ColorLabel"
_COLORS_OF_DARKTABLE = "{http://darktable.sf.net/}colorlabels"
_COLORS = {
    _COLORS_OF_DARKTABLE: ("Red", "Yellow", "Green", "Blue", "Purple"),
    _COLORS_OF_DIGIKAM: (
        *("", "Red", "Orange", "Yellow", "Green", "Blue", "Magenta", "Gray", "Black", "White"),
    ),
}
"""Colour labels that are numbers; Adobe's are words."""

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

_MARKS = (
    *(b"Rating", b"Label", b"label", b"ierarchicalSubject", b"TagsList", b"LastKeywordXMP"),
    *(b"PersonInImage", b"PersonDisplayName", b"/schemas/regions/"),
)
"""Names of what people or programs have marked, which nothing but XMP tells."""

MAX_ITEMS = 200
MAX_ITEM = 200
"""Names of people and hierarchical keywords of an image, and characters of each."""


@dataclass(frozen=True, slots=True)
class XmpData:
    """Dates, place, camera, texts and marks of an XMP packet; None where it has none.

    taken      when the image was taken: exif:DateTimeOriginal, else photoshop:DateCreated
    digitized  exif:DateTimeDigitized, else xmp:CreateDate
    position   latitude and longitude in degrees
    rating     1 to 5 stars, -1 for a rejected image; 0, which means none, is left out
    color_label  as the program calls it
    people     names of faces and of persons in the image
    hierarchy  keywords with those above them, from the top: "Places|France|Paris"
    """

    text: EmbeddedText = NO_TEXT
    taken: str | None = None
    digitized: str | None = None
    make: str = ""
    model: str = ""
    lens: str = ""
    position: tuple[float, float] | None = None
    rating: float | None = None
    color_label: str | None = None
    people: tuple[str, ...] = ()
    hierarchy: tuple[str, ...] = ()


def may_tell(packet: bytes, facts: Iterable[str]) -> bool:
    """Return whether a packet may hold texts, or one of these facts: parsing takes longer than looking."""
    if DUBLIN_CORE in packet or any(name in packet for name in _MARKS):
        return True
    return any(name in packet for fact in facts for name in _NAMES[fact])


def packet_text(packet: bytes) -> str:
    """Return the text of a packet. Raises ValueError where it is no text, or could expand without limit."""
    wide = packet[:2] in (b"\xff\xfe", b"\xfe\xff")
    text = packet.decode("utf-16" if wide else "utf-8").lstrip("\ufeff").strip("\x00 \r\n\t")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError(
            "it has a document type, which XMP has not: export it again from the program that wrote it"
        )
    return text


def read_xmp(packet: bytes) -> XmpData:
    """Return what a packet says. Raises ValueError (`packet_text`) and ElementTree.ParseError."""
    root = ElementTree.fromstring(packet_text(packet))  # noqa: S314 - without a document type
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
        rating=_rating(_first(root, _XMP + "Rating")),
        color_label=_color_label(root),
        people=_people(root),
        hierarchy=_distinct(
            item.replace("/", "|") if place else item
            for place, name in enumerate(_HIERARCHIES)
            for item in _items(root, name)
        ),
    )


def _rating(text: str) -> float | None:
    try:
        stars = float(text)
    except ValueError:
        return None
    return int(stars) if stars in (-1, 1, 2, 3, 4, 5) else stars if 0 < stars < 5 else None


def _color_label(root: ElementTree.Element) -> str | None:
    if label := _first(root, _XMP + "Label"):
        return label[:MAX_ITEM]
    for name, words in _COLORS.items():
        numbers = (int(n) for n in _items(root, name) if n.isascii() and n.isdecimal())
        if label := next((words[n] for n in numbers if n < len(words) and words[n]), ""):
            return label
    return None


def _people(root: ElementTree.Element) -> tuple[str, ...]:
    """Return the persons in the image, then the faces of the Metadata Working Group and of Microsoft."""
    names = _items(root, _PEOPLE)
    for element in root.iter():
        if _value(element, _REGION + "Type") in ("", "Face"):
            names.append(_value(element, _REGION + "Name"))
        names.append(_value(element, _PERSON))
    return _distinct(names)


def _value(element: ElementTree.Element, name: str) -> str:
    """Return a field of a structure, which is an attribute or a child."""
    return clean_text(element.get(name) or element.findtext(name) or "")


def _distinct(items: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item[:MAX_ITEM] for item in items if item))[:MAX_ITEMS]


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
