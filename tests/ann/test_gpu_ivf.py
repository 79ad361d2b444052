"""Inverted lists on a device, tried on the CPU.

What the lists contain is taken from FAISS itself: asked for as many candidates as there are vectors, it
returns everything in the lists that it probes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lookalike.ann import faiss_index
from lookalike.ann.faiss_index import AnnIndex, prepare
from lookalike.ann.gpu import GpuVectors, torch_device
from lookalike.ann.gpu_ivf import GpuLists
from lookalike.ann.ivf_lists import probed_lists, read_lists
from lookalike.vectors.blocks import Floats, Rows
from lookalike.vectors.similarity import Similarity

pytest.importorskip("torch", reason="needs PyTorch (lookalike[gpu])")

DIM = 24
COUNT = 900
NPROBE = 3
NONE = np.empty(0, np.int64)
RECIPES = ("IVF16,Flat", "PCAR16,IVF16,PQ8x4fs", "PCAR16,IVF16,RaBitQfs,Refine(SQfp16)")


def vectors(count: int = COUNT, *, seed: int = 0, dtype: Any = np.float32) -> Floats:
    random = np.random.default_rng(seed)
    centres = 0.3 * np.random.default_rng(99).normal(size=(20, DIM))
    found = centres[random.integers(20, size=count)] + random.normal(size=(count, DIM))
    return found.astype(dtype)


def build(matrix: Floats, recipe: str, similarity: Similarity) -> AnnIndex:
    index = faiss_index.train(matrix, recipe, similarity=similarity)
    faiss_index.fill(index, matrix)
    return index


def copy_vectors(matrix: Floats) -> GpuVectors:
    """Copy the vectors in chunks of 100 float32 rows; blocks have three queries."""
    copied = GpuVectors(
        *torch_device("cpu"), DIM, matrix.dtype, chunk_bytes=100 * DIM * 4, query_block=3
    )
    copied.append(matrix)
    return copied


def copy_lists(matrix: Floats, index: AnnIndex) -> GpuLists:
    lists = read_lists(index)
    assert lists is not None
    return GpuLists(copy_vectors(matrix), lists)


def in_probed_lists(index: AnnIndex, query: Floats, nprobe: int) -> set[int]:
    [rows] = index.candidates(prepare(query[None], index.similarity), index.count, nprobe=nprobe)
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
def test_the_lists_are_those_that_faiss_probes(recipe: str, similarity: Similarity) -> None:
    matrix, queries = vectors(), vectors(6, seed=1)
    index = build(matrix, recipe, similarity)
    lists = read_lists(index)
    assert lists is not None
    assert sorted(lists.members.tolist()) == list(range(COUNT))
    for query, numbers in zip(queries, probed_lists(index, queries, NPROBE), strict=True):
        rows = [lists.members[lists.starts[n] : lists.starts[n + 1]] for n in numbers]
        assert set(np.concatenate(rows).tolist()) == in_probed_lists(index, query, NPROBE)


@pytest.mark.parametrize("recipe", ["Flat", "HNSW8", "PCA16,Flat"])
def test_an_index_that_is_not_an_inverted_file_has_no_lists(recipe: str) -> None:
    assert read_lists(build(vectors(200), recipe, "cosine")) is None


@pytest.mark.parametrize("recipe", RECIPES[:2])
@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_hits_are_the_nearest_in_the_querys_own_lists_and_among_unindexed_rows(
    recipe: str, similarity: Similarity, dtype: Any
) -> None:
    unindexed = 130
    matrix = np.concatenate([vectors(dtype=dtype), vectors(unindexed, seed=5, dtype=dtype)])
    queries = vectors(7, seed=2)
    index = build(matrix[:COUNT], recipe, similarity)
    lists = copy_lists(matrix, index)
    probed = probed_lists(index, queries, NPROBE)
    everything = set(range(COUNT + unindexed))
    first = lists.nearest(
        matrix, queries, 4, probed, similarity=similarity, rows=None, exclude=NONE, normalised=False
    )
    assert first is not None
    excluded = np.unique(first[0])
    few = np.arange(5, COUNT + unindexed, 3)
    for rows, exclude in ((None, NONE), (None, excluded), (few, NONE), (NONE, NONE)):
        found = lists.nearest(
            matrix, queries, 8, probed,
            similarity=similarity, rows=rows, exclude=exclude, normalised=False,
        )  # fmt: skip
        assert found is not None
        allowed = everything - set(exclude.tolist()) if rows is None else set(rows.tolist())
        for query, hits in zip(queries, found[0], strict=True):
            searched = in_probed_lists(index, query, NPROBE) | set(range(COUNT, COUNT + unindexed))
            if not searched & allowed:
                assert (hits == -1).all()
                continue
            expected = best(matrix, searched & allowed, query, 8, similarity)
            assert hits.tolist() == expected.tolist() + [-1] * (8 - len(expected))


def test_a_result_does_not_depend_on_the_other_queries() -> None:
    matrix, queries = vectors(), vectors(5, seed=3)
    index = build(matrix, RECIPES[0], "cosine")
    lists, probed = copy_lists(matrix, index), probed_lists(index, queries, 1)
    options: dict[str, Any] = {
        "similarity": "cosine",
        "rows": None,
        "exclude": NONE,
        "normalised": False,
    }
    together = lists.nearest(matrix, queries, 30, probed, **options)
    assert together is not None
    for number in range(5):
        one = slice(number, number + 1)
        alone = lists.nearest(matrix, queries[one], 30, probed[one], **options)
        assert alone is not None
        np.testing.assert_array_equal(alone[0][0], together[0][number])
        np.testing.assert_array_equal(alone[1][0], together[1][number])


def test_lists_are_worthwhile_up_to_a_quarter_of_all_rows() -> None:
    """Lists of 10, 20, 30 and 40 rows; blocks of three queries share their rows."""
    matrix = vectors(100)
    index = build(matrix, "IVF16,Flat", "euclidean")
    read = read_lists(index)
    assert read is not None
    resized = type(read)(read.members, np.array([0, 10, 30, 60, 100]))
    lists = GpuLists(copy_vectors(matrix), resized)
    assert lists.worthwhile(np.array([[0]]), 100)
    assert not lists.worthwhile(np.array([[0, 1]]), 100)
    assert lists.worthwhile(np.array([[0, -1]]), 105)  # 15 of 105
    assert not lists.worthwhile(np.array([[0]]), 130)  # 40 of 130
    assert lists.worthwhile(np.array([[0], [0], [0]]), 100)  # the same rows, read once
    assert not lists.worthwhile(np.array([[0], [1], [0]]), 100)
    assert lists.worthwhile(np.array([[0], [0], [0], [2]]), 100)  # 10 + 30 in two passes, of 200
    assert not lists.worthwhile(np.array([[0], [1], [0], [2]]), 100)
