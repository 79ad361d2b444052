"""Giving an extractor exactly the pixels it needs. Runs for every extractor of every picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.images.scale import cover_scale

if TYPE_CHECKING:
    from PIL import Image


def fit(pixels: Pixels, needs: PixelSpec) -> Pixels:
    """(h, w, 3) uint8 RGB → what `needs` describes: (h, w, 3) or (h, w) uint8, C-contiguous.

    May return `pixels` itself, so nobody may write into the result. Raises ValueError if the needs
    name no size where their fit wants one.
    """
    height, width = pixels.shape[:2]
    _check(needs)
    if needs.mode == "grey":
        pixels = grey(pixels)
    if needs.fit == "any":
        return np.ascontiguousarray(pixels)
    if needs.fit == "stretch":
        return _resize(pixels, needs.width, needs.height, needs)
    if needs.fit == "inside":
        scale = needs.max_side / max(width, height)
        if scale >= 1.0:
            return np.ascontiguousarray(pixels)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        return _resize(pixels, *size, needs)
    return _cover(pixels, needs)


def grey(pixels: Pixels) -> Pixels:
    """ITU-R 601 luma, (299 R + 587 G + 114 B) / 1000: Pillow's convert("L"), to within 1 of 255."""
    import cv2

    return cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY)  # type: ignore[no-any-return]


def _check(needs: PixelSpec) -> None:
    if needs.fit == "inside":
        if needs.max_side < 1:
            raise ValueError('fit="inside" needs max_side of at least 1')
    elif needs.fit != "any" and (needs.height < 1 or needs.width < 1):
        raise ValueError(f'fit="{needs.fit}" needs height and width of at least 1')


def _cover(pixels: Pixels, needs: PixelSpec) -> Pixels:
    """Scale so that the shorter side fits, then cut the centre, as torchvision's Resize and
    CenterCrop do: the longer side is rounded down, the margins to the nearest."""
    height, width = pixels.shape[:2]
    scale = cover_scale(width, height, needs)
    # The small surplus keeps 224.0 from becoming 223.999 and being rounded down.
    new_width = max(int(width * scale + 1e-6), needs.width)
    new_height = max(int(height * scale + 1e-6), needs.height)
    left = round((new_width - needs.width) / 2)
    top = round((new_height - needs.height) / 2)
    # Pillow turns the order of its two passes by their cost. Between them values are clipped, so that
    # for the filters that overshoot the answer would depend on how much is cut off.
    if needs.resample != "bilinear" or scale >= 1:
        whole = _resize(pixels, new_width, new_height, needs)
        columns = whole[:, left : left + needs.width]
    else:
        columns = _resize_columns(pixels, new_width, new_height, left, needs)
    return np.ascontiguousarray(columns[top : top + needs.height])


def _resize_columns(pixels: Pixels, width: int, height: int, left: int, needs: PixelSpec) -> Pixels:
    """The picture resized to (height, width), of that only the columns from `left` on that are needed.

    Pillow computes no others, but looks at the pixels beside them, so that the numbers are those of
    cutting afterwards, to within 1 of 255 (it keeps the edges in single precision). For a landscape
    photograph of 3:2 that takes half the time, and resizing is more than half of what a worker does for
    a network.
    """
    from PIL import Image

    old_height, old_width = pixels.shape[:2]
    across = old_width / width
    right = min(
        old_width, (left + needs.width) * across
    )  # rounding may not lead out of the picture
    box = (left * across, 0, right, old_height)
    made = Image.fromarray(pixels).resize((needs.width, height), _filter(needs), box=box)
    return np.array(made)


def _resize(pixels: Pixels, width: int, height: int, needs: PixelSpec) -> Pixels:
    old_height, old_width = pixels.shape[:2]
    if (old_width, old_height) == (width, height):
        return np.ascontiguousarray(pixels)
    if needs.resample == "area":
        return _resize_area(pixels, width, height)
    from PIL import Image

    return np.array(Image.fromarray(pixels).resize((width, height), _filter(needs)))


def _resize_area(pixels: Pixels, width: int, height: int) -> Pixels:
    """Means over areas where it shrinks, linear where it grows.

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


def _filter(needs: PixelSpec) -> Image.Resampling:
    from PIL import Image

    return {
        "nearest": Image.Resampling.NEAREST,
        "bilinear": Image.Resampling.BILINEAR,
        "bicubic": Image.Resampling.BICUBIC,
        "lanczos": Image.Resampling.LANCZOS,
    }[needs.resample]
