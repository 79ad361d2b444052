"""A space of vectors that is worth an ANN index, and the recall of its searches."""

from __future__ import annotations

import numpy as np
from tests.stores.builders import Vector, entry, photos, space

from lookalike.stores.interface import Store

KEY = "many@1"
DIM = 32
COUNT = 1600

RECIPES = (
    "Flat",
    "HNSW16",
    "IVF32,Flat",
    "IVF32,SQ8",
    "IVF32,PQ16x4fs",
    "PCAR16,IVF32,PQ8x4fs",
    "RR32,IVF32,RaBitQfs4",
    "PCAR16,IVF32,RaBitQfs",
    "PCA16,HNSW16",
    "PCAR16,IVF32,RaBitQfs,Refine(SQfp16)",
)


def image_vectors(count: int = COUNT, *, seed: int = 5) -> Vector:
    """Return vectors like those of images: in many clusters, and of unequal variance along the axes."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(1).normal(size=(40, DIM))
    vectors = centres[random.integers(40, size=count)] + 0.5 * random.normal(size=(count, DIM))
    return (vectors * (0.9 ** np.arange(DIM))).astype(np.float32)


def fill(store: Store, vectors: Vector, **changes: object) -> list[int]:
    """Create the space and store these vectors. Return the ids of their images."""
    with store.writer() as writer:
        writer.add_root(photos(store))
        writer.add_space(space(KEY, dim=DIM, **changes))
    return add(store, vectors)


def add(store: Store, vectors: Vector, name: str = "") -> list[int]:
    """Store more vectors. Return the ids of their images."""
    with store.writer() as writer:
        return writer.put(
            [entry(f"{name}{n}.jpg", vectors={KEY: v}) for n, v in enumerate(vectors)]
        )


def recall(store: Store, queries: Vector, k: int = 10, **options: object) -> float:
    """Return the share of the true neighbours that approximate search finds; every similarity must be
    the true one."""
    with store.snapshot() as snapshot:
        found = snapshot.search(KEY, queries, k, **options)  # type: ignore[arg-type]
        exact = snapshot.search(KEY, queries, k, exact=True, **options)  # type: ignore[arg-type]
    assert not found.exact
    assert exact.exact
    correct = 0
    for number in range(len(queries)):
        true = dict(
            zip(exact.ids[number].tolist(), exact.similarities[number].tolist(), strict=True)
        )
        hits = list(
            zip(found.ids[number].tolist(), found.similarities[number].tolist(), strict=True)
        )
        assert len({id for id, _ in hits}) == k
        assert all(true.get(id, similarity) == similarity for id, similarity in hits)
        assert [s for _, s in hits] == sorted((s for _, s in hits), reverse=True)
        correct += sum(similarity >= min(true.values()) for _, similarity in hits)
    return correct / (k * len(queries))
