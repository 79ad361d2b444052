"""Maximal marginal relevance against the formula, by hand and by a plain double loop."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike.vectors.mmr import maximal_marginal_relevance


def plain(relevance: np.ndarray, units: np.ndarray, k: int, weight: float) -> list[int]:
    """Compute the formula of the paper, one pair at a time."""
    chosen: list[int] = []
    while len(chosen) < min(k, len(relevance)):
        scores = {}
        for i in range(len(relevance)):
            if i in chosen:
                continue
            likeness = max((float(units[i] @ units[j]) for j in chosen), default=0.0)
            scores[i] = (1 - weight) * relevance[i] - weight * likeness if chosen else relevance[i]
        chosen.append(max(scores, key=lambda i: (scores[i], -i)))
    return chosen


def test_a_copy_of_the_best_hit_comes_after_a_different_one() -> None:
    vectors = np.array([[1, 0], [1, 0], [0.6, 0.8]], np.float32)
    relevance = np.array([0.9, 0.9, 0.5])
    assert maximal_marginal_relevance(relevance, vectors, 2, weight=0.0).tolist() == [0, 1]
    # 0.5 · 0.9 - 0.5 · 1 = -0.05 for the copy, 0.5 · 0.5 - 0.5 · 0.6 = -0.05 for the other: the earlier
    assert maximal_marginal_relevance(relevance, vectors, 2, weight=0.5).tolist() == [0, 1]
    assert maximal_marginal_relevance(relevance, vectors, 2, weight=0.6).tolist() == [0, 2]


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.7, 1.0])
def test_it_agrees_with_the_plain_double_loop(weight: float) -> None:
    draw = np.random.default_rng(3)
    vectors = draw.normal(size=(40, 6)).astype(np.float32)
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    relevance = draw.uniform(size=40)
    chosen = maximal_marginal_relevance(relevance, vectors, 15, weight=weight)
    assert chosen.tolist() == plain(relevance, units, 15, weight)


def test_k_above_the_number_of_candidates_gives_each_once_and_zero_vectors_no_nan() -> None:
    vectors = np.array([[0, 0], [1, 0]], np.float32)
    chosen = maximal_marginal_relevance(np.array([0.0, 0.5]), vectors, 9, weight=0.3)
    assert chosen.tolist() == [1, 0]


def test_a_weight_beyond_its_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"between 0 and 1, not 1\.5"):
        maximal_marginal_relevance(np.ones(1), np.ones((1, 2), np.float32), 1, weight=1.5)
