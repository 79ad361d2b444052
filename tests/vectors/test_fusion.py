"""Fusion of rankings, computed by hand."""

from __future__ import annotations

import pytest

from lookalike.vectors.fusion import min_max_scaled, reciprocal_rank_fusion, weighted_sum


def test_scores_are_scaled_to_zero_to_one() -> None:
    assert min_max_scaled({1: 10.0, 2: 30.0, 3: 20.0}) == {1: 0.0, 2: 1.0, 3: 0.5}
    assert min_max_scaled({1: 0.2, 2: 0.2}) == {1: 1.0, 2: 1.0}
    assert min_max_scaled({}) == {}


def test_an_id_missing_in_a_ranking_gets_nothing_from_it() -> None:
    total = weighted_sum([(0.75, {1: 0.9, 2: 0.5}), (0.25, {2: 7.0, 3: 3.0})])
    assert total == pytest.approx({1: 0.75, 2: 0.25, 3: 0.0})


def test_reciprocal_ranks_are_added() -> None:
    total = reciprocal_rank_fusion([(1.0, {1: 0.9, 2: 0.5}), (1.0, {2: 7.0, 3: 3.0})])
    assert total == pytest.approx({1: 1 / 61, 2: 1 / 62 + 1 / 61, 3: 1 / 62})


def test_equal_scores_rank_by_id() -> None:
    assert reciprocal_rank_fusion([(1.0, {5: 1.0, 4: 1.0})]) == pytest.approx(
        {4: 1 / 61, 5: 1 / 62}
    )
