"""Writes minimal DNG files, which LibRaw reads like those of a camera."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
from PIL import Image

Entries = dict[int, tuple[int, Any]]

_CODES = {3: "H", 4: "I"}


class _Tiff:
    def __init__(self) -> None:
        self.data = bytearray(b"II*\x00\x00\x00\x00\x00")

    def put(self, block: bytes) -> int:
        """Append a block at an even offset, which is returned."""
        at = len(self.data)
        self.data += block + b"\x00" * (len(block) % 2)
        return at

    def directory(self, entries: Entries) -> int:
        rows = b""
        for tag, (kind, value) in sorted(entries.items()):
            if kind == 2:
                block, count = value.encode() + b"\x00", len(value) + 1
            elif kind == 1:
                block, count = bytes(value), len(value)
            elif kind in (5, 10):
                block = b"".join(struct.pack("<ii", *pair) for pair in value)
                count = len(value)
            else:
                block = b"".join(struct.pack("<" + _CODES[kind], one) for one in value)
                count = len(value)
            held = (
                block.ljust(4, b"\x00") if len(block) <= 4 else struct.pack("<I", self.put(block))
            )
            rows += struct.pack("<HHI", tag, kind, count) + held
        return self.put(struct.pack("<H", len(entries)) + rows + bytes(4))


def dng(
    image: Image.Image,
    *,
    preview: Image.Image | None = None,
    orientation: int = 1,
    taken: str = "2024:05:01 12:30:00",
) -> bytes:
    """Return a DNG whose sensor saw `image`, in Berlin, with an embedded JPEG if one is given."""
    tiff = _Tiff()
    rgb = np.asarray(image.convert("RGB"), np.float64)
    height, width = rgb.shape[:2]
    mosaic = np.empty((height, width), "<u2")
    for y, x, channel in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        mosaic[y::2, x::2] = (rgb[y::2, x::2, channel] / 255) ** 2.2 * 16383
    size: Entries = {256: (4, [width]), 257: (4, [height])}
    sensor = size | {
        254: (4, [0]), 258: (3, [16]), 259: (3, [1]), 262: (3, [32803]), 277: (3, [1]),
        273: (4, [tiff.put(mosaic.tobytes())]), 278: (4, [height]), 279: (4, [mosaic.nbytes]),
        33421: (3, [2, 2]), 33422: (1, [0, 1, 1, 2]), 50714: (3, [0]), 50717: (4, [16383]),
    }  # fmt: skip
    exif = tiff.directory({0x9003: (2, taken), 0xA434: (2, "50mm F1.8")})
    degrees = [(52, 1), (30, 1), (0, 1)], [(13, 1), (24, 1), (0, 1)]
    gps = tiff.directory({1: (2, "N"), 2: (5, degrees[0]), 3: (2, "E"), 4: (5, degrees[1])})
    main: Entries = {
        271: (2, "Acme"), 272: (2, "R1"), 274: (3, [orientation]), 0x8769: (4, [exif]),
        0x8825: (4, [gps]), 50706: (1, [1, 4, 0, 0]), 50707: (1, [1, 1, 0, 0]), 50708: (2, "Acme R1"),
        50721: (10, [(int(n % 4 == 0), 1) for n in range(9)]), 50728: (5, [(1, 1)] * 3),
        50778: (3, [21]),
    }  # fmt: skip
    if preview is None:
        main |= sensor
    else:
        buffer = io.BytesIO()
        preview.save(buffer, "JPEG", quality=95)
        main |= {
            254: (4, [1]), 256: (4, [preview.width]), 257: (4, [preview.height]), 258: (3, [8, 8, 8]),
            259: (3, [7]), 262: (3, [6]), 273: (4, [tiff.put(buffer.getvalue())]), 277: (3, [3]),
            278: (4, [preview.height]), 279: (4, [len(buffer.getvalue())]),
            330: (4, [tiff.directory(sensor)]),
        }  # fmt: skip
    tiff.data[4:8] = struct.pack("<I", tiff.directory(main))
    return bytes(tiff.data)
