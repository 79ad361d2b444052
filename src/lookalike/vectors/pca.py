"""Principal component analysis (Pearson 1901; Jolliffe, 2002) with NumPy."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.vectors.blocks import Floats
from lookalike.vectors.similarity import Similarity, normalise

# Size of the blocks, as float32, in which rows are read.
BLOCK_BYTES = 32 << 20

# Up to this many rows or columns, an exact decomposition takes less than a second.
EXACT_SIDE = 1000

# Extra directions and power iterations of the randomised decomposition.
OVERSAMPLING, POWER_ITERATIONS = 16, 4


@dataclass(frozen=True, slots=True)
class Axes:
    """Orthonormal directions in which vectors vary, by falling variance.

    mean       (dim,) float32
    axes       (m, dim) float32, one direction a row
    variances  (m,) float32, falling
    """

    mean: NDArray[np.float32]
    axes: NDArray[np.float32]
    variances: NDArray[np.float32]

    def retained(self, kept: int) -> float:
        """Return the share of the variance, 0..1, that the first `kept` axes explain."""
        total = float(self.variances.sum(dtype=np.float64))
        part = float(self.variances[:kept].sum(dtype=np.float64))
        return part / total if total > 0 else 1.0

    def apply(self, vectors: Floats, kept: int) -> NDArray[np.float32]:
        """Centre vectors (n, dim) and project them onto the first axes: (n, kept) float32."""
        centred: NDArray[np.float32] = np.subtract(vectors, self.mean, dtype=np.float32)
        projected: NDArray[np.float32] = centred @ self.axes[:kept].T
        return projected


def principal_axes(vectors: Floats, *, block_bytes: int = BLOCK_BYTES) -> Axes:
    """Return all principal axes of vectors (n, dim), from the covariance (divided by n).

    Vectors are read in blocks, so that n may be large; time O(n · dim² + dim³). The largest component of
    each axis is positive, so that equal data give equal axes. `UsageError` without vectors.
    """
    count, dim = vectors.shape
    if not count:
        raise UsageError("no vectors to learn principal axes from")
    step = max(1, block_bytes // (4 * dim))
    total = np.zeros(dim)
    for start in range(0, count, step):
        total += vectors[start : start + step].sum(axis=0, dtype=np.float64)
    mean = total / count
    covariance = np.zeros((dim, dim))
    for start in range(0, count, step):
        centred = np.asarray(vectors[start : start + step] - mean, np.float32)
        covariance += centred.T @ centred
    variances, columns = np.linalg.eigh(covariance / count)  # rising
    return _axes(mean, columns.T[::-1], variances[::-1])


def leading_axes(vectors: Floats, count: int, *, seed: int = 0) -> Axes:
    """Return the first principal axes of vectors (n, dim) that may be wide: at most `count`, n and dim.

    Exact where n or dim is at most 1,000. Otherwise by random projections and power iterations: axes
    that stand out come out exactly, axes of nearly equal variance are mixed (Halko, Martinsson and
    Tropp, SIAM Review 53, 2011). All vectors are held as float64. `UsageError` without vectors.
    """
    if not len(vectors):
        raise UsageError("no vectors to learn principal axes from")
    wide = np.asarray(vectors, np.float64)
    mean = wide.mean(axis=0)
    centred = wide - mean
    rows, dim = centred.shape
    if dim <= min(rows, EXACT_SIDE):
        variances, columns = np.linalg.eigh(centred.T @ centred / rows)  # rising
        return _axes(mean, columns.T[::-1][:count], variances[::-1][:count])
    basis = None
    if min(rows, dim) > EXACT_SIDE:
        basis = np.random.default_rng(seed).normal(size=(dim, count + OVERSAMPLING))
        basis = centred @ basis
        for _ in range(POWER_ITERATIONS):
            basis = np.linalg.qr(centred @ (centred.T @ np.linalg.qr(basis)[0]))[0]
    projected = centred if basis is None else basis.T @ centred
    _, singular, directions = np.linalg.svd(projected, full_matrices=False)
    return _axes(mean, directions[:count], np.square(singular[:count]) / rows)


def _axes(
    mean: NDArray[np.float64], axes: NDArray[np.float64], variances: NDArray[np.float64]
) -> Axes:
    """Return the axes as float32, with their signs chosen: solvers leave them open."""
    largest = np.abs(axes).argmax(axis=1)
    axes = axes * np.sign(axes[np.arange(len(axes)), largest])[:, None]
    return Axes(
        mean.astype(np.float32),
        np.ascontiguousarray(axes, np.float32),
        np.maximum(variances, 0.0).astype(np.float32),
    )


# Keys of a projection in a space's stored arrays.
_MEAN, _AXES, _RETAINED = "pca_mean", "pca_axes", "pca_retained"


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """The first principal axes of a sample, as stored with a space of reduced vectors.

    mean      (dim,) float32, subtracted first: what all vectors share distinguishes none of them
    axes      (kept, dim) float32, orthonormal rows
    retained  the share of the sample's variance, 0..1, that they explain
    """

    mean: NDArray[np.float32]
    axes: NDArray[np.float32]
    retained: float

    @property
    def input_dim(self) -> int:
        """The dimension of the vectors before projection."""
        return len(self.mean)

    @property
    def kept(self) -> int:
        """The dimension of the vectors after projection."""
        return len(self.axes)

    def apply(self, vectors: Floats, *, similarity: Similarity) -> NDArray[np.float32]:
        """Project vectors (n, input_dim) to (n, kept) float32.

        For the cosine they are scaled to unit length before and after; the zero vector stays zero.
        """
        if similarity != "cosine":
            moved: NDArray[np.float32] = np.subtract(vectors, self.mean, dtype=np.float32)
            return np.ascontiguousarray(moved @ self.axes.T, np.float32)
        unit = normalise(np.asarray(vectors, np.float32))
        projected = normalise((unit - self.mean) @ self.axes.T)
        projected[~unit.any(axis=1)] = 0
        return np.ascontiguousarray(projected, np.float32)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return the arrays from which `from_arrays` restores this projection."""
        return {_MEAN: self.mean, _AXES: self.axes, _RETAINED: np.array([self.retained])}

    def fingerprint(self) -> str:
        """Return twelve hexadecimal digits of a hash of the mean and the axes."""
        digest = hashlib.sha256(f"{self.axes.shape}".encode())
        for array in (self.mean, self.axes):
            digest.update(np.ascontiguousarray(array, np.float32).tobytes())
        return digest.hexdigest()[:12]

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray[np.generic]] | None) -> Projection | None:
        """Restore a projection from stored arrays; None if they hold none."""
        if arrays is None or _AXES not in arrays:
            return None
        mean, axes = (np.asarray(arrays[name], np.float32) for name in (_MEAN, _AXES))
        return Projection(mean, axes, float(np.asarray(arrays[_RETAINED], np.float64)[0]))


def learn_projection(
    vectors: Floats, kept: int, *, similarity: Similarity, what: str = "vectors"
) -> Projection:
    """Learn the first `kept` principal axes of a sample (n, dim); for the cosine, of its unit vectors.

    what  what the rows are called in messages

    `UsageError` where `kept` is not below dim, or above n.
    """
    count, dim = vectors.shape
    check_kept(kept, dim, what)
    if kept > count:
        raise UsageError(
            f"{count:,} {what} are too few for {kept:,} principal components: keep {count:,} or fewer"
        )
    axes = principal_axes(normalise(vectors) if similarity == "cosine" else vectors)
    return Projection(axes.mean, axes.axes[:kept].copy(), axes.retained(kept))


def check_kept(kept: int, dim: int, what: str) -> None:
    """Raise `UsageError` unless 1 <= kept < dim."""
    if not 1 <= kept < dim:
        raise UsageError(
            f"{what} have {dim:,} dimensions, so they cannot be reduced to {kept:,} principal "
            f"components: keep 1 to {dim - 1:,}"
        )


def sample_size(kept: int) -> int:
    """Return from how many vectors that many components are learnt well."""
    return max(512, 8 * kept)
