"""Which pictures of a map are shown first when there is no room for all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lookalike.vectors.blocks import Floats

DEEPEST = 12
"""Levels; on the deepest the map is 4,096 thumbnails wide."""


def levels(places: Floats, deepest: int = DEEPEST) -> NDArray[np.uint8]:
    """(n,): from which level of zoom on each place (n, 2), in 0..1, can have its thumbnail shown.

    At level L the map is 2^L thumbnails wide, and the thumbnails of all places of level L or less do not
    overlap: any two lie at least 1 / 2^L apart in x or in y. Earlier places go first. Those for which there
    is no room at the deepest level get `deepest` + 1.
    """
    found = np.full(len(places), deepest + 1, np.uint8)
    spots = np.asarray(places, np.float64)
    taken: list[int] = []
    for level in range(deepest + 1):
        side = 1.0 / (1 << level)
        cells = np.floor(spots / side).astype(np.int64)
        keys = cells[:, 0] * (1 << 20) + cells[:, 1]
        grid: dict[int, list[int]] = {}
        for place in taken:
            grid.setdefault(int(keys[place]), []).append(place)
        waiting = np.flatnonzero(found > level)
        # One candidate a cell is enough: two in one cell would touch.
        free = waiting[~np.isin(keys[waiting], np.fromiter(grid, np.int64, len(grid)))]
        candidates = free[np.sort(np.unique(keys[free], return_index=True)[1])]
        for place in candidates.tolist():
            if _room(spots, place, int(keys[place]), grid, side):
                found[place] = level
                grid[int(keys[place])] = [place]
                taken.append(place)
    return found


def _room(
    spots: NDArray[np.float64], place: int, key: int, grid: dict[int, list[int]], side: float
) -> bool:
    x, y = spots[place]
    for beside in (-(1 << 20), 0, 1 << 20):
        for below in (-1, 0, 1):
            for other in grid.get(key + beside + below, ()):
                if abs(spots[other, 0] - x) < side and abs(spots[other, 1] - y) < side:
                    return False
    return True
