"""Rocchio's formula, worked out by hand."""

from __future__ import annotations

import numpy as np

from lookalike.vectors.rocchio import rocchio

NONE = np.empty((0, 2), np.float32)


def test_the_query_moves_by_the_weighted_means() -> None:
    moved = rocchio(
        np.array([[1.0, 0.0]]),
        np.array([[0.0, 1.0], [0.0, 0.5]]),
        np.array([[1.0, 1.0]]),
    )
    # 1 · (1, 0) + 0.75 · (0, 0.75) - 0.15 · (1, 1)
    np.testing.assert_allclose(moved, [[0.85, 0.4125]], rtol=1e-6)


def test_all_vectors_of_a_query_move_alike() -> None:
    moved = rocchio(np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([[4.0, 4.0]]), NONE)
    np.testing.assert_allclose(moved, [[4.0, 3.0], [3.0, 5.0]])


def test_without_feedback_the_query_is_unchanged() -> None:
    np.testing.assert_allclose(rocchio(np.array([[0.6, -0.8]]), NONE, NONE), [[0.6, -0.8]])


def test_components_may_become_negative() -> None:
    moved = rocchio(np.array([[0.0, 1.0]]), NONE, np.array([[1.0, 0.0]]), gamma=0.5)
    np.testing.assert_allclose(moved, [[-0.5, 1.0]])
