"""The sieve of 8-bit products misses nothing, and search through it answers as search without it."""

from __future__ import annotations

import os
import signal
import tracemalloc
import warnings

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lookalike.vectors import blocks, exact, sieve, sieving, similarity, whole_products
from lookalike.vectors.similarity import loop_top_k, normalise, top_k

pytestmark = pytest.mark.skipif(
    not whole_products.right(), reason="this processor's 8-bit products may overflow: no sieve here"
)


def force(patched: pytest.MonkeyPatch) -> None:
    """A sieve for any search, as soon as the first block was seen, and blocks of 256 rows."""
    patched.setattr(similarity, "worth", lambda *_: True)
    patched.setattr(sieving, "COMPARISONS", 0)
    patched.setattr(blocks, "BLOCK_BYTES", 1)


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    force(monkeypatch)


def made(rng: np.random.Generator, count: int, dim: int, tail: float) -> NDArray[np.float32]:
    """Unit vectors in a few groups; the larger `unindexed`, the more a few numbers outweigh all others."""
    centres = rng.standard_normal((4, dim))
    vectors = centres[rng.integers(0, 4, count)] + 0.4 * rng.standard_normal((count, dim))
    vectors = np.sign(vectors) * np.abs(vectors) ** tail
    return normalise(vectors)


def above(
    queries: NDArray[np.float32], rows: NDArray[np.float32], bar: NDArray[np.float32]
) -> sieve.Passed:
    passed = sieve.Sieve(queries).above(rows, bar, most=queries.size * rows.size)
    assert passed is not None
    return passed


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
    passed = above(queries, rows, bar)
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
    passed = above(queries, rows, bar)
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


@settings(deadline=None, max_examples=16)
@given(
    seed=st.integers(0, 1000),
    kind=st.sampled_from(["grid", "positive", "copies", "narrow"]),
    k=st.integers(1, 4),
    height=st.sampled_from([1, 1 << 16, 1 << 20]),
    half=st.booleans(),
)
def test_many_queries_among_nearly_equal_rows_get_the_same_answers(
    seed: int, kind: str, k: int, height: int, half: bool
) -> None:
    rng = np.random.default_rng(seed)
    if kind == "grid":
        vectors = rng.integers(-2, 3, (2400, 16)).astype(np.float64)
    elif kind == "positive":
        vectors = np.abs(rng.standard_normal((2400, 31)))
    elif kind == "copies":
        vectors = rng.standard_normal((60, 24))[rng.integers(0, 60, 2400)]
    else:
        vectors = rng.standard_normal(40) + 1e-3 * rng.standard_normal((2400, 40))
    unit = normalise(vectors)
    matrix = unit.astype(np.float16) if half else unit
    queries = normalise(vectors[rng.permutation(2400)[:700]] + 0.01 * rng.standard_normal())
    expected_rows, expected = top_k(matrix, queries, k, similarity="cosine")
    with pytest.MonkeyPatch.context() as patched:
        force(patched)
        patched.setattr(blocks, "BLOCK_BYTES", height)
        rows, similarities = top_k(matrix, queries, k, similarity="cosine")
    np.testing.assert_array_equal(rows, expected_rows)
    np.testing.assert_array_equal(similarities, expected)


class Counts:
    """What the sieve was asked and what it let pass, and what was looked up of that."""

    def __init__(self, patched: pytest.MonkeyPatch) -> None:
        self.asked = self.passed = self.looked_up = 0
        above, score = sieve.Sieve.above, sieving.SievedPass._score

        def counted_above(
            made: sieve.Sieve, rows: blocks.Floats, bar: NDArray[np.float32], *, most: int
        ) -> sieve.Passed | None:
            self.asked += 1
            found = above(made, rows, bar, most=most)
            self.passed += len(found.query) if found else 0
            return found

        def counted_score(made: sieving.SievedPass, query: blocks.Places, row: blocks.Rows) -> None:
            self.looked_up += len(query)
            score(made, query, row)

        patched.setattr(sieve.Sieve, "above", counted_above)
        patched.setattr(sieving.SievedPass, "_score", counted_score)


