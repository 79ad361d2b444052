"""Build small libraries with predictable content, and compute exact neighbours one by one."""

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
FACTS = Facts(width=40, height=30, format="jpeg", dominant_color="#c0a080")
Vector = NDArray[np.float32]


def space(key: str = "toy@1", **changes: Any) -> Space:
    """Return a space of `DIM` numbers with these fields changed."""
    name, _, revision = key.partition("@")
    given: dict[str, Any] = {"dim": DIM, "similarity": "cosine", **changes}
    return Space(key=key, name=name, revision=revision, **given)


def content(text: str) -> bytes:
    """Return the hash of a file with this text in it."""
    return hashlib.sha256(text.encode()).digest()


def vector_of(text: str, dim: int = DIM) -> Vector:
    """Return a unit vector that depends only on a file's content, so that stored vectors can be verified."""
    seed = int.from_bytes(content(text)[:8], "little")
    vector = np.random.default_rng(seed).normal(size=dim)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def entry(path: str, text: str | None = None, **changes: Any) -> Entry:
    """Return an indexed file with that text in it (by default its path), with its vector in "toy@1"."""
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
    """Return a file that could not be indexed."""
    given: dict[str, Any] = {
        "outcome": outcome,
        "reason": "half of it is missing",
        "facts": None,
        "vectors": {},
    }
    return entry(path, **{**given, **changes})


def photos(store: Store) -> Path:
    """Return the folder of the images, which need not exist; a local store is inside it."""
    return Path("/photos").absolute() if store.folder is None else store.folder.parent


def begin(store: Store, *spaces: Space) -> None:
    """Add `photos(store)` as root 1, and the space "toy@1" or the given ones."""
    with store.writer() as writer:
        root = writer.add_root(photos(store))
        assert root.id == 1
        for one in spaces or (space(),):
            writer.add_space(one)


def put(store: Store, *entries: Entry) -> list[int]:
    """Store entries with a writer of their own; return their ids."""
    with store.writer() as writer:
        return writer.put(entries)


def stored_vector(store: Store, id: int, key: str = "toy@1") -> Vector | None:
    """Return the stored vector of an image, or None."""
    with store.snapshot() as snapshot:
        vector = snapshot.vectors(key, np.array([id]))[0]
    return None if np.isnan(vector).any() else vector


def is_vector_of(vector: Vector | None, text: str) -> bool:
    """Return whether this is the vector of a file with that text."""
    return vector is not None and np.allclose(vector, vector_of(text, len(vector)), atol=1e-6)


def exact_neighbours(
    vectors: Mapping[int, Vector], query: Vector, k: int, similarity: Similarity
) -> list[tuple[int, float]]:
    """Return (id, similarity) of the k nearest vectors, computed one by one in float64: the oracle."""
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
