"""Exact search on a device, tried on the one that every PyTorch has: the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lookalike.ann.gpu import GpuVectors, rounding_step, torch_device
from lookalike.errors import UsageError
from lookalike.vectors.blocks import Floats
from lookalike.vectors.similarity import Similarity, normalise, top_k

torch = pytest.importorskip("torch", reason="needs PyTorch (lookalike[gpu])")

DIM = 24
NONE = np.empty(0, np.int64)
OPTIONS: dict[str, Any] = {
    "similarity": "cosine",
    "rows": None,
    "exclude": NONE,
    "normalised": True,
}


def vectors(count: int, dtype: Any = np.float32, seed: int = 0) -> Floats:
    return normalise(np.random.default_rng(seed).standard_normal((count, DIM))).astype(dtype)


def on_device(matrix: Floats) -> GpuVectors:
    """Copy the vectors in chunks of 100 float32 rows; blocks have three queries."""
    copied = GpuVectors(
        *torch_device("cpu"), DIM, matrix.dtype, chunk_bytes=100 * DIM * 4, query_block=3
    )
    copied.append(matrix)
    return copied


@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("normalised", [True, False])
def test_results_are_those_of_exact_search(
    similarity: Similarity, dtype: Any, normalised: bool
) -> None:
    matrix = vectors(450, dtype)
    if not normalised:
        matrix = (matrix * np.linspace(0.1, 9, 450)[:, None]).astype(dtype)
    matrix[[7, 303]] = 0
    matrix[411] = matrix[3]  # equal vectors come by rising row
    queries = np.concatenate([matrix[[3, 99, 100]].astype(np.float32), 5 * vectors(4, seed=1)])
    excluded = np.array([0, 99, 250, 449])
    for rows in (None, np.arange(1, 450, 3)):
        options: dict[str, Any] = {"similarity": similarity, "normalised": normalised, "rows": rows}
        found = on_device(matrix).nearest(matrix, queries, 12, exclude=excluded, **options)
        expected = top_k(matrix, queries, 12, exclude=excluded if rows is None else None, **options)
        assert found is not None
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_array_equal(found[1], expected[1])


def test_fewer_rows_than_k_are_padded() -> None:
    matrix = vectors(120)
    found = on_device(matrix).nearest(
        matrix, vectors(1, seed=2), 5, **OPTIONS | {"rows": np.array([4, 110])}
    )
    assert found is not None
    assert set(found[0][0]) == {4, 110, -1}
    assert np.isneginf(found[1][0, 2:]).all()


def test_appended_rows_are_found_but_not_by_an_older_state() -> None:
    matrix = vectors(330)
    copied = on_device(matrix[:150])
    copied.append(matrix)
    now = copied.nearest(matrix, matrix[320:321], 1, **OPTIONS)
    before = copied.nearest(matrix[:150], matrix[320:321], 1, **OPTIONS)
    assert now is not None
    assert before is not None
    assert now[0][0, 0] == 320
    assert before[0][0, 0] < 150


def test_many_equal_vectors_are_left_to_exact_search() -> None:
    matrix = np.repeat(vectors(1), 200, axis=0)
    assert on_device(matrix).nearest(matrix, vectors(1), 3, **OPTIONS) is None


@pytest.mark.parametrize("length", [1e-20, 1e20])
def test_lengths_beyond_float32_are_left_to_exact_search(length: float) -> None:
    matrix = vectors(50)
    matrix[9] *= length
    options = OPTIONS | {"similarity": "euclidean", "normalised": False}
    assert on_device(matrix).nearest(matrix, vectors(1), 3, **options) is None


def test_an_unknown_device_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="'toaster' cannot be used"):
        torch_device("toaster")


def test_results_are_less_certain_if_products_may_be_coarse() -> None:
    """Rows a hundredth apart: far enough for float32, too close for bfloat16."""
    matrix = normalise(np.linspace(1, 2, 400)[:, None] ** np.arange(DIM) / 2.0 ** np.arange(DIM))
    assert on_device(matrix).nearest(matrix, matrix[:1], 3, **OPTIONS) is not None
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        assert rounding_step(torch) == 2.0**-7
        assert on_device(matrix).nearest(matrix, matrix[:1], 3, **OPTIONS) is None
    finally:
        torch.set_float32_matmul_precision(before)
    assert rounding_step(torch) == 2.0**-23
