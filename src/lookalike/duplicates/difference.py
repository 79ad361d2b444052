"""Finds what differs between two aligned images beyond noise, sharpness and a uniform change of light.

The two images show the same in the same places, or one of them differs coherently somewhere: another digit of
a clock, another message in a chat, another colour of an article. Compression, resampling and blur leave small
differences everywhere; those are estimated from the pair itself and tolerated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.images.pixel_spec import Pixels

Plane: TypeAlias = NDArray[np.float32]
Mask: TypeAlias = NDArray[np.bool_]

Tone: TypeAlias = Literal["same", "lighter", "grey", "colours"]
"""How light and colour differ as a whole: not at all; by one curve for all channels; one image has no colour;
other colours by one linear map."""

# Pixels along the edge of the shared part that mix with what lies beyond.
EDGE = 4

# Side of the windows (pixels) whose differences are averaged, and distance of the windows.
WINDOW, STEP = 8, 4

# Difference (grey values, root mean square) that is expected of a flat window, and what texture adds, as a
# share of its standard deviation. Of photos saved as JPEG with quality 30, 99.9 % of the windows differ by
# less than 1.3 times their sum.
FLAT_NOISE, TEXTURE_NOISE = 3.0, 0.25

# A window has changed if its difference is that many times the expected one: at least, and at most, where
# the other windows of the pair are noisy.
MIN_CHANGE, MAX_CHANGE = 1.25, 2.2
# `FLAT_NOISE` where a tone curve was applied: where lights are clipped it is exact to some ten grey values.
CURVE_NOISE = 9.0

# A change must be that many times the 90 % quantile of all windows.
NOISE_FACTOR = 4.0

# Lossless copies of an image have no noise: that share of the windows with detail (standard deviation) has no
# mean difference. There, a mean difference of so many grey values is a change, however small the detail.
DETAILED, UNCHANGED_SHARE, UNCHANGED = 10.0, 0.75, 0.02
MIN_EXACT_CHANGE = 2.0

# Neighbouring windows that must have changed (they overlap): a single one is a speck.
MIN_CHANGED = 3

# Difference of the colour (Cr and Cb, 0 to 255) of a window of 16 × 16 pixels that is a change, and windows.
MIN_COLOUR_CHANGE = 7.0
COLOUR_WINDOW = 16
# How programs weight red, green and blue in grey: ITU-R 601 and 709, and equally.
GREY_WEIGHTS = ((0.299, 0.587, 0.114), (0.2126, 0.7152, 0.0722), (1 / 3, 1 / 3, 1 / 3))
# Mean distance from grey below which an image counts as grey.
GREY = 1.5

# Effective number of grey levels, of 32, from which a tone curve is evidence of one change of light. Drawn
# images have 1 to 5; there, other colours of an article also lie on a curve. Photos have 15 to 27.
MIN_LEVELS = 8.0
LEVELS = 32
# Where there are fewer: how far levels may be from one gain (grey values), the share of the image that must
# agree, how many levels of the curve it must have, and the range that they must span.
MAX_RESIDUE, MIN_GAIN_SHARE = 4.0, 0.99
MIN_GAIN_LEVELS, MIN_GAIN_RANGE = 12, 100.0
# Levels of the curve itself: it has a knee where lights are clipped.
CURVE_LEVELS = 64
# Share of the windows that must have another colour where a map of all colours is the reason.
MIN_RECOLOURED = 0.1
# Standard deviation of the colours in the direction in which they vary least from which a linear map of
# colours is evidence: an article before a white wall has its colours on a line.
MIN_COLOUR_SPREAD = 4.0

# Shift of a grey level that compression and resampling cause.
SAME_LIGHT = 2.5

# Standard deviations (pixels) of the blurs that are tried where one image is sharper.
BLURS = tuple(0.4 * 1.15**step for step in range(20))


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs between two aligned images.

    tone     how light and colour differ as a whole
    changed  share of the windows that have changed, 0 to 1; 0 if the images show the same
    overlay  whether one image is the other with letters or lines drawn over it
    """

    tone: Tone
    changed: float
    overlay: bool = False


