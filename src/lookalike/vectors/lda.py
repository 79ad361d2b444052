"""Linear discriminant analysis with shrinkage: maps that bring vectors of one label together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class LinearMap:
    """The map x -> (x - mean) @ axes.

    mean  (dim,) float32
    axes  (dim, k) float32
    """

    mean: NDArray[np.float32]
    axes: NDArray[np.float32]

    def __call__(self, vectors: NDArray[np.floating]) -> NDArray[np.float32]:
        """Map vectors (n, dim) to (n, k) float32."""
        return np.asarray((vectors - self.mean) @ self.axes, np.float32)


@dataclass(frozen=True, slots=True)
class Scatter:
    """The within-class and between-class scatter of labelled vectors, for maps of any shrinkage.

    mean        (dim,) of all vectors
    within      (dim,) eigenvalues of the within-class covariance, rising
    directions  (dim, dim) its eigenvectors, as columns
    centres     (labels, dim) class means minus `mean`, in the basis of `directions`
    sizes       (labels,) vectors of each label
    """

    mean: NDArray[np.float64]
    within: NDArray[np.float64]
    directions: NDArray[np.float64]
    centres: NDArray[np.float64]
    sizes: NDArray[np.int64]

    def discriminants(self, *, shrinkage: float, dim: int | None) -> LinearMap:
        """Return the map that whitens the within-class covariance.

        shrinkage  0 takes the measured covariance as it is, 1 replaces it by its mean variance; values
                   between make up for few images per label (Friedman, Regularized Discriminant
                   Analysis, JASA 84, 1989)
        dim        keep only the directions along which labels differ most (Fisher's linear
                   discriminants), best first, at most as many as labels; None keeps all, in no order

        Hatch, Kajarekar and Stolcke, Within-Class Covariance Normalization, Interspeech 2006.
        """
        variances = (1 - shrinkage) * self.within + shrinkage * self.within.mean()
        scale = 1 / np.sqrt(np.maximum(variances, 1e-12))
        axes = self.directions * scale
        if dim is not None:
            weighted = self.centres * scale * np.sqrt(self.sizes / self.sizes.sum())[:, None]
            _, _, between = np.linalg.svd(weighted, full_matrices=False)
            axes = axes @ between[:dim].T
        return LinearMap(self.mean.astype(np.float32), _fix_signs(axes).astype(np.float32))


def scatter(vectors: NDArray[np.floating], labels: NDArray[np.int64]) -> Scatter:
    """Measure the scatter of vectors (n, dim) whose labels (n,) are numbered from 0 without gaps.

    Needs at least two labels, and one of them with at least two vectors.
    """
    wide = np.asarray(vectors, np.float64)
    mean = wide.mean(axis=0)
    sizes = np.bincount(labels)
    sums = np.zeros((len(sizes), wide.shape[1]))
    np.add.at(sums, labels, wide)
    centres = sums / sizes[:, None]
    deviations = wide - centres[labels]
    covariance = deviations.T @ deviations / max(1, len(wide) - len(sizes))
    within, directions = np.linalg.eigh(covariance)
    return Scatter(mean, within, directions, (centres - mean) @ directions, sizes)


def compose(first: LinearMap, second: LinearMap) -> LinearMap:
    """Return the map that applies `first`, then `second`."""
    inner = first.axes.astype(np.float64)
    axes = inner @ second.axes
    # (x - m) A - n = (x - m - c) A for any c with c A = n. A has full rank: least squares solves it.
    offset = np.linalg.lstsq(inner.T, second.mean.astype(np.float64), rcond=None)[0]
    return LinearMap((first.mean + offset).astype(np.float32), axes.astype(np.float32))


def _fix_signs(axes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Make the largest component of each column positive: solvers leave the signs open."""
    largest = axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])]
    return axes * np.where(largest < 0, -1.0, 1.0)
