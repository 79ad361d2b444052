"""Lists of an index on a device, tried on the processor.

What stands in them is FAISS's own word: asked for as many as there are, it proposes all that it looks at.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lookalike.ann import faiss_index, gpu
from lookalike.ann.faiss_index import AnnIndex
from lookalike.ann.gpu import DeviceRows, torch_device
from lookalike.ann.gpu_ivf import DeviceLists
from lookalike.ann.ivf_lists import lists_of, probed
from lookalike.vectors.blocks import Floats, Rows
from lookalike.vectors.similarity import Similarity

pytest.importorskip("torch", reason="needs PyTorch (lookalike[gpu])")

DIM = 24
COUNT = 900
PROBE = 3
NONE = np.empty(0, np.int64)
RECIPES = ("IVF16,Flat", "PCAR16,IVF16,PQ8x4fs", "PCAR16,IVF16,RaBitQfs,Refine(SQfp16)")


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 100 rows in float32, so that several are fetched from."""
    monkeypatch.setattr(gpu, "PART_BYTES", 100 * DIM * 4)
    monkeypatch.setattr(gpu, "QUERIES", 3)


def vectors(count: int = COUNT, *, seed: int = 0, dtype: Any = np.float32) -> Floats:
    random = np.random.default_rng(seed)
    centres = 0.3 * np.random.default_rng(99).normal(size=(20, DIM))
    found = centres[random.integers(20, size=count)] + random.normal(size=(count, DIM))
    return found.astype(dtype)


def indexed(matrix: Floats, recipe: str, similarity: Similarity) -> AnnIndex:
    index = faiss_index.train(matrix, recipe, similarity=similarity)
    faiss_index.fill(index, matrix)
    return index


def held(matrix: Floats) -> DeviceRows:
    made = DeviceRows(*torch_device("cpu"), DIM, matrix.dtype)
    made.grow(matrix)
    return made


def on_device(matrix: Floats, index: AnnIndex) -> DeviceLists:
    lists = lists_of(index)
    assert lists is not None
    return DeviceLists(held(matrix), lists)


def looked_at(index: AnnIndex, query: Floats, probe: int) -> set[int]:
    [rows] = index.candidates(query[None].astype(np.float32), index.count, probe=probe)
    return set(rows[rows >= 0].tolist())


def best(matrix: Floats, rows: set[int], query: Floats, k: int, similarity: Similarity) -> Rows:
    some = np.array(sorted(rows))
    stored, wide = matrix[some].astype(np.float64), query.astype(np.float64)
    if similarity == "cosine":
        scores = stored @ wide / np.linalg.norm(stored, axis=1)
    else:
        scores = -np.linalg.norm(stored - wide, axis=1)
    return np.asarray(some[np.argsort(-scores, kind="stable")[:k]])


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
def test_the_lists_are_those_that_faiss_looks_at(recipe: str, similarity: Similarity) -> None:
    matrix, queries = vectors(), vectors(6, seed=1)
    index = indexed(matrix, recipe, similarity)
    lists = lists_of(index)
    assert lists is not None
    assert sorted(lists.members.tolist()) == list(range(COUNT))
    for query, numbers in zip(queries, probed(index, queries, PROBE), strict=True):
        rows = [lists.members[lists.starts[n] : lists.starts[n + 1]] for n in numbers]
        assert set(np.concatenate(rows).tolist()) == looked_at(index, query, PROBE)


@pytest.mark.parametrize("recipe", ["Flat", "HNSW8", "PCA16,Flat"])
def test_an_index_without_lists_has_none(recipe: str) -> None:
    assert lists_of(indexed(vectors(200), recipe, "cosine")) is None


@pytest.mark.parametrize("recipe", RECIPES[:2])
@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_answers_are_the_nearest_in_each_querys_own_lists_and_behind_the_index(
    recipe: str, similarity: Similarity, dtype: Any
) -> None:
    late = 130
    matrix = np.concatenate([vectors(dtype=dtype), vectors(late, seed=5, dtype=dtype)])
    queries = vectors(7, seed=2)
    index = indexed(matrix[:COUNT], recipe, similarity)
    found = on_device(matrix, index)
    numbers = probed(index, queries, PROBE)
    everyone = set(range(COUNT + late))
    dead = np.unique(found.nearest(
        matrix, queries, 4, numbers, similarity=similarity, rows=None, exclude=NONE, normalised=False
    )[0])  # type: ignore[index]  # fmt: skip
    few = np.arange(5, COUNT + late, 3)
    for rows, gone in ((None, NONE), (None, dead), (few, NONE), (NONE, NONE)):
        answer = found.nearest(
            matrix, queries, 8, numbers,
            similarity=similarity, rows=rows, exclude=gone, normalised=False,
        )  # fmt: skip
        assert answer is not None
        allowed = everyone - set(gone.tolist()) if rows is None else set(rows.tolist())
        for query, got in zip(queries, answer[0], strict=True):
            lists = looked_at(index, query, PROBE) | set(range(COUNT, COUNT + late))
            if not lists & allowed:
                assert (got == -1).all()
                continue
            expected = best(matrix, lists & allowed, query, 8, similarity)
            assert got.tolist() == expected.tolist() + [-1] * (8 - len(expected))


def test_who_asks_beside_it_does_not_change_an_answer() -> None:
    matrix, queries = vectors(), vectors(5, seed=3)
    index = indexed(matrix, RECIPES[0], "cosine")
    found, numbers = on_device(matrix, index), probed(index, queries, 1)
    asked: dict[str, Any] = {
        "similarity": "cosine",
        "rows": None,
        "exclude": NONE,
        "normalised": False,
    }
    together = found.nearest(matrix, queries, 30, numbers, **asked)
    assert together is not None
    for number in range(5):
        one = slice(number, number + 1)
        alone = found.nearest(matrix, queries[one], 30, numbers[one], **asked)
        assert alone is not None
        np.testing.assert_array_equal(alone[0][0], together[0][number])
        np.testing.assert_array_equal(alone[1][0], together[1][number])


def test_lists_pay_while_their_rows_and_the_late_ones_are_a_quarter_of_all() -> None:
    """In lists of 10, 20, 30 and 40 rows: a question alone, and together with others in three passes."""
    matrix = vectors(100)
    index = indexed(matrix, "IVF16,Flat", "euclidean")
    lists = lists_of(index)
    assert lists is not None
    made = type(lists)(lists.members, np.array([0, 10, 30, 60, 100]))
    found = DeviceLists(held(matrix), made)
    assert found.pays(np.array([[0]]), 100)
    assert not found.pays(np.array([[0, 1]]), 100)
    assert found.pays(np.array([[0, -1]]), 105)  # 15 of 105
    assert not found.pays(np.array([[0]]), 130)  # 40 of 130
    assert found.pays(np.array([[0], [0], [0]]), 100)  # the same rows, read once
    assert not found.pays(np.array([[0], [1], [0]]), 100)
    assert found.pays(np.array([[0], [0], [0], [2]]), 100)  # 10 + 30 in two passes, of 200
    assert not found.pays(np.array([[0], [1], [0], [2]]), 100)
