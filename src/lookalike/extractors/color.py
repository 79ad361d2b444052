"""Colour histograms of the whole image and of its centre."""

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

# Levels per channel to which colours are quantised before binning. With 32 it takes more than twice as
# long, for .005 mAP on the grocery images.
LEVELS = 20

# Exponent of the histogram values. It gives small values more weight than the usual square root (0.5): with
# 0.35 an image of other brightness is found more often, and the grocery images gain as much as Corel's lose.
POWER = 0.35

# An image is moved towards a mean brightness of 140 of 255 by this fraction on a logarithmic scale.
# 0 leaves it unchanged, 1 makes all images equally bright: then a crop changes its colours, too.
GAIN = 0.2
BRIGHTNESS = 140.0

# Standard deviation of the window over the centre, in half sides: the subject is usually there.
CENTRE = 0.5

# The mean vector of photographs, which is subtracted because only the difference from it tells images apart:
# the mean over the 239 photographs of COCO-mini, as a product of factors for hue, saturation and value (its
# correlation with the mean is .91; subtracting the mean itself ranks no better).
HUE_MEAN = (
    *(1.0, 0.86, 0.54, 0.29, 0.22, 0.28),
    *(0.44, 0.5, 0.31, 0.18, 0.21, 0.66),
)
SATURATION_MEAN = (1.0, 0.69, 0.44, 0.24)
VALUE_MEAN = (0.89, 1.0, 0.93, 0.68)
MEAN_SCALE = 0.131


class Color:
    """Two joint histograms of hue, saturation and value: of the whole image, and of its centre.

    384 numbers: 12 × 4 × 4 bins twice. Mirroring and rotation by 90° change nothing, cropping, scaling and
    other brightness little. `benchmarks/color.py` measures what each step is worth.

    1. The image, stretched to 96 × 96, is made lighter or darker towards a common brightness.
    2. Each pixel counts for the two nearest bins of each axis, by distance (hue is circular).
    3. The second histogram weights pixels by a round Gaussian window.
    4. Both are raised to the power 0.35 and normalised together to unit length; the mean vector of
       photographs is subtracted, and the rest is normalised to unit length.

    An image of a single colour, black included, is similar to others of that colour; it is not zero.
    """

    name = "color"
    revision = "1"
    dim = 2 * BINS
    similarity: Similarity = "cosine"
    pixels = PixelSpec(mode="rgb", fit="stretch", height=SIDE, width=SIDE, resample="area")
    runs_in: RunsIn = "worker"

    def extract(self, images: Sequence[Pixels]) -> Vectors:
        """Return (n, 384) float32 of unit length for RGB images (96, 96, 3)."""
        parts = [histograms(image, gain=GAIN) ** POWER for image in images]
        joint = normalise(np.array(parts).reshape(len(images), self.dim))
        return normalise(joint - mean_vector())

    def color_part(self) -> slice:
        """See `ColorExtractor`."""
        return slice(0, self.dim)


def histograms(image: Pixels, *, gain: float) -> NDArray[np.float64]:
    """Return (2, 192) for an RGB image (96, 96, 3): histograms of the whole and the centre, sum 1 each."""
    codes = levels(image, gain=gain)
    whole = np.bincount(codes, minlength=LEVELS**3)
    centre = np.bincount(codes, weights=window(), minlength=LEVELS**3)
    present = np.flatnonzero(whole)
    bins, shares = soft_bins()
    bins, shares = bins[present].reshape(-1), shares[present]
    result = np.empty((2, BINS))
    for row, counts in zip(result, (whole / len(codes), centre), strict=True):
        weights = (shares * counts[present, None]).reshape(-1)
        row[:] = np.bincount(bins, weights=weights, minlength=BINS)
    return result


def levels(image: Pixels, *, gain: float) -> NDArray[np.intp]:
    """Return (96 · 96,): which of LEVELS³ colours each pixel has, red varying slowest."""
    import cv2

    red, green, blue = cv2.split(image)
    brightness = cv2.mean(cv2.max(cv2.max(red, green), blue))[0]
    red, green, blue = cv2.split(cv2.LUT(image, _level_table(brightness, gain)))
    codes: NDArray[np.intp] = red.astype(np.intp)
    codes *= LEVELS
    codes += green
    codes *= LEVELS
    codes += blue
    return codes.reshape(-1)


def _level_table(brightness: float, gain: float) -> NDArray[np.uint8]:
    """Return (256,): the level of each channel value after moving the brightness towards BRIGHTNESS.

    Brightness is the mean of the largest channel.
    """
    factor = (BRIGHTNESS / max(brightness, 20.0)) ** gain  # below 20 it would amplify noise
    lit: NDArray[np.float64] = np.minimum(np.arange(256) * factor, 255.0) * (LEVELS / 256)
    return lit.astype(np.uint8)


@cache
def mean_vector() -> NDArray[np.float64]:
    """Return (384,): the mean vector of photographs."""
    hue, saturation, value = map(np.array, (HUE_MEAN, SATURATION_MEAN, VALUE_MEAN))
    joint = hue[:, None, None] * saturation[:, None] * value * MEAN_SCALE
    return np.tile(joint.reshape(-1), 2)


@cache
def window() -> NDArray[np.float64]:
    """Return (96 · 96,) of sum 1: the weight of each pixel for the centre."""
    position = np.linspace(-1, 1, SIDE)
    weights = np.exp(-(position[:, None] ** 2 + position**2) / (2 * CENTRE**2))
    return np.asarray((weights / weights.sum()).reshape(-1))


@cache
def soft_bins() -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return for each of LEVELS³ colours the eight bins that it counts for, and its share in each.

    Both are (LEVELS³, 8), red varying slowest. With this table an image's colours are counted once,
    whatever the bins are.
    """
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
    """Return the bins whose centres lie below and above a level in 0..1, and the share of each.

    Bins may be -1 and `bins`, for the caller to wrap or clip.
    """
    position = level * bins - 0.5
    below = np.floor(position).astype(np.intp)
    share = position - below
    return np.stack([below, below + 1], axis=1), np.stack([1 - share, share], axis=1)


def hsv(
    rgb: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return hue (fraction of the circle, 0 for greys), saturation and value, 0..1, for RGB (n, 3), 0..1."""
    red, green, blue = rgb.T
    value, spread = rgb.max(axis=1), np.ptp(rgb, axis=1)
    safe = np.where(spread > 0, spread, 1.0)
    sixths = np.where(
        value == red,
        ((green - blue) / safe) % 6,
        np.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    return sixths / 6 % 1.0, spread / value, value
