"""A model that was trained with `lookalike train`: another extractor's vectors, turned so that
pictures of one label lie together."""

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
_RECIPE = "1"
"""Part of every revision: changes when this file computes other numbers from the same model."""


class Trained:
    """The base extractor's vector at length 1, a linear map, and length 1 again."""

    similarity: Similarity = "cosine"

    def __init__(self, name: str, record: TrainedModel, turn: LinearMap, whole: Extractor) -> None:
        self.name = name
        self.record = record
        self.revision = f"{record.sha256[:12]}.{_RECIPE}+{whole.revision}"
        self.dim = record.dim
        self.pixels: PixelSpec = whole.pixels
        self.runs_in: RunsIn = whole.runs_in
        self._turn = turn
        self._whole = whole

    def concurrency(self) -> tuple[int, int] | None:
        """See `ConcurrentExtractor`."""
        return concurrency_of(self._whole)

    def extract(self, images: Sequence[Pixels]) -> Vectors:
        """Pictures as the base extractor needs them → (n, dim) float32 of length 1."""
        return turned(self._whole.extract(images), self._turn)


def turned(vectors: NDArray[np.float32], turn: LinearMap) -> NDArray[np.float32]:
    """(n, base_dim) → (n, dim) of length 1; a zero vector stays zero, for it says nothing."""
    unit = normalise(vectors)
    made = normalise(turn(unit))
    made[~unit.any(axis=1)] = 0
    return made


def load_trained(text: str) -> Trained:
    """The extractor in the folder `text`. Raises UsageError where the folder is damaged, or its base
    extractor is not the one that it was trained on."""
    from lookalike.extractors.registry import load, parse

    folder = find_trained(text)
    record, arrays = read_trained(folder)
    if any(name.partition(":")[0] == FAMILY for name in parse(record.base)):
        # It might be trained on itself, without end.
        raise UsageError(f"{folder} says that it was trained on a trained model: train it again")
    whole = load(record.base)
    trainable(whole)
    if (whole.revision, whole.dim) != (record.base_revision, record.base_dim):
        raise UsageError(
            f"{folder} was trained on {record.base} {record.base_revision}, and this is "
            f"{whole.revision}: train it again"
        )
    name = f"{FAMILY}:{folder.as_posix()}"
    return Trained(name, record, LinearMap(arrays["mean"], arrays["axes"]), whole)


def trainable(whole: Extractor) -> None:
    """Raises UsageError for extractors whose vectors cannot be turned."""
    if isinstance(whole, FittedExtractor):
        raise UsageError(
            f"{whole.name} is different in every library: train on lookalike, color, shape or a network"
        )
    if whole.name.partition(":")[0] == FAMILY:
        raise UsageError(f"{whole.name} is trained already: train on the extractor below it")
