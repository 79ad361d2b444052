"""Relevance feedback: judgements of the query images move the query vector."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.feedback.judgements import content_hash
from lookalike.query import Term
from lookalike.stores.interface import Snapshot, Space
from lookalike.vectors.rocchio import rocchio


def apply_feedback(
    snapshot: Snapshot, space: Space, terms: Sequence[Term], vectors: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the vectors (n, dim) of a query, moved by the judgements of its images.

    They move towards the images judged "relevant" to a query image, away from those judged
    "not-relevant". Terms with a negative weight, and images without judgements, change nothing.
    """
    judged: dict[str, set[int]] = {"relevant": set(), "not-relevant": set()}
    for term in terms:
        hash = _hash_of(snapshot, term) if term.weight > 0 else None
        if hash is None:
            continue
        for decision in snapshot.decisions(["relevant", "not-relevant"], about=hash):
            if decision.first == hash and decision.second:
                same = snapshot.by_hash(decision.second)[:1]  # copies add nothing
                judged[decision.kind] |= {image.id for image in same}
    relevant = _stored_vectors(snapshot, space, judged["relevant"])
    irrelevant = _stored_vectors(snapshot, space, judged["not-relevant"])
    return rocchio(vectors, relevant, irrelevant) if len(relevant) or len(irrelevant) else vectors


def _hash_of(snapshot: Snapshot, term: Term) -> bytes | None:
    """Return the hash by which judgements refer to the image; None for text, vectors and pixels."""
    if term.id is not None:
        image = snapshot.images([term.id]).get(term.id)
        return image.hash if image else None
    if isinstance(term.image, bytes):
        return hashlib.sha256(term.image).digest()
    if isinstance(term.image, Path):
        try:
            return content_hash(snapshot, term.image)
        except UsageError:
            return None
    return None


def _stored_vectors(snapshot: Snapshot, space: Space, ids: set[int]) -> NDArray[np.float32]:
    """Return the vectors of those of the images that have one, in a fixed order."""
    vectors = snapshot.vectors(space.key, np.array(sorted(ids), np.int64))
    return vectors[~np.isnan(vectors).any(axis=1)]
