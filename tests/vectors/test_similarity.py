"""Cosine, Euclidean distance and unit length, computed by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from lookalike.vectors.similarity import (
    Similarity,
    cosine,
    euclidean,
    normalise,
    similarity_matrix,
)


def test_cosine_by_hand() -> None:
    assert cosine(np.array([3.0, 4.0]), np.array([4.0, 3.0])) == pytest.approx(24 / 25)
    assert cosine(np.array([1.0, 0.0]), np.array([0.0, 5.0])) == 0.0
    assert cosine(np.array([2.0, 1.0]), np.array([-4.0, -2.0])) == pytest.approx(-1)


def test_cosine_of_a_zero_vector_is_zero_and_never_nan() -> None:
    zero = np.zeros(3)
    assert cosine(zero, np.ones(3)) == cosine(np.ones(3), zero) == cosine(zero, zero) == 0.0


def test_euclidean_is_minus_the_distance() -> None:
    assert euclidean(np.array([1.0, 2.0]), np.array([4.0, 6.0])) == -5.0
    assert euclidean(np.ones(7, np.float32), np.ones(7, np.float32)) == 0.0


def test_normalising_keeps_directions_and_zeros_and_works_for_extreme_numbers() -> None:
    made = normalise(np.array([[3, 4], [0, 0], [3e38, 4e38], [3e-300, 4e-300]]))
    np.testing.assert_allclose(made, [[0.6, 0.8], [0.0, 0.0], [0.6, 0.8], [0.6, 0.8]], rtol=1e-7)
    assert made.dtype == np.float32
    np.testing.assert_allclose(normalise(np.array([0.0, -2.0])), [0, -1])
    assert normalise(np.empty((0, 4))).shape == (0, 4)


@pytest.mark.parametrize(("similarity", "one"), [("cosine", cosine), ("euclidean", euclidean)])
def test_the_matrix_has_every_pair(similarity: Similarity, one: Callable[..., float]) -> None:
    rng = np.random.default_rng(5)
    queries, matrix = rng.standard_normal((4, 6)), rng.standard_normal((9, 6))
    matrix[2], matrix[3] = queries[1], 0.0
    made = similarity_matrix(queries, matrix, similarity=similarity)
    expected = np.array([[one(query, row) for row in matrix] for query in queries])
    np.testing.assert_allclose(made, expected, rtol=1e-6, atol=1e-9)
    assert made[1, 2] == one(queries[1], matrix[2])
