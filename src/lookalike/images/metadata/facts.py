"""What a picture file says of itself beyond its pixels: EXIF, IPTC and XMP.

Only what people ask for is read (see `needs.Facts`): when, where, with what, and what is on it.
Everything here is suspect: what is damaged, too long or senseless is left out, and nothing that is
in these blocks ever stops a picture.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lookalike.images.pixel_spec import Facts

if TYPE_CHECKING:
    from PIL import Image

MAX_BYTES = 1 << 20
"""Of one block. Words take kilobytes; what is larger holds editing histories and previews."""

MAX_CAPTION = 10_000
MAX_KEYWORDS = 200
MAX_KEYWORD = 100


@dataclass(frozen=True, slots=True)
class Words:
    """A title, a description and keywords from one block."""

    title: str = ""
    description: str = ""
    keywords: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Blocks:
    """The blocks as they lie in a file, b"" where there is none.

    exif   TIFF-structured, without "Exif\\0\\0" before it, or what Pillow has made of it
    xmp    an XML packet
    iptc   IPTC-IIM records, or the Photoshop resources around them
    words  what the format itself says
    """

    exif: bytes | Image.Exif = b""
    xmp: bytes = b""
    iptc: bytes = b""
    words: Words | None = None


NOTHING = Blocks()


def blocks_of(image: Image.Image) -> Blocks:
    """The blocks that Pillow has found in an open image."""
    try:
        info = image.info
        if image.format == "TIFF":
            tags = image.getexif()
            return Blocks(tags, _bytes(tags.get(700)), _bytes(tags.get(33723)))
        words = Words(_plain(info.get("Title")), _plain(info.get("Description")))
        return Blocks(
            _bytes(info.get("exif")).removeprefix(b"Exif\x00\x00"),
            _bytes(info.get("xmp") or info.get("XML:com.adobe.xmp")),
            words=words if image.format == "PNG" else None,
        )
    except Exception:  # whatever damaged blocks do, the picture itself is fine
        return NOTHING


def with_blocks(facts: Facts, blocks: Blocks) -> Facts:
    """The facts, completed by what the blocks say. XMP is what editors write today, so its words go
    first, then IPTC's, then EXIF's."""
    words: list[Words] = []
    if 0 < len(blocks.xmp) <= MAX_BYTES:
        words.append(_xmp(blocks.xmp))
    if 0 < len(blocks.iptc) <= MAX_BYTES:
        words.append(_iptc(blocks.iptc))
    if blocks.exif and (not isinstance(blocks.exif, bytes) or len(blocks.exif) <= MAX_BYTES):
        facts, said = _exif(facts, blocks.exif)
        words.append(said)
    if blocks.words:
        words.append(blocks.words)
    return replace(facts, caption=_caption(words), keywords=_keywords(words)) if words else facts


def _exif(facts: Facts, block: bytes | Image.Exif) -> tuple[Facts, Words]:
    from lookalike.images.metadata.exif import read_exif

    try:
        return read_exif(facts, block)
    except Exception:  # whatever a damaged block does, the picture itself is fine
        return facts, Words()


def _iptc(block: bytes) -> Words:
    from lookalike.images.metadata.iptc import read_iptc

    try:
        return read_iptc(block)
    except Exception:
        return Words()


def _xmp(block: bytes) -> Words:
    from lookalike.images.metadata.xmp import read_xmp

    try:
        return read_xmp(block)
    except Exception:
        return Words()


def _caption(words: list[Words]) -> str | None:
    """Title and description, each from the first block that has one; once if one holds the other."""
    title = next((w.title for w in words if w.title), "")
    description = next((w.description for w in words if w.description), "")
    if title in description:
        text = description
    else:
        text = title if description in title else f"{title}\n{description}"
    return text[:MAX_CAPTION] or None


def _keywords(words: list[Words]) -> tuple[str, ...]:
    every = (word.strip()[:MAX_KEYWORD] for said in words for word in said.keywords)
    return tuple(dict.fromkeys(word for word in every if word))[:MAX_KEYWORDS]


def clean(text: str) -> str:
    """A text for people: without NUL and what follows it, and without blanks around it."""
    return text.partition("\x00")[0].strip()


def _plain(value: object) -> str:
    return clean(value) if isinstance(value, str) else ""


def _bytes(value: object) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    return bytes(value) if isinstance(value, (bytes, bytearray)) else b""
