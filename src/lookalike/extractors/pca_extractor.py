"""Projection of another extractor's vectors onto the principal components of the library's images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.extractors.interface import (
    PCA,
    Extractor,
    FittedExtractor,
    RunsIn,
    Vectors,
    concurrency_of,
)
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.vectors.pca import Projection, check_kept, learn_projection, sample_size
from lookalike.vectors.similarity import Similarity

# Images of the sample that the base extractor gets per call.
_BATCH = 32


class PcaExtractor:
    """The base extractor's vectors reduced to `dim` numbers: ("color", 64) is "color+pca64".

    It must be fitted to a sample of images first, of `sample_size` images and at least `dim`.
    """

    def __init__(self, base: Extractor, dim: int, *, projection: Projection | None = None) -> None:
        if isinstance(base, FittedExtractor):
            raise UsageError(
                f"{base.name} is fitted to the library itself and cannot be reduced as well; color, "
                "shape and networks can"
            )
        check_kept(dim, base.dim, f"{base.name} vectors")
        self.base = base
        self.name = f"{base.name}{PCA}{dim}"
        self.revision = f"{base.revision}+pca1"
        if projection:  # vectors along different axes must never be compared
            self.revision += f"-{projection.fingerprint()}"
        self.dim = dim
        self.similarity: Similarity = base.similarity
        self.pixels: PixelSpec = base.pixels
        self.runs_in: RunsIn = base.runs_in
        self.sample_size = sample_size(dim)
        self._projection = projection

    @property
    def fitted(self) -> Mapping[str, NDArray[np.generic]] | None:
        """Mean and axes of the projection; None before fitting."""
        return self._projection.arrays() if self._projection else None

    def fit(self, images: Sequence[Pixels]) -> PcaExtractor:
        """Return a copy fitted to these images; UsageError where they are too few."""
        batches = [
            self.base.extract(images[start : start + _BATCH])
            for start in range(0, len(images), _BATCH)
        ]
        vectors = np.concatenate(batches) if batches else np.empty((0, self.base.dim), np.float32)
        projection = learn_projection(vectors, self.dim, similarity=self.similarity, what="images")
        return PcaExtractor(self.base, self.dim, projection=projection)

    def with_fitted(self, fitted: Mapping[str, NDArray[np.generic]]) -> PcaExtractor:
        """Return a copy with the projection of an earlier fit."""
        projection = Projection.from_arrays(fitted)
        if projection is None or projection.axes.shape != (self.dim, self.base.dim):
            raise UsageError(
                f"the stored projection of {self.name} does not match it: index again with "
                f"--extractor {self.name}"
            )
        return PcaExtractor(self.base, self.dim, projection=projection)

    def concurrency(self) -> tuple[int, int] | None:
        """See `ConcurrentExtractor`."""
        return concurrency_of(self.base)

    def extract(self, images: Sequence[Pixels]) -> Vectors:
        """Return (n, dim) float32; for cosine similarity of length 1, or zero."""
        if self._projection is None:
            raise UsageError(f"{self.name} has not been fitted: call fit(images) first")
        return self._projection.apply(self.base.extract(images), similarity=self.similarity)
