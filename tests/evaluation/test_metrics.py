"""Metrics by hand on tiny rankings, and against trec_eval."""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike

from lookalike.errors import UsageError
from lookalike.evaluation.metrics import (
    Ranks,
    average_precision,
    hit_rate,
    ndcg,
    precision,
    recall,
    reciprocal_rank,
)


def ranks_of(relevant: ArrayLike) -> Ranks:
    """Return the ranks of the hits, best first, that are 1."""
    return np.flatnonzero(relevant).astype(np.int64) + 1


# Relevant, not, relevant, not, not; a third relevant image was not found.
RANKS = ranks_of([1, 0, 1, 0, 0])


def test_precision_counts_the_relevant_among_the_first_k() -> None:
    assert [precision(RANKS, k) for k in (1, 2, 3, 5)] == [1, 1 / 2, 2 / 3, 2 / 5]


def test_precision_divides_by_k_if_fewer_were_found() -> None:
    assert precision(RANKS, 10) == 2 / 10


def test_recall_counts_what_was_not_found() -> None:
    assert [recall(RANKS, k, total=3) for k in (1, 3, 9)] == [1 / 3, 2 / 3, 2 / 3]


def test_the_hit_rate_needs_one_relevant_image_among_the_first_k() -> None:
    late = ranks_of([0, 0, 1])
    assert [hit_rate(late, k) for k in (1, 2, 3, 4)] == [0, 0, 1, 1]


def test_the_reciprocal_rank_is_that_of_the_first_relevant_hit() -> None:
    assert reciprocal_rank(ranks_of([0, 0, 0, 1, 1])) == 1 / 4
    assert reciprocal_rank(ranks_of([0, 0])) == 0


def test_average_precision_is_the_step_sum() -> None:
    # Precision 1/1 at the first, 2/3 at the second, nothing for the third.
    assert average_precision(RANKS, total=3) == pytest.approx((1 + 2 / 3) / 3)
    assert average_precision(ranks_of([1, 1, 1]), total=3) == 1
    assert average_precision(ranks_of([0]), total=1) == 0


def test_ndcg_discounts_by_the_logarithm_of_the_rank() -> None:
    ideal = 1 + 1 / math.log2(3) + 1 / 2
    assert ndcg(RANKS, 5, truth=[1, 1, 1]) == pytest.approx((1 + 1 / 2) / ideal)
    assert ndcg(RANKS, 2, truth=[1, 1, 1]) == pytest.approx(1 / (1 + 1 / math.log2(3)))


def test_the_ideal_dcg_comes_from_the_ground_truth() -> None:
    # One of two relevant images found, at rank 1: the found ones alone would make it perfect.
    assert ndcg(ranks_of([1]), 2, truth=[1, 1]) == pytest.approx(1 / (1 + 1 / math.log2(3)))


def test_graded_gains_rank_the_better_image_higher() -> None:
    ideal = 3 + 1 / math.log2(3)
    assert ndcg(ranks_of([1, 1]), 2, truth=[1, 3], gains=[1, 3]) == pytest.approx(
        (1 + 3 / math.log2(3)) / ideal
    )
    assert ndcg(ranks_of([1, 1]), 2, truth=[1, 3], gains=[3, 1]) == 1


@pytest.mark.parametrize(
    "metric",
    [
        lambda: recall(RANKS, 1, total=0),
        lambda: average_precision(RANKS, total=0),
        lambda: ndcg(RANKS, 1, truth=[]),
    ],
    ids=["recall", "average precision", "nDCG"],
)
def test_a_query_without_relevant_images_is_refused(metric: Callable[[], float]) -> None:
    with pytest.raises(UsageError, match="no image is relevant"):
        metric()


def test_k_of_zero_is_refused() -> None:
    with pytest.raises(UsageError, match="k is 0"):
        precision(RANKS, 0)


def test_all_metrics_agree_with_trec_eval_to_nine_digits() -> None:
    try:
        ir_measures: Any = import_module("ir_measures")
    except ImportError:
        pytest.skip("trec_eval is not installed: pip install ir-measures")
    rng = np.random.default_rng(0)
    for _ in range(30):
        grades = rng.integers(0, 4, 60)  # 0: not relevant
        ranking = rng.permutation(60)[:40]  # a third is not found
        qrels = [ir_measures.Qrel("q", f"{n:02d}", int(g)) for n, g in enumerate(grades)]
        run = [
            ir_measures.ScoredDoc("q", f"{n:02d}", float(-rank)) for rank, n in enumerate(ranking)
        ]
        relevant = grades[ranking] > 0
        ranks, total = ranks_of(relevant), int((grades > 0).sum())
        gains = grades[ranking][relevant]
        ours = {
            ir_measures.P @ 10: precision(ranks, 10),
            ir_measures.P @ 50: precision(ranks, 50),
            ir_measures.R @ 10: recall(ranks, 10, total=total),
            ir_measures.AP: average_precision(ranks, total=total),
            ir_measures.RR: reciprocal_rank(ranks),
            ir_measures.Success @ 1: hit_rate(ranks, 1),
            ir_measures.nDCG @ 10: ndcg(ranks, 10, truth=grades, gains=gains),
            ir_measures.nDCG: ndcg(ranks, 60, truth=grades, gains=gains),
        }
        theirs = ir_measures.calc_aggregate(list(ours), qrels, run)
        for measure, value in ours.items():
            assert value == pytest.approx(theirs[measure], abs=1e-9), str(measure)
