"""Fewer numbers a vector: principal component analysis (Pearson 1901; Jolliffe, 2002), with NumPy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.vectors.exact import Floats

BLOCK_BYTES = 32 << 20
"""Of rows, as float32, that are taken at a time; their products are summed in float64."""


@dataclass(frozen=True, slots=True)
class Axes:
    """The directions in which vectors vary, most first.

    mean       (dim,) float32
    axes       (dim, dim) float32, orthonormal rows
    variances  (dim,) float32, falling: how much the vectors vary along each
    """

    mean: NDArray[np.float32]
    axes: NDArray[np.float32]
    variances: NDArray[np.float32]

    def retained(self, kept: int) -> float:
        """The share of the variance, 0..1, that the first `kept` directions hold."""
        total = float(self.variances.sum(dtype=np.float64))
        part = float(self.variances[:kept].sum(dtype=np.float64))
        return part / total if total > 0 else 1.0

    def needed(self, share: float) -> int:
        """How many directions hold that share of the variance."""
        total = float(self.variances.sum(dtype=np.float64))
        if total <= 0:
            return 1
        held = np.cumsum(self.variances, dtype=np.float64) / total
        return int(np.searchsorted(held, share - 1e-9)) + 1

    def apply(self, vectors: Floats, kept: int) -> NDArray[np.float32]:
        """Vectors (n, dim) as (n, kept): centred and turned into the first directions."""
        centred: NDArray[np.float32] = np.subtract(vectors, self.mean, dtype=np.float32)
        projected: NDArray[np.float32] = centred @ self.axes[:kept].T
        return projected


def principal_axes(vectors: Floats) -> Axes:
    """The principal axes of vectors (n, dim), by the eigenvectors of their covariance (divided by n).

    The sign of a direction means nothing; its largest number is made positive, so that equal data give
    equal axes. `UsageError` without vectors.
    """
    count, dim = vectors.shape
    if not count:
        raise UsageError("no vectors to learn principal axes from")
    step = max(1, BLOCK_BYTES // (4 * dim))
    total = np.zeros(dim)
    for start in range(0, count, step):
        total += vectors[start : start + step].sum(axis=0, dtype=np.float64)
    mean = total / count
    covariance = np.zeros((dim, dim))
    for start in range(0, count, step):
        centred = np.asarray(vectors[start : start + step] - mean, np.float32)
        covariance += centred.T @ centred
    variances, columns = np.linalg.eigh(covariance / count)  # rising
    axes = columns.T[::-1]
    largest = np.abs(axes).argmax(axis=1)
    axes = axes * np.sign(axes[np.arange(dim), largest])[:, None]
    return Axes(
        mean.astype(np.float32),
        np.ascontiguousarray(axes, np.float32),
        np.maximum(variances[::-1], 0.0).astype(np.float32),
    )
