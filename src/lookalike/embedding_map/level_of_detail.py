"""Levels of detail: which images of a map get a thumbnail first if there is no room for all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lookalike.vectors.blocks import Floats

# Deepest level; there the map is 4,096 thumbnails wide.
MAX_LEVEL = 12


def zoom_levels(positions: Floats, max_level: int = MAX_LEVEL) -> NDArray[np.uint8]:
    """Return (n,) the zoom level from which each position (n, 2), in 0..1, can have its thumbnail shown.

    At level L the map is 2^L thumbnails wide, and the thumbnails of all positions of level L or less do not
    overlap: any two are at least 1 / 2^L apart in x or in y. Earlier positions take precedence. Those without
    room at the deepest level get `max_level` + 1.
    """
    found = np.full(len(positions), max_level + 1, np.uint8)
    points = np.asarray(positions, np.float64)
    placed: list[int] = []
    for level in range(max_level + 1):
        side = 1.0 / (1 << level)
        cells = np.floor(points / side).astype(np.int64)
        keys = cells[:, 0] * (1 << 20) + cells[:, 1]
        grid: dict[int, list[int]] = {}
        for point in placed:
            grid.setdefault(int(keys[point]), []).append(point)
        waiting = np.flatnonzero(found > level)
        # One candidate per cell is enough: two in one cell would overlap.
        free = waiting[~np.isin(keys[waiting], np.fromiter(grid, np.int64, len(grid)))]
        candidates = free[np.sort(np.unique(keys[free], return_index=True)[1])]
        for point in candidates.tolist():
            if _has_room(points, point, int(keys[point]), grid, side):
                found[point] = level
                grid[int(keys[point])] = [point]
                placed.append(point)
    return found


def _has_room(
    points: NDArray[np.float64], point: int, key: int, grid: dict[int, list[int]], side: float
) -> bool:
    x, y = points[point]
    for column in (-(1 << 20), 0, 1 << 20):
        for row in (-1, 0, 1):
            for other in grid.get(key + column + row, ()):
                if abs(points[other, 0] - x) < side and abs(points[other, 1] - y) < side:
                    return False
    return True
