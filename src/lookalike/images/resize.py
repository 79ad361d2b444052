"""Resize an image to exactly the pixels that an extractor asks for, and choose the scale to decode it at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lookalike.images.pixel_spec import Pixels, PixelSpec

if TYPE_CHECKING:
    from PIL import Image

# Images beyond 3:1 are cropped to 3:1 around the centre: a panorama or a screenshot of a whole page
# would otherwise be squeezed by "stretch", and "cover" would enlarge it without limit.
MAX_ASPECT_RATIO = 3


def crop_box(width: int, height: int) -> tuple[int, int, int, int]:
    """Return (left, top, width, height) of the central part that is at most 3:1."""
    if width > MAX_ASPECT_RATIO * height:
        kept = MAX_ASPECT_RATIO * height
        return (width - kept) // 2, 0, kept, height
    if height > MAX_ASPECT_RATIO * width:
        kept = MAX_ASPECT_RATIO * width
        return 0, (height - kept) // 2, width, kept
    return 0, 0, width, height


def limit_aspect(pixels: Pixels) -> Pixels:
    """Return the central part of (h, w, 3) pixels that is at most 3:1; mostly that is all of them."""
    height, width = pixels.shape[:2]
    if max(width, height) <= MAX_ASPECT_RATIO * min(width, height):
        return pixels
    left, top, width, height = crop_box(width, height)
    return np.ascontiguousarray(pixels[top : top + height, left : left + width])


def decode_scale(width: int, height: int, specs: Sequence[PixelSpec]) -> float:
    """Return the smallest factor, at most 1, by which an image may shrink before `resize.fit`."""
    scale = 0.0 if specs else 1.0
    shorter, longer = min(width, height), max(width, height)
    for spec in specs:
        if spec.fit == "any":
            wanted = spec.min_side / shorter if spec.min_side else 1.0
        elif spec.fit == "inside":
            wanted = spec.max_side / longer
        elif spec.fit == "stretch":
            wanted = max(spec.width / width, spec.height / height)
        else:
            wanted = cover_scale(width, height, spec)
        scale = max(scale, wanted, spec.min_side / shorter)
    return min(scale, 1.0)


def cover_scale(width: int, height: int, spec: PixelSpec) -> float:
    """Return the factor of fit="cover": shorter side to `shortest_edge`, at least the crop's size."""
    return max(spec.shortest_edge / min(width, height), spec.width / width, spec.height / height)


def fit(pixels: Pixels, spec: PixelSpec) -> Pixels:
    """Resize (h, w, 3) uint8 RGB to what `spec` describes: (h, w, 3) or (h, w) uint8, C-contiguous.

    May return `pixels` itself, so do not write into the result. Raises ValueError if the spec lacks
    a size that its fit requires.
    """
    height, width = pixels.shape[:2]
    _check(spec)
    if spec.mode == "grey":
        pixels = grey(pixels)
    if spec.fit == "any":
        return np.ascontiguousarray(pixels)
    if spec.fit == "stretch":
        return _resize(pixels, spec.width, spec.height, spec)
    if spec.fit == "inside":
        scale = spec.max_side / max(width, height)
        if scale >= 1.0:
            return np.ascontiguousarray(pixels)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        return _resize(pixels, *size, spec)
    return _cover(pixels, spec)


def grey(pixels: Pixels) -> Pixels:
    """Return ITU-R 601 luma, (299 R + 587 G + 114 B) / 1000; equals Pillow's convert("L") within 1."""
    import cv2

    return cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY)  # type: ignore[no-any-return]


def _check(spec: PixelSpec) -> None:
    if spec.fit == "inside":
        if spec.max_side < 1:
            raise ValueError('fit="inside" needs max_side of at least 1')
    elif spec.fit != "any" and (spec.height < 1 or spec.width < 1):
        raise ValueError(f'fit="{spec.fit}" needs height and width of at least 1')


def _cover(pixels: Pixels, spec: PixelSpec) -> Pixels:
    """Scale the shorter side to fit, then crop the centre, as torchvision's Resize and CenterCrop do.

    The longer side is rounded down, the margins to the nearest integer.
    """
    height, width = pixels.shape[:2]
    scale = cover_scale(width, height, spec)
    # The small surplus keeps 224.0 from becoming 223.999 and being rounded down.
    new_width = max(int(width * scale + 1e-6), spec.width)
    new_height = max(int(height * scale + 1e-6), spec.height)
    left = round((new_width - spec.width) / 2)
    top = round((new_height - spec.height) / 2)
    # Pillow orders its two passes by their cost and clips values between them, so for filters that
    # overshoot the result would depend on how much is cropped.
    if spec.resample != "bilinear" or scale >= 1:
        whole = _resize(pixels, new_width, new_height, spec)
        columns = whole[:, left : left + spec.width]
    else:
        columns = _resize_columns(pixels, new_width, new_height, left, spec)
    return np.ascontiguousarray(columns[top : top + spec.height])


def _resize_columns(pixels: Pixels, width: int, height: int, left: int, spec: PixelSpec) -> Pixels:
    """Return `spec.width` columns from `left` on of the image resized to (height, width).

    Pillow computes only these but reads the pixels beside them, so the values equal those of
    cropping afterwards within 1 of 255 (it keeps the edges in single precision). For a 3:2
    landscape this halves the time, and resizing is more than half of a worker's time for a network.
    """
    from PIL import Image

    old_height, old_width = pixels.shape[:2]
    factor = old_width / width
    right = min(old_width, (left + spec.width) * factor)  # rounding must not leave the image
    box = (left * factor, 0, right, old_height)
    resized = Image.fromarray(pixels).resize((spec.width, height), _filter(spec), box=box)
    return np.array(resized)


def _resize(pixels: Pixels, width: int, height: int, spec: PixelSpec) -> Pixels:
    old_height, old_width = pixels.shape[:2]
    if (old_width, old_height) == (width, height):
        return np.ascontiguousarray(pixels)
    if spec.resample == "area":
        return _resize_area(pixels, width, height)
    from PIL import Image

    return np.array(Image.fromarray(pixels).resize((width, height), _filter(spec)))


def _resize_area(pixels: Pixels, width: int, height: int) -> Pixels:
    """Average areas where the image shrinks and interpolate linearly where it grows.

    OpenCV's INTER_AREA averages only if both sides shrink, so the side that shrinks goes first.
    """
    import cv2

    old_height, old_width = pixels.shape[:2]
    pixels = np.ascontiguousarray(pixels)
    small = min(width, old_width), min(height, old_height)
    if small != (old_width, old_height):
        pixels = cv2.resize(pixels, small, interpolation=cv2.INTER_AREA)
    if small != (width, height):
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)
    return pixels


def _filter(spec: PixelSpec) -> Image.Resampling:
    from PIL import Image

    return Image.Resampling[spec.resample.upper()]
