"""Reads what a library has stored, for comparison in tests."""

from __future__ import annotations

import numpy as np

from lookalike import Library, Outcome


def vectors(library: Library) -> dict[str, np.ndarray]:
    """Return the vector of every image in the first space, by path."""
    with library.snapshot() as snapshot:
        images = list(snapshot.iter_files(outcomes=[Outcome.INDEXED]))
        key = snapshot.spaces()[0].key
        rows = snapshot.vectors(key, np.array([image.id for image in images], np.int64))
    return {image.path: vector for image, vector in zip(images, rows, strict=True)}


def ids(library: Library) -> dict[str, int]:
    """Return the id of every file, by path."""
    with library.snapshot() as snapshot:
        return {image.path: image.id for image in snapshot.iter_files()}
