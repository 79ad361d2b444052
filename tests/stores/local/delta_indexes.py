"""The delta index of a store, as a reader would load it."""

from __future__ import annotations

from tests.stores.ann_spaces import KEY, image_vectors
from tests.stores.builders import Vector, entry

from lookalike.ann.faiss_index import AnnIndex
from lookalike.stores.local.ann.ann_search import LoadedIndex
from lookalike.stores.local.ann.index_cache import IndexCache
from lookalike.stores.local.store import LocalStore
from lookalike.stores.local.writer import LocalWriter

ADDED = 300


def added_vectors() -> Vector:
    """Return vectors that the main index does not know."""
    return image_vectors(ADDED, seed=8)


def load_index(store: LocalStore) -> LoadedIndex:
    """Load the ANN index of the space."""
    with store.snapshot() as snapshot:
        row, matrix = snapshot.open_space(KEY)
        cache = IndexCache(store.folder)
        loaded = cache.get(row, matrix, cache.stamp(row))
    assert loaded is not None
    return loaded


def delta_index(store: LocalStore) -> AnnIndex | None:
    """Return the delta index that a search would use."""
    with store.snapshot() as snapshot:
        _, matrix = snapshot.open_space(KEY)
    return load_index(store).delta.current(matrix.vectors)


def delta_count(store: LocalStore) -> int:
    """Return the number of vectors in the delta index."""
    index = delta_index(store)
    return 0 if index is None else index.count


def put(writer: LocalWriter, name: str, vectors: Vector) -> list[int]:
    """Store vectors with a writer that stays open."""
    return writer.put(
        [entry(f"{name}/{i}.jpg", vectors={KEY: vector}) for i, vector in enumerate(vectors)]
    )
