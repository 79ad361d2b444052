"""Where edges agree (`shape`), which keypoints go together, and which places of a feature map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.explain.occlusion import Heat
from lookalike.extractors.feature_maps import FeatureMap
from lookalike.extractors.interface import Vectors
from lookalike.extractors.keypoints import Keypoints
from lookalike.extractors.shape import BLOCK_GRID
from lookalike.extractors.verification import correspondences
from lookalike.query import Box

LINKS = 60
"""Lines between two pictures; more are a thicket."""

FEW_POSITIONS = 5
"""A feature map with fewer positions a side says hardly where."""


@dataclass(frozen=True, slots=True)
class Link:
    """A place of the first picture that goes with one of the second: boxes as fractions of the pixels
    that the extractor saw; `strength` 0..1."""

    first: Box
    second: Box
    strength: float


def shape_heat(vector: Vectors, other: Vectors) -> Heat:
    """(15, 7): what the cosine of two `shape` vectors (3780,) loses when a block of the first becomes
    flat, for each block."""
    one, two = (np.asarray(v, np.float64).reshape(*BLOCK_GRID, -1) for v in (vector, other))
    products, squares = (one * two).sum(axis=-1), (one * one).sum(axis=-1)
    rest = np.maximum(1 - squares, 1e-9)  # of the squared length, 1, of the first
    whole = products.sum()
    return np.asarray(whole - (whole - products) / np.sqrt(rest), np.float32)


def keypoint_links(
    first: Keypoints, second: Keypoints, *, min_inliers: int = 10
) -> tuple[tuple[Link, ...], bool]:
    """Keypoints that go together, clearest first, and whether they agree on one movement."""
    ours, theirs, agree = correspondences(first, second, min_inliers=min_inliers)
    links = tuple(
        Link(_box(first, int(a)), _box(second, int(b)), 1.0)
        for a, b in zip(ours, theirs, strict=True)
    )
    return links, agree


def link_heat(links: Sequence[Link], side: int, cells: int = 32) -> Heat:
    """(32, 32): how many links start (side 0) or end (side 1) in each place, spread over their boxes'
    surroundings."""
    heat = np.zeros((cells, cells))
    grid = (np.arange(cells) + 0.5) / cells
    for link in links:
        x, y, width, height = link.second if side else link.first
        spread = max(width, height, 1.5 / cells)
        across = np.exp(-(((grid - x - width / 2) / spread) ** 2))
        down = np.exp(-(((grid - y - height / 2) / spread) ** 2))
        heat += link.strength * down[:, None] * across
    return heat.astype(np.float32)


def patch_links(maps: Sequence[FeatureMap]) -> tuple[Link, ...]:
    """Places of two pictures that look alike to a network, from its maps of both (2, c, h, w).

    Of the deepest map with at least five positions a side. Each position is compared with all of the
    other picture, by the cosine of what it has beyond the mean of both pictures; pairs that are each
    other's best are linked, if their cosine is positive. Strength is the cosine.
    """
    fine = [each for each in maps if min(each.positions) >= FEW_POSITIONS]
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
        Link(_cell(p, rows, columns), _cell(int(q), rows, columns), float(cosines[p, q]))
        for p, q in enumerate(best)
        if back[q] == p and cosines[p, q] > 0
    ]
    return tuple(sorted(found, key=lambda link: -link.strength)[:LINKS])


def _cell(place: int, rows: int, columns: int) -> Box:
    y, x = divmod(place, columns)
    return x / columns, y / rows, 1 / columns, 1 / rows


def _box(keypoints: Keypoints, number: int) -> Box:
    x, y = (keypoints.points[number] / (keypoints.width, keypoints.height)).tolist()
    size = float(keypoints.sizes[number])
    width, height = size / keypoints.width, size / keypoints.height
    return x - width / 2, y - height / 2, width, height
