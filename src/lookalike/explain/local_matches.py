"""Local matches of two images: keypoints, positions of a feature map, and blocks of edges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.explain.occlusion import Heatmap
from lookalike.extractors.feature_maps import FeatureMap
from lookalike.extractors.interface import Vectors
from lookalike.extractors.keypoints import Keypoints
from lookalike.extractors.shape import BLOCK_GRID
from lookalike.extractors.verification import correspondences
from lookalike.query import Box

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


def match_keypoints(
    first: Keypoints, second: Keypoints, *, min_inliers: int = 10
) -> tuple[tuple[LocalMatch, ...], bool]:
    """Return the matching keypoints, clearest first, and whether they agree on one transform."""
    ours, theirs, agree = correspondences(first, second, min_inliers=min_inliers)
    matches = tuple(
        LocalMatch(_box(first, int(a)), _box(second, int(b)), 1.0)
        for a, b in zip(ours, theirs, strict=True)
    )
    return matches, agree


def match_heatmap(matches: Sequence[LocalMatch], side: int, cells: int = 32) -> Heatmap:
    """Return (cells, cells) the density of matches in the first (side 0) or second (side 1) image.

    Each match is a Gaussian of the size of its box.
    """
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
