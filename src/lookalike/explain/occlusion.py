"""Occlusion: how a similarity changes when parts of an image are covered.

It shows where a similarity comes from, and tests whether an explanation is faithful. Zeiler and Fergus,
Visualizing and Understanding Convolutional Networks, ECCV 2014 (section 4.2), occlude one image and observe
its class; here the similarity of two images is observed. The extractor is a black box.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.extractors.interface import Extractor
from lookalike.images.pixel_spec import Pixels
from lookalike.vectors.blocks import Floats
from lookalike.vectors.similarity import similarity_matrix

Heatmap: TypeAlias = NDArray[np.float32]
"""(rows, columns) over the pixels that the extractor received: the contribution of each place to the
similarity; negative where it lowers it."""

CellMask: TypeAlias = NDArray[np.bool_]
"""(CELLS, CELLS): selected cells."""

SimilarityTo: TypeAlias = Callable[[Sequence[Pixels]], NDArray[np.float64]]
"""Returns the similarities of several versions of an image to a fixed other one."""

# Cells a side; the time grows with the square.
CELLS = 8

# Cells a side that are occluded at once. A single cell hides too little: a network fills the gap from its
# surroundings.
WINDOW = 2

# Largest number of marked cells, a quarter of the image: marking everything would always be right.
MAX_MARKED = CELLS * CELLS // 4

TRIALS = 8

# Grey value of occlusion when faithfulness is tested. Heatmaps use the mean colour of the image instead, so
# that an explanation is not tested with the method that made it.
FILL = 128


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """Whether the marked cells matter more than others.

    marked_drop   drop of the similarity when the marked cells are occluded, averaged over both images
    other_drop    mean drop when a mask of the same shape elsewhere is occluded
    win_rate      share of these trials in which the marked cells mattered more
    marked_share  share of the image that is marked, 0..1
    trials        number of other masks tried
    """

    marked_drop: float
    other_drop: float
    win_rate: float
    marked_share: float
    trials: int

    @property
    def faithful(self) -> bool:
        """Whether occluding the marked cells costs more similarity than occluding others."""
        return self.marked_drop > self.other_drop


def similarity_to(extractor: Extractor, other: Floats) -> SimilarityTo:
    """Return a function of the similarities to a vector (dim,) of another image or a text."""

    def similarities(versions: Sequence[Pixels]) -> NDArray[np.float64]:
        vectors = extractor.extract(versions)
        found = similarity_matrix(vectors, other[None], similarity=extractor.similarity)
        return found[:, 0].astype(float)

    return similarities


def occlusion_heatmap(similarity: SimilarityTo, pixels: Pixels) -> Heatmap:
    """Return (8, 8) the mean drop of the similarity over the windows that occlude each cell."""
    windows = _windows()
    fill = np.asarray(pixels).reshape(-1, *pixels.shape[2:]).mean(axis=0).astype(np.uint8)
    values = similarity([pixels, *(occlude(pixels, window, fill) for window in windows)])
    drops = values[0] - values[1:]
    return np.asarray(np.einsum("n,nij->ij", drops, windows) / windows.sum(axis=0), np.float32)


def occlude(pixels: Pixels, cells: CellMask, fill: NDArray[np.uint8] | int = FILL) -> Pixels:
    """Return the image with these cells filled with one colour."""
    height, width = pixels.shape[:2]
    mask = cells[np.ix_(_cell_of(height), _cell_of(width))]
    found = pixels.copy()
    found[mask] = fill
    return found


def salient_cells(heatmap: Heatmap) -> CellMask:
    """Return the cells with the largest positive values: at most a quarter of them, at least one."""
    coarse = cell_means(heatmap)
    order = np.argsort(-coarse.ravel(), kind="stable")
    count = max(1, min(MAX_MARKED, int((coarse > 0).sum())))
    cells = np.zeros(CELLS * CELLS, np.bool_)
    cells[order[:count]] = True
    return cells.reshape(CELLS, CELLS)


def cell_means(heatmap: Heatmap) -> NDArray[np.float64]:
    """Resample a heatmap of any size to the means of the 8 × 8 cells."""
    rows, columns = _resampling(heatmap.shape[0]), _resampling(heatmap.shape[1])
    return np.asarray(rows @ np.asarray(heatmap, np.float64) @ columns.T)


def shifted_masks(cells: CellMask) -> list[CellMask]:
    """Return the same shape at other places, cyclically shifted; those that overlap least come first."""
    shifts = [(y, x) for y in range(CELLS) for x in range(CELLS) if (y, x) != (0, 0)]
    shifted = [np.roll(cells, shift, axis=(0, 1)) for shift in shifts]
    overlaps = np.array([int((cells & other).sum()) for other in shifted])
    least = np.sort(overlaps)[min(TRIALS, len(overlaps)) - 1]
    fitting = np.flatnonzero(overlaps <= least)
    chosen = fitting[np.linspace(0, len(fitting) - 1, min(TRIALS, len(fitting))).astype(int)]
    return [shifted[number] for number in dict.fromkeys(chosen.tolist())]


def measure_faithfulness(
    images: Sequence[tuple[SimilarityTo, Pixels, CellMask]],
) -> Faithfulness:
    """Test an explanation that marks these cells of each image."""
    marked, others, wins, shares, trials = [], [], [], [], 0
    for similarity, pixels, cells in images:
        masks = shifted_masks(cells)
        values = similarity([pixels, *(occlude(pixels, mask) for mask in (cells, *masks))])
        drop, rest = values[0] - values[1], values[0] - values[2:]
        marked.append(drop)
        others.append(rest.mean())
        wins.append((drop > rest).mean())
        shares.append(cells.mean())
        trials += len(masks)
    return Faithfulness(
        marked_drop=float(np.mean(marked)),
        other_drop=float(np.mean(others)),
        win_rate=float(np.mean(wins)),
        marked_share=float(np.mean(shares)),
        trials=trials,
    )


def _windows() -> NDArray[np.bool_]:
    """Return (49, 8, 8) every position of the window."""
    positions = range(CELLS - WINDOW + 1)
    windows = np.zeros((len(positions) ** 2, CELLS, CELLS), np.bool_)
    for number, (y, x) in enumerate((y, x) for y in positions for x in positions):
        windows[number, y : y + WINDOW, x : x + WINDOW] = True
    return windows


def _cell_of(pixels: int) -> NDArray[np.intp]:
    """Return (pixels,) the cell of each row or column."""
    return (np.arange(pixels) * CELLS // pixels).astype(np.intp)


def _resampling(size: int) -> NDArray[np.float64]:
    """Return (8, size) the share of each cell that each of `size` equal strips covers; rows sum to 1."""
    edges, strips = np.arange(CELLS + 1) / CELLS, np.arange(size + 1) / size
    low = np.maximum(edges[:-1, None], strips[None, :-1])
    high = np.minimum(edges[1:, None], strips[None, 1:])
    return np.asarray(np.maximum(high - low, 0) * CELLS)
