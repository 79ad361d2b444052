"""Re-ranking, compared with exact search among the same rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.ann.rerank import rerank, scaled
from lookalike.vectors.similarity import Similarity, normalise, top_k


@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
@pytest.mark.parametrize("kind", [np.float32, np.float16])
@pytest.mark.parametrize("unit", [False, True])
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(0, 60), k=st.integers(1, 12))
def test_the_result_is_that_of_exact_search_among_the_candidates(
    similarity: Similarity, kind: type, unit: bool, seed: int, count: int, k: int
) -> None:
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(80, 12)) * random.lognormal(sigma=2, size=(80, 1))
    matrix[::7] = matrix[3]  # ties
    matrix[5::19] = 0
    matrix = (normalise(matrix) if unit else matrix).astype(kind)
    queries = np.concatenate([random.normal(size=(2, 12)), matrix[3:4]]).astype(np.float32)
    drawn = np.stack([random.permutation(80)[:count] for _ in queries])
    candidates = np.concatenate([drawn, np.full((3, 2), -1)], axis=1)
    rows, similarities = rerank(
        matrix,
        scaled(queries, similarity),
        candidates,
        k,
        similarity=similarity,
        normalised=unit,
    )
    for number, query in enumerate(queries):
        expected = top_k(
            matrix,
            query[None],
            k,
            similarity=similarity,
            rows=np.sort(drawn[number]),
            normalised=unit,
        )
        assert rows[number].tolist() == expected[0][0].tolist()
        assert similarities[number].tolist() == expected[1][0].tolist()


def test_lengths_beyond_float32_are_compared_exactly() -> None:
    matrix = np.array([[1e-25, 0], [1e25, 1e25], [1, 0], [3, 4]], np.float32)
    query = np.array([[1, 0]], np.float32)
    rows, cosines = rerank(
        matrix, scaled(query, "cosine"), np.arange(4)[None], 2, similarity="cosine"
    )
    assert rows.tolist() == [[0, 2]]
    assert cosines.tolist() == [[1.0, 1.0]]
    rows, _ = rerank(
        matrix, scaled(query, "euclidean"), np.arange(4)[None], 3, similarity="euclidean"
    )
    assert rows.tolist() == [[2, 0, 3]]
