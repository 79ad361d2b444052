"""Exact search against the plain loop, and in cases where fast code goes wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.vectors import exact
from lookalike.vectors import similarity as similarity_module
from lookalike.vectors.blocks import as_float32
from lookalike.vectors.similarity import Similarity, loop_top_k, near_rows, normalise, top_k

SIMILARITIES: list[Similarity] = ["cosine", "euclidean"]


def clustered(
    rng: np.random.Generator, count: int, dim: int, *, length: float = 1.0
) -> NDArray[np.float64]:
    """Return vectors in a few clusters, as those of images are, with copies and zeros among them."""
    centres = rng.standard_normal((5, dim))
    vectors = centres[rng.integers(0, 5, count)] + 0.3 * rng.standard_normal((count, dim))
    vectors[::7] = vectors[0]
    vectors[3::11] = 0.0
    return vectors * length


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("unit", [True, False])
@pytest.mark.parametrize(
    "memory",  # one block; blocks of 256 rows, compared exactly at the end, in batches, or one by one
    [
        {},
        {"block_bytes": 1},
        {"block_bytes": 1, "max_pending": 100},
        {"block_bytes": 1, "max_pending": 0},
    ],
)
@pytest.mark.parametrize(("count", "dim", "k"), [(1, 3, 5), (50, 4, 60), (1500, 24, 7)])
def test_results_are_those_of_the_plain_loop(
    similarity: Similarity,
    dtype: type[np.floating],
    unit: bool,
    memory: dict[str, Any],
    count: int,
    dim: int,
    k: int,
) -> None:
    rng = np.random.default_rng(count)
    vectors = clustered(rng, count, dim, length=3.0)
    matrix = (normalise(vectors) if unit else vectors).astype(dtype)
    queries = np.vstack([clustered(rng, 9, dim), matrix[-1:] * 2]).astype(np.float32)
    rows, similarities = top_k(matrix, queries, k, similarity=similarity, normalised=unit, **memory)
    expected_rows, expected = loop_top_k(matrix, queries, k, similarity=similarity)
    np.testing.assert_array_equal(similarities, expected)
    np.testing.assert_array_equal(rows, expected_rows)
    assert rows.dtype == np.int64 and similarities.dtype == np.float32


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_result_does_not_depend_on_the_other_queries_of_the_batch(
    similarity: Similarity, dtype: type[np.floating]
) -> None:
    rng = np.random.default_rng(1)
    matrix = normalise(rng.standard_normal((3000, 96))).astype(dtype)
    queries = rng.standard_normal((40, 96)).astype(np.float32)
    rows, similarities = top_k(matrix, queries, 12, similarity=similarity)
    for number, query in enumerate(queries):
        single_rows, single = top_k(matrix, query[None], 12, similarity=similarity)
        np.testing.assert_array_equal(single_rows[0], rows[number])
        np.testing.assert_array_equal(single[0], similarities[number])


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_equal_vectors_come_in_the_order_of_their_rows_however_many_there_are(
    similarity: Similarity,
) -> None:
    rng = np.random.default_rng(2)
    matrix = normalise(np.tile(rng.standard_normal(16), (20_000, 1)))
    matrix[[5, 19_000]] = normalise(rng.standard_normal((2, 16)))
    rows, similarities = top_k(matrix, matrix[:3], 6, similarity=similarity, block_bytes=1)
    assert rows.tolist() == [[0, 1, 2, 3, 4, 6]] * 3
    assert np.ptp(similarities) == 0.0


def test_copies_are_compared_only_as_often_as_they_can_be_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared = 0
    compare = exact.exact_similarities

    def counted(
        queries: NDArray[np.float64], rows: NDArray[np.float64], *, cosine: bool
    ) -> NDArray[np.float32]:
        nonlocal compared
        compared += len(queries)
        return compare(queries, rows, cosine=cosine)

    monkeypatch.setattr(exact, "exact_similarities", counted)
    matrix = np.full((20_000, 32), 32**-0.5, np.float32)
    rows, _ = top_k(matrix, matrix[:4] * 2, 5, similarity="cosine")
    assert rows.tolist() == [[0, 1, 2, 3, 4]] * 4
    blocks = 3  # of 2,048, 8,192 and 9,760 rows
    assert compared == blocks * 4 * 5


def test_rows_that_differ_in_the_last_digit_are_distinguished() -> None:
    # 1 - cos is 2e-6 for the worst of them: float32 products alone put them in any order.
    angles = np.linspace(2e-3, 0, 500)[:, None]
    matrix = np.hstack([np.cos(angles), np.sin(angles), np.zeros((500, 62))]).astype(np.float32)
    query = np.eye(1, 64, dtype=np.float32)
    rows, similarities = top_k(matrix, query, 5, similarity="euclidean")
    assert rows[0].tolist() == [499, 498, 497, 496, 495]
    np.testing.assert_allclose(similarities[0], -2 * np.sin(angles[:-6:-1, 0] / 2), atol=1e-9)


def test_only_the_given_rows_are_found_and_excluded_ones_never() -> None:
    rng = np.random.default_rng(3)
    matrix = normalise(rng.standard_normal((2000, 8)))
    queries = np.vstack([rng.standard_normal((5, 8)), np.zeros((1, 8))]).astype(np.float32)
    some = rng.permutation(2000)[:900]
    excluded = np.sort(rng.permutation(2000)[:700])
    left = np.setdiff1d(some, excluded)
    for similarity in SIMILARITIES:
        rows, similarities = top_k(
            matrix, queries, 10, similarity=similarity, rows=some, exclude=excluded
        )
        expected, expected_similarities = loop_top_k(
            matrix[left], queries, 10, similarity=similarity
        )
        np.testing.assert_array_equal(rows, left[expected])
        np.testing.assert_array_equal(similarities, expected_similarities)


def test_fewer_rows_than_k_are_padded() -> None:
    matrix = np.eye(3, dtype=np.float32)
    rows, similarities = top_k(matrix, matrix[:1], 4, similarity="cosine", exclude=np.array([1]))
    assert rows.tolist() == [[0, 2, -1, -1]]
    assert similarities.tolist() == [[1.0, 0.0, -np.inf, -np.inf]]


@pytest.mark.parametrize("rows", [np.empty(0, np.int64), None])
def test_nothing_to_search_gives_nothing(rows: NDArray[np.int64] | None) -> None:
    matrix = np.ones((0 if rows is None else 4, 2), np.float32)
    found, similarities = top_k(
        matrix, np.ones((2, 2), np.float32), 3, similarity="cosine", rows=rows
    )
    assert (found == -1).all() and (similarities == -np.inf).all()
    assert top_k(matrix, np.ones((0, 2), np.float32), 3, similarity="cosine")[0].shape == (0, 3)


def test_cosine_with_a_zero_vector_is_zero_on_either_side() -> None:
    matrix = np.array([[0, 0], [3, 4], [-3, -4]], np.float32)
    queries = np.array([[6, 8], [0, 0]], np.float32)
    for unit in (True, False):
        vectors = normalise(matrix) if unit else matrix
        rows, similarities = top_k(vectors, queries, 3, similarity="cosine", normalised=unit)
        assert rows.tolist() == [[1, 0, 2], [0, 1, 2]]
        np.testing.assert_allclose(similarities, [[1, 0, -1], [0, 0, 0]], atol=1e-7)


def test_lengths_beyond_the_range_of_float32_squares_are_handled() -> None:
    matrix = np.array([[1e-25, 0], [0, 1e-25], [1e25, 1e25], [0, 0], [1, 2]], np.float32)
    queries = np.array([[1, 0], [1e-30, 1e-30], [1e30, 2e30]], np.float32)
    for similarity in SIMILARITIES:
        rows, similarities = top_k(matrix, queries, 5, similarity=similarity, normalised=False)
        expected, expected_similarities = loop_top_k(matrix, queries, 5, similarity=similarity)
        np.testing.assert_array_equal(rows, expected)
        np.testing.assert_array_equal(similarities, expected_similarities)


def test_all_finite_float16_numbers_are_converted_exactly() -> None:
    bits = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    halves = bits[np.isfinite(bits)].reshape(-1, 2)
    buffer = np.empty(halves.shape, np.float32)
    np.testing.assert_array_equal(as_float32(halves, buffer), halves.astype(np.float32))


def test_a_memory_map_is_searched_in_place(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    vectors = normalise(rng.standard_normal((600, 12))).astype(np.float16)
    vectors.tofile(tmp_path / "vectors.f16")
    mapped = np.memmap(tmp_path / "vectors.f16", np.float16, "r", shape=(600, 12))
    queries = rng.standard_normal((3, 12)).astype(np.float32)
    rows, _ = top_k(mapped, queries, 5, similarity="cosine")
    np.testing.assert_array_equal(rows, loop_top_k(vectors, queries, 5, similarity="cosine")[0])


@pytest.mark.parametrize(
    ("queries", "k", "message"),
    [
        (np.ones((1, 3)), 0, "at least one"),
        (np.ones((1, 4)), 1, "do not fit vectors of 3 dimensions"),
        (np.array([[np.nan, 0, 0]]), 1, "NaN"),
    ],
)
def test_invalid_queries_are_refused(queries: NDArray[np.float64], k: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        top_k(np.eye(3, dtype=np.float32), queries.astype(np.float32), k, similarity="cosine")


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_vectors_give_the_result_of_the_plain_loop(data: st.DataObject) -> None:
    # Small whole numbers: ties of every width, zeros, and cosines that coincide by accident.
    dim = data.draw(st.integers(1, 4))
    number = st.integers(-2, 2)
    vector = st.lists(number, min_size=dim, max_size=dim)
    matrix = np.array(data.draw(st.lists(vector, min_size=1, max_size=40)), np.float32)
    queries = np.array(data.draw(st.lists(vector, min_size=1, max_size=4)), np.float32)
    k = data.draw(st.integers(1, 8))
    similarity = data.draw(st.sampled_from(SIMILARITIES))
    excluded = np.array(sorted(data.draw(st.sets(st.integers(0, len(matrix) - 1)))), np.int64)
    rows, similarities = top_k(
        matrix, queries, k, similarity=similarity, exclude=excluded, normalised=False
    )
    left = np.setdiff1d(np.arange(len(matrix)), excluded)
    expected, expected_similarities = loop_top_k(matrix[left], queries, k, similarity=similarity)
    np.testing.assert_array_equal(similarities, expected_similarities)
    named = np.where(expected >= 0, np.append(left, -1)[expected], -1)
    np.testing.assert_array_equal(rows, named)


def test_a_scan_of_float16_finds_what_the_plain_loop_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similarity_module, "SCAN_BYTES", 0)
    rng = np.random.default_rng(5)
    vectors = rng.standard_normal((900, 24)) + 2 * (np.arange(900) % 2)[:, None]
    vectors[::30], vectors[5::100] = vectors[0], 0.0
    matrix = normalise(vectors).astype(np.float16)
    excluded = np.arange(0, 300, 3)
    left = np.setdiff1d(np.arange(900), excluded)
    for query in np.vstack([vectors[:3], rng.standard_normal((4, 24))]).astype(np.float32):
        near = near_rows(matrix, query, 7, exclude=excluded)
        assert near is not None and len(near) < 100
        rows, similarities = top_k(matrix, query[None], 7, similarity="cosine", exclude=excluded)
        expected, cosines = loop_top_k(matrix[left], query[None], 7, similarity="cosine")
        np.testing.assert_array_equal(rows, left[expected])
        np.testing.assert_array_equal(similarities, cosines)
    copies = np.tile(matrix[:1], (900, 1))
    assert near_rows(copies, query, 7, exclude=None) is None
    assert top_k(copies, query[None], 7, similarity="cosine")[0].tolist() == [[*range(7)]]
