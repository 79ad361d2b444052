"""Which colours a picture has, and which of them in the middle."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from lookalike.extractors.interface import RunsIn, Vectors
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.vectors.similarity import Similarity, normalise

HUES, SATURATIONS, VALUES = 12, 4, 4
BINS = HUES * SATURATIONS * VALUES
SIDE = 96

# Of red, green and blue, told apart before the bins. With 32 it takes more than twice as long, for
# .005 mAP on the grocery pictures.
LEVELS = 20

# Small numbers count for more than by the usual square root (0.5): with 0.35 a picture of other
# brightness is found again more often, and the grocery pictures gain as much as Corel's lose.
POWER = 0.35

# A picture is brought towards a mean brightness of 140 of 255, this far on a logarithmic scale.
# 0 leaves it as it is, 1 makes all equally bright: then a crop, too, changes its colours.
GAIN = 0.2
BRIGHTNESS = 140.0

# Standard deviation of the window over the middle, in half sides: things lie there.
MIDDLE = 0.5

# What colours are like on the whole, of which only the difference tells pictures apart: the mean
# vector of the 239 photographs of COCO-mini, as a product of a part for hue, for saturation and
# for value (its correlation with the mean is .91; taking the mean itself away ranks no better).
HUE_MEAN = (
    *(1.0, 0.86, 0.54, 0.29, 0.22, 0.28),
    *(0.44, 0.5, 0.31, 0.18, 0.21, 0.66),
)
SATURATION_MEAN = (1.0, 0.69, 0.44, 0.24)
VALUE_MEAN = (0.89, 1.0, 0.93, 0.68)
MEAN_SCALE = 0.131


class Color:
    """Two joint histograms of hue, saturation and value: of the whole picture, and of its middle.

    384 numbers: 12 × 4 × 4 bins twice. Mirroring and turning change nothing, cropping, scaling and
    other brightness little. `benchmarks/color.py` measures what each step is worth.

    1. The picture, stretched to 96 × 96, is made lighter or darker towards a common brightness.
    2. Each pixel counts for the two nearest bins of each axis, by distance (hue is a circle).
    3. The second histogram weights pixels by a round Gaussian window.
    4. Each is raised to the power 0.35; both together are brought to unit length, what all
       pictures have in common is taken away, and the rest is brought to unit length.

    A picture of a single colour, black too, is like others of that colour, not zero.
    """

    name = "color"
    revision = "1"
    dim = 2 * BINS
    similarity: Similarity = "cosine"
    pixels = PixelSpec(mode="rgb", fit="stretch", height=SIDE, width=SIDE, resample="area")
    runs_in: RunsIn = "worker"

    def extract(self, images: Sequence[Pixels]) -> Vectors:
        """RGB pictures, each (96, 96, 3) → (n, 384) float32 of unit length."""
        parts = [histograms(image, gain=GAIN) ** POWER for image in images]
        joint = normalise(np.array(parts).reshape(len(images), self.dim))
        return normalise(joint - common())


def histograms(image: Pixels, *, gain: float) -> NDArray[np.float64]:
    """(96, 96, 3) RGB → (2, 192): soft histograms of the whole and of the middle, each of sum 1."""
    codes = levels(image, gain=gain)
    whole = np.bincount(codes, minlength=LEVELS**3)
    middle = np.bincount(codes, weights=window(), minlength=LEVELS**3)
    there = np.flatnonzero(whole)
    bins, shares = soft_bins()
    bins, shares = bins[there].reshape(-1), shares[there]
    made = np.empty((2, BINS))
    for row, counts in zip(made, (whole / len(codes), middle), strict=True):
        weights = (shares * counts[there, None]).reshape(-1)
        row[:] = np.bincount(bins, weights=weights, minlength=BINS)
    return made


def levels(image: Pixels, *, gain: float) -> NDArray[np.intp]:
    """(96, 96, 3) RGB → (96 · 96,): which of LEVELS³ colours each pixel has, red slowest."""
    import cv2

    red, green, blue = cv2.split(image)
    brightness = cv2.mean(cv2.max(cv2.max(red, green), blue))[0]
    red, green, blue = cv2.split(cv2.LUT(image, _levels(brightness, gain)))
    codes: NDArray[np.intp] = red.astype(np.intp)
    codes *= LEVELS
    codes += green
    codes *= LEVELS
    codes += blue
    return codes.reshape(-1)


def _levels(brightness: float, gain: float) -> NDArray[np.uint8]:
    """(256,): which of LEVELS a channel's value falls on, once the picture's brightness (the mean of
    the largest channel) has moved towards BRIGHTNESS."""
    factor = (BRIGHTNESS / max(brightness, 20.0)) ** gain  # below 20 it would amplify noise
    lit: NDArray[np.float64] = np.minimum(np.arange(256) * factor, 255.0) * (LEVELS / 256)
    return lit.astype(np.uint8)


@cache
def common() -> NDArray[np.float64]:
    """(384,): the mean of many pictures' vectors."""
    hue, saturation, value = map(np.array, (HUE_MEAN, SATURATION_MEAN, VALUE_MEAN))
    joint = hue[:, None, None] * saturation[:, None] * value * MEAN_SCALE
    return np.tile(joint.reshape(-1), 2)


@cache
def window() -> NDArray[np.float64]:
    """(96 · 96,) of sum 1: how much each pixel counts for the middle."""
    place = np.linspace(-1, 1, SIDE)
    weights = np.exp(-(place[:, None] ** 2 + place**2) / (2 * MIDDLE**2))
    return np.asarray((weights / weights.sum()).reshape(-1))


@cache
def soft_bins() -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """For each of LEVELS³ colours, red slowest: the eight bins that it belongs to, and its share in
    each, both (LEVELS³, 8). So a picture's colours are counted once, whatever the bins are."""
    levels = (np.arange(LEVELS) + 0.5) / LEVELS
    rgb = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), -1).reshape(-1, 3)
    hue, saturation, value = hsv(rgb)
    hues, hue_shares = _between(hue, HUES)
    saturations, saturation_shares = _between(saturation, SATURATIONS)
    values, value_shares = _between(value, VALUES)
    bins = (
        (hues % HUES)[:, :, None, None] * SATURATIONS
        + saturations.clip(0, SATURATIONS - 1)[:, None, :, None]
    ) * VALUES + values.clip(0, VALUES - 1)[:, None, None, :]
    shares = (
        hue_shares[:, :, None, None]
        * saturation_shares[:, None, :, None]
        * value_shares[:, None, None, :]
    )
    return bins.reshape(-1, 8), shares.reshape(-1, 8).astype(np.float32)


def _between(level: NDArray[np.float64], bins: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """A level in 0..1 → the bins whose centres lie below and above it, and the share of each; the
    bins may be -1 and `bins`, for the caller to wrap or to clip."""
    place = level * bins - 0.5
    below = np.floor(place).astype(np.intp)
    share = place - below
    return np.stack([below, below + 1], axis=1), np.stack([1 - share, share], axis=1)


def hsv(
    rgb: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(n, 3) in 0..1 → hue (part of the circle, 0 for greys), saturation, value, all in 0..1."""
    red, green, blue = rgb.T
    value, spread = rgb.max(axis=1), np.ptp(rgb, axis=1)
    safe = np.where(spread > 0, spread, 1.0)
    sixths = np.where(
        value == red,
        ((green - blue) / safe) % 6,
        np.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    return sixths / 6 % 1.0, spread / value, value
