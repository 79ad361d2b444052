"""Colours that two images share, and the contribution of each pixel to a colour similarity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.explain.occlusion import Heatmap
from lookalike.extractors import color
from lookalike.extractors.interface import Vectors
from lookalike.images.pixel_spec import Pixels, PixelSpec

# Large enough to count colours that people name.
COUNT_PIXELS = PixelSpec(mode="rgb", fit="inside", max_side=96)

# Smallest share of an image at which a colour is noticed.
MIN_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class SharedColour:
    """A colour of both images: its mean (r, g, b), and its share of each image, 0..1."""

    rgb: tuple[int, int, int]
    first: float
    second: float


def shared_colours(first: Pixels, second: Pixels, count: int = 8) -> tuple[SharedColour, ...]:
    """Return the colours (12 hues × 4 saturations × 4 values) that two RGB images share most of."""
    bins = [_joint_bins(image) for image in (first, second)]
    shares = [np.bincount(each, minlength=color.BINS) / len(each) for each in bins]
    common = np.minimum(*shares)
    order = [int(b) for b in np.argsort(-common, kind="stable")[:count] if common[b] >= MIN_SHARE]
    everything = np.concatenate([first.reshape(-1, 3), second.reshape(-1, 3)]).astype(np.float64)
    joined = np.concatenate(bins)
    found = []
    for number in order:
        red, green, blue = everything[joined == number].mean(axis=0).round().astype(int).tolist()
        first_share, second_share = float(shares[0][number]), float(shares[1][number])
        found.append(SharedColour((red, green, blue), first_share, second_share))
    return tuple(found)


def histogram_heatmap(image: Pixels, vector: Vectors, other: Vectors) -> Heatmap:
    """Return (h, w) the contribution of each pixel to the cosine of two `histogram` vectors (96,).

    The contribution of a level is what the cosine loses without it, shared equally among the pixels of
    that level. A pixel has a level of red, of green and of blue.
    """
    counts = np.asarray(vector, np.float64)
    drops = ablation_drops(counts, np.asarray(other, np.float64))
    density = np.divide(drops, counts, out=np.zeros_like(drops), where=counts > 0).reshape(3, -1)
    levels = image.astype(np.intp) * density.shape[1] // 256
    heat = sum(density[channel][levels[:, :, channel]] for channel in range(3))
    return np.asarray(heat / (3 * levels[:, :, 0].size), np.float32)


def color_heatmap(image: Pixels, other: Vectors) -> Heatmap:
    """Return (96, 96) the contribution of each pixel to the cosine with another `color` vector (384,).

    The contribution of a bin is what the cosine loses without it, shared among the pixels of that colour;
    for the second histogram by their weights.
    """
    counts = color.histograms(image, gain=color.GAIN)
    raised = (counts**color.POWER).reshape(-1)
    drops = ablation_drops(raised, np.asarray(other, np.float64), offset=color.mean_vector())
    drops = drops.reshape(2, -1)
    density = np.divide(drops, counts, out=np.zeros_like(drops), where=counts > 1e-9)
    bins, shares = color.soft_bins()
    of_colour = [(shares * each[bins]).sum(axis=1) for each in density]
    codes = color.levels(image, gain=color.GAIN)
    heat = of_colour[0][codes] / len(codes) + of_colour[1][codes] * color.window()
    return np.asarray(heat.reshape(image.shape[:2]), np.float32)


def ablation_drops(
    vector: NDArray[np.float64],
    other: NDArray[np.float64],
    offset: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Return (dim,) how much the cosine of two vectors drops if one component of the first becomes 0.

    offset  is subtracted from the first vector, scaled to length 1, before the cosine; None: nothing
    """
    common = np.zeros_like(vector) if offset is None else offset
    length, target = np.linalg.norm(vector), np.linalg.norm(other)
    if not length or not target:
        return np.zeros_like(vector)
    goal = other / target
    # Length of the vector without component i; its product with any other vector loses one term.
    without = np.sqrt(np.maximum(length**2 - vector**2, 1e-18))

    def cosines(lengths: NDArray[np.float64], i: NDArray[np.float64]) -> NDArray[np.float64]:
        product = (vector @ goal - i * goal) / lengths - common @ goal
        square = 1 + common @ common - 2 * (vector @ common - i * common) / lengths
        return np.asarray(product / np.sqrt(np.maximum(square, 1e-18)))

    return cosines(np.full_like(vector, length), np.zeros_like(vector)) - cosines(without, vector)


def _joint_bins(image: Pixels) -> NDArray[np.intp]:
    """Return (pixels,) the joint bin of hue, saturation and value."""
    hue, saturation, value = color.hsv(np.maximum(image.reshape(-1, 3), 1e-9) / 255.0)
    # The hue of nearly grey or black pixels is noise, which would split one colour into many bins.
    hue = np.where((saturation < 1 / color.SATURATIONS) | (value < 1 / color.VALUES), 0.0, hue)
    saturation = np.where(value < 1 / color.VALUES, 0.0, saturation)
    levels = [
        (level * count).astype(np.intp).clip(0, count - 1)
        for level, count in (
            (hue, color.HUES),
            (saturation, color.SATURATIONS),
            (value, color.VALUES),
        )
    ]
    return np.asarray((levels[0] * color.SATURATIONS + levels[1]) * color.VALUES + levels[2])
