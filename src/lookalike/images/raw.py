"""Raw camera files, read by LibRaw (rawpy): the preview that the camera embedded, or a development of half
the size where the preview is too small."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np

from lookalike.errors import ImageError, Outcome
from lookalike.images.jpeg import read_header
from lookalike.images.metadata.exif import MAX_NAME
from lookalike.images.metadata.facts import MetadataBlocks
from lookalike.images.pixel_spec import Pixels

# LibRaw's turns to upright as EXIF orientations.
_ORIENTATIONS = {0: 1, 3: 3, 5: 8, 6: 6}

# Part of the longer side from which a preview is large enough for everything: a development is no larger.
WHOLE = 0.5


@dataclass(frozen=True, slots=True)
class RawImage:
    """A raw file that was opened.

    width, height  as the sensor lies, in pixels
    orientation    EXIF orientation of `pixels`, and of `preview` unless that states its own
    stated         facts that LibRaw knows, for those that the blocks lack
    preview        an embedded JPEG, b"" if `pixels` is given
    """

    width: int
    height: int
    orientation: int
    blocks: MetadataBlocks
    stated: Mapping[str, Any]
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
            opened = RawImage(width, height, orientation, _blocks(data, preview), _stated(raw))
            header = read_header(preview) if preview else None
            if header and max(header.width, header.height) >= wanted:
                return replace(opened, preview=preview)
            if pixels is None or max(pixels.shape[:2]) < wanted:
                pixels = raw.postprocess(half_size=True, user_flip=0, use_camera_wb=True)
            return replace(opened, pixels=pixels)
    except (rawpy.LibRawDataError, rawpy.LibRawIOError):
        raise ImageError(
            Outcome.UNREADABLE, "the raw camera data is damaged or incomplete; copy it again"
        ) from None
    except rawpy.LibRawFileUnsupportedError:
        raise ImageError(
            Outcome.UNSUPPORTED,
            "this camera's raw files are not known to LibRaw; export it as DNG or JPEG",
        ) from None
    except rawpy.LibRawError as error:
        cause = error.args[0] if error.args else error
        cause = cause.decode() if isinstance(cause, bytes) else str(cause)
        raise ImageError(
            Outcome.UNREADABLE, f"LibRaw refuses the file ({cause[:80]}); open it elsewhere"
        ) from None


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


def _blocks(data: bytes, preview: bytes) -> MetadataBlocks:
    """Return the EXIF of a raw file: most are TIFF with another signature; Canon's CR3 has it in a box."""
    if data[:2] in (b"II", b"MM") and data[2:4] not in (b"\x1a\x00", b"*\x00", b"\x00*"):
        data = data[:2] + (b"*\x00" if data[:2] == b"II" else b"\x00*") + data[4:]
    if data[:2] in (b"II", b"MM"):
        return MetadataBlocks(data)
    box = data.find(b"CMT1", 0, 1 << 16)
    if data[4:8] == b"ftyp" and box > 0:
        return MetadataBlocks(data[box + 4 : box + (1 << 16)])
    header = read_header(preview) if preview else None
    return header.blocks if header else MetadataBlocks()


def _stated(raw: Any) -> dict[str, Any]:
    """Return what LibRaw found itself, for files whose EXIF is elsewhere."""
    found: dict[str, Any] = {}
    with suppress(Exception):  # damaged facts must not cost the image
        moment = raw.other.timestamp
        moment = moment if isinstance(moment, datetime) else datetime.fromtimestamp(moment)
        if moment.year > 1990:
            found["taken"] = moment.replace(tzinfo=None, microsecond=0).isoformat()
    with suppress(Exception):
        found["lens"] = str(raw.lens.model or "").strip()[:MAX_NAME] or None
    return found
