"""Read the size from a JPEG XL header (ISO/IEC 18181-1, 5.3): the decoder only tells it after decoding."""

from __future__ import annotations

import struct

_BITS = (9, 13, 18, 30)
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}


def jxl_size(data: bytes) -> tuple[int, int]:
    """Return width and height as stored. Raises ValueError without a codestream, struct.error in a stump."""
    start = 0 if data.startswith(b"\xff\x0a") else _codestream(data)
    bits = int.from_bytes(data[start + 2 : start + 14], "little")

    def take(count: int) -> int:
        nonlocal bits
        value, bits = bits & ((1 << count) - 1), bits >> count
        return value

    def side(small: bool) -> int:
        return (take(5) + 1) * 8 if small else take(_BITS[take(2)]) + 1

    small = bool(take(1))
    height = side(small)
    ratio = _RATIOS.get(take(3))
    return (height * ratio[0] // ratio[1] if ratio else side(small)), height


def _codestream(data: bytes) -> int:
    """Return where the codestream begins in a container of boxes."""
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, at + 8)
            head = 16
        if kind in (b"jxlc", b"jxlp"):
            return at + head + (4 if kind == b"jxlp" else 0)
        if size < head:
            break
        at += size
    raise ValueError("no codestream")
