"""Which recipes are tried, and that they fit in the memory that is allowed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lookalike.ann import faiss_index
from lookalike.ann.index_factory import candidate_recipes, estimate_bytes, list_count
from lookalike.errors import UsageError


def test_the_number_of_lists_grows_with_the_power_two_thirds_of_the_count() -> None:
    counts = (1, 1000, 100_000, 1_000_000, 10_000_000, 10**9)
    assert [list_count(count) for count in counts] == [1, 8, 256, 1024, 4096, 8192]


@pytest.mark.parametrize("dim", [1, 3, 16, 30, 128, 256, 300, 520])
def test_every_recipe_works_and_its_size_is_estimated_well(dim: int, tmp_path: Path) -> None:
    count = 700
    vectors = np.random.default_rng(0).normal(size=(count, dim)).astype(np.float32)
    recipes = candidate_recipes(count, dim) + candidate_recipes(count, dim, memory=1 << 40)
    for recipe in dict.fromkeys(recipes):
        index = faiss_index.train(vectors, recipe, similarity="euclidean")
        faiss_index.fill(index, vectors)
        assert index.count == count
        found = index.candidates(vectors[:3], 5, nprobe=index.max_nprobe)
        assert (found >= 0).all()
        index.save(tmp_path / "index")
        size = (tmp_path / "index").stat().st_size
        assert 0.6 * size < estimate_bytes(recipe, count, dim) < 1.7 * size + 20_000, recipe


def test_less_memory_means_smaller_codes_until_none_fits() -> None:
    count, dim = 1_000_000, 1280
    recipes = candidate_recipes(count, dim, memory=1 << 40)
    for limit in (80 << 20, 60 << 20):
        some = candidate_recipes(count, dim, memory=limit)
        assert 0 < len(some) < len(recipes)
        assert all(estimate_bytes(recipe, count, dim) <= limit for recipe in some)
    with pytest.raises(UsageError, match=r"at least \d+ MB, the limit is 10 MB"):
        candidate_recipes(count, dim, memory=10 << 20)
    with pytest.raises(UsageError, match="at least one vector"):
        candidate_recipes(0, 3)


def test_ten_million_vectors_take_less_than_two_hundred_bytes_each() -> None:
    for dim in (128, 256, 1280, 2048):
        recipe = candidate_recipes(10_000_000, dim)[0]
        assert estimate_bytes(recipe, 10_000_000, dim) < 2_000_000_000


def test_product_codes_are_trained_without_warnings_and_without_polysemous_ordering(
    capfd: pytest.CaptureFixture[str],
) -> None:
    vectors = np.random.default_rng(0).normal(size=(300, 32)).astype(np.float32)
    index = faiss_index.train(vectors, "IVF4,PQ4", similarity="cosine")
    assert capfd.readouterr() == ("", "")
    inner, _ = faiss_index.unwrap(index.index)
    assert not inner.do_polysemous_training  # it takes minutes, for a filter that is not used here
