"""Search on a device, tried on the one that every PyTorch has: the processor."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lookalike.ann import gpu
from lookalike.ann.gpu import DeviceRows, rounding_step, torch_device
from lookalike.errors import UsageError
from lookalike.vectors.blocks import Floats
from lookalike.vectors.similarity import Similarity, normalise, top_k

torch = pytest.importorskip("torch", reason="needs PyTorch (lookalike[gpu])")

DIM = 24
NONE = np.empty(0, np.int64)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 100 rows in float32, so that several are searched."""
    monkeypatch.setattr(gpu, "PART_BYTES", 100 * DIM * 4)
    monkeypatch.setattr(gpu, "QUERIES", 3)


def vectors(count: int, dtype: Any = np.float32, seed: int = 0) -> Floats:
    return normalise(np.random.default_rng(seed).standard_normal((count, DIM))).astype(dtype)


def held(matrix: Floats) -> DeviceRows:
    made = DeviceRows(*torch_device("cpu"), DIM, matrix.dtype)
    made.grow(matrix)
    return made


@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("normalised", [True, False])
def test_answers_are_those_of_exact_search(
    similarity: Similarity, dtype: Any, normalised: bool
) -> None:
    matrix = vectors(450, dtype)
    if not normalised:
        matrix = (matrix * np.linspace(0.1, 9, 450)[:, None]).astype(dtype)
    matrix[[7, 303]] = 0
    matrix[411] = matrix[3]  # equals come by rising row
    queries = np.concatenate([matrix[[3, 99, 100]].astype(np.float32), 5 * vectors(4, seed=1)])
    dead = np.array([0, 99, 250, 449])
    for rows in (None, np.arange(1, 450, 3)):
        asked: dict[str, Any] = {"similarity": similarity, "normalised": normalised, "rows": rows}
        found = held(matrix).nearest(matrix, queries, 12, exclude=dead, **asked)
        expected = top_k(matrix, queries, 12, exclude=dead if rows is None else None, **asked)
        assert found is not None
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_array_equal(found[1], expected[1])


def test_fewer_rows_than_asked_for_leave_places_empty() -> None:
    matrix = vectors(120)
    found = held(matrix).nearest(
        matrix, vectors(1, seed=2), 5, similarity="cosine", rows=np.array([4, 110]), exclude=NONE,
        normalised=True,
    )  # fmt: skip
    assert found is not None
    assert set(found[0][0]) == {4, 110, -1}
    assert np.isneginf(found[1][0, 2:]).all()


def test_rows_that_came_later_are_found_and_an_older_state_does_not_see_them() -> None:
    matrix = vectors(330)
    grown = held(matrix[:150])
    grown.grow(matrix)
    asked: dict[str, Any] = {
        "similarity": "cosine",
        "rows": None,
        "exclude": NONE,
        "normalised": True,
    }
    now = grown.nearest(matrix, matrix[320:321], 1, **asked)
    before = grown.nearest(matrix[:150], matrix[320:321], 1, **asked)
    assert now is not None
    assert before is not None
    assert now[0][0, 0] == 320
    assert before[0][0, 0] < 150


def test_a_crowd_of_equals_is_left_to_exact_search() -> None:
    matrix = np.repeat(vectors(1), 200, axis=0)
    found = held(matrix).nearest(
        matrix, vectors(1), 3, similarity="cosine", rows=None, exclude=NONE, normalised=True
    )
    assert found is None


@pytest.mark.parametrize("length", [1e-20, 1e20])
def test_lengths_beyond_float32_are_left_to_exact_search(length: float) -> None:
    matrix = vectors(50)
    matrix[9] *= length
    found = held(matrix).nearest(
        matrix, vectors(1), 3, similarity="euclidean", rows=None, exclude=NONE, normalised=False
    )
    assert found is None


def test_a_device_that_is_not_there_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="'toaster' cannot be used"):
        torch_device("toaster")


def test_where_a_program_lets_products_be_coarse_the_card_is_sure_of_less() -> None:
    """Rows a hundredth apart: nothing to float32, too close for bfloat16."""
    matrix = normalise(np.linspace(1, 2, 400)[:, None] ** np.arange(DIM) / 2.0 ** np.arange(DIM))
    asked: dict[str, Any] = {
        "similarity": "cosine",
        "rows": None,
        "exclude": NONE,
        "normalised": True,
    }
    assert held(matrix).nearest(matrix, matrix[:1], 3, **asked) is not None
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        assert rounding_step(torch) == 2.0**-7
        assert held(matrix).nearest(matrix, matrix[:1], 3, **asked) is None
    finally:
        torch.set_float32_matmul_precision(before)
    assert rounding_step(torch) == 2.0**-23
