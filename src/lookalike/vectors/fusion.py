"""Fusion of several rankings of the same images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

# Constant of reciprocal rank fusion, as in the paper; small differences at the top then matter little.
RANK_CONSTANT = 60


def min_max_scaled(scores: Mapping[int, float]) -> dict[int, float]:
    """Scale scores by id to 0 … 1, so that a cosine and a BM25 score can be added. If all are equal, all
    become 1."""
    if not scores:
        return {}
    low, high = min(scores.values()), max(scores.values())
    if high == low:
        return dict.fromkeys(scores, 1.0)
    return {id: (score - low) / (high - low) for id, score in scores.items()}


def weighted_sum(rankings: Sequence[tuple[float, Mapping[int, float]]]) -> dict[int, float]:
    """Return Σ weight · scaled score by id; an id that is missing in a ranking gets 0 from it.

    Weights are used as they are: `weighted_sum([(alpha, images), (1 - alpha, text)])`.
    """
    total: dict[int, float] = {}
    for weight, scores in rankings:
        for id, score in min_max_scaled(scores).items():
            total[id] = total.get(id, 0.0) + weight * score
    return total


def reciprocal_rank_fusion(
    rankings: Sequence[tuple[float, Mapping[int, float]]],
) -> dict[int, float]:
    """Return Σ weight / (60 + rank) by id; equal scores rank by id. Needs no common scale.

    Cormack, Clarke and Büttcher, SIGIR 2009; the weights are an extension (theirs are all 1).
    """
    total: dict[int, float] = {}
    for weight, scores in rankings:
        ranked = sorted(scores, key=lambda id: (-scores[id], id))
        for rank, id in enumerate(ranked, start=1):
            total[id] = total.get(id, 0.0) + weight / (RANK_CONSTANT + rank)
    return total
