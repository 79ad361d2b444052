"""Where two images agree: colours that they share, and places that match."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.explain.occlusion import Heatmap
from lookalike.extractors import color
from lookalike.extractors.feature_maps import FeatureMap
from lookalike.extractors.interface import Vectors
from lookalike.extractors.keypoints import Keypoints
from lookalike.extractors.shape import BLOCK_GRID
from lookalike.extractors.verification import correspondences
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.query import Box

# Large enough to count colours that people name.
COUNT_PIXELS = PixelSpec(mode="rgb", fit="inside", max_side=96)

# Smallest share of an image at which a colour is noticed, and most colours that are named.
MIN_SHARE, MAX_COLOURS = 0.02, 8


@dataclass(frozen=True, slots=True)
class SharedColour:
    """A colour of both images: its mean (r, g, b), and its share of each image, 0..1."""

    rgb: tuple[int, int, int]
    first: float
    second: float


def shared_colours(first: Pixels, second: Pixels) -> tuple[SharedColour, ...]:
    """Return the colours (12 hues × 4 saturations × 4 values) that two RGB images share most of."""
    bins = [_joint_bins(image) for image in (first, second)]
    shares = [np.bincount(each, minlength=color.BINS) / len(each) for each in bins]
    common = np.minimum(*shares)
    order = [
        int(b) for b in np.argsort(-common, kind="stable")[:MAX_COLOURS] if common[b] >= MIN_SHARE
    ]
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


# Matches that are returned; more cannot be told apart in a drawing.
MAX_MATCHES = 60

# Smallest number of positions a side at which a feature map locates anything.
MIN_POSITIONS = 5


@dataclass(frozen=True, slots=True)
class LocalMatch:
    """A place of the first image that matches one of the second.

    Both are boxes as fractions of the pixels that the extractor received; `strength` is 0..1.
    """

    first: Box
    second: Box
    strength: float


def shape_heatmap(vector: Vectors, other: Vectors) -> Heatmap:
    """Return (15, 7) how much the cosine of two `shape` vectors (3780,) drops without each block."""
    one, two = (np.asarray(v, np.float64).reshape(*BLOCK_GRID, -1) for v in (vector, other))
    products, squares = (one * two).sum(axis=-1), (one * one).sum(axis=-1)
    rest = np.maximum(1 - squares, 1e-9)  # remaining squared length of the first
    whole = products.sum()
    return np.asarray(whole - (whole - products) / np.sqrt(rest), np.float32)


def match_keypoints(first: Keypoints, second: Keypoints) -> tuple[tuple[LocalMatch, ...], bool]:
    """Return the matching keypoints, clearest first, and whether they agree on one transform."""
    ours, theirs, agree = correspondences(first, second)
    matches = tuple(
        LocalMatch(_box(first, int(a)), _box(second, int(b)), 1.0)
        for a, b in zip(ours, theirs, strict=True)
    )
    return matches, agree


def match_heatmap(matches: Sequence[LocalMatch], side: int) -> Heatmap:
    """Return (32, 32) the density of matches in the first (side 0) or second (side 1) image.

    Each match is a Gaussian of the size of its box.
    """
    cells = 32
    heatmap = np.zeros((cells, cells))
    grid = (np.arange(cells) + 0.5) / cells
    for match in matches:
        x, y, width, height = match.second if side else match.first
        sigma = max(width, height, 1.5 / cells)
        across = np.exp(-(((grid - x - width / 2) / sigma) ** 2))
        down = np.exp(-(((grid - y - height / 2) / sigma) ** 2))
        heatmap += match.strength * down[:, None] * across
    return heatmap.astype(np.float32)


def match_patches(maps: Sequence[FeatureMap]) -> tuple[LocalMatch, ...]:
    """Return matching positions of two images from a network's feature maps of both, (2, c, h, w).

    The deepest map with at least five positions a side is used, centred on the mean of both images.
    Positions that are each other's nearest by the cosine match if it is positive; it is the strength.
    """
    fine = [each for each in maps if min(each.positions) >= MIN_POSITIONS]
    if not fine:
        return ()
    rows, columns = fine[-1].positions
    values = fine[-1].values.reshape(2, -1, rows * columns).astype(np.float64)
    values = values - values.mean(axis=(0, 2), keepdims=True)
    values /= np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-9)
    cosines: NDArray[np.float64] = values[0].T @ values[1]
    best = cosines.argmax(axis=1)
    back = cosines.argmax(axis=0)
    found = [
        LocalMatch(_cell(p, rows, columns), _cell(int(q), rows, columns), float(cosines[p, q]))
        for p, q in enumerate(best)
        if back[q] == p and cosines[p, q] > 0
    ]
    return tuple(sorted(found, key=lambda match: -match.strength)[:MAX_MATCHES])


def _cell(position: int, rows: int, columns: int) -> Box:
    y, x = divmod(position, columns)
    return x / columns, y / rows, 1 / columns, 1 / rows


def _box(keypoints: Keypoints, number: int) -> Box:
    x, y = (keypoints.points[number] / (keypoints.width, keypoints.height)).tolist()
    size = float(keypoints.sizes[number])
    width, height = size / keypoints.width, size / keypoints.height
    return x - width / 2, y - height / 2, width, height
