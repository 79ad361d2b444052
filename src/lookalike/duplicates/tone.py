"""Finds whether two aligned images differ by a uniform change of light, or because one of them is in grey."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.images.pixel_spec import Pixels

Plane: TypeAlias = NDArray[np.float32]
Mask: TypeAlias = NDArray[np.bool_]

# How programs weight red, green and blue in grey: ITU-R 601 and 709, and equally.
GREY_WEIGHTS = ((0.299, 0.587, 0.114), (0.2126, 0.7152, 0.0722), (1 / 3, 1 / 3, 1 / 3))
# Mean distance from grey below which an image counts as grey.
GREY = 1.5

# Effective number of grey levels, of 32, from which a tone curve is evidence of one change of light. Drawn
# images have 1 to 5; there, other colors of an article also lie on a curve. Photos have 15 to 27.
MIN_LEVELS = 8.0
LEVELS = 32
# An image with fewer levels must follow one gain: its largest error in grey values, and the share of the
# image that must agree; the number of levels of the curve that it must have, and the range that they span.
MAX_RESIDUE, MIN_GAIN_SHARE = 4.0, 0.99
MIN_GAIN_LEVELS, MIN_GAIN_RANGE = 12, 100.0
# Levels of the curve itself: it has a knee where lights are clipped.
CURVE_LEVELS = 64
# Shift of a grey level that compression and resampling cause.
SAME_LIGHT = 2.5
# Share of two images that must have the same values to be equal.
MIN_EQUAL = 0.96
# Values that tell how much light has changed: darker ones have no precision, lighter ones may be clipped.
DARKEST, LIGHTEST = 16, 240
# Distance from grey of pixels whose hue is compared, the share that such pixels must have, and the largest
# turn of the hue (degrees, median) that a change of light makes.
MIN_CHROMA, MIN_COLORED, MAX_TURN = 30, 0.02, 12.0
# Colors of a palette, and the largest difference to the nearest one that it makes. Dither averages out over
# squares of that side (pixels); what differs there by more is another color.
MIN_PALETTE, MAX_PALETTE, MAX_PALETTE_STEP = 33, 256, 64
DITHER, MAX_PALETTE_SHIFT = 12, 24.0
_CODE = np.array([65536, 256, 1], np.uint32)
# A sign: number of its colors and the largest difference in one, share of the image that must have them, and
# share of 12 × 12 tiles that may have texture, with its standard deviation. A page of text has more.
SIGN_COLORS, MIN_SIGN = (4, 6), 0.9
SIGN_TEXTURE, MAX_SIGN_DETAIL = 3.0, 0.6


def luma(pixels: Pixels) -> Plane:
    """Return the grey values (h, w), 0 to 255, of an image."""
    import cv2

    if pixels.ndim == 2:
        return pixels.astype(np.float32)
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.float32)


def colorfulness(pixels: Pixels, covered: Mask) -> float:
    """Return the mean distance from grey, in values of 0 to 255."""
    few = pixels[::4, ::4].astype(np.int16)
    return float((few.max(axis=2) - few.min(axis=2))[covered[::4, ::4]].mean())


def both_grey(one: Pixels, other: Pixels, covered: Mask) -> tuple[Pixels, Pixels]:
    """Return both images in grey, the colored one weighted as the grey one seems to be made."""
    import cv2

    weights = [np.array(weight, np.float32) for weight in GREY_WEIGHTS]
    lumas = [(cv2.transform(one, w[None]), cv2.transform(other, w[None])) for w in weights]
    few = covered[::4, ::4]
    apart = [float(cv2.absdiff(a, b)[::4, ::4][few].mean()) for a, b in lumas]
    best = lumas[int(np.argmin(apart))]
    made = [np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8) for grey in best]
    return made[0], made[1]


def are_equal(one: Pixels, other: Pixels, covered: Mask) -> bool:
    """Return whether two images have the same values, apart from compression and single edges."""
    apart = np.abs(_blocks(one, covered) - _blocks(other, covered))
    return bool((apart > SAME_LIGHT).mean() < 1 - MIN_EQUAL)


def main_colors(
    values: NDArray[np.int16], count: int, tolerance: int
) -> Iterator[tuple[NDArray[np.floating], NDArray[np.bool_]]]:
    """Yield the most common colors of pixels (n, 3), and which pixels have each (n,), counted once.

    tolerance  largest difference of a channel
    """
    left = np.ones(len(values), bool)
    for _ in range(count):
        if not left.any():
            return
        kinds = values[left] // 32 @ np.array([64, 8, 1])
        color = np.median(values[left][kinds == np.bincount(kinds).argmax()], axis=0)
        has = left & (np.abs(values - color).max(axis=1) <= tolerance)
        left &= ~has
        yield color, has


def palette(pixels: Pixels) -> NDArray[np.uint8] | None:
    """Return the colors (n, 3) of a colored photo that was reduced to a palette, as GIF is; None for others.

    Drawn images have few grey levels, and few colors of their own.
    """
    step = max(1, int((pixels.size / 3e4) ** 0.5))
    few = pixels[::step, ::step].reshape(-1, 3)
    if len(np.unique(few @ _CODE)) > MAX_PALETTE:
        return None
    codes = np.unique(pixels.reshape(-1, 3) @ _CODE)
    if not MIN_PALETTE <= len(codes) <= MAX_PALETTE:
        return None
    inside = np.ones(pixels.shape[:2], bool)
    if levels(luma(pixels), inside) < MIN_LEVELS or colorfulness(pixels, inside) < GREY:
        return None
    return np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=1).astype(np.uint8)


def in_one_palette(one: Pixels, other: Pixels) -> tuple[Pixels, Pixels] | None:
    """Return two images in the palette of the one that has one.

    None if neither or both have, or if another color is somewhere.
    """
    import cv2

    colors, others = palette(one), palette(other)
    if (colors is None) == (others is None):
        return None
    if colors is not None:
        other = _mapped(other, colors)
    elif others is not None:
        one = _mapped(one, others)
    apart = cv2.blur(one.astype(np.float32) - other, (DITHER, DITHER))
    return None if np.linalg.norm(apart, axis=2).max() > MAX_PALETTE_SHIFT else (one, other)


def _mapped(pixels: Pixels, colors: NDArray[np.uint8]) -> Pixels:
    """Return an image in the nearest colors (n, 3) of a palette; what is far from all of them stays."""
    side = np.arange(4, 256, 8).astype(np.float32)
    cube = np.stack(np.meshgrid(side, side, side, indexing="ij"), axis=-1).reshape(-1, 3)
    apart = (colors.astype(np.float32) ** 2).sum(axis=1) - 2 * cube @ colors.T.astype(np.float32)
    at = pixels.astype(np.intp) // 8 @ np.array([1024, 32, 1])
    nearest = colors[apart.argmin(axis=1)][at]
    far = np.abs(nearest.astype(np.int16) - pixels).max(axis=2) > MAX_PALETTE_STEP
    nearest[far] = pixels[far]
    return np.asarray(nearest)


def is_sign(pixels: Pixels) -> bool:
    """Return whether an image is a sign, an icon or a letter: a few plain colors, and little detail."""
    import cv2

    values = pixels[::2, ::2].reshape(-1, 3).astype(np.int16)
    if sum(has.mean() for _, has in main_colors(values, *SIGN_COLORS)) < MIN_SIGN:
        return False
    small = cv2.resize(luma(pixels), (96, 96), interpolation=cv2.INTER_AREA)
    tiles = small.reshape(12, 8, 12, 8).std(axis=(1, 3))
    return float((tiles >= SIGN_TEXTURE).mean()) <= MAX_SIGN_DETAIL


def clipped(pixels: Pixels, covered: Mask) -> float:
    """Return the share of values at either end of the range."""
    few = pixels[::2, ::2][covered[::2, ::2]]
    return float(((few < 2) | (few > 253)).mean()) if len(few) else 0.0


def levels(grey: Plane, covered: Mask) -> float:
    """Return the effective number of grey levels (the exponential of the entropy of 32 levels)."""
    few = grey[::2, ::2][covered[::2, ::2]]
    shares = np.bincount((few / (256 / LEVELS)).astype(np.intp), minlength=LEVELS) / max(
        len(few), 1
    )
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def tone_curve(
    a: NDArray[np.uint8], b: NDArray[np.uint8], covered: Mask
) -> NDArray[np.uint8] | None:
    """Return the curve (256,) that maps the values of `a` to those of `b`; None if none is needed or proven.

    Blocks of pixels are compared, so that another sharpness does not look like another curve.
    """
    x, y = _blocks(a, covered), _blocks(b, covered)
    level = (x / (256 / CURVE_LEVELS)).astype(np.intp)
    counts = np.bincount(level, minlength=CURVE_LEVELS)
    enough = np.flatnonzero(counts >= max(8, 0.001 * len(x)))
    if len(enough) < 2:
        return None
    order = np.lexsort((y, level))
    middle = (np.cumsum(counts) - counts + counts // 2)[enough]
    values = y[order][middle]
    centres = np.bincount(level, weights=x, minlength=CURVE_LEVELS)[enough] / counts[enough]
    apart = np.abs(values - centres)
    # What was drawn over a part of the image moves the medians of some levels.
    if counts[enough][apart < SAME_LIGHT].sum() >= 0.8 * counts[enough].sum():
        return None
    steps = np.arange(256.0)
    if levels(luma(a), covered) >= MIN_LEVELS:
        curve = np.interp(steps, centres, np.maximum.accumulate(values))
        # Ends without pixels go on as steeply as the whole curve.
        low, high = int(centres[0]), int(centres[-1])
        slope = max(values[-1] - values[0], 1) / max(high - low, 1)
        curve[:low] = curve[low] - slope * (low - steps[:low])
        curve[high + 1 :] = curve[high] + slope * (steps[high + 1 :] - high)
    else:
        line = _uniform_gain(centres, values, counts[enough])
        if line is None:
            return None
        gain, offset = line
        curve = gain * steps + offset
    return np.asarray(curve.clip(0, 255).round(), np.uint8)


def turns_hue(one: Pixels, other: Pixels, covered: Mask) -> bool:
    """Return whether the colored pixels have another hue: other light keeps it, another color does not."""
    import cv2

    height, width = covered.shape
    size = (max(1, width // 4), max(1, height // 4))
    small = [
        cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).reshape(-1, 3)
        for pixels in (one, other)
    ]
    inside = cv2.resize(covered.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.99
    used = inside.ravel()
    for values in small:
        high, low = values.max(axis=1), values.min(axis=1)
        used &= (high < LIGHTEST) & (low > DARKEST) & (high - low > MIN_CHROMA)
    if used.mean() < MIN_COLORED:
        return False
    hues = [
        cv2.cvtColor(values[used][None].astype(np.float32), cv2.COLOR_RGB2HSV)[0, :, 0]
        for values in small
    ]
    turned = np.abs(hues[0] - hues[1])
    return float(np.median(np.minimum(turned, 360 - turned))) > MAX_TURN


def stops_of(curve: NDArray[np.uint8], pixels: Pixels, covered: Mask) -> float:
    """Return how much lighter or darker a curve makes most of the pixels, in doublings of their values."""
    before = pixels[::4, ::4][covered[::4, ::4]].ravel()
    after = curve[before]
    inside = (np.minimum(before, after) >= DARKEST) & (np.maximum(before, after) <= LIGHTEST)
    if not inside.any():
        return 0.0
    ratios = after[inside].astype(np.float32) / before[inside]
    return float(abs(np.log2(np.median(ratios))))


def _uniform_gain(
    centres: NDArray[np.floating], values: NDArray[np.floating], counts: NDArray[np.integer]
) -> tuple[float, float] | None:
    """Return gain and offset of a change of light that few grey levels (n,) prove; None if they do not.

    Any gain without an offset will do if levels over a wide range agree: an article in another color keeps
    its white ground.
    """
    weights = np.sqrt(counts)
    gain, offset = np.polyfit(centres, values, 1, w=weights)
    if abs(gain - 1) <= 0.1 and np.abs(gain * centres + offset - values).max() <= MAX_RESIDUE:
        return float(gain), float(offset)
    inside = (values < 250) & (centres > 5)
    x, y, w = centres[inside], values[inside], weights[inside]
    if len(x) < MIN_GAIN_LEVELS or np.ptp(x) < MIN_GAIN_RANGE:
        return None
    gain = float((w * w * x * y).sum() / (w * w * x * x).sum())
    close = np.abs(np.minimum(gain * centres, 255) - values) <= MAX_RESIDUE
    agree = counts[close].sum() >= MIN_GAIN_SHARE * counts.sum()
    return (gain, 0.0) if agree and 0.5 < gain < 2 else None


def _blocks(values: NDArray[np.uint8], covered: Mask) -> Plane:
    """Return the means of covered blocks of 4 × 4 pixels, of all channels, (n,)."""
    import cv2

    height, width = values.shape[:2]
    size = (max(1, width // 4), max(1, height // 4))
    inside = cv2.resize(covered.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.99
    small = cv2.resize(values, size, interpolation=cv2.INTER_AREA)
    return np.asarray(small[inside].ravel(), np.float32)
