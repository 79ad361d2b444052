"""Several rankings of the same images made into one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

RANK_CONSTANT = 60
"""Of reciprocal rank fusion, as its authors found it; small differences at the top then count little."""


def rescaled(scores: Mapping[int, float]) -> dict[int, float]:
    """Scores by id brought to 0 … 1 (min–max), so that a cosine and a BM25 score can be added. Where all
    are equal there is nothing to tell them apart by: all are 1."""
    if not scores:
        return {}
    low, high = min(scores.values()), max(scores.values())
    if high == low:
        return dict.fromkeys(scores, 1.0)
    return {id: (score - low) / (high - low) for id, score in scores.items()}


def weighted(rankings: Sequence[tuple[float, Mapping[int, float]]]) -> dict[int, float]:
    """Σ weight · rescaled score by id; an id that a ranking lacks gets 0 from it. The weights are used
    as they are: alpha · images + (1 - alpha) · text is `weighted([(alpha, a), (1 - alpha, b)])`."""
    total: dict[int, float] = {}
    for weight, scores in rankings:
        for id, score in rescaled(scores).items():
            total[id] = total.get(id, 0.0) + weight * score
    return total


def reciprocal_rank(rankings: Sequence[tuple[float, Mapping[int, float]]]) -> dict[int, float]:
    """Σ weight / (60 + rank) by id; equal scores share the order of their ids. Needs no common scale.

    Cormack, Clarke and Büttcher, SIGIR 2009; the weights are ours (theirs are all 1).
    """
    total: dict[int, float] = {}
    for weight, scores in rankings:
        ranked = sorted(scores, key=lambda id: (-scores[id], id))
        for rank, id in enumerate(ranked, start=1):
            total[id] = total.get(id, 0.0) + weight / (RANK_CONSTANT + rank)
    return total
