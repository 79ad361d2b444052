"""The teacher's 1280 numbers as the 256 the student must learn: unit length, centred, principal
axes, half evened out.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tools.distill.evaluate import Vectors, unit

# Axes are divided by variance ** (EVENNESS / 2): 0 is plain PCA, 1 full whitening. Measured with
# the teacher itself, corel1k / grocery mAP: 0 .910/.457, 0.25 .895/.468, 0.5 .862/.474; all 1280
# numbers as they are .897/.460.
EVENNESS = 0.25


@dataclass(frozen=True)
class Projection:
    """`unit((unit(features) - mean) @ axes)`; rows of the result have length 1."""

    mean: NDArray[np.float32]
    axes: NDArray[np.float32]

    @classmethod
    def fit(
        cls, features: NDArray[np.floating], *, dim: int = 256, evenness: float = EVENNESS
    ) -> "Projection":
        """Principal axes of `(n, features)`; needs more rows than `dim`."""
        return cls(*principal_axes(unit(features), dim=dim, evenness=evenness))

    def __call__(self, features: NDArray[np.floating]) -> Vectors:
        return unit((unit(features) - self.mean) @ self.axes)

    def save(self, path: Path) -> None:
        np.savez(path, mean=self.mean, axes=self.axes)

    @classmethod
    def open(cls, path: Path) -> "Projection":
        with np.load(path) as stored:
            return cls(stored["mean"], stored["axes"])


def principal_axes(
    rows: NDArray[np.floating], *, dim: int, evenness: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean `(columns,)` and axes `(columns, dim)` of `(n, columns)` rows, largest variance first.

    Axes are divided by their variance to the power `evenness / 2`: 0 is plain PCA, 1 full
    whitening.
    """
    if min(rows.shape) < dim:
        raise ValueError(f"{dim} axes need at least {dim} rows and columns, not {rows.shape}")
    exact = rows.astype(np.float64)
    mean = exact.mean(0)
    variances, axes = np.linalg.eigh(np.cov((exact - mean).T))
    largest = np.argsort(-variances)[:dim]
    scaled = axes[:, largest] / np.maximum(variances[largest], 1e-12) ** (evenness / 2)
    return mean.astype(np.float32), scaled.astype(np.float32)
