"""Fusion of rankings, computed by hand."""

from __future__ import annotations

import pytest

from lookalike.vectors.fusion import reciprocal_rank, rescaled, weighted


def test_scores_of_different_scales_are_brought_to_one() -> None:
    assert rescaled({1: 10.0, 2: 30.0, 3: 20.0}) == {1: 0.0, 2: 1.0, 3: 0.5}
    assert rescaled({1: 0.2, 2: 0.2}) == {1: 1.0, 2: 1.0}
    assert rescaled({}) == {}


def test_a_weighted_sum_counts_what_a_ranking_lacks_as_nothing() -> None:
    total = weighted([(0.75, {1: 0.9, 2: 0.5}), (0.25, {2: 7.0, 3: 3.0})])
    assert total == pytest.approx({1: 0.75, 2: 0.25, 3: 0.0})


def test_reciprocal_ranks_are_added() -> None:
    total = reciprocal_rank([(1.0, {1: 0.9, 2: 0.5}), (1.0, {2: 7.0, 3: 3.0})])
    assert total == pytest.approx({1: 1 / 61, 2: 1 / 62 + 1 / 61, 3: 1 / 62})


def test_equal_scores_rank_by_id() -> None:
    assert reciprocal_rank([(1.0, {5: 1.0, 4: 1.0})]) == pytest.approx({4: 1 / 61, 5: 1 / 62})
