"""What a library knows of the pictures of questions: their stored vectors, and copies of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import ImageError, Outcome
from lookalike.images.reading import read
from lookalike.stores.interface import Image, Snapshot, Space
from lookalike.vectors.blocks import Floats
from lookalike.vectors.similarity import normalise


class Stored:
    """Stored vectors, at the length at which the pictures of a question are added up. Those that were
    `read` are there, others are fetched one by one."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._view = snapshot
        self._read: dict[str, dict[int, NDArray[np.float32] | None]] = {}
        self._digests: dict[Path | bytes, tuple[int, bytes] | None] = {}

    def read(self, space: Space, ids: Iterable[int]) -> None:
        """Fetch the vectors of many images."""
        self._read.setdefault(space.key, {}).update(self._fetched(space, list(dict.fromkeys(ids))))

    def of(self, space: Space, id: int) -> NDArray[np.float32] | None:
        """(1, dim), None where the image has no vector in the space."""
        read = self._read.get(space.key, {})
        return read[id] if id in read else self._fetched(space, [id])[id]

    def twin(self, space: Space, picture: Path | bytes) -> Image | None:
        """An image of the library with the same content and a vector in the space: what the picture would
        get beside the others, without being decoded."""
        if picture not in self._digests:
            self._digests[picture] = self._digest(picture)
        found = self._digests[picture]
        if found is None:
            return None
        size, digest = found
        same = self._view.same_content(size, hash=digest, spaces=(space.key,))
        return next((image for image in same if image.outcome is Outcome.INDEXED), None)

    def _digest(self, picture: Path | bytes) -> tuple[int, bytes] | None:
        """Size and hash; None where no image has that size, for which a file need not be read."""
        try:
            size = len(picture) if isinstance(picture, bytes) else picture.stat().st_size
            if not self._view.same_content(size):
                return None
            if isinstance(picture, bytes):
                return size, hashlib.sha256(picture).digest()
            content = read(picture)
        except (OSError, ImageError):  # whoever reads it to decode it will say why
            return None
        return content.size, content.digest

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