@pytest.mark.usefixtures("always")
def test_rows_wait_until_the_bar_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what passes the sieve only a part is ever looked up, and that part once."""
    monkeypatch.setattr(sieving, "COMPARISONS", 1)
    counts = Counts(monkeypatch)
    rng = np.random.default_rng(5)
    matrix, queries = made(rng, 6000, 64, 1.0), made(rng, 10, 64, 1.0)
    rows, _ = top_k(matrix, queries, 10, similarity="cosine")
    np.testing.assert_array_equal(rows, loop_top_k(matrix, queries, 10, similarity="cosine")[0])
    assert 0 < counts.looked_up < counts.passed < 10 * 6000 / 4


def test_a_crowd_of_copies_is_left_to_the_float_product(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similarity, "worth", lambda *_: True)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 1 << 15)
    counts = Counts(monkeypatch)
    monkeypatch.setattr(sieving, "PENDING", 300)
    matrix = np.full((20_000, 32), 32**-0.5, np.float32)
    rows, _ = top_k(matrix, matrix[:4] * 2, 2, similarity="cosine")
    assert rows.tolist() == [[0, 1]] * 4
    assert counts.asked == 1  # of a hundred blocks
    assert counts.looked_up == counts.passed == 0


def test_no_more_pairs_are_gathered_than_are_wanted() -> None:
    rows = np.full((40_000, 8), 8**-0.5, np.float32)
    queries, bar = rows[:50], np.zeros(50, np.float32)
    tracemalloc.start()
    try:
        assert sieve.Sieve(queries).above(rows, bar, most=1000) is None
        assert tracemalloc.get_traced_memory()[1] < 8 << 20  # 40,000 x 50 pairs would be 60 MB
    finally:
        tracemalloc.stop()
    assert len(above(queries, rows[:100], bar).query) == 5000


@pytest.mark.usefixtures("always")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_can_search_too() -> None:
    rng = np.random.default_rng(7)
    matrix, queries = made(rng, 1500, 24, 1.0), made(rng, 6, 24, 1.0)
    expected, _ = top_k(matrix, queries, 5, similarity="cosine")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: fork beside threads
        child = os.fork()
    if not child:
        status = 1
        try:
            signal.alarm(20)  # without threads of its own it would wait for ever
            rows, _ = top_k(matrix, queries, 5, similarity="cosine")
            status = 0 if np.array_equal(rows, expected) else 2
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("shape", [(1, 1), (64, 8), (300, 1000)])
def test_the_graph_is_a_valid_one_whose_products_are_those_of_whole_numbers(
    shape: tuple[int, int],
) -> None:
    rng = np.random.default_rng(6)
    queries = rng.integers(-127, 128, shape).astype(np.int8)
    onnx.checker.check_model(
        onnx.load_from_string(whole_products.product_graph(queries)), full_check=True
    )
    rows = rng.integers(0, 256, (9, shape[0])).astype(np.float32)
    rows[0, 0] = 255.0  # the step then is 1
    products, step = np.empty((9, shape[1]), np.int32), np.empty((), np.float32)
    whole_products.multiply(whole_products.open_session(queries), rows, products, step)
    assert step == 1.0
    np.testing.assert_array_equal(products, rows.astype(np.int64) @ queries.astype(np.int64))


def test_it_is_used_for_many_queries_and_much_work_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sieving, "fast", lambda: True)
    assert sieving.worth(1000, 100_000, 512, 10)
    assert not sieving.worth(200, 10_000_000, 512, 10)
    assert not sieving.worth(1000, 1000, 512, 10)
    assert not sieving.worth(1000, 100_000, 512, 50)
    assert sieving.worth(1000, 1_000_000, 512, 50)
    assert not sieving.worth(1000, 10_000_000, 512, 1000)
    assert not sieving.worth(1000, 100_000, 70_000, 10)  # sums of so many leave 32 bits
    monkeypatch.setattr(sieving, "fast", lambda: False)
    assert not sieving.worth(1000, 100_000, 512, 10)


def test_without_onnx_runtime_there_is_no_sieve(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(queries: NDArray[np.int8]) -> object:
        raise RuntimeError("no such operation")

    monkeypatch.setattr(whole_products, "open_session", broken)
    assert not whole_products.right.__wrapped__()


def test_ctrl_c_while_it_is_loaded_is_no_reason_to_do_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(queries: NDArray[np.int8]) -> object:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise ImportError("initialisation failed") from error

    monkeypatch.setattr(whole_products, "open_session", interrupted)
    with pytest.raises(KeyboardInterrupt):
        whole_products.right.__wrapped__()


def test_products_that_overflow_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def saturating(
        session: object,
        rows: NDArray[np.float32],
        products: NDArray[np.int32],
        step: NDArray[np.float32],
    ) -> None:
        products[:] = (2**15 - 1) * rows.shape[1] // 2

    monkeypatch.setattr(whole_products, "multiply", saturating)
    assert not whole_products.right.__wrapped__()
