"""Which recipes are tried, and that they fit in the memory that is allowed."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest

from lookalike.ann import faiss_index, index_factory
from lookalike.errors import UsageError


def test_lists_follow_the_square_root_of_the_count() -> None:
    assert [index_factory.lists(n) for n in (1, 1000, 100_000, 1_000_000, 10_000_000)] == [
        *(1, 32, 512, 2048, 4096)
    ]


@pytest.mark.parametrize("dim", [1, 3, 16, 30, 128, 256, 300, 1280])
def test_every_recipe_that_is_tried_works_and_takes_about_what_is_said(dim: int) -> None:
    count = 1500
    random = np.random.default_rng(0)
    vectors = random.normal(size=(count, dim)).astype(np.float32)
    for recipe in dict.fromkeys(
        [*index_factory.ladder(count, dim), *index_factory.ladder(count, dim, memory=1 << 40)]
    ):
        index = faiss_index.train(vectors, recipe, similarity="euclidean")
        faiss_index.fill(index, vectors)
        assert index.count == count
        found = index.candidates(vectors[:3], 5, probe=index.largest_probe)
        assert (found >= 0).all()
        with tempfile.TemporaryDirectory() as folder:
            index.save(Path(folder) / "index")
            size = (Path(folder) / "index").stat().st_size
        assert 0.6 * size < index_factory.estimate(recipe, count, dim) < 1.7 * size + 20_000, recipe


def test_less_memory_means_smaller_codes_until_none_fits() -> None:
    count, dim = 1_000_000, 1280
    all_of_them = index_factory.ladder(count, dim, memory=1 << 40)
    for limit in (80 << 20, 60 << 20):
        some = index_factory.ladder(count, dim, memory=limit)
        assert 0 < len(some) < len(all_of_them)
        assert all(index_factory.estimate(recipe, count, dim) <= limit for recipe in some)
    with pytest.raises(UsageError, match=r"at least \d+ MB, the limit is 10 MB"):
        index_factory.ladder(count, dim, memory=10 << 20)
    with pytest.raises(UsageError, match="at least one vector"):
        index_factory.ladder(0, 3)


def test_ten_million_take_less_than_two_hundred_bytes_each() -> None:
    for dim in (128, 256, 1280, 2048):
        assert (
            index_factory.estimate(index_factory.ladder(10_000_000, dim)[0], 10_000_000, dim)
            < 2_000_000_000
        )


def test_product_codes_of_few_vectors_are_learnt_without_complaints_and_without_an_order_of_codes(
    capfd: pytest.CaptureFixture[str],
) -> None:
    vectors = np.random.default_rng(0).normal(size=(300, 32)).astype(np.float32)
    index = faiss_index.train(vectors, "IVF4,PQ4", similarity="cosine")
    assert capfd.readouterr() == ("", "")
    inner, _ = faiss_index.innermost(index.index)
    assert not inner.do_polysemous_training  # it takes minutes, and serves a filter not used here
