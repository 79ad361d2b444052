"""Finds what differs between two aligned images beyond noise, sharpness and a uniform change of light.

The two images show the same in the same places, or one of them differs coherently somewhere: another digit of
a clock, another message in a chat, another color of an article. Compression, resampling and blur leave small
differences everywhere; those are estimated from the pair itself and tolerated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.duplicates.overlay import is_overlay
from lookalike.duplicates.tone import (
    GREY,
    MIN_LEVELS,
    Mask,
    Plane,
    are_equal,
    both_grey,
    clipped,
    colorfulness,
    levels,
    luma,
    stops_of,
    tone_curve,
    turns_hue,
)
from lookalike.images.pixel_spec import Pixels

Tone: TypeAlias = Literal["same", "lighter", "grey", "colors", "palette"]
"""How light and color differ as a whole: not at all; by one curve for all channels; one image has no color;
other colors by one linear map; one image is reduced to a palette."""

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

# Difference of the color (Cr and Cb, 0 to 255) of a window of 16 × 16 pixels that is a change, and windows.
MIN_COLOR_CHANGE = 7.0
COLOR_WINDOW = 16
# The same for windows of 8 × 8 pixels, in which a date stamp shows; and `NOISE_FACTOR` times what is usual.
MIN_FINE_COLOR_CHANGE = 10.0
# Share of the windows that must have another color where a map of all colors is the reason.
MIN_RECOLORED = 0.1
# Standard deviation of the colors in the direction in which they vary least from which a linear map of
# colors is evidence: an article before a white wall has its colors on a line.
MIN_COLOR_SPREAD = 4.0

# Difference (grey values), averaged over squares of that side (pixels), that no other sharpness makes.
COARSE_CHANGE, EDGE_OF_CHANGE = 24.0, 9

# Standard deviations (pixels) of the blurs that are tried where one image is sharper.
BLURS = tuple(0.4 * 1.15**step for step in range(20))


@dataclass(frozen=True, slots=True)
class Difference:
    """The difference of two aligned images.

    tone     how light and color differ as a whole
    changed  share of the windows that have changed, 0 to 1; 0 if the images show the same
    overlay  whether one image is the other with letters or lines drawn over it
    stops    how much lighter one of them is, in doublings of the values
    """

    tone: Tone
    changed: float
    overlay: bool = False
    stops: float = 0.0


def find_difference(one: Pixels, other: Pixels, covered: Mask | None = None) -> Difference:
    """Compare two aligned RGB images (h, w, 3) of equal size; only pixels inside `covered` (h, w) count."""
    import cv2

    a, b = luma(one), luma(other)
    covered = np.ones(a.shape, bool) if covered is None else _without_edge(covered)
    if clipped(one, covered) > clipped(other, covered):  # clipped lights cannot be mapped back
        one, other, a, b = other, one, b, a
    grey = (colorfulness(one, covered) < GREY) != (colorfulness(other, covered) < GREY)
    if grey:
        greys = both_grey(one, other, covered)
        # A drawn image in grey may have had any colors, so it must have just those values.
        grey = levels(a, covered) >= MIN_LEVELS or are_equal(*greys, covered)
    if grey:
        one, other = greys
        a, b = luma(one), luma(other)
    curve = tone_curve(one, other, covered)
    if curve is not None and not grey and turns_hue(one, other, covered):
        curve = None
    tone: Tone = "grey" if grey else "same"
    stops = 0.0
    if curve is not None:
        stops = stops_of(curve, one, covered)
        one = np.asarray(cv2.LUT(one, curve), np.uint8)
        a = luma(one)
        tone = "grey" if grey else "lighter"
    a, b, one, other = _equally_sharp(a, b, one, other, covered)
    changed = _changed_windows(a, b, covered, FLAT_NOISE if curve is None else CURVE_NOISE)
    if not grey:
        colored, mapped = _changed_colors(
            one, other, covered, changed, 0.0 if curve is None else 0.25
        )
        if mapped:
            tone = "colors"
        changed = changed | colored
    share = _largest(changed)
    if not share:
        return Difference(tone, 0.0, stops=stops)
    size = (a.shape[1], a.shape[0])
    pixels = cv2.resize(changed.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    overlay = tone in ("same", "grey") and is_overlay(one, other, a, b, pixels, covered)
    return Difference(tone, float(changed.mean()), overlay, stops)


def _without_edge(covered: Mask) -> Mask:
    import cv2

    square = np.ones((2 * EDGE + 1, 2 * EDGE + 1), np.uint8)
    return np.asarray(cv2.erode(covered.astype(np.uint8), square, borderValue=0) > 0)


def _equally_sharp(
    a: Plane, b: Plane, one: Pixels, other: Pixels, covered: Mask
) -> tuple[Plane, Plane, Pixels, Pixels]:
    """Blur the sharper image until both have gradients of the same energy."""
    import cv2

    # Letters over one of them are sharp, too; blurring them would not make the rest agree.
    square = (EDGE_OF_CHANGE, EDGE_OF_CHANGE)
    same = covered & (cv2.blur(cv2.absdiff(a, b), square) < COARSE_CHANGE)
    covered = same if same[:-1, :-1].any() else covered
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


def _changed_colors(
    one: Pixels, other: Pixels, covered: Mask, known: Mask, relative: float
) -> tuple[Mask, bool]:
    """Return which windows have another color, and whether a linear map of the colors explains the others.

    `known` are windows that have changed; they do not count for the map.
    """
    import cv2

    def colors(plane: Plane) -> tuple[Plane, Plane]:
        """Return the mean colors of the windows, and their standard deviation."""
        mean = _windows(cv2.blur(plane, (COLOR_WINDOW, COLOR_WINDOW)))
        square = _windows(cv2.blur(plane * plane, (COLOR_WINDOW, COLOR_WINDOW)))
        deviation = np.sqrt(np.maximum(square - mean * mean, 0).sum(axis=2))
        return np.asarray(mean, np.float32), np.asarray(deviation, np.float32)

    planes = [
        (cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb)[..., 1:].astype(np.float32) - 128)
        * covered[..., None]
        for pixels in (one, other)
    ]
    (a, texture), (b, other_texture) = map(colors, planes)
    inside = _windows(cv2.blur(covered.astype(np.float32), (COLOR_WINDOW, COLOR_WINDOW))) > 0.9
    noise = TEXTURE_NOISE * np.maximum(texture, other_texture)
    tolerance = MIN_COLOR_CHANGE + relative * np.linalg.norm(b, axis=2)
    recolored = (np.linalg.norm(a - b, axis=2) > tolerance) & inside
    changed = (np.linalg.norm(a - b, axis=2) > tolerance + noise) & inside
    if not relative:
        fine = _windows(np.linalg.norm(cv2.blur(planes[0] - planes[1], (WINDOW, WINDOW)), axis=2))
        shown = _windows(cv2.blur(covered.astype(np.float32), (WINDOW, WINDOW))) > 0.9
        usual = float(np.quantile(fine[shown], 0.9)) if shown.any() else 0.0
        changed |= (fine > max(MIN_FINE_COLOR_CHANGE, NOISE_FACTOR * (usual + 1))) & shown
    if not _largest(changed):
        return np.zeros(changed.shape, bool), False
    x, y = a[inside & ~known], b[inside & ~known]
    if recolored.sum() < MIN_RECOLORED * inside.sum() or len(x) < 50:
        return changed, False
    if np.linalg.eigvalsh(np.cov(x.T)).min() < MIN_COLOR_SPREAD**2:
        return changed, False
    linear, *_ = np.linalg.lstsq(np.column_stack([x, np.ones(len(x))]), y, rcond=None)
    sizes = np.linalg.svd(linear[:2], compute_uv=False)
    if not (sizes.min() > 0.5 and sizes.max() < 2 and np.abs(linear[2]).max() < 25):
        return changed, False
    mapped = np.concatenate([a, np.ones((*a.shape[:2], 1), np.float32)], axis=2) @ linear
    tolerance = MIN_COLOR_CHANGE + 0.15 * np.linalg.norm(b, axis=2)
    left = (np.linalg.norm(mapped - b, axis=2) > tolerance) & inside
    if left.sum() > 0.2 * recolored.sum():
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
