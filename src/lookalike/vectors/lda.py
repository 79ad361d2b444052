"""Linear maps that bring vectors of one label together: discriminant analysis with shrinkage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WIDEST = 2048
"""Columns from which on vectors are first brought to `REDUCED` principal directions: the analysis
takes time with the cube of the columns."""
REDUCED = 512


@dataclass(frozen=True, slots=True)
class Linear:
    """`(vectors - mean) @ axes`: mean (dim,), axes (dim, k), float32."""

    mean: NDArray[np.float32]
    axes: NDArray[np.float32]

    def __call__(self, vectors: NDArray[np.floating]) -> NDArray[np.float32]:
        """(n, dim) → (n, k)."""
        return np.asarray((vectors - self.mean) @ self.axes, np.float32)


@dataclass(frozen=True, slots=True)
class Scatter:
    """What a set of labelled vectors says about directions, ready for any shrinkage.

    mean       (dim,) of all vectors
    within     variances (dim,) within labels, rising, along the columns of `directions` (dim, dim)
    centres    (labels, dim) the mean of each label less `mean`, along `directions`
    sizes      (labels,) vectors of each
    """

    mean: NDArray[np.float64]
    within: NDArray[np.float64]
    directions: NDArray[np.float64]
    centres: NDArray[np.float64]
    sizes: NDArray[np.int64]

    def map(self, *, shrinkage: float, dim: int | None) -> Linear:
        """The map under which vectors of one label scatter alike in every direction (whitening of the
        covariance within classes: Hatch, Kajarekar and Stolcke, Interspeech 2006), and of it the `dim`
        directions along which labels differ most (Fisher's linear discriminants), in their order, at
        most as many as there are labels; None: all, in no order.

        shrinkage  0 takes the measured covariance as it is, 1 only its mean variance; between them
                   what a few pictures a label cannot tell (Friedman, Regularized Discriminant
                   Analysis, JASA 84, 1989)
        """
        even = (1 - shrinkage) * self.within + shrinkage * self.within.mean()
        scale = 1 / np.sqrt(np.maximum(even, 1e-12))
        axes = self.directions * scale
        if dim is not None:
            centres = self.centres * scale
            weighed = centres * np.sqrt(self.sizes / self.sizes.sum())[:, None]
            _, _, differences = np.linalg.svd(weighed, full_matrices=False)
            axes = axes @ differences[:dim].T
        return Linear(self.mean.astype(np.float32), _signed(axes).astype(np.float32))


def scatter(vectors: NDArray[np.floating], labels: NDArray[np.int64]) -> Scatter:
    """The scatter of vectors (n, dim) whose labels (n,) are numbers from 0 without gaps.

    Needs at least two labels, and one with two vectors or more.
    """
    wide = np.asarray(vectors, np.float64)
    mean = wide.mean(axis=0)
    sizes = np.bincount(labels)
    sums = np.zeros((len(sizes), wide.shape[1]))
    np.add.at(sums, labels, wide)
    centres = sums / sizes[:, None]
    inside = wide - centres[labels]
    covariance = inside.T @ inside / max(1, len(wide) - len(sizes))
    within, directions = np.linalg.eigh(covariance)
    return Scatter(mean, within, directions, (centres - mean) @ directions, sizes)


def principal(vectors: NDArray[np.floating], *, dim: int, seed: int = 0) -> Linear:
    """The first `dim` principal directions of (n, columns) vectors, by random projection and two power
    steps (Halko, Martinsson and Tropp, SIAM Review 53, 2011), unscaled."""
    wide = np.asarray(vectors, np.float64)
    mean = wide.mean(axis=0)
    centred = wide - mean
    chosen = min(dim, *centred.shape)
    draw = np.random.default_rng(seed).normal(
        size=(centred.shape[1], min(chosen + 16, *centred.shape))
    )
    for _ in range(3):
        draw, _ = np.linalg.qr(centred.T @ (centred @ draw))
    _, _, axes = np.linalg.svd(centred @ draw, full_matrices=False)
    found = draw @ axes[:chosen].T
    return Linear(mean.astype(np.float32), _signed(found).astype(np.float32))


def chained(first: Linear, second: Linear) -> Linear:
    """One map that does both, `first` first."""
    inside = first.axes.astype(np.float64)
    axes = inside @ second.axes
    # (x - m) A - n = (x - m - c) A for any c with c A = n; A has full rank, so least squares solves it.
    offset = np.linalg.lstsq(inside.T, second.mean.astype(np.float64), rcond=None)[0]
    return Linear((first.mean + offset).astype(np.float32), axes.astype(np.float32))


def _signed(axes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Columns with their largest component positive: solvers are free to choose the sign."""
    largest = axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])]
    return axes * np.where(largest < 0, -1.0, 1.0)
