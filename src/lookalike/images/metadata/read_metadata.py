"""Read the metadata of an image file: when, where and with what it was taken, caption and keywords.

All of it is untrusted: what is damaged, too long or implausible is left out, and nothing in these
blocks makes an image fail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, TypeVar
from xml.etree import ElementTree

from lookalike.images.metadata.exif import MAX_NAME, ExifData, camera_name, read_exif
from lookalike.images.metadata.facts import (
    NO_METADATA,
    EmbeddedText,
    Facts,
    MetadataBlocks,
    clean_text,
)
from lookalike.images.metadata.iptc import IptcData, read_iptc
from lookalike.images.metadata.moment import LOCAL, with_zone
from lookalike.images.metadata.xmp import XmpData, may_tell, read_xmp
from lookalike.images.sniff import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from PIL import Image

B = TypeVar("B")
D = TypeVar("D")

MAX_BYTES = 1 << 20
"""Largest block. Texts take kilobytes; larger blocks hold editing histories and previews."""

MAX_CAPTION = 10_000
MAX_KEYWORDS = 200
MAX_KEYWORD = 100
"""Characters of a caption and of a keyword, and number of keywords."""


def metadata_blocks(image: Image.Image) -> MetadataBlocks:
    """Return the blocks that Pillow has found in an open image."""
    try:
        info = image.info
        if image.format == "TIFF":
            tags = image.getexif()
            return MetadataBlocks(tags, _bytes(tags.get(700)), _bytes(tags.get(33723)))
        text = EmbeddedText(_plain(info.get("Title")), _plain(info.get("Description")))
        return MetadataBlocks(
            _bytes(info.get("exif")).removeprefix(b"Exif\x00\x00"),
            _bytes(info.get("xmp") or info.get("XML:com.adobe.xmp")),
            text=text if image.format == "PNG" else None,
        )
    except Exception:  # damaged blocks must not cost the image
        return NO_METADATA


def add_metadata(facts: Facts, blocks: MetadataBlocks) -> Facts:
    """Return the facts completed by the metadata blocks.

    Where several blocks state the same, the first one counts:

    caption, keywords  XMP, which editors write today; IPTC; EXIF; the text of the format
    taken              EXIF, XMP, IPTC; then, in the same order, the time at which it was digitized
    camera, lens,
    latitude …         EXIF, which the camera wrote; XMP
    rating, color_label,
    people …           XMP
    """
    exif = _parsed(read_exif, blocks.exif, ExifData())  # of any size: only the tags in use are read
    iptc = _parsed(read_iptc, _limited(blocks.iptc), IptcData())
    xmp = XmpData()
    packet = _limited(blocks.xmp)
    if packet and may_tell(packet, _missing(exif, iptc)):
        xmp = _parsed(read_xmp, packet, xmp)
    texts = [xmp.text, iptc.text, exif.text]
    if blocks.text:
        texts.append(blocks.text)
    originals = with_zone(exif.taken, xmp.taken), xmp.taken, iptc.taken
    digitized = with_zone(exif.digitized, xmp.digitized), xmp.digitized, iptc.digitized
    latitude, longitude = exif.position or xmp.position or (None, None)
    return replace(
        facts,
        taken=next(filter(None, (*originals, *digitized)), None),
        camera=exif.camera or camera_name(xmp.make[:MAX_NAME], xmp.model[:MAX_NAME]),
        lens=exif.lens or xmp.lens[:MAX_NAME] or None,
        exposure=exif.exposure or None,
        latitude=latitude,
        longitude=longitude,
        caption=_caption(texts),
        keywords=_keywords(texts),
        rating=xmp.rating,
        color_label=xmp.color_label,
        people=xmp.people,
        hierarchical_keywords=xmp.hierarchy,
    )


def sidecar_fields(packet: bytes) -> dict[str, Any]:
    """Return the fields that an XMP sidecar states. Raises ValueError with the reason if it is not XMP."""
    try:
        xmp = read_xmp(packet)
    except UnicodeError:
        raise ValueError("not XMP: neither UTF-8 nor UTF-16") from None
    except (ElementTree.ParseError, ValueError) as error:
        raise ValueError(f"not XMP: {error}") from None
    latitude, longitude = xmp.position or (None, None)
    fields = {
        "taken": xmp.taken or xmp.digitized,
        "camera": camera_name(xmp.make[:MAX_NAME], xmp.model[:MAX_NAME]),
        "lens": xmp.lens[:MAX_NAME],
        "latitude": latitude,
        "longitude": longitude,
        "caption": _caption([xmp.text]),
        "keywords": list(_keywords([xmp.text])),
        "title": xmp.text.title[:MAX_CAPTION],
        "rating": xmp.rating,
        "color_label": xmp.color_label,
        "people": list(xmp.people),
        "hierarchical_keywords": list(xmp.hierarchy),
    }
    return {name: value for name, value in fields.items() if value not in (None, "", [])}


def _missing(exif: ExifData, iptc: IptcData) -> Iterator[str]:
    """Yield what EXIF and IPTC leave to XMP."""
    if exif.taken is None or len(exif.taken) == LOCAL:  # XMP may know the time zone
        yield "taken"
        if exif.digitized is None and iptc.taken is None:
            yield "digitized"
    if exif.position is None:
        yield "latitude"
    if exif.camera is None:
        yield "camera"
    if not exif.lens:
        yield "lens"


def _limited(block: bytes) -> bytes:
    return block if len(block) <= MAX_BYTES else b""


def _parsed(parse: Callable[[B], D], block: B, nothing: D) -> D:
    try:
        return parse(block) if block else nothing
    except Exception:  # a damaged block must not cost the image
        return nothing


def _caption(texts: list[EmbeddedText]) -> str | None:
    """Join title and description, each from the first block that has one, unless one contains the other.

    The name of an image file is no title of it, though Google Takeout and scanners say so.
    """
    titles = (text.title for text in texts if text.title)
    title = next((one for one in titles if PurePath(one).suffix.lower() not in IMAGE_SUFFIXES), "")
    description = next((text.description for text in texts if text.description), "")
    if title in description:
        caption = description
    else:
        caption = title if description in title else f"{title}\n{description}"
    return caption[:MAX_CAPTION] or None


def _keywords(texts: list[EmbeddedText]) -> tuple[str, ...]:
    keywords = (keyword.strip()[:MAX_KEYWORD] for text in texts for keyword in text.keywords)
    return tuple(dict.fromkeys(keyword for keyword in keywords if keyword))[:MAX_KEYWORDS]


def _plain(value: object) -> str:
    return clean_text(value) if isinstance(value, str) else ""


def _bytes(value: object) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    return bytes(value) if isinstance(value, (bytes, bytearray)) else b""
