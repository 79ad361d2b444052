"""Read JPEG headers, decode JPEG at a reduced scale, and encode it."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.images.color_profile import adobe_rgb
from lookalike.images.decode_errors import truncated
from lookalike.images.drawing_mark import marked_jpeg
from lookalike.images.metadata.exif import states_adobe_rgb
from lookalike.images.metadata.facts import NO_METADATA, MetadataBlocks
from lookalike.images.pixel_spec import Pixels

_EXIF = b"Exif\x00\x00"
_XMP = b"http://ns.adobe.com/xap/1.0/\x00"
_PHOTOSHOP = b"Photoshop 3.0\x00"
_PROFILE = b"ICC_PROFILE\x00"

_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """Facts from the markers before the first scan.

    `orientation` is EXIF's, 1 to 8; `blocks` are the metadata, not parsed; `profile` is the ICC profile.
    """

    width: int
    height: int
    components: int
    bits: int
    orientation: int
    blocks: MetadataBlocks = NO_METADATA
    profile: bytes = b""


def read_header(data: bytes) -> JpegHeader | None:
    """Parse the markers. Return None if no frame header precedes the image data.

    Takes 5 µs; Pillow's parser takes 40 µs.
    """
    at, end = 2, len(data)
    orientation = 1
    exif = xmp = iptc = b""
    profile: list[bytes] = []
    frame: tuple[int, int, int, int] | None = None
    while at + 4 <= end:
        if data[at] != 0xFF:
            at = data.find(b"\xff", at)  # decoders also skip stray bytes between segments
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
        elif marker == 0xE2 and data.startswith(_PROFILE, at + 4):
            profile.append(data[at + 4 + len(_PROFILE) : at + 2 + size])
        at += 2 + max(size, 2)
    if frame is None:
        return None
    bits, height, width, components = frame
    blocks = MetadataBlocks(exif, xmp, iptc) if exif or xmp or iptc else NO_METADATA
    # Each part begins with its number and the number of parts.
    whole = b"".join(part[2:] for part in sorted(profile))
    if not whole and states_adobe_rgb(exif):
        whole = adobe_rgb()
    return JpegHeader(width, height, components, bits, orientation, blocks, whole)


def exif_orientation(exif: bytes) -> int:
    """Return tag 274 of a TIFF-structured EXIF block; 1 (upright) if it is missing or invalid."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None or len(exif) < 8:
        return 1
    start = struct.unpack_from(order + "I", exif, 4)[0]
    if start + 2 > len(exif):
        return 1
    count = struct.unpack_from(order + "H", exif, start)[0]
    for at in range(start + 2, min(start + 2 + 12 * count, len(exif) - 11), 12):
        tag, kind, _, short = struct.unpack_from(order + "HHIH", exif, at)
        if tag == 274:
            value = short
            if kind == 4:
                value = struct.unpack_from(order + "I", exif, at + 8)[0]
            elif kind == 1:
                value = exif[at + 8]
            return value if 1 <= value <= 8 else 1
    return 1


def is_plain(header: JpegHeader) -> bool:
    """Return whether libjpeg-turbo can decode it to RGB: not CMYK, YCCK or 12 bits per channel."""
    return header.bits == 8 and header.components in (1, 3)


def decode_plain(data: bytes, header: JpegHeader, halvings: int) -> Pixels | None:
    """Decode RGB pixels as stored (not turned upright) at 2**-halvings of the size, halvings 0 to 3.

    Only powers of two: libjpeg-turbo has vector code for these alone, and decoding at 3/8 takes
    longer than at 1/2 (1.21 against 1.07 ms on corel1k). Returns None if libjpeg reports an
    irregularity that a more tolerant decoder may accept. Raises ImageError if the end is missing.
    """
    import simplejpeg

    # libjpeg rounds scaled sizes up, so these minima select exactly the scale wanted.
    rows = -(-header.height >> halvings)
    columns = -(-header.width >> halvings)
    try:
        pixels: Pixels = simplejpeg.decode_jpeg(
            data,
            "RGB",
            min_height=rows,
            min_width=columns,
            buffer=_buffer(3 * rows * columns),
            strict=True,
        )
    except ValueError as error:
        if "premature end of jpeg file" in str(error).lower():
            raise truncated() from None
        return None
    return pixels


def _buffer(size: int) -> NDArray[np.uint8]:
    """Return a buffer that begins 16 bytes past a multiple of 32.

    libjpeg-turbo writes rows that begin at such a multiple past the caches, straight to memory.
    Decoding then takes a tenth longer, and the next pass over the pixels four times as long
    (`benchmarks/decoding.py`).
    """
    memory = np.empty(size + 31, np.uint8)
    start = (16 - memory.ctypes.data) % 32
    return memory[start : start + size]


def encode_jpeg(pixels: Pixels) -> bytes:
    """Return RGB pixels as a JPEG file of quality 85, marked as made by this program.

    On the simulated catalogue a thumbnail of 256 pixels then takes 7 KB; quality 92 takes half as
    much again for a barely visible difference.
    """
    import simplejpeg

    # Subsampled chroma shows in small images; in large ones full chroma costs half as much again.
    subsampling = "444" if max(pixels.shape[:2]) <= 128 else "420"
    data: bytes = simplejpeg.encode_jpeg(
        pixels, quality=85, colorspace="RGB", colorsubsampling=subsampling
    )
    return marked_jpeg(data)


def decode_jpeg(data: bytes) -> Pixels:
    """Return the pixels of a JPEG that this program has made, (height, width, 3) RGB."""
    import simplejpeg

    pixels: Pixels = simplejpeg.decode_jpeg(data, colorspace="RGB")
    return pixels
