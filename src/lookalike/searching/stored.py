"""The vectors of images that questions ask with: a batch reads them all at once."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from lookalike.stores.contract import Space, View
from lookalike.vectors.blocks import Floats
from lookalike.vectors.similarity import normalise


class Stored:
    """Stored vectors, at the length at which the pictures of a question are added up. Those that were
    `read` are there, others are fetched one by one."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._read: dict[str, dict[int, NDArray[np.float32] | None]] = {}

    def read(self, space: Space, ids: Iterable[int]) -> None:
        """Fetch the vectors of many images."""
        self._read.setdefault(space.key, {}).update(self._fetched(space, list(dict.fromkeys(ids))))

    def of(self, space: Space, id: int) -> NDArray[np.float32] | None:
        """(1, dim), None where the image has no vector in the space."""
        read = self._read.get(space.key, {})
        return read[id] if id in read else self._fetched(space, [id])[id]

    def _fetched(self, space: Space, ids: list[int]) -> dict[int, NDArray[np.float32] | None]:
        vectors = self._view.vectors(space.key, np.array(ids, np.int64))
        missing = set(np.flatnonzero(np.isnan(vectors).any(axis=1)).tolist())
        rows = addable(space, vectors)[:, None]
        return {id: None if at in missing else rows[at] for at, id in enumerate(ids)}


def addable(space: Space, vectors: Floats) -> NDArray[np.float32]:
    """Vectors (n, dim) as they are added up: at unit length where the space is, so that no picture weighs
    more than its weight."""
    unit = space.normalised or (space.boxes is not None and space.similarity == "cosine")
    return normalise(vectors) if unit else np.asarray(vectors, np.float32)
