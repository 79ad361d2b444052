"""The sieve of 8-bit products misses nothing, and search through it answers as search without it."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lookalike.vectors import blocks, exact, sieve, sieving, similarity
from lookalike.vectors.similarity import loop_top_k, normalise, top_k

pytestmark = pytest.mark.skipif(
    not sieve.right(), reason="this processor's 8-bit products may overflow: no sieve here"
)


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sieve for any search, as soon as the first block was seen, and blocks of 256 rows."""
    monkeypatch.setattr(similarity, "worth", lambda *_: True)
    monkeypatch.setattr(sieving, "COMPARISONS", 0)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 1)


def made(rng: np.random.Generator, count: int, dim: int, tail: float) -> NDArray[np.float32]:
    """Unit vectors in a few groups; the larger `tail`, the more a few numbers outweigh all others."""
    centres = rng.standard_normal((4, dim))
    vectors = centres[rng.integers(0, 4, count)] + 0.4 * rng.standard_normal((count, dim))
    vectors = np.sign(vectors) * np.abs(vectors) ** tail
    return normalise(vectors)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 1000),
    count=st.integers(1, 1100),
    dim=st.sampled_from([1, 2, 7, 64, 300]),
    tail=st.sampled_from([0.2, 1.0, 4.0, 12.0]),
    positive=st.booleans(),
    half=st.booleans(),
    zeros=st.booleans(),
)
def test_it_misses_nothing_and_promises_no_less_than_there_is(
    seed: int, count: int, dim: int, tail: float, positive: bool, half: bool, zeros: bool
) -> None:
    rng = np.random.default_rng(seed)
    rows, queries = made(rng, count, dim, tail), made(rng, 5, dim, tail)
    if positive:
        rows, queries = np.abs(rows), np.abs(queries)
    if half:
        rows = rows.astype(np.float16).astype(np.float32)
    if zeros:
        rows[rng.random(count) < 0.5] = 0.0
    cosines = queries.astype(np.float64) @ rows.T.astype(np.float64)
    bar = np.quantile(cosines, 0.9, axis=1).astype(np.float32)
    passed = sieve.Sieve(queries).above(rows, bar)
    there = set(zip(passed.query.tolist(), passed.place.tolist(), strict=True))
    assert len(there) == len(passed.query)
    assert (np.diff(passed.query) >= 0).all()
    needed = np.argwhere(cosines >= bar[:, None]).tolist()
    assert set(map(tuple, needed)) <= there
    true = cosines[passed.query, passed.place]
    assert (passed.highest >= true - 1e-6).all()
    assert (2 * passed.likely - passed.highest <= true + 1e-6).all()  # as far below as above


def test_few_pairs_pass_beside_those_that_must() -> None:
    rng = np.random.default_rng(0)
    rows, queries = made(rng, 4000, 256, 1.0), made(rng, 20, 256, 1.0)
    cosines = queries @ rows.T
    bar = np.partition(cosines, -10, axis=1)[:, -10]
    passed = sieve.Sieve(queries).above(rows, bar)
    assert len(passed.query) < 20 * 200  # of 20 x 4,000
    np.testing.assert_allclose(passed.likely, cosines[passed.query, passed.place], atol=0.01)


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("pending", [None, 400])
@pytest.mark.parametrize("tail", [1.0, 6.0])
def test_answers_are_those_of_the_plain_loop(
    monkeypatch: pytest.MonkeyPatch, dtype: type[np.floating], pending: int | None, tail: float
) -> None:
    if pending is not None:
        monkeypatch.setattr(sieving, "PENDING", pending)
        monkeypatch.setattr(exact, "PENDING", pending)
    rng = np.random.default_rng(3)
    vectors = made(rng, 1500, 24, tail)
    vectors[::7], vectors[3::11] = vectors[0], 0.0
    matrix = vectors.astype(dtype)
    queries = np.vstack([made(rng, 9, 24, tail), vectors[:1], np.zeros((1, 24))]).astype(np.float32)
    rows, similarities = top_k(matrix, queries, 7, similarity="cosine")
    expected_rows, expected = loop_top_k(matrix, queries, 7, similarity="cosine")
    np.testing.assert_array_equal(similarities, expected)
    np.testing.assert_array_equal(rows, expected_rows)


