"""Read date, GPS position, camera and captions from EXIF (CIPA DC-008 Exif 2.32)."""

from __future__ import annotations

import math
import re
import struct
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

from lookalike.images.metadata.facts import EmbeddedText, Facts, clean_text

if TYPE_CHECKING:
    from PIL import Image

Tags: TypeAlias = Mapping[int, object]

EXIF, GPS = 0x8769, 0x8825

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1}
"""Bytes of a value by TIFF type: BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED."""


@dataclass(frozen=True, slots=True)
class Directories:
    """Values by tag: bytes or str for texts, a tuple of floats for rationals, else an int."""

    main: Tags
    exif: Tags
    gps: Tags


def parse(block: bytes, wanted: Collection[int]) -> Directories:
    """Return the wanted tags of a TIFF-structured block, without values that lie outside it.

    Pillow parses the whole block in 0.2 ms, a fifth of the total cost of a small image. Reading the dozen
    tags in use takes a tenth of that.
    """
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None or len(block) < 8:
        return Directories({}, {}, {})
    (start,) = struct.unpack_from(order + "I", block, 4)
    main = _directory(block, order, start, {*wanted, EXIF, GPS})
    return Directories(
        main, *(_parse_subdirectory(block, order, main.get(tag), wanted) for tag in (EXIF, GPS))
    )


def _parse_subdirectory(block: bytes, order: str, start: object, wanted: Collection[int]) -> Tags:
    return _directory(block, order, start, wanted) if isinstance(start, int) else {}


def _directory(block: bytes, order: str, start: int, wanted: Collection[int]) -> dict[int, object]:
    found: dict[int, object] = {}
    if start + 2 > len(block):
        return found
    (count,) = struct.unpack_from(order + "H", block, start)
    for at in range(start + 2, min(start + 2 + 12 * count, len(block) - 11), 12):
        tag, kind, length = struct.unpack_from(order + "HHI", block, at)
        if tag not in wanted or kind not in _SIZES or tag in found:
            continue
        size = _SIZES[kind] * length
        offset = at + 8
        if size > 4:
            (offset,) = struct.unpack_from(order + "I", block, offset)
        if 0 < size <= len(block) - offset:
            found[tag] = _value(block[offset : offset + size], order, kind, length)
    return found


def _value(data: bytes, order: str, kind: int, length: int) -> object:
    if kind == 5:
        numbers = struct.unpack(f"{order}{2 * min(length, 4)}I", data[: 8 * min(length, 4)])
        pairs = zip(numbers[::2], numbers[1::2], strict=True)
        return tuple(over / under if under else float("nan") for over, under in pairs)
    if kind in (3, 4):
        (first,) = struct.unpack_from(order + ("H" if kind == 3 else "I"), data)
        return int(first)
    return data


_MAKE, _MODEL, _DESCRIPTION = 0x010F, 0x0110, 0x010E
_ORIGINAL, _DIGITIZED = 0x9003, 0x9004
_OFFSETS = {_ORIGINAL: 0x9011, _DIGITIZED: 0x9012}
_INTEROPERABILITY, _INTEROPERABILITY_INDEX = 0xA005, 1
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


def states_adobe_rgb(block: bytes) -> bool:
    """Return whether a block says that the colors are Adobe RGB (DCF 2.0), which cameras state without a
    profile."""
    if b"R03" not in block:  # nearly always; parsing takes longer
        return False
    tags = parse(block, {_INTEROPERABILITY})
    start = tags.exif.get(_INTEROPERABILITY)
    order = "<" if block[:2] == b"II" else ">"
    inner = _parse_subdirectory(block, order, start, {_INTEROPERABILITY_INDEX})
    return _text(inner.get(_INTEROPERABILITY_INDEX)) == "R03"


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
