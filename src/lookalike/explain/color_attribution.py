"""Which colours two pictures share, and which pixels have them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.explain.occlusion import Heat
from lookalike.extractors import color
from lookalike.extractors.interface import Vectors
from lookalike.images.pixel_spec import Pixels, PixelSpec

COUNTED = PixelSpec(mode="rgb", fit="inside", max_side=96)
"""Enough pixels to count colours that people name."""

LEAST = 0.02
"""Of a picture; less of a colour is not seen."""


@dataclass(frozen=True, slots=True)
class SharedColour:
    """A colour that both pictures have: its mean as (r, g, b), and its share of each picture, 0..1."""

    rgb: tuple[int, int, int]
    first: float
    second: float


def shared_colours(first: Pixels, second: Pixels, most: int = 8) -> tuple[SharedColour, ...]:
    """The colours (12 hues × 4 saturations × 4 values) that two RGB pictures have most of in common."""
    bins = [_bins(picture) for picture in (first, second)]
    counts = [np.bincount(each, minlength=color.BINS) / len(each) for each in bins]
    common = np.minimum(*counts)
    order = [int(b) for b in np.argsort(-common, kind="stable")[:most] if common[b] >= LEAST]
    everything = np.concatenate([first.reshape(-1, 3), second.reshape(-1, 3)]).astype(np.float64)
    joined = np.concatenate(bins)
    found = []
    for number in order:
        red, green, blue = everything[joined == number].mean(axis=0).round().astype(int).tolist()
        shares = float(counts[0][number]), float(counts[1][number])
        found.append(SharedColour((red, green, blue), *shares))
    return tuple(found)


def histogram_heat(image: Pixels, vector: Vectors, other: Vectors) -> Heat:
    """(h, w): what each pixel of a picture adds to the cosine of two `histogram` vectors (96,).

    A level's worth is what the cosine loses when all of that level is taken away from this picture, to
    which every pixel of that level has an equal part; a pixel has a level of red, of green and of blue.
    """
    counts = np.asarray(vector, np.float64)
    worth = worth_of_each(counts, np.asarray(other, np.float64))
    density = np.divide(worth, counts, out=np.zeros_like(worth), where=counts > 0).reshape(3, -1)
    levels = image.astype(np.intp) * density.shape[1] // 256
    heat = sum(density[channel][levels[:, :, channel]] for channel in range(3))
    return np.asarray(heat / (3 * levels[:, :, 0].size), np.float32)


def color_heat(image: Pixels, other: Vectors) -> Heat:
    """(96, 96): what each pixel adds to the cosine of this picture's `color` vector and another (384,).

    A bin's worth is what the cosine loses when all of that colour is taken away from this picture; it is
    shared out among the pixels that have the colour, for the second histogram by their weights.
    """
    counts = color.histograms(image, gain=color.GAIN)
    raised = (counts**color.POWER).reshape(-1)
    worth = worth_of_each(raised, np.asarray(other, np.float64), less=color.mean_vector()).reshape(
        2, -1
    )
    density = np.divide(worth, counts, out=np.zeros_like(worth), where=counts > 1e-9)
    bins, shares = color.soft_bins()
    of_colour = [(shares * each[bins]).sum(axis=1) for each in density]
    codes = color.levels(image, gain=color.GAIN)
    heat = of_colour[0][codes] / len(codes) + of_colour[1][codes] * color.window()
    return np.asarray(heat.reshape(image.shape[:2]), np.float32)


def worth_of_each(
    vector: NDArray[np.float64], other: NDArray[np.float64], less: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """(dim,): what the cosine of a vector and another loses when one of its numbers becomes 0, for each.

    less  what is taken away from the vector, brought to length 1, before the cosine; nothing by default
    """
    common = np.zeros_like(vector) if less is None else less
    length, target = np.linalg.norm(vector), np.linalg.norm(other)
    if not length or not target:
        return np.zeros_like(vector)
    goal = other / target
    # Without number i the vector has this length, its product with any other vector loses one term.
    without = np.sqrt(np.maximum(length**2 - vector**2, 1e-18))

    def cosines(lengths: NDArray[np.float64], i: NDArray[np.float64]) -> NDArray[np.float64]:
        product = (vector @ goal - i * goal) / lengths - common @ goal
        square = 1 + common @ common - 2 * (vector @ common - i * common) / lengths
        return np.asarray(product / np.sqrt(np.maximum(square, 1e-18)))

    return cosines(np.full_like(vector, length), np.zeros_like(vector)) - cosines(without, vector)


def _bins(picture: Pixels) -> NDArray[np.intp]:
    """(pixels,): the joint bin of each."""
    hue, saturation, value = color.hsv(np.maximum(picture.reshape(-1, 3), 1e-9) / 255.0)
    # Of what is nearly grey or black the hue is noise: told apart, it would split one colour in ten.
    hue = np.where((saturation < 1 / color.SATURATIONS) | (value < 1 / color.VALUES), 0.0, hue)
    saturation = np.where(value < 1 / color.VALUES, 0.0, saturation)
    place = [
        (level * count).astype(np.intp).clip(0, count - 1)
        for level, count in (
            (hue, color.HUES),
            (saturation, color.SATURATIONS),
            (value, color.VALUES),
        )
    ]
    return np.asarray((place[0] * color.SATURATIONS + place[1]) * color.VALUES + place[2])
