"""Decoding JPEG, which is nearly all there is: libjpeg scales while it decodes."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import ImageError, Outcome
from lookalike.images.metadata.facts import NOTHING, Blocks
from lookalike.images.pixel_spec import Pixels

_EXIF = b"Exif\x00\x00"
_XMP = b"http://ns.adobe.com/xap/1.0/\x00"
_PHOTOSHOP = b"Photoshop 3.0\x00"

_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """What the markers before the first scan say. `orientation` is EXIF's, 1 to 8; `blocks` are as
    they lie there, not looked into."""

    width: int
    height: int
    components: int
    bits: int
    orientation: int
    blocks: Blocks = NOTHING


def read_header(data: bytes) -> JpegHeader | None:
    """Walks the markers; None if no frame header is found before the picture data begins.

    5 µs, against 40 µs of Pillow's parser. EXIF is looked into only where an APP1 segment has it.
    """
    at, end = 2, len(data)
    orientation = 1
    exif = xmp = iptc = b""
    frame: tuple[int, int, int, int] | None = None
    while at + 4 <= end:
        if data[at] != 0xFF:
            at = data.find(b"\xff", at)  # stray bytes between segments: decoders skip them too
            if at < 0:
                break
            continue
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker in _STANDALONE or marker == 0:
            at += 2
            continue
        if marker in (0xDA, 0xD9):
            break
        size = (data[at + 2] << 8) | data[at + 3]
        if marker in _START_OF_FRAME and at + 10 <= end and frame is None:
            frame = struct.unpack_from(">BHHB", data, at + 4)
        elif marker == 0xE1 and not exif and data.startswith(_EXIF, at + 4):
            exif = data[at + 4 + len(_EXIF) : at + 2 + size]
            orientation = exif_orientation(exif)
        elif marker == 0xE1 and not xmp and data.startswith(_XMP, at + 4):
            xmp = data[at + 4 + len(_XMP) : at + 2 + size]
        elif marker == 0xED and not iptc and data.startswith(_PHOTOSHOP, at + 4):
            iptc = data[at + 4 + len(_PHOTOSHOP) : at + 2 + size]
        at += 2 + max(size, 2)
    if frame is None:
        return None
    bits, height, width, components = frame
    blocks = Blocks(exif, xmp, iptc) if exif or xmp or iptc else NOTHING
    return JpegHeader(width, height, components, bits, orientation, blocks)


def exif_orientation(exif: bytes) -> int:
    """Tag 274 of a TIFF-structured EXIF block; 1 (upright) if it is missing or makes no sense."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None or len(exif) < 8:
        return 1
    start = struct.unpack_from(order + "I", exif, 4)[0]
    if start + 2 > len(exif):
        return 1
    count = struct.unpack_from(order + "H", exif, start)[0]
    for at in range(start + 2, min(start + 2 + 12 * count, len(exif) - 11), 12):
        tag, kind, _many, short = struct.unpack_from(order + "HHIH", exif, at)
        if tag == 274:
            value = short
            if kind == 4:
                value = struct.unpack_from(order + "I", exif, at + 8)[0]
            elif kind == 1:
                value = exif[at + 8]
            return value if 1 <= value <= 8 else 1
    return 1


def is_plain(header: JpegHeader) -> bool:
    """Can libjpeg-turbo turn it into RGB by itself? Not CMYK and YCCK, nor 12 bits a channel."""
    return header.bits == 8 and header.components in (1, 3)


def decode_plain(data: bytes, header: JpegHeader, halvings: int) -> Pixels | None:
    """RGB pixels as stored (not yet upright), 2**-halvings of the size, halvings 0 to 3.

    Only powers of two: libjpeg-turbo has vector code for these alone, and decoding at 3/8 takes
    longer than at 1/2 (1.21 against 1.07 ms on corel1k). None means that libjpeg found something
    odd that a more patient decoder may forgive. Raises ImageError if the end is missing.
    """
    import simplejpeg

    # libjpeg's scaled size is rounded up, so these minima select exactly the scale wanted.
    rows = -(-header.height >> halvings)
    columns = -(-header.width >> halvings)
    try:
        pixels: Pixels = simplejpeg.decode_jpeg(
            data,
            "RGB",
            min_height=rows,
            min_width=columns,
            buffer=_cached(3 * rows * columns),
            strict=True,
        )
    except ValueError as error:
        if "premature end of jpeg file" in str(error).lower():
            raise truncated() from None
        return None
    return pixels


def _cached(size: int) -> NDArray[np.uint8]:
    """Room for pixels that begins 16 bytes past a multiple of 32.

    Rows that begin at such a multiple libjpeg-turbo writes past the caches, straight to memory. Decoding
    then takes a tenth longer, and whoever looks at the pixels next, four times as long
    (`benchmarks/decoding.py`).
    """
    room = np.empty(size + 31, np.uint8)
    start = (16 - room.ctypes.data) % 32
    return room[start : start + size]


def truncated() -> ImageError:
    """The outcome of a file whose end is missing."""
    return ImageError(
        Outcome.TRUNCATED, "the end of the file is missing; copy or download it again"
    )
