"""Questions that learn: marks of what was meant, and what was not, move the question."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.query import Term
from lookalike.stores.interface import Snapshot, Space
from lookalike.vectors.rocchio import rocchio


def learned(
    snapshot: Snapshot, space: Space, terms: Sequence[Term], vectors: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The vectors (n, dim) of a question's pictures, moved by what was said of these pictures: towards
    those that are "relevant" to them, away from those that are "not-relevant". Pictures that ask to be
    left out (weight below 0), and those nothing was said of, move nothing."""
    marked: dict[str, set[int]] = {"relevant": set(), "not-relevant": set()}
    for term in terms:
        hash = content_of(snapshot, term) if term.weight > 0 else None
        if hash is None:
            continue
        for decision in snapshot.decisions(["relevant", "not-relevant"], about=hash):
            if decision.first == hash and decision.second:
                same = snapshot.by_hash(decision.second)[:1]  # copies say nothing more
                marked[decision.kind] |= {image.id for image in same}
    likes, dislikes = (
        known(snapshot, space, marked[kind]) for kind in ("relevant", "not-relevant")
    )
    return rocchio(vectors, likes, dislikes) if len(likes) or len(dislikes) else vectors


def content_of(snapshot: Snapshot, term: Term) -> bytes | None:
    """The hash that decisions name the term's picture by; None for words and bare pixels."""
    from lookalike.feedback.judgements import content

    if term.id is not None:
        image = snapshot.images([term.id]).get(term.id)
        return image.hash if image else None
    if isinstance(term.image, bytes):
        return hashlib.sha256(term.image).digest()
    if isinstance(term.image, Path):
        try:
            return content(snapshot, term.image)
        except UsageError:
            return None
    return None


def known(snapshot: Snapshot, space: Space, ids: set[int]) -> NDArray[np.float32]:
    """The vectors of those of the images that have one, in a fixed order."""
    vectors = snapshot.vectors(space.key, np.array(sorted(ids), np.int64))
    return vectors[~np.isnan(vectors).any(axis=1)]
