"""Small libraries whose answers can be worked out, and the oracle that works them out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import Outcome
from lookalike.images.metadata.facts import Facts
from lookalike.stores.interface import Entry, Space, Store
from lookalike.vectors.similarity import Similarity

DIM = 3
FACTS = Facts(width=40, height=30, format="jpeg")
Vector = NDArray[np.float32]


def space(key: str = "toy@1", **changes: Any) -> Space:
    name, _, revision = key.partition("@")
    given: dict[str, Any] = {"dim": DIM, "similarity": "cosine", **changes}
    return Space(key=key, name=name, revision=revision, **given)


def content(text: str) -> bytes:
    """The hash of a file with this text in it."""
    return hashlib.sha256(text.encode()).digest()


def vector_of(text: str, dim: int = DIM) -> Vector:
    """A unit vector that is a function of a file's content: so what is stored can be checked."""
    seed = int.from_bytes(content(text)[:8], "little")
    vector = np.random.default_rng(seed).normal(size=dim)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def entry(path: str, text: str | None = None, **changes: Any) -> Entry:
    """An indexed file with that text in it (its own path by default), and its vector in "toy@1"."""
    text = path if text is None else text
    given: dict[str, Any] = {
        "root": 1,
        "path": path,
        "size": len(text),
        "mtime_ns": 1_000,
        "hash": content(text),
        "outcome": Outcome.INDEXED,
        "facts": FACTS,
        "vectors": {"toy@1": vector_of(text)},
        **changes,
    }
    return Entry(**given)


def failed(path: str, outcome: Outcome = Outcome.TRUNCATED, **changes: Any) -> Entry:
    given: dict[str, Any] = {
        "outcome": outcome,
        "reason": "half of it is missing",
        "facts": None,
        "vectors": {},
    }
    return entry(path, **{**given, **changes})


def photos(store: Store) -> Path:
    """The folder of the images, which need not exist: the local store lies in it."""
    return Path("/photos").absolute() if store.folder is None else store.folder.parent


def begin(store: Store, *spaces: Space) -> None:
    """Root 1 is `photos(store)`; with the space "toy@1", or those given."""
    with store.writer() as writer:
        root = writer.add_root(photos(store))
        assert root.id == 1
        for one in spaces or (space(),):
            writer.add_space(one)


def put(store: Store, *entries: Entry) -> list[int]:
    with store.writer() as writer:
        return writer.put(entries)


def stored_vector(store: Store, id: int, key: str = "toy@1") -> Vector | None:
    with store.snapshot() as snapshot:
        vector = snapshot.vectors(key, np.array([id]))[0]
    return None if np.isnan(vector).any() else vector


def same(vector: Vector | None, text: str) -> bool:
    return vector is not None and np.allclose(vector, vector_of(text, len(vector)), atol=1e-6)


def best(
    vectors: Mapping[int, Vector], query: Vector, k: int, similarity: Similarity
) -> list[tuple[int, float]]:
    """(id, similarity) of the k nearest, in float64 and one by one: the oracle."""
    wide = query.astype(np.float64)
    scored: list[tuple[float, int]] = []
    for id, vector in vectors.items():
        other = vector.astype(np.float64)
        if similarity == "euclidean":
            score = -float(np.sqrt(((other - wide) ** 2).sum()))
        else:
            lengths = float(np.sqrt((other**2).sum()) * np.sqrt((wide**2).sum()))
            score = float((other * wide).sum()) / lengths if lengths else 0.0
        scored.append((-float(np.float32(score)), id))
    return [(id, -minus) for minus, id in sorted(scored)[:k]]


def clustered(count: int, *, unit: bool, dim: int = 16, seed: int = 7) -> Vector:
    """Return vectors (count, dim) around a few centres, like those of images: of very different lengths
    unless `unit`, some of them equal, and a few zero."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(6, dim))
    vectors = centres[random.integers(6, size=count)] + 0.2 * random.normal(size=(count, dim))
    vectors[5::50] = vectors[3]
    vectors[11::90] = 0.0
    if unit:
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return (vectors / np.where(lengths == 0, 1, lengths)).astype(np.float32)
    return (vectors * random.lognormal(sigma=1.5, size=(count, 1))).astype(np.float32)
