"""Candidates judged by their stored vectors, compared with exact search among the same rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from lookalike.ann.rerank import nearest_of_few, refine
from lookalike.vectors.similarity import Similarity, normalise, top_k


@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
@pytest.mark.parametrize("kind", [np.float32, np.float16])
@pytest.mark.parametrize("unit", [False, True])
@settings(max_examples=30, deadline=None)
@given(seed=some.integers(0, 10**6), count=some.integers(0, 60), k=some.integers(1, 12))
def test_the_answer_is_that_of_exact_search_among_the_candidates(
    similarity: Similarity, kind: type, unit: bool, seed: int, count: int, k: int
) -> None:
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(80, 12)) * random.lognormal(sigma=2, size=(80, 1))
    matrix[::7] = matrix[3]  # ties
    matrix[5::19] = 0
    matrix = (normalise(matrix) if unit else matrix).astype(kind)
    queries = np.concatenate([random.normal(size=(2, 12)), matrix[3:4]]).astype(np.float32)
    proposed = np.stack([random.permutation(80)[:count] for _ in queries])
    offered = np.concatenate([proposed, np.full((3, 2), -1)], axis=1)
    rows, similarities = refine(matrix, queries, offered, k, similarity=similarity, normalised=unit)
    for number, query in enumerate(queries):
        expected = top_k(
            matrix,
            query[None],
            k,
            similarity=similarity,
            rows=np.sort(proposed[number]),
            normalised=unit,
        )
        assert rows[number].tolist() == expected[0][0].tolist()
        assert similarities[number].tolist() == expected[1][0].tolist()
    chosen = np.sort(proposed[0])
    for few in (None, chosen):
        found = nearest_of_few(matrix, queries, k, similarity=similarity, rows=few, normalised=unit)
        every = top_k(matrix, queries, k, similarity=similarity, rows=few, normalised=unit)
        assert found[0].tolist() == every[0].tolist()
        assert found[1].tolist() == every[1].tolist()


def test_numbers_beyond_float32s_trust_are_compared_exactly() -> None:
    matrix = np.array([[1e-25, 0], [1e25, 1e25], [1, 0], [3, 4]], np.float32)
    query = np.array([[1, 0]], np.float32)
    rows, cosines = refine(matrix, query, np.arange(4)[None], 2, similarity="cosine")
    assert rows.tolist() == [[0, 2]]
    assert cosines.tolist() == [[1.0, 1.0]]
    rows, _ = refine(matrix, query, np.arange(4)[None], 3, similarity="euclidean")
    assert rows.tolist() == [[2, 0, 3]]


def test_a_row_that_is_proposed_twice_is_found_once() -> None:
    matrix = np.eye(3, dtype=np.float32)
    rows, _ = refine(matrix, matrix[:1], np.array([[2, 0, 0, 2]]), 3, similarity="cosine")
    assert rows.tolist() == [[0, 2, -1]]
