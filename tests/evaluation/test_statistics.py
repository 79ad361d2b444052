"""Intervals and significance tests: by hand where all cases can be counted, and against SciPy."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import pytest

from lookalike.errors import UsageError
from lookalike.evaluation.statistics import compare, holm, intervals, randomisation


def test_the_interval_of_equal_values_is_a_point() -> None:
    (found,) = intervals(np.full((1, 9), 0.25))
    assert (found.mean, found.low, found.high) == (0.25, 0.25, 0.25)


def test_the_interval_contains_the_mean_and_shrinks_with_more_queries() -> None:
    rng = np.random.default_rng(1)
    few, many = (intervals(rng.random((1, n)))[0] for n in (20, 2000))
    assert few.low < few.mean < few.high
    assert (many.high - many.low) < (few.high - few.low) / 5


def test_the_interval_of_a_coin_is_that_of_the_binomial_distribution() -> None:
    # 50 of 100: the standard error is 0.05, the 95 % interval ± 0.098.
    (found,) = intervals(np.tile([0.0, 1.0], 50)[None])
    assert found.low == pytest.approx(0.402, abs=0.012)
    assert found.high == pytest.approx(0.598, abs=0.012)


def test_the_same_seed_gives_the_same_interval() -> None:
    values = np.random.default_rng(2).random((3, 50))
    assert intervals(values, seed=4) == intervals(values, seed=4)
    assert intervals(values, seed=4) != intervals(values, seed=5)


def test_no_queries_are_refused() -> None:
    with pytest.raises(UsageError, match="no queries"):
        intervals(np.empty((2, 0)))


def test_p_is_the_share_of_permutations_that_differ_as_much() -> None:
    # Six differences of 1: of 64 ways to choose signs, two have a sum of ±6: p = 1/32.
    assert randomisation(np.ones(6)) == pytest.approx(2 / 64, abs=0.006)


def test_p_agrees_with_the_permutation_test_of_scipy() -> None:
    try:
        stats: Any = import_module("scipy.stats")
    except ImportError:
        pytest.skip("SciPy is not installed")
    difference = np.random.default_rng(3).normal(0.3, 1, 12)
    theirs = stats.permutation_test(
        (difference,), np.sum, permutation_type="samples", n_resamples=np.inf
    ).pvalue
    assert randomisation(difference) == pytest.approx(theirs, abs=0.015)


def test_equal_systems_do_not_differ() -> None:
    values = np.random.default_rng(0).random(30)
    found = compare(("a", values), ("b", values), "AP")
    assert (found.difference.mean, found.p) == (0, 1)


def test_p_is_never_zero_and_symmetric() -> None:
    rng = np.random.default_rng(6)
    good, bad = 0.6 + rng.random(80) / 10, 0.2 + rng.random(80) / 10
    one, other = compare(("a", good), ("b", bad), "AP"), compare(("b", bad), ("a", good), "AP")
    assert 0 < one.p < 0.001
    assert one.p == other.p
    assert one.difference.low > 0.3 > -0.3 > other.difference.high


def test_p_values_are_adjusted_by_holm() -> None:
    # Sorted .01 .02 .04: times 3, 2, 1, and never decreasing.
    assert holm([0.02, 0.04, 0.01]) == pytest.approx([0.04, 0.04, 0.03])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
