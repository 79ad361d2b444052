"""Decode rasters of more than 8 bits, and turn their numbers into 8 bits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

NARROW_BITS = 12
"""Numbers of 16 bits that need no more than this come from instruments, which record 10 or 12 bits."""


def decode_numbers(data: bytes) -> NDArray[Any] | None:
    """Return what OpenCV reads from a TIFF or PNG: (h, w) grey, (h, w, 2) with alpha, or (h, w, 3 or 4) RGB
    with alpha.

    The numbers are as stored. None for kinds that OpenCV does not know.
    """
    import cv2

    cv2.utils.logging.setLogLevel(0)  # what it cannot decode it would report on stderr
    read: NDArray[Any] | None = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if read is None or read.ndim == 2:
        return read
    order = {2: [0, 1], 3: [2, 1, 0], 4: [2, 1, 0, 3]}.get(read.shape[2])
    return read[:, :, order] if order else read[:, :, 0]


def to_image(
    numbers: NDArray[Any],
    *,
    no_data: float | None = None,
    min_is_white: bool = False,
    has_alpha: bool = True,
    associated: bool = False,
) -> Image.Image:
    """Return what `decode_numbers` returns as an image of mode L, LA, RGB or RGBA; see `to_8_bits`.

    has_alpha   the second or fourth channel is alpha; otherwise it is ignored
    associated  the colors are multiplied by alpha
    """
    channels = np.atleast_3d(numbers)
    count = 3 if channels.shape[2] > 2 else 1
    levels = to_8_bits(channels[:, :, :count], no_data=no_data, min_is_white=min_is_white)
    if channels.shape[2] == count or not has_alpha:
        return Image.fromarray(np.ascontiguousarray(levels if count == 3 else levels[:, :, 0]))
    top = np.iinfo(numbers.dtype).max if numbers.dtype.kind in "ui" else 1
    alpha = np.clip(channels[:, :, count:].astype(np.float32) / top, 0, 1)
    if associated:
        levels = np.clip(levels / np.maximum(alpha, 1 / 255), 0, 255).astype(np.uint8)
    return Image.fromarray(np.concatenate([levels, np.rint(255 * alpha).astype(np.uint8)], axis=2))


def wide_png(data: bytes, image: Image.Image) -> Image.Image:
    """Return a loaded PNG by the rule of `to_8_bits`.

    Pillow keeps the upper 8 of 16 bits of a color image, of which little is left if 12 bits are used.
    """
    if data[24] != 16 or image.mode not in ("RGB", "RGBA", "LA"):
        return image
    if any(high >= 1 << (NARROW_BITS - 8) for _, high in image.convert("RGB").getextrema()):  # type: ignore[misc]
        return image
    numbers = decode_numbers(data)
    return image if numbers is None else to_image(numbers)


def to_8_bits(
    values: NDArray[Any], *, no_data: float | None = None, min_is_white: bool = False
) -> NDArray[np.uint8]:
    """Convert numbers, (h, w) or (h, w, 3), to 0 … 255. One rule for all formats:

    * unsigned numbers use the whole range of their type. If none needs more than 12 of 16 bits, the range is
      the smallest number of bits that holds the largest. If none needs more than half of 32 or 64 bits,
      they are treated as measurements, unless they fit in 16 bits;
    * floating point from 0 to 1, and numbers from 0 to 255, are taken as they are;
    * all others are measurements (heights, temperatures) and are stretched from the least to the greatest.

    What is not finite, equals `no_data`, or is farther from all others than these are from each other
    (-9999 among heights) is no measurement. It gets the mean of the others, which hides it.
    """
    if values.dtype.kind == "b" or values.dtype == np.uint8:
        result = values.astype(np.uint8) * (255 if values.dtype.kind == "b" else 1)
        return 255 - result if min_is_white else result
    valid = _valid(values, no_data)
    known = values[valid]
    if not known.size:
        return np.zeros(values.shape, np.uint8)
    low, high = _range(known)
    if high <= low:
        return np.zeros(values.shape, np.uint8)
    scale = 255.0 / (high - low)
    scaled: NDArray[np.floating[Any]] = values.astype(
        np.float64 if values.dtype.itemsize > 4 else np.float32
    )
    scaled -= np.array(low, scaled.dtype)
    scaled *= np.array(scale, scaled.dtype)
    if known.size < values.size:
        scaled[~valid] = (float(known.mean(dtype=np.float64)) - low) * scale
    np.clip(np.rint(scaled, out=scaled), 0, 255, out=scaled)
    levels: NDArray[np.uint8] = scaled.astype(np.uint8)
    return 255 - levels if min_is_white else levels


def _valid(values: NDArray[Any], no_data: float | None) -> NDArray[np.bool_]:
    valid: NDArray[np.bool_] = np.ones(values.shape, np.bool_)
    if values.dtype.kind == "f":
        valid = np.isfinite(values)
    if no_data is not None and np.isfinite(no_data):
        valid &= np.abs(values.astype(np.float64) - no_data) > 1e-6 * abs(no_data)
    if values.dtype.kind == "u":
        return valid
    for least in (True, False, True, False):  # both ends, twice: rasters may have two such values
        low, high = _ends(values, valid)
        if not low < high or (low >= 0 and high <= 255):
            break
        end = low if least else high
        if end == 0:
            continue
        rest = valid & (values != end)
        low, high = _ends(values, rest)
        if 0 < high - low < (low - end if least else end - high):
            valid = rest
    return valid


def _ends(values: NDArray[Any], valid: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the least and the greatest of the valid numbers; the least is infinite if there are none."""
    if not valid.any():
        return np.inf, -np.inf
    limits = np.finfo(values.dtype) if values.dtype.kind == "f" else np.iinfo(values.dtype)
    return (
        float(np.min(values, where=valid, initial=limits.max)),
        float(np.max(values, where=valid, initial=limits.min)),
    )


def _range(known: NDArray[Any]) -> tuple[float, float]:
    """Return the numbers that become 0 and 255."""
    low, high = float(known.min()), float(known.max())
    kind, bits = known.dtype.kind, 8 * known.dtype.itemsize
    if kind == "f" and low >= 0 and high <= 1:
        return 0.0, 1.0
    if low >= 0 and high <= 255:
        return 0.0, 255.0
    if kind == "u" and high < 1 << 16:
        needed = int(high).bit_length()
        return 0.0, float((1 << (needed if needed <= NARROW_BITS else 16)) - 1)
    if kind == "u" and high >= 1 << (bits - 1):
        return 0.0, float((1 << bits) - 1)
    return low, high