@pytest.mark.usefixtures("always")
def test_only_rows_that_live_and_are_asked_for_are_found() -> None:
    rng = np.random.default_rng(4)
    matrix, queries = made(rng, 1500, 24, 1.0), made(rng, 6, 24, 1.0)
    some = np.sort(rng.permutation(1500)[:900])
    dead = some[::3]
    rows, similarities = top_k(matrix, queries, 5, similarity="cosine", rows=some, dead=dead)
    left = np.setdiff1d(some, dead)
    expected_rows, expected = loop_top_k(matrix[left], queries, 5, similarity="cosine")
    np.testing.assert_array_equal(rows, left[expected_rows])
    np.testing.assert_array_equal(similarities, expected)


@pytest.mark.usefixtures("always")
def test_rows_wait_until_the_bar_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what passes the sieve only a part is ever looked up, and that part once."""
    passed, looked_up = 0, 0
    above, score = sieve.Sieve.above, sieving.SievedPass._score

    def counted_above(
        self: sieve.Sieve, rows: NDArray[np.float32], bar: NDArray[np.float32]
    ) -> sieve.Passed:
        nonlocal passed
        found = above(self, rows, bar)
        passed += len(found.query)
        return found

    def counted_score(self: sieving.SievedPass, query: blocks.Places, row: blocks.Rows) -> None:
        nonlocal looked_up
        looked_up += len(query)
        score(self, query, row)

    monkeypatch.setattr(sieving, "COMPARISONS", 1)
    monkeypatch.setattr(sieve.Sieve, "above", counted_above)
    monkeypatch.setattr(sieving.SievedPass, "_score", counted_score)
    rng = np.random.default_rng(5)
    matrix, queries = made(rng, 6000, 64, 1.0), made(rng, 10, 64, 1.0)
    rows, _ = top_k(matrix, queries, 10, similarity="cosine")
    np.testing.assert_array_equal(rows, loop_top_k(matrix, queries, 10, similarity="cosine")[0])
    assert 0 < looked_up < passed < 10 * 6000 / 4


def test_a_crowd_of_copies_is_left_to_the_float_product(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similarity, "worth", lambda *_: True)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 1 << 15)
    monkeypatch.setattr(sieving, "PENDING", 1000)
    asked = 0
    above = sieve.Sieve.above

    def counted(
        self: sieve.Sieve, rows: NDArray[np.float32], bar: NDArray[np.float32]
    ) -> sieve.Passed:
        nonlocal asked
        asked += 1
        return above(self, rows, bar)

    monkeypatch.setattr(sieve.Sieve, "above", counted)
    matrix = np.full((20_000, 32), 32**-0.5, np.float32)
    rows, _ = top_k(matrix, matrix[:4] * 2, 2, similarity="cosine")
    assert rows.tolist() == [[0, 1]] * 4
    assert 0 < asked < 15  # of ten times as many blocks


@pytest.mark.parametrize("shape", [(1, 1), (64, 8), (300, 1000)])
def test_the_graph_is_a_valid_one_whose_products_are_those_of_whole_numbers(
    shape: tuple[int, int],
) -> None:
    rng = np.random.default_rng(6)
    queries = rng.integers(-127, 128, shape).astype(np.int8)
    onnx.checker.check_model(onnx.load_from_string(sieve.product_graph(queries)), full_check=True)
    rows = rng.integers(0, 256, (9, shape[0])).astype(np.float32)
    rows[0, 0] = 255.0  # the step then is 1
    products, step = np.empty((9, shape[1]), np.int32), np.empty((), np.float32)
    sieve.multiply(sieve._session(queries), rows, products, step)
    assert step == 1.0
    np.testing.assert_array_equal(products, rows.astype(np.int64) @ queries.astype(np.int64))


def test_it_is_used_for_many_queries_and_much_work_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sieving, "fast", lambda: True)
    assert sieving.worth(1000, 100_000, 512, 10)
    assert not sieving.worth(200, 10_000_000, 512, 10)
    assert not sieving.worth(1000, 1000, 512, 10)
    assert not sieving.worth(1000, 100_000, 512, 1000)
    monkeypatch.setattr(sieving, "fast", lambda: False)
    assert not sieving.worth(1000, 100_000, 512, 10)


def test_without_onnx_runtime_there_is_no_sieve(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(queries: NDArray[np.int8]) -> object:
        raise RuntimeError("no such operation")

    monkeypatch.setattr(sieve, "_session", broken)
    assert not sieve.right.__wrapped__()


def test_products_that_overflow_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def saturating(
        session: object,
        rows: NDArray[np.float32],
        products: NDArray[np.int32],
        step: NDArray[np.float32],
    ) -> None:
        products[:] = (2**15 - 1) * rows.shape[1] // 2

    monkeypatch.setattr(sieve, "multiply", saturating)
    assert not sieve.right.__wrapped__()
