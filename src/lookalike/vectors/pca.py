"""Fewer numbers a vector: principal component analysis (Pearson 1901; Jolliffe, 2002), with NumPy."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.vectors.blocks import Floats
from lookalike.vectors.similarity import Similarity, normalise

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


_MEAN, _AXES, _RETAINED = "pca_mean", "pca_axes", "pca_retained"


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """The first principal directions of a sample, by which vectors become shorter.

    mean      (dim,) float32
    axes      (kept, dim) float32, orthonormal rows
    retained  the share of the sample's variance, 0..1, that they hold

    The mean is taken off before: what all vectors share tells none of them apart.
    """

    mean: NDArray[np.float32]
    axes: NDArray[np.float32]
    retained: float

    @property
    def whole(self) -> int:
        """How many numbers a vector has before."""
        return len(self.mean)

    @property
    def kept(self) -> int:
        """How many it has after."""
        return len(self.axes)

    def apply(self, vectors: Floats, *, similarity: Similarity) -> NDArray[np.float32]:
        """(n, whole) → (n, kept) float32; for the cosine at length 1 before and after, where the zero
        vector, which is similar to nothing, stays zero."""
        if similarity != "cosine":
            moved: NDArray[np.float32] = np.subtract(vectors, self.mean, dtype=np.float32)
            return np.ascontiguousarray(moved @ self.axes.T, np.float32)
        unit = normalise(np.asarray(vectors, np.float32))
        made = normalise((unit - self.mean) @ self.axes.T)
        made[~unit.any(axis=1)] = 0
        return np.ascontiguousarray(made, np.float32)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """What `of_arrays` makes the same of again."""
        return {_MEAN: self.mean, _AXES: self.axes, _RETAINED: np.array([self.retained])}

    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that change with any number in it."""
        digest = hashlib.sha256(f"{self.axes.shape}".encode())
        for array in (self.mean, self.axes):
            digest.update(np.ascontiguousarray(array, np.float32).tobytes())
        return digest.hexdigest()[:12]

    @staticmethod
    def of_arrays(arrays: Mapping[str, NDArray[np.generic]] | None) -> Projection | None:
        """What was kept of one; None where the arrays hold none."""
        if arrays is None or _AXES not in arrays:
            return None
        mean, axes = (np.asarray(arrays[name], np.float32) for name in (_MEAN, _AXES))
        return Projection(mean, axes, float(np.asarray(arrays[_RETAINED], np.float64)[0]))


def learn_projection(
    vectors: Floats, kept: int, *, similarity: Similarity, what: str = "vectors"
) -> Projection:
    """The first `kept` principal directions of a sample (n, dim), of its vectors at length 1 for the
    cosine. `UsageError` where that many are not there: more than dimensions, or than the sample."""
    count, dim = vectors.shape
    refuse_more(kept, dim, what)
    if kept > count:
        raise UsageError(
            f"{count:,} {what} cannot tell {kept:,} principal components: keep {count:,} or fewer"
        )
    axes = principal_axes(normalise(vectors) if similarity == "cosine" else vectors)
    return Projection(axes.mean, axes.axes[:kept].copy(), axes.retained(kept))


def refuse_more(kept: int, dim: int, what: str) -> None:
    """`UsageError` where vectors have no more numbers than shall be kept, or none shall be."""
    if not 1 <= kept < dim:
        raise UsageError(
            f"{what} have {dim:,} numbers, so {kept:,} principal components are not fewer: keep 1 to "
            f"{dim - 1:,}"
        )


def sample_size(kept: int) -> int:
    """How many vectors should be looked at for that many components."""
    return max(512, 8 * kept)
