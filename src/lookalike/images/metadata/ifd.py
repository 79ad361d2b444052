"""Parse selected tags of an EXIF block.

Pillow parses the whole block in 0.2 ms, a fifth of the total cost of a small image. Reading the
dozen tags in use takes a tenth of that.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeAlias

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
    """Return the wanted tags of a TIFF-structured block, without values that lie outside it."""
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None or len(block) < 8:
        return Directories({}, {}, {})
    (start,) = struct.unpack_from(order + "I", block, 4)
    main = _directory(block, order, start, {*wanted, EXIF, GPS})
    return Directories(
        main, *(_subdirectory(block, order, main.get(tag), wanted) for tag in (EXIF, GPS))
    )


def _subdirectory(block: bytes, order: str, start: object, wanted: Collection[int]) -> Tags:
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
