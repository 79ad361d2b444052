"""Fewer numbers a picture: the vectors of another extractor along the principal axes of the library's
own pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.extractors.interface import Extractor, FittedExtractor, Place, Vectors, lanes_of
from lookalike.extractors.registry import PCA
from lookalike.images.pixel_spec import Needs, Pixels
from lookalike.vectors.pca import Projection, learn_projection, refuse_more, sample_size
from lookalike.vectors.similarity import Similarity

_TOGETHER = 32
"""Pictures of the sample that the other extractor gets at once."""


class Reduced:
    """Another extractor's vectors, projected: ("color", 64) is color+pca64.

    It must be fitted to a sample of pictures first; `sample` are enough, and `dim` are needed.
    """

    def __init__(self, whole: Extractor, dim: int, *, projection: Projection | None = None) -> None:
        if isinstance(whole, FittedExtractor):
            raise UsageError(
                f"{whole.name} learns from the library itself and cannot be reduced as well; color, "
                "shape and networks can"
            )
        refuse_more(dim, whole.dim, f"{whole.name} vectors")
        self.whole = whole
        self.dim = dim
        self._projection = projection

    @property
    def name(self) -> str:
        return f"{self.whole.name}{PCA}{self.dim}"

    @property
    def revision(self) -> str:
        recipe = f"{self.whole.revision}+pca1"
        # Vectors along different axes must never be compared.
        return f"{recipe}-{self._projection.fingerprint()}" if self._projection else recipe

    @property
    def similarity(self) -> Similarity:
        return self.whole.similarity

    @property
    def needs(self) -> Needs:
        return self.whole.needs

    @property
    def place(self) -> Place:
        return self.whole.place

    @property
    def sample(self) -> int:
        """Pictures from which axes are learnt well."""
        return sample_size(self.dim)

    @property
    def fitted(self) -> Mapping[str, NDArray[np.generic]] | None:
        """The axes, None before there are any."""
        return self._projection.arrays() if self._projection else None

    def fit(self, images: Sequence[Pixels]) -> Extractor:
        """Learns the axes from pictures as `needs` describes; `UsageError` where they are too few."""
        batches = [
            self.whole.extract(images[start : start + _TOGETHER])
            for start in range(0, len(images), _TOGETHER)
        ]
        vectors = np.concatenate(batches) if batches else np.empty((0, self.whole.dim), np.float32)
        projection = learn_projection(
            vectors, self.dim, similarity=self.similarity, what="pictures"
        )
        return Reduced(self.whole, self.dim, projection=projection)

    def with_fitted(self, fitted: Mapping[str, NDArray[np.generic]]) -> Extractor:
        projection = Projection.of_arrays(fitted)
        if projection is None or projection.axes.shape != (self.dim, self.whole.dim):
            raise UsageError(
                f"what {self.name} learnt does not fit: index again with --with {self.name}"
            )
        return Reduced(self.whole, self.dim, projection=projection)

    def lanes(self) -> tuple[int, int] | None:
        """See `Concurrent`."""
        return lanes_of(self.whole)

    def extract(self, images: Sequence[Pixels]) -> Vectors:
        """(n, dim) float32, for the cosine at length 1 or zero."""
        if self._projection is None:
            raise UsageError(f"{self.name} has not learnt its axes: call fit(images) first")
        return self._projection.apply(self.whole.extract(images), similarity=self.similarity)
