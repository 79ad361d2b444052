"""Raw camera files, read by LibRaw (rawpy): the preview that the camera embedded, or a development of half
the size where the preview is too small."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from lookalike.errors import ImageError, Outcome
from lookalike.images.decode_errors import ends_early, raw_is_cut, truncated
from lookalike.images.jpeg import read_header
from lookalike.images.metadata.exif import EXIF, GPS
from lookalike.images.metadata.facts import MetadataBlocks
from lookalike.images.pixel_spec import Pixels

# LibRaw's turns to upright as EXIF orientations.
_ORIENTATIONS = {0: 1, 1: 2, 2: 4, 3: 3, 4: 5, 5: 8, 6: 6, 7: 7}

# Part of the longer side from which a preview is large enough for everything: a development is no larger.
WHOLE = 0.5


MAX_PIXELS_PER_BYTE = 50
"""Of a file that states more, most is missing: cameras write a byte for each pixel or two."""

MAX_ENTRIES = 200
"""Entries of a directory of a CRW file, and such directories, that are looked at."""


@dataclass(frozen=True, slots=True)
class RawImage:
    """A raw file that was opened.

    width, height  as the sensor lies, in pixels
    orientation    EXIF orientation of `pixels`, and of `preview` unless that states its own
    preview        an embedded JPEG, b"" if `pixels` is given
    note           what is wrong with the file although it could be opened
    """

    width: int
    height: int
    orientation: int
    blocks: MetadataBlocks
    note: str | None
    preview: bytes = b""
    pixels: Pixels | None = None


def read_raw(
    data: bytes, scale: Callable[[int, int], float], check_size: Callable[[int, int], None]
) -> RawImage:
    """Open a raw file, and develop it if no preview is large enough for `scale(width, height)`."""
    import rawpy

    try:
        with rawpy.imread(io.BytesIO(data)) as raw:
            sizes = raw.sizes
            width, height = sizes.width, sizes.height
            check_size(width, height)
            orientation = _ORIENTATIONS.get(sizes.flip, 1)
            wanted = min(scale(width, height), WHOLE) * max(width, height)
            preview, pixels = _preview(raw)
            note = "the end of the file is missing" if raw_is_cut(data) else None
            opened = RawImage(width, height, orientation, raw_blocks(data, preview), note)
            header = read_header(preview) if preview else None
            if header and max(header.width, header.height) >= wanted:
                return replace(opened, preview=preview)
            if pixels is None or max(pixels.shape[:2]) < wanted:
                if len(data) < width * height // MAX_PIXELS_PER_BYTE or ends_early("raw", data):
                    raise truncated()  # LibRaw develops what is missing as if it were there
                pixels = raw.postprocess(half_size=True, user_flip=0, use_camera_wb=True)
            return replace(opened, pixels=pixels)
    except rawpy.LibRawError as error:
        raise _refused(error, data) from None


def _refused(error: Exception, data: bytes) -> ImageError:
    """Return the reason why LibRaw refuses a file."""
    import rawpy

    if ends_early("raw", data) or raw_is_cut(data):
        return truncated()
    if isinstance(error, rawpy.LibRawDataError | rawpy.LibRawIOError):
        return ImageError(
            Outcome.UNREADABLE, "the raw camera data is damaged or incomplete; copy it again"
        )
    if isinstance(error, rawpy.LibRawFileUnsupportedError):
        return ImageError(
            Outcome.UNSUPPORTED,
            "this camera's raw files are not known to LibRaw; export it as DNG or JPEG",
        )
    cause = error.args[0] if error.args else error
    cause = cause.decode() if isinstance(cause, bytes) else str(cause)
    return ImageError(
        Outcome.UNREADABLE, f"LibRaw refuses the file ({cause[:80]}); open it elsewhere"
    )


def _preview(raw: Any) -> tuple[bytes, Pixels | None]:
    """Return the largest embedded preview, as JPEG or as pixels; b"" and None where there is none."""
    import rawpy

    try:
        preview = raw.extract_thumb()
    except (
        rawpy.LibRawNoThumbnailError,
        rawpy.LibRawUnsupportedThumbnailError,
        rawpy.LibRawIOError,
    ):
        return b"", None
    if preview.format == rawpy.ThumbFormat.JPEG:
        return bytes(preview.data), None
    pixels = np.asarray(preview.data)
    usable = pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.dtype == np.uint8
    return b"", pixels if usable else None


def raw_blocks(data: bytes, preview: bytes = b"") -> MetadataBlocks:
    """Return the EXIF of a raw file: most are TIFF with another signature, Minolta's MRW contains one,
    Canon's CR3 and CRW have other structures, and the others (Fuji, Sigma) have it in their preview."""
    if data[6:10] == b"HEAP":
        return MetadataBlocks(_heap_exif(data))
    if data.startswith(b"\x00MRM") and (at := data.find(b"\x00TTW", 0, 1 << 16)) > 0:
        data = data[at + 8 :]
    if data[:2] in (b"II", b"MM") and data[2:4] not in (b"\x1a\x00", b"*\x00", b"\x00*"):
        data = data[:2] + (b"*\x00" if data[:2] == b"II" else b"\x00*") + data[4:]
    if data[:2] in (b"II", b"MM"):
        return MetadataBlocks(data)
    if data[4:8] == b"ftyp":
        return MetadataBlocks(_boxed_exif(data[: 1 << 20]))
    header = read_header(preview) if preview else None
    return header.blocks if header else MetadataBlocks()


def _heap_exif(data: bytes) -> Any:
    """Return camera and time of a CRW file, a tree of heaps that end with their directory (CIFF 1.0)."""
    from PIL import Image

    found, heaps = Image.Exif(), [(26, len(data))]
    with suppress(struct.error, ValueError, OverflowError):  # the tree is damaged
        for start, end in heaps:
            at = start + struct.unpack_from("<I", data, end - 4)[0]
            for entry in range(min(struct.unpack_from("<H", data, at)[0], MAX_ENTRIES)):
                tag, size, offset = struct.unpack_from("<HII", data, at + 2 + 10 * entry)
                first = start + offset
                if tag in (0x2807, 0x300A) and len(heaps) < MAX_ENTRIES:  # camera and settings
                    heaps.append((first, first + size))
                elif tag == 0x080A:
                    make, model = data[first : first + size].split(b"\x00")[:2]
                    found[271], found[272] = make.decode("latin1"), model.decode("latin1")
                elif tag == 0x180E:  # local time, in seconds since 1970
                    moment = datetime(1970, 1, 1) + timedelta(
                        seconds=struct.unpack_from("<I", data, first)[0]
                    )
                    found.get_ifd(EXIF)[0x9003] = f"{moment:%Y:%m:%d %H:%M:%S}"
    return found


def _boxed_exif(data: bytes) -> Any:
    """Return the EXIF of a CR3 file, whose directories are in boxes: CMT1, CMT2 (EXIF) and CMT4 (GPS)."""
    from PIL import Image

    def directory(name: bytes) -> Image.Exif:
        found, at = Image.Exif(), data.find(name)
        if at >= 4:
            size = int.from_bytes(data[at - 4 : at], "big")
            with suppress(Exception):  # a damaged block must not cost the image
                found.load(b"Exif\x00\x00" + data[at + 4 : at - 4 + size])
        return found

    whole = directory(b"CMT1")
    for name, tag in ((b"CMT2", EXIF), (b"CMT4", GPS)):
        whole.get_ifd(tag).update(dict(directory(name)))
    return whole
