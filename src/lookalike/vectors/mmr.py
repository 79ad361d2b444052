"""Diversity of the hits: maximal marginal relevance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lookalike.vectors.blocks import Floats


def maximal_marginal_relevance(
    relevance: NDArray[np.floating], candidates: Floats, k: int, *, weight: float
) -> NDArray[np.int64]:
    """Return the positions of k candidates that are each relevant and unlike those chosen before.

    relevance   (m,) similarity of each candidate to the query
    candidates  (m, dim) their vectors; compared by cosine, a zero vector is unlike everything
    weight      0: by relevance alone; 1: after the first, by dissimilarity alone

    The next one is that with the largest (1 - weight) · relevance - weight · (largest cosine to a chosen
    one); ties go to the earlier candidate. Carbonell and Goldstein, SIGIR 1998, with their λ as
    1 - weight. Time O(k · m · dim).
    """
    if not 0 <= weight <= 1:
        raise ValueError(f"the weight of diversity lies between 0 and 1, not {weight}")
    lengths = np.linalg.norm(candidates, axis=1, keepdims=True)
    units = np.divide(candidates, lengths, out=np.zeros_like(candidates), where=lengths > 0)
    available = np.ones(len(relevance), bool)
    redundancy = np.zeros(len(relevance))  # nothing is chosen yet: only relevance counts
    chosen: list[int] = []
    for _ in range(min(k, len(relevance))):
        gain = np.where(available, (1 - weight) * relevance - weight * redundancy, -np.inf)
        best = int(np.argmax(relevance if not chosen else gain))
        cosines = units @ units[best]
        redundancy = np.maximum(redundancy, cosines) if chosen else cosines
        chosen.append(best)
        available[best] = False
    return np.array(chosen, np.int64)
