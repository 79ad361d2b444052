"""Read date, GPS position, camera and captions from EXIF (CIPA DC-008 Exif 2.32)."""

from __future__ import annotations

import math
import re
import warnings
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from lookalike.images.metadata.facts import EmbeddedText, Facts, clean_text
from lookalike.images.metadata.ifd import EXIF, GPS, Directories, Tags, parse

if TYPE_CHECKING:
    from PIL import Image

_MAKE, _MODEL, _DESCRIPTION = 0x010F, 0x0110, 0x010E
_ORIGINAL, _DIGITIZED = 0x9003, 0x9004
_OFFSETS = {_ORIGINAL: 0x9011, _DIGITIZED: 0x9012}
_USER_COMMENT, _LENS = 0x9286, 0xA434
_XP_TITLE, _XP_COMMENT, _XP_KEYWORDS, _XP_SUBJECT = 0x9C9B, 0x9C9C, 0x9C9E, 0x9C9F

_WANTED = frozenset(
    {_MAKE, _MODEL, _DESCRIPTION, _ORIGINAL, _DIGITIZED, *_OFFSETS.values(), _USER_COMMENT, _LENS}
    | {_XP_TITLE, _XP_COMMENT, _XP_KEYWORDS, _XP_SUBJECT, *range(1, 5)}
)
"""Tags to read; 1 to 4 are those of the GPS directory."""

_MAX_NAME = 200  # characters of a camera or lens name

_DATE = re.compile(r"(\d{4})[:/.-](\d\d)[:/.-](\d\d)[ T](\d\d):(\d\d):(\d\d)")
_OFFSET = re.compile(r"[+-]\d\d:\d\d")

_NO_CAPTION = re.compile(
    r"(.* )?digital camera|sony dsc|exif_jpeg_picture|<?untitled>?|default|dcim[\\/].*|"
    r"(img|dsc|dscn|dji|pict|sam|mvimg|pxl)[-_]?\d.*|hdrpl|ascii|charset=.*|binary comment",
    re.IGNORECASE,
)
"""Captions that cameras and phones write by themselves, as found in real files."""


def read_exif(facts: Facts, block: bytes | Image.Exif) -> tuple[Facts, EmbeddedText]:
    """Return the facts with what the block adds, and its texts."""
    tags = parse(block, _WANTED) if isinstance(block, bytes) else _from_pillow(block)
    latitude, longitude = _position(tags.gps)
    facts = replace(
        facts,
        taken=_taken(tags.exif),
        camera=_camera(
            _text(tags.main.get(_MAKE))[:_MAX_NAME], _text(tags.main.get(_MODEL))[:_MAX_NAME]
        ),
        lens=_text(tags.exif.get(_LENS))[:_MAX_NAME] or None,
        latitude=latitude,
        longitude=longitude,
    )
    return facts, _texts(tags.main, tags.exif)


def _from_pillow(tags: Image.Exif) -> Directories:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Directories(tags, _subdirectory(tags, EXIF), _subdirectory(tags, GPS))


def _subdirectory(tags: Image.Exif, pointer: int) -> Tags:
    try:
        found: Tags = tags.get_ifd(pointer)
    except Exception:  # a directory that lies outside the file
        return {}
    return found


def _text(value: object) -> str:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return clean_text(value) if isinstance(value, str) else ""


def _taken(inner: Tags) -> str | None:
    for tag, offset_tag in _OFFSETS.items():
        match = _DATE.match(_text(inner.get(tag)))
        if match:
            try:
                taken = datetime(*map(int, match.groups()))  # type: ignore[arg-type]
            except ValueError:  # 0000:00:00 is a clock that was never set
                continue
            offset = _text(inner.get(offset_tag))
            return taken.isoformat() + (offset if _OFFSET.fullmatch(offset) else "")
    return None


def _camera(make: str, model: str) -> str | None:
    """Join maker and model, unless the model begins with the maker's name, as most do."""
    if not make or not model:
        return make or model or None
    if make.split()[0].casefold() == model.split()[0].casefold():
        return model
    return f"{make} {model}"


def _position(gps: Tags) -> tuple[float | None, float | None]:
    latitude = _degrees(gps.get(2), gps.get(1), "NS", 90)
    longitude = _degrees(gps.get(4), gps.get(3), "EW", 180)
    # Receivers write 0° 0' before they have a fix.
    if latitude is None or longitude is None or (latitude, longitude) == (0, 0):
        return None, None
    return latitude, longitude


def _degrees(value: object, side: object, sides: str, limit: int) -> float | None:
    if (
        not isinstance(value, tuple)
        or not 1 <= len(value) <= 3
        or _text(side).upper() not in tuple(sides)
    ):
        return None
    try:
        parts = [float(part) for part in value]
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    degrees: float = sum(part / 60**place for place, part in enumerate(parts))
    if not math.isfinite(degrees) or min(parts) < 0 or degrees > limit:
        return None
    return round(-degrees if _text(side).upper() == sides[1] else degrees, 7)


def _texts(tags: Tags, inner: Tags) -> EmbeddedText:
    description = _caption(_text(tags.get(_DESCRIPTION)))
    description = description or _caption(_utf16(tags.get(_XP_COMMENT)))
    description = description or _caption(_comment(inner.get(_USER_COMMENT)))
    title = _caption(_utf16(tags.get(_XP_TITLE))) or _caption(_utf16(tags.get(_XP_SUBJECT)))
    return EmbeddedText(title, description, tuple(_utf16(tags.get(_XP_KEYWORDS)).split(";")))


def _caption(text: str) -> str:
    return "" if _NO_CAPTION.fullmatch(text) else text


def _utf16(value: object) -> str:
    """Decode a text of Windows Explorer: UTF-16 in bytes."""
    if isinstance(value, tuple) and all(
        isinstance(byte, int) and 0 <= byte < 256 for byte in value
    ):
        value = bytes(value)
    if not isinstance(value, bytes):
        return ""
    return clean_text(value[: len(value) & ~1].decode("utf-16-le", "replace"))


def _comment(value: object) -> str:
    """Decode a user comment. Eight bytes state its encoding, often wrongly or not at all."""
    if isinstance(value, str):
        return clean_text(value)
    if not isinstance(value, bytes):
        return ""
    code, text = value[:8], value[8:]
    if code == b"UNICODE\x00":
        big = text[:2] == b"\xfe\xff" or (text[:1] == b"\x00" and text[:2] != b"\x00\x00")
        text = text.removeprefix(b"\xfe\xff").removeprefix(b"\xff\xfe")
        encoding = "utf-16-be" if big else "utf-16-le"
        return clean_text(text[: len(text) & ~1].decode(encoding, "replace"))
    if code[:5] not in (b"ASCII", b"\x00" * 5):
        return ""
    plain = clean_text(text.decode("utf-8", "replace"))
    return "" if "�" in plain else plain
