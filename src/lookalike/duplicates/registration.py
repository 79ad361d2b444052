"""Brings two images of one subject onto one pixel grid, at the resolution of the smaller one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lookalike.duplicates.pixel_compare import PixelMatch
from lookalike.duplicates.tone import Mask, main_colors
from lookalike.images.decode import upright
from lookalike.images.pixel_spec import Pixels

# Longer side (pixels) at which an alignment is refined.
REFINE_SIDE = 320

# Share of an image that the other one may lack without being a crop of it: the corners of a tilted one.
MAX_OUTSIDE = 0.15

# Share that the other one must lack to be called a crop.
MIN_OUTSIDE = 0.05

# Distance of values (0 to 255) from the two most common colors of a margin that is a frame.
FRAME_COLOR = 16


@dataclass(frozen=True, slots=True)
class Registered:
    """Two images on one grid.

    one, other  RGB (h, w, 3)
    covered     pixels (h, w) that both images show
    contained   one of them shows nothing, frames aside, that the other does not
    cropped     one of them shows more, beyond a frame
    linear      (2, 2): directions in one image → in the other; None where whole images match
    """

    one: Pixels
    other: Pixels
    covered: Mask
    contained: bool = True
    cropped: bool = False
    linear: NDArray[np.float64] | None = None


def register(
    one: Pixels, other: Pixels, match: PixelMatch, sides: tuple[tuple[int, int], tuple[int, int]]
) -> Registered:
    """Return two RGB images on one grid.

    match  how smaller versions of them are aligned
    sides  height and width of these versions
    """
    import cv2

    if match.transform is None:
        turned = np.ascontiguousarray(upright(one, match.orientation))
        height = min(turned.shape[0], other.shape[0])
        width = min(turned.shape[1], other.shape[1])
        return Registered(
            _resized(turned, width, height),
            _resized(other, width, height),
            np.ones((height, width), bool),
        )
    if match.mirrored:
        one = np.ascontiguousarray(one[:, ::-1])
    # From pixels of the small versions to those of these.
    scale_one = np.array(one.shape[:2][::-1]) / np.array(sides[0][::-1])
    scale_other = np.array(other.shape[:2][::-1]) / np.array(sides[1][::-1])
    whole = (
        np.diag([*scale_other, 1.0])
        @ np.vstack([match.transform, [0, 0, 1]])
        @ np.diag([*(1 / scale_one), 1.0])
    )
    size = float(np.sqrt(abs(np.linalg.det(whole[:2, :2]))))
    if size > 1:  # enlarged, it would look soft beside details that only the other image has
        one, other = other, one
        whole, size = np.linalg.inv(whole), 1 / size
    if size < 0.9:
        one = np.asarray(cv2.GaussianBlur(one, (0, 0), 0.4 / size), np.uint8)
    height, width = other.shape[:2]
    warped = cv2.warpAffine(one, whole[:2], (width, height), flags=cv2.INTER_LINEAR)
    covered = _inside(one.shape[:2], whole[:2], (height, width))
    # The corners of the other image on the grid of this one.
    shown = _inside((height, width), np.linalg.inv(whole)[:2], one.shape[:2])
    outside = (
        _content(one[::4, ::4], ~shown[::4, ::4]),
        _content(other[::4, ::4], ~covered[::4, ::4]),
    )
    return Registered(
        np.asarray(warped, np.uint8),
        other,
        covered,
        contained=min(outside) <= MAX_OUTSIDE,
        cropped=max(outside) > MIN_OUTSIDE,
        linear=whole[:2, :2],
    )


def _resized(pixels: Pixels, width: int, height: int) -> Pixels:
    import cv2

    if pixels.shape[:2] == (height, width):
        return np.ascontiguousarray(pixels)
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _inside(shape: tuple[int, ...], transform: NDArray[np.float64], size: tuple[int, ...]) -> Mask:
    """Return the pixels (size) that an image of a shape covers."""
    import cv2

    ones = np.ones(shape[:2], np.uint8)
    return np.asarray(
        cv2.warpAffine(ones, transform, (size[1], size[0]), flags=cv2.INTER_NEAREST) > 0
    )


def _content(pixels: Pixels, outside: Mask) -> float:
    """Return the share of the image that lies outside and is not a frame of one or two colors."""
    values = pixels[outside].astype(np.int16)
    if not len(values):
        return 0.0
    frame = sum(int(has.sum()) for _, has in main_colors(values, 2, FRAME_COLOR))
    return (len(values) - frame) / outside.size


def refine(pair: Registered) -> Registered | None:
    """Return the pair better aligned by its pixels, or None (ECC; Evangelidis and Psarakis, PAMI 2008)."""
    import cv2

    height, width = pair.covered.shape
    scale = min(1.0, REFINE_SIDE / max(height, width))
    size = (max(16, round(width * scale)), max(16, round(height * scale)))

    def small(pixels: Pixels) -> Pixels:
        return _resized(np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8), *size)

    mask = _resized(pair.covered.astype(np.uint8), *size) * 255
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 40, 1e-4)
    start = np.eye(2, 3, dtype=np.float32)
    try:
        _, found = cv2.findTransformECC(
            small(pair.other), small(pair.one), start, cv2.MOTION_AFFINE, stop, mask, 3
        )
    except cv2.error:  # no convergence where the images differ
        return None
    zoom = np.diag([width / size[0], height / size[1], 1.0])
    full = (zoom @ np.vstack([found.astype(np.float64), [0, 0, 1]]) @ np.linalg.inv(zoom))[:2]
    if np.abs(full - np.eye(2, 3)).max() < 0.02 or np.abs(full[:, 2]).max() > 0.1 * max(
        height, width
    ):
        return None
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(pair.one, full, (width, height), flags=flags)
    covered = cv2.warpAffine(
        pair.covered.astype(np.uint8),
        full,
        (width, height),
        flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
    )
    linear = None if pair.linear is None else np.linalg.inv(full[:, :2]) @ pair.linear
    return replace(
        pair,
        one=np.asarray(warped, np.uint8),
        covered=np.asarray(covered > 0),
        linear=linear,
    )