def find_difference(one: Pixels, other: Pixels, covered: Mask | None = None) -> Difference:
    """Compare two aligned RGB images (h, w, 3) of equal size; only pixels inside `covered` (h, w) count."""
    import cv2

    a, b = _luma(one), _luma(other)
    covered = np.ones(a.shape, bool) if covered is None else _without_edge(covered)
    if _clipped(one, covered) > _clipped(other, covered):  # clipped lights cannot be mapped back
        one, other, a, b = other, one, b, a
    grey = (_colourfulness(one, covered) < GREY) != (_colourfulness(other, covered) < GREY)
    # Of a drawn image in grey and one in colours nobody knows which colours the grey one had.
    grey = grey and _levels(a, covered) >= MIN_LEVELS
    if grey:
        one, other = _both_grey(one, other, covered)
        a, b = _luma(one), _luma(other)
    curve = _tone_curve(one, other, covered)
    tone: Tone = "grey" if grey else "same"
    if curve is not None:
        one = np.asarray(cv2.LUT(one, curve), np.uint8)
        a = _luma(one)
        tone = "grey" if grey else "lighter"
    a, b, one, other = _equally_sharp(a, b, one, other, covered)
    changed = _changed_windows(a, b, covered, FLAT_NOISE if curve is None else CURVE_NOISE)
    if not grey:
        coloured, mapped = _changed_colours(
            one, other, covered, changed, 0.0 if curve is None else 0.25
        )
        if mapped:
            tone = "colours"
        changed = changed | coloured
    share = _largest(changed)
    if not share:
        return Difference(tone, 0.0)
    overlay = tone in ("same", "grey") and _is_overlay(one, other, a, b, changed, covered)
    return Difference(tone, float(changed.mean()), overlay)


def _without_edge(covered: Mask) -> Mask:
    import cv2

    square = np.ones((2 * EDGE + 1, 2 * EDGE + 1), np.uint8)
    return np.asarray(cv2.erode(covered.astype(np.uint8), square, borderValue=0) > 0)


def _luma(pixels: Pixels) -> Plane:
    import cv2

    if pixels.ndim == 2:
        return pixels.astype(np.float32)
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.float32)


def _colourfulness(pixels: Pixels, covered: Mask) -> float:
    """Return the mean distance from grey, in values of 0 to 255."""
    few = pixels[::4, ::4].astype(np.int16)
    return float((few.max(axis=2) - few.min(axis=2))[covered[::4, ::4]].mean())


def _both_grey(one: Pixels, other: Pixels, covered: Mask) -> tuple[Pixels, Pixels]:
    """Return both images in grey, the coloured one weighted as the grey one seems to be made."""
    import cv2

    weights = [np.array(weight, np.float32) for weight in GREY_WEIGHTS]
    lumas = [(cv2.transform(one, w[None]), cv2.transform(other, w[None])) for w in weights]
    few = covered[::4, ::4]
    apart = [float(cv2.absdiff(a, b)[::4, ::4][few].mean()) for a, b in lumas]
    best = lumas[int(np.argmin(apart))]
    made = [np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8) for grey in best]
    return made[0], made[1]


def _clipped(pixels: Pixels, covered: Mask) -> float:
    """Return the share of values at either end of the range."""
    few = pixels[::2, ::2][covered[::2, ::2]]
    return float(((few < 2) | (few > 253)).mean()) if len(few) else 0.0


