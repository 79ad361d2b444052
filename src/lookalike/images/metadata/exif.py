"""Read date, GPS position, camera and captions from EXIF (CIPA DC-008 Exif 2.32)."""

from __future__ import annotations

import math
import re
import struct
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from lookalike.images.metadata.facts import NO_TEXT, EmbeddedText, clean_text, whole_position
from lookalike.images.metadata.moment import iso_moment

if TYPE_CHECKING:
    from PIL import Image

Tags: TypeAlias = Mapping[int, object]

EXIF, GPS = 0x8769, 0x8825

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 10: 8}
"""Bytes of a value by TIFF type: BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, SRATIONAL."""


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
    if kind in (5, 10):
        sign = "I" if kind == 5 else "i"
        numbers = struct.unpack(f"{order}{2 * min(length, 4)}{sign}", data[: 8 * min(length, 4)])
        pairs = zip(numbers[::2], numbers[1::2], strict=True)
        return tuple(over / under if under else float("nan") for over, under in pairs)
    if kind in (3, 4):
        (first,) = struct.unpack_from(order + ("H" if kind == 3 else "I"), data)
        return int(first)
    return data


_MAKE, _MODEL, _DESCRIPTION = 0x010F, 0x0110, 0x010E
_ORIGINAL, _DIGITIZED = 0x9003, 0x9004
_OFFSETS = {_ORIGINAL: (0x9011, 0x9010), _DIGITIZED: (0x9012, 0x9010)}
_INTEROPERABILITY, _INTEROPERABILITY_INDEX = 0xA005, 1
_USER_COMMENT, _LENS = 0x9286, 0xA434
_TIME, _F_NUMBER, _ISO, _BIAS = 0x829A, 0x829D, 0x8827, 0x9204
_XP_TITLE, _XP_COMMENT, _XP_KEYWORDS, _XP_SUBJECT = 0x9C9B, 0x9C9C, 0x9C9E, 0x9C9F

_WANTED = frozenset(
    {
        _MAKE,
        _MODEL,
        _DESCRIPTION,
        _ORIGINAL,
        _DIGITIZED,
        0x9010,
        0x9011,
        0x9012,
        _USER_COMMENT,
        _LENS,
        *(_TIME, _F_NUMBER, _ISO, _BIAS),
    }
    | {_XP_TITLE, _XP_COMMENT, _XP_KEYWORDS, _XP_SUBJECT, *range(1, 5)}
)
"""Tags to read; 1 to 4 are those of the GPS directory."""

MAX_NAME = 200
"""Characters of the name of a camera or lens."""

_NO_CAPTION = re.compile(
    r"(.* )?digital camera|sony dsc|exif_jpeg_picture|<?untitled>?|default|dcim[\\/].*|"
    r"(img|dsc|dscn|dji|pict|sam|mvimg|pxl)[-_]?\d.*|hdrpl|ascii|charset=.*|binary comment",
    re.IGNORECASE,
)
"""Captions that cameras and phones write by themselves, as found in real files."""


@dataclass(frozen=True, slots=True)
class ExifData:
    """Dates, place, camera, exposure and texts of an EXIF block; None or "" where it has none."""

    text: EmbeddedText = NO_TEXT
    taken: str | None = None
    digitized: str | None = None
    camera: str | None = None
    lens: str = ""
    exposure: str = ""
    position: tuple[float, float] | None = None


def read_exif(block: bytes | Image.Exif) -> ExifData:
    """Return the dates, place, camera, exposure and texts of an EXIF block."""
    tags = parse(block, _WANTED) if isinstance(block, bytes) else _from_pillow(block)
    make, model = (_text(tags.main.get(tag))[:MAX_NAME] for tag in (_MAKE, _MODEL))
    return ExifData(
        text=_texts(tags.main, tags.exif),
        taken=_moment(tags.exif, _ORIGINAL),
        digitized=_moment(tags.exif, _DIGITIZED),
        camera=camera_name(make, model),
        lens=_text(tags.exif.get(_LENS))[:MAX_NAME],
        exposure=_exposure(tags.exif),
        position=whole_position(
            _degrees(tags.gps.get(2), tags.gps.get(1), "NS"),
            _degrees(tags.gps.get(4), tags.gps.get(3), "EW"),
        ),
    )


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


def _moment(inner: Tags, tag: int) -> str | None:
    offsets = (_text(inner.get(offset)) for offset in _OFFSETS[tag])
    return iso_moment(_text(inner.get(tag)), next(filter(None, offsets), ""))


def camera_name(make: str, model: str) -> str | None:
    """Join maker and model, unless the model begins with the maker's name, as most do."""
    if not make or not model:
        return make or model or None
    if make.split()[0].casefold() == model.split()[0].casefold():
        return model
    return f"{make} {model}"


def _exposure(inner: Tags) -> str:
    """Return time, aperture, ISO speed and correction, as in "1/250 s f/8 ISO 100 +1.0 EV"."""
    time, aperture, speed, bias = (_number(inner.get(t)) for t in (_TIME, _F_NUMBER, _ISO, _BIAS))
    parts = []
    if time > 0:
        parts.append(f"{time:g} s" if time > 0.3 else f"1/{1 / time:.0f} s")
    if aperture > 0:
        parts.append(f"f/{aperture:.2g}")
    if speed > 0:
        parts.append(f"ISO {speed:.0f}")
    if bias:
        parts.append(f"{bias:+.1f} EV")
    return " ".join(parts)


def _number(value: object) -> float:
    """Return a number, or the first of several; 0 for anything else."""
    if isinstance(value, tuple) and value:
        value = value[0]
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError):
        return 0.0
    return number if math.isfinite(number) and abs(number) < 1e7 else 0.0


def _degrees(value: object, side: object, sides: str) -> float | None:
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
    if not math.isfinite(degrees) or min(parts) < 0:
        return None
    return -degrees if _text(side).upper() == sides[1] else degrees


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
