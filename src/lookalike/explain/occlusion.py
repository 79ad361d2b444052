"""What happens to a similarity when parts of a picture are covered: where it comes from, and whether an
explanation is right about it.

Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, ECCV 2014 (section 4.2), for
one picture and its class; here for the similarity of two. Nothing needs to be known of the extractor.
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

Heat: TypeAlias = NDArray[np.float32]
"""(rows, columns) over the part of the picture that the extractor saw: how much each place adds to the
similarity; below 0 where it speaks against it."""

Cells: TypeAlias = NDArray[np.bool_]
"""(CELLS, CELLS): chosen cells."""

Measure: TypeAlias = Callable[[Sequence[Pixels]], NDArray[np.float64]]
"""The similarity of each of several versions of a picture to the other one."""

CELLS = 8
"""Cells a side. A finer grid takes the square of the time."""

WINDOW = 2
"""Cells a side that are covered at once. A window of one cell is too small to hide anything from a
network, which then fills the gap from what it sees around it."""

MARKED = CELLS * CELLS // 4
"""An explanation marks at most a quarter of a picture: who marks everything is always right."""

TRIALS = 8
COVER = 128
"""Grey, where an explanation is judged. Where it is made by covering, that is done with the picture's
mean colour: who finds the places should not also judge them with the same brush."""


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """Whether the marked parts matter more than others.

    marked  how far the similarity falls when the marked cells are covered, in the mean of both pictures
    others  the mean fall when equally many cells of the same shape elsewhere are covered
    beaten  the share of those trials in which the marked cells mattered more
    share   how much of the picture is marked, 0..1
    trials  how many other places were tried
    """

    marked: float
    others: float
    beaten: float
    share: float
    trials: int

    @property
    def faithful(self) -> bool:
        """Covering what is marked costs more similarity than covering as much elsewhere."""
        return self.marked > self.others


def by_vectors(extractor: Extractor, other: Floats) -> Measure:
    """Similarities to the vector (dim,) of the other picture, or of words."""
    similarity = extractor.similarity

    def measure(versions: Sequence[Pixels]) -> NDArray[np.float64]:
        vectors = extractor.extract(versions)
        return similarity_matrix(vectors, other[None], similarity=similarity)[:, 0].astype(float)

    return measure


def occlusion(measure: Measure, pixels: Pixels) -> Heat:
    """(8, 8): the mean fall of the similarity over the windows that cover each cell."""
    windows = _windows()
    fill = np.asarray(pixels).reshape(-1, *pixels.shape[2:]).mean(axis=0).astype(np.uint8)
    values = measure([pixels, *(covered(pixels, window, fill) for window in windows)])
    falls = values[0] - values[1:]
    return np.asarray(np.einsum("n,nij->ij", falls, windows) / windows.sum(axis=0), np.float32)


def covered(pixels: Pixels, cells: Cells, fill: NDArray[np.uint8] | int = COVER) -> Pixels:
    """The picture with these cells filled with one colour."""
    height, width = pixels.shape[:2]
    mask = cells[np.ix_(_cell_of(height), _cell_of(width))]
    found = pixels.copy()
    found[mask] = fill
    return found


def marked(heat: Heat) -> Cells:
    """The cells where a heat is largest, at most a quarter of them and only where it is above 0 (at
    least the largest)."""
    coarse = in_cells(heat)
    order = np.argsort(-coarse.ravel(), kind="stable")
    count = max(1, min(MARKED, int((coarse > 0).sum())))
    cells = np.zeros(CELLS * CELLS, np.bool_)
    cells[order[:count]] = True
    return cells.reshape(CELLS, CELLS)


def in_cells(heat: Heat) -> NDArray[np.float64]:
    """A heat of any size as means over the 8 × 8 cells; smaller ones are spread."""
    rows, columns = _spread(heat.shape[0]), _spread(heat.shape[1])
    return np.asarray(rows @ np.asarray(heat, np.float64) @ columns.T)


def elsewhere(cells: Cells, trials: int = TRIALS) -> list[Cells]:
    """The same shape at other places: shifted around the edges, those first that overlap least."""
    shifts = [(y, x) for y in range(CELLS) for x in range(CELLS) if (y, x) != (0, 0)]
    moved = [np.roll(cells, shift, axis=(0, 1)) for shift in shifts]
    overlaps = np.array([int((cells & other).sum()) for other in moved])
    least = np.sort(overlaps)[min(trials, len(overlaps)) - 1]
    fitting = np.flatnonzero(overlaps <= least)
    chosen = fitting[np.linspace(0, len(fitting) - 1, min(trials, len(fitting))).astype(int)]
    return [moved[number] for number in dict.fromkeys(chosen.tolist())]


def faithfulness(sides: Sequence[tuple[Measure, Pixels, Cells]]) -> Faithfulness:
    """How an explanation fares that marked these cells of each picture."""
    falls, others, beaten, shares, trials = [], [], [], [], 0
    for measure, pixels, cells in sides:
        places = elsewhere(cells)
        values = measure([pixels, *(covered(pixels, one) for one in (cells, *places))])
        fall, rest = values[0] - values[1], values[0] - values[2:]
        falls.append(fall)
        others.append(rest.mean())
        beaten.append((fall > rest).mean())
        shares.append(cells.mean())
        trials += len(places)
    return Faithfulness(
        marked=float(np.mean(falls)),
        others=float(np.mean(others)),
        beaten=float(np.mean(beaten)),
        share=float(np.mean(shares)),
        trials=trials,
    )


def _windows() -> NDArray[np.bool_]:
    """(49, 8, 8): every place of a window."""
    places = range(CELLS - WINDOW + 1)
    windows = np.zeros((len(places) ** 2, CELLS, CELLS), np.bool_)
    for number, (y, x) in enumerate((y, x) for y in places for x in places):
        windows[number, y : y + WINDOW, x : x + WINDOW] = True
    return windows


def _cell_of(pixels: int) -> NDArray[np.intp]:
    """(pixels,): which cell each row or column lies in."""
    return (np.arange(pixels) * CELLS // pixels).astype(np.intp)


def _spread(size: int) -> NDArray[np.float64]:
    """(8, size): how much of each cell each of `size` equal strips covers; rows sum to 1."""
    edges, strips = np.arange(CELLS + 1) / CELLS, np.arange(size + 1) / size
    low = np.maximum(edges[:-1, None], strips[None, :-1])
    high = np.minimum(edges[1:, None], strips[None, 1:])
    return np.asarray(np.maximum(high - low, 0) * CELLS)