def _levels(grey: Plane, covered: Mask) -> float:
    """Return the effective number of grey levels (the exponential of the entropy of 32 levels)."""
    few = grey[::2, ::2][covered[::2, ::2]]
    shares = np.bincount((few / (256 / LEVELS)).astype(np.intp), minlength=LEVELS) / max(
        len(few), 1
    )
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def _tone_curve(
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
    if _levels(_luma(a), covered) >= MIN_LEVELS:
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


def _uniform_gain(
    centres: NDArray[np.floating], values: NDArray[np.floating], counts: NDArray[np.integer]
) -> tuple[float, float] | None:
    """Return gain and offset of a change of light that few grey levels (n,) prove; None if they do not.

    Any gain without an offset will do if levels over a wide range agree: an article in another colour keeps
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


def _equally_sharp(
    a: Plane, b: Plane, one: Pixels, other: Pixels, covered: Mask
) -> tuple[Plane, Plane, Pixels, Pixels]:
    """Blur the sharper image until both have gradients of the same energy."""
    import cv2

    energies = _energy(a, covered), _energy(b, covered)
    goal = min(energies)
    if max(energies) < 1.25 * goal:
        return a, b, one, other
    sharp = a if energies[0] > goal else b
    # Blurring always lowers the energy, so bisection finds the blur.
    low, high = 0, len(BLURS)
    while low < high:
        middle = (low + high) // 2
        blurred_energy = _energy(cv2.GaussianBlur(sharp, (0, 0), BLURS[middle]), covered)
        low, high = (middle + 1, high) if blurred_energy > goal else (low, middle)
    sigma = BLURS[min(low, len(BLURS) - 1)]

    def blurred(image: NDArray[np.generic]) -> NDArray[np.generic]:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma))

    if energies[0] > goal:
        return np.asarray(blurred(a), np.float32), b, np.asarray(blurred(one), np.uint8), other
    return a, np.asarray(blurred(b), np.float32), one, np.asarray(blurred(other), np.uint8)


def _energy(grey: Plane, covered: Mask) -> float:
    """Return the mean square of the gradient."""
    x, y = np.diff(grey, axis=1)[:-1], np.diff(grey, axis=0)[:, :-1]
    return float((x * x + y * y)[covered[:-1, :-1]].mean()) + 0.5


def _changed_windows(a: Plane, b: Plane, covered: Mask, noise: float) -> Mask:
    """Return which windows have changed; `noise` is that of flat ones."""
    import cv2

    def mean(plane: NDArray[np.floating]) -> Plane:
        return np.asarray(cv2.blur(plane, (WINDOW, WINDOW)), np.float32)

    def variance(plane: Plane) -> Plane:
        return np.asarray(np.maximum(mean(plane * plane) - mean(plane) ** 2, 0), np.float32)

    apart = (_outside(a, b) + _outside(b, a)) / 2
    apart[~covered] = 0
    difference = np.sqrt(np.maximum(mean(apart * apart), 0))
    texture = np.sqrt(np.maximum(variance(a), variance(b)))
    relative = _windows(difference / (noise + TEXTURE_NOISE * texture))
    inside = (
        _windows(
            cv2.erode(
                covered.astype(np.float32), np.ones((WINDOW + 1, WINDOW + 1)), borderValue=1.0
            )
        )
        > 0
    )
    detailed = inside & (_windows(texture) > DETAILED)
    if noise == FLAT_NOISE and detailed.any():
        exact = _windows(mean(np.abs(a - b) * covered))
        if np.quantile(exact[detailed], UNCHANGED_SHARE) < UNCHANGED:
            return np.asarray((exact > MIN_EXACT_CHANGE) & inside)
    usual = float(np.quantile(relative[inside], 0.9)) if inside.any() else 0.0
    threshold = min(max(NOISE_FACTOR * usual, MIN_CHANGE), MAX_CHANGE)
    return np.asarray((relative > threshold) & inside)


def _windows(plane: NDArray[np.floating]) -> NDArray[np.floating]:
    return plane[WINDOW // 2 :: STEP, WINDOW // 2 :: STEP]


def _outside(a: Plane, b: Plane) -> Plane:
    """Return how far each value of `b` lies outside the values of `a` within half a pixel."""
    import cv2

    square = np.ones((3, 3), np.uint8)
    high, low = (a + cv2.dilate(a, square)) / 2, (a + cv2.erode(a, square)) / 2
    return np.asarray(np.maximum(np.maximum(b - high, low - b), 0), np.float32)


def _changed_colours(
    one: Pixels, other: Pixels, covered: Mask, known: Mask, relative: float
) -> tuple[Mask, bool]:
    """Return which windows have another colour, and whether a linear map of the colours explains the others.

    `known` are windows that have changed; they do not count for the map.
    """
    import cv2

    def colours(pixels: Pixels) -> tuple[Plane, Plane]:
        """Return the mean colours of the windows, and their standard deviation."""
        plane = cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb)[..., 1:].astype(np.float32) - 128
        plane[~covered] = 0
        mean = _windows(cv2.blur(plane, (COLOUR_WINDOW, COLOUR_WINDOW)))
        square = _windows(cv2.blur(plane * plane, (COLOUR_WINDOW, COLOUR_WINDOW)))
        deviation = np.sqrt(np.maximum(square - mean * mean, 0).sum(axis=2))
        return np.asarray(mean, np.float32), np.asarray(deviation, np.float32)

    (a, texture), (b, other_texture) = colours(one), colours(other)
    inside = _windows(cv2.blur(covered.astype(np.float32), (COLOUR_WINDOW, COLOUR_WINDOW))) > 0.9
    noise = TEXTURE_NOISE * np.maximum(texture, other_texture)
    tolerance = MIN_COLOUR_CHANGE + relative * np.linalg.norm(b, axis=2)
    recoloured = (np.linalg.norm(a - b, axis=2) > tolerance) & inside
    changed = (np.linalg.norm(a - b, axis=2) > tolerance + noise) & inside
    if not _largest(changed):
        return np.zeros(changed.shape, bool), False
    x, y = a[inside & ~known], b[inside & ~known]
    if recoloured.sum() < MIN_RECOLOURED * inside.sum() or len(x) < 50:
        return changed, False
    if np.linalg.eigvalsh(np.cov(x.T)).min() < MIN_COLOUR_SPREAD**2:
        return changed, False
    linear, *_ = np.linalg.lstsq(np.column_stack([x, np.ones(len(x))]), y, rcond=None)
    sizes = np.linalg.svd(linear[:2], compute_uv=False)
    if not (sizes.min() > 0.5 and sizes.max() < 2 and np.abs(linear[2]).max() < 25):
        return changed, False
    mapped = np.concatenate([a, np.ones((*a.shape[:2], 1), np.float32)], axis=2) @ linear
    tolerance = MIN_COLOUR_CHANGE + 0.15 * np.linalg.norm(b, axis=2)
    left = (np.linalg.norm(mapped - b, axis=2) > tolerance) & inside
    if left.sum() > 0.2 * recoloured.sum():
        return changed, False
    return left & changed, True


def _largest(changed: Mask) -> int:
    """Return the number of windows in the largest connected change; 0 if it is a speck."""
    import cv2

    if not changed.any():
        return 0
    _, _, stats, _ = cv2.connectedComponentsWithStats(changed.astype(np.uint8), connectivity=8)
    largest = int(stats[1:, cv2.CC_STAT_AREA].max())
    return largest if largest >= MIN_CHANGED else 0


# Share of the image that letters and lines over it may take, with the gaps between them; and share of the
# pixels that must differ: a stroke makes an 8 of a 3.
MAX_OVERLAY, MIN_OVERLAY = 0.4, 0.01
# Difference of grey values from which a pixel belongs to what was drawn.
DRAWN = 24
# Colours within that distance (of 255, in each channel) are one; at most so many are drawn.
SAME_COLOUR, MAX_COLOURS = 28, 3
# Share of the differing pixels that must have the drawn colours in one image, and may have in the other.
MIN_DRAWN, MAX_DRAWN = 0.6, 0.3
# Share of them from which a colour is one that was drawn, not one of the soft edges of letters.
MIN_COLOUR_SHARE = 0.15
# Largest half width of nine tenths of letters and lines, relative to the longer side; and smallest length of
# all strokes, in widths of a stroke: a word of five letters has about 60, a standing person 4.
MAX_STROKE, MIN_STROKE_LENGTH = 0.03, 25.0


def _is_overlay(
    one: Pixels, other: Pixels, a: Plane, b: Plane, changed: Mask, covered: Mask
) -> bool:
    """Return whether one image is the other, a photo, with letters or lines drawn over it.

    Then wherever they differ one image has a few flat colours, and the other one has not: if each has
    something of its own there, they are other texts over one photo. On drawn grounds (forms, chats, charts)
    something added is another content.
    """
    import cv2

    if changed.mean() > MAX_OVERLAY:
        return False
    whole = cv2.resize(
        changed.astype(np.uint8), (a.shape[1], a.shape[0]), interpolation=cv2.INTER_NEAREST
    )
    near = cv2.dilate(whole, np.ones((WINDOW, WINDOW), np.uint8)) > 0
    if min(_levels(a, covered & ~near), _levels(b, covered & ~near)) < MIN_LEVELS:
        return False
    differing = near & covered & (np.abs(one.astype(np.int16) - other).max(axis=2) > DRAWN)
    if differing.sum() < MIN_OVERLAY * covered.sum():
        return False
    width = cv2.distanceTransform(differing.astype(np.uint8), cv2.DIST_L2, 3)
    stroke = float(np.quantile(width[differing], 0.9))
    if (
        stroke > MAX_STROKE * max(a.shape)
        or differing.sum() < MIN_STROKE_LENGTH * (2 * stroke) ** 2
    ):
        return False
    x, y = one[differing].astype(np.int16), other[differing].astype(np.int16)
    return _drawn_over(x, y) or _drawn_over(y, x)


def _drawn_over(drawn: NDArray[np.int16], ground: NDArray[np.int16]) -> bool:
    """Return whether these differing pixels (n, 3) have a few colours that the other image has not there."""
    rest = np.ones(len(drawn), bool)
    palette = []
    for _ in range(MAX_COLOURS):
        coarse = drawn[rest] // 32 @ np.array([64, 8, 1])
        if not len(coarse):
            break
        colour = np.median(drawn[rest][coarse == np.bincount(coarse).argmax()], axis=0)
        left = rest & (np.abs(drawn - colour).max(axis=1) > SAME_COLOUR)
        if rest.sum() - left.sum() >= MIN_COLOUR_SHARE * len(drawn):
            palette.append(colour)
        rest = left
    shared = np.zeros(len(ground), bool)
    for colour in palette:
        shared |= np.abs(ground - colour).max(axis=1) <= SAME_COLOUR
    return bool((~rest).mean() >= MIN_DRAWN and shared.mean() <= MAX_DRAWN)
