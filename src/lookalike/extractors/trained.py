"""Extractor trained with `lookalike train`: a linear map on the vectors of another extractor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.extractors.interface import (
    Extractor,
    FittedExtractor,
    RunsIn,
    Vectors,
    concurrency_of,
)
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.models.trained import TrainedModel, find_trained, read_trained
from lookalike.vectors.lda import LinearMap
from lookalike.vectors.similarity import Similarity, normalise

FAMILY = "trained"
# Part of every revision: changes when this file computes other numbers from the same model.
_RECIPE = "1"


class TrainedExtractor:
    """The base extractor's unit vectors, mapped linearly and normalised again."""

    similarity: Similarity = "cosine"

    def __init__(
        self, name: str, record: TrainedModel, mapping: LinearMap, base: Extractor
    ) -> None:
        self.name = name
        self.record = record
        self.revision = f"{record.sha256[:12]}.{_RECIPE}+{base.revision}"
        self.dim = record.dim
        self.pixels: PixelSpec = base.pixels
        self.runs_in: RunsIn = base.runs_in
        self._mapping = mapping
        self._base = base

    def concurrency(self) -> tuple[int, int] | None:
        """See `ConcurrentExtractor`."""
        return concurrency_of(self._base)

    def extract(self, images: Sequence[Pixels]) -> Vectors:
        """Return (n, dim) float32 of length 1 for images prepared for the base extractor."""
        return project(self._base.extract(images), self._mapping)


def project(vectors: NDArray[np.float32], mapping: LinearMap) -> NDArray[np.float32]:
    """Map vectors (n, base_dim) to (n, dim) of length 1; a zero vector, without content, stays zero."""
    unit = normalise(vectors)
    mapped = normalise(mapping(unit))
    mapped[~unit.any(axis=1)] = 0
    return mapped


def load_trained(text: str) -> TrainedExtractor:
    """Return the extractor in the folder `text`.

    Raises UsageError where the folder is damaged, or its base extractor is not the one it was trained on.
    """
    from lookalike.extractors.registry import load, parse

    folder = find_trained(text)
    record, arrays = read_trained(folder)
    if any(name.partition(":")[0] == FAMILY for name in parse(record.base)):
        # It might be trained on itself, recursively.
        raise UsageError(f"{folder} was trained on a trained model: train it again")
    base = load(record.base)
    check_trainable(base)
    if (base.revision, base.dim) != (record.base_revision, record.base_dim):
        raise UsageError(
            f"{folder} was trained on {record.base} {record.base_revision}, and this is "
            f"{base.revision}: train it again"
        )
    name = f"{FAMILY}:{folder.as_posix()}"
    return TrainedExtractor(name, record, LinearMap(arrays["mean"], arrays["axes"]), base)


def check_trainable(base: Extractor) -> None:
    """Raise UsageError for extractors that a model cannot be trained on."""
    if isinstance(base, FittedExtractor):
        raise UsageError(
            f"{base.name} is different in every library: train on lookalike, color, shape or a network"
        )
    if base.name.partition(":")[0] == FAMILY:
        raise UsageError(f"{base.name} is trained already: train on the extractor below it")
