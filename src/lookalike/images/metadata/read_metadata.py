"""Read the metadata of an image file: when, where and with what it was taken, caption and keywords.

All of it is untrusted: what is damaged, too long or implausible is left out, and nothing in these
blocks makes an image fail.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lookalike.images.metadata.exif import read_exif
from lookalike.images.metadata.facts import (
    NO_METADATA,
    EmbeddedText,
    Facts,
    MetadataBlocks,
    clean_text,
)
from lookalike.images.metadata.iptc import read_iptc
from lookalike.images.metadata.xmp import read_xmp

if TYPE_CHECKING:
    from PIL import Image

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

    Editors write XMP today, so its texts take precedence over IPTC's, and those over EXIF's.
    """
    texts: list[EmbeddedText] = []
    if 0 < len(blocks.xmp) <= MAX_BYTES:
        texts.append(_xmp(blocks.xmp))
    if 0 < len(blocks.iptc) <= MAX_BYTES:
        texts.append(_iptc(blocks.iptc))
    if blocks.exif:  # of any size: only the tags in use are read
        facts, exif_text = _exif(facts, blocks.exif)
        texts.append(exif_text)
    if blocks.text:
        texts.append(blocks.text)
    return replace(facts, caption=_caption(texts), keywords=_keywords(texts)) if texts else facts


def _exif(facts: Facts, block: bytes | Image.Exif) -> tuple[Facts, EmbeddedText]:
    try:
        return read_exif(facts, block)
    except Exception:  # a damaged block must not cost the image
        return facts, EmbeddedText()


def _iptc(block: bytes) -> EmbeddedText:
    try:
        return read_iptc(block)
    except Exception:
        return EmbeddedText()


def _xmp(block: bytes) -> EmbeddedText:
    try:
        return read_xmp(block)
    except Exception:
        return EmbeddedText()


def _caption(texts: list[EmbeddedText]) -> str | None:
    """Join title and description, each from the first block that has one, unless one contains the other."""
    title = next((text.title for text in texts if text.title), "")
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
