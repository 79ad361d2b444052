"""Contract of every store with ANN indexes: their searches, compared with exact search."""

from __future__ import annotations

import numpy as np
import pytest
from tests.stores.ann_spaces import COUNT, DIM, KEY, RECIPES, add, fill, image_vectors, recall
from tests.stores.builders import clustered, entry, photos, space
from tests.stores.conftest import STORES, CreateStore, Indexed

from lookalike.errors import UsageError
from lookalike.stores.ann_index import IndexBuildOptions
from lookalike.stores.interface import Store
from lookalike.vectors.similarity import Similarity


@pytest.fixture(scope="session", params=["local"])
def create_store(request: pytest.FixtureRequest) -> CreateStore:
    """The store whose recipes are FAISS's."""
    return STORES[request.param]


def test_an_index_reaches_its_recall_and_its_measurements_are_stored(indexed: Indexed) -> None:
    store, _, built = indexed
    with store.snapshot() as snapshot:
        [one] = snapshot.spaces()
    assert one.index == built
    assert built.recall >= built.target == 0.95
    assert (built.rows, built.unindexed, built.disabled_reason) == (COUNT, 0, "")
    assert built.milliseconds > 0
    assert recall(store, image_vectors(30, seed=9)) >= 0.9


def test_new_vectors_are_found_at_once_and_removed_ones_are_not(indexed: Indexed) -> None:
    store = indexed.store
    queries = image_vectors(20, seed=8)
    new = add(store, queries, "new")
    with store.snapshot() as snapshot:
        found = snapshot.search(KEY, queries, 3)
    assert not found.exact
    assert found.ids[:, 0].tolist() == new
    with store.writer() as writer:
        writer.remove(new[::2])
    with store.snapshot() as snapshot:
        found = snapshot.search(KEY, queries, 3)
    assert not found.exact
    assert not set(new[::2]) & set(found.ids.ravel().tolist())
    assert found.ids[1::2, 0].tolist() == new[1::2]
    assert set(indexed.ids) >= set(found.ids[::2].ravel().tolist()) - set(new)
    with store.writer() as writer:
        writer.remove(new)


def test_a_changed_image_is_found_by_its_new_vector_only(indexed: Indexed) -> None:
    store, ids, _ = indexed
    vectors = image_vectors()
    with store.writer() as writer:
        writer.put([entry("7.jpg", "changed", vectors={KEY: vectors[9]})])
    with store.snapshot() as snapshot:
        found = snapshot.search(KEY, vectors[9][None], 2)
        before = snapshot.search(KEY, vectors[7][None], 5)
    assert found.ids[0].tolist() == sorted([ids[7], ids[9]])
    assert ids[7] not in before.ids[0].tolist()
    with store.writer() as writer:
        writer.put([entry("7.jpg", vectors={KEY: vectors[7]})])


def test_only_images_that_pass_the_filter_are_found(
    indexed: Indexed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lookalike.stores.local.ann.ann_search.EXACT_BYTES", 4000)
    queries = image_vectors(20, seed=9)
    for share in (0.003, 0.05, 0.7):
        chosen = np.array(indexed.ids)[np.random.default_rng(2).random(COUNT) < share]
        with indexed.store.snapshot() as snapshot:
            some = snapshot.search(KEY, queries, 10, among=chosen)
            exact = snapshot.search(KEY, queries, 10, among=chosen, exact=True)
        fits = min(10, len(chosen))
        assert np.isin(some.ids[:, :fits], chosen).all()
        assert (some.ids[:, fits:] == -1).all()
        true = [len(np.intersect1d(a, b)) for a, b in zip(some.ids, exact.ids, strict=True)]
        assert np.mean(true) >= 0.9 * fits


def test_k_above_the_number_of_vectors_finds_all(indexed: Indexed) -> None:
    with indexed.store.snapshot() as snapshot:
        found = snapshot.search(KEY, image_vectors(2, seed=9), COUNT + 5)
    assert found.exact
    assert (found.ids[:, :COUNT] > 0).all()
    assert (found.ids[:, COUNT:] == -1).all()


def test_exact_search_ignores_the_index(indexed: Indexed) -> None:
    with indexed.store.snapshot() as snapshot:
        assert snapshot.search(KEY, image_vectors(1), 3, exact=True).exact
        assert not snapshot.search(KEY, image_vectors(1), 3).exact
        zero = snapshot.search(KEY, np.zeros((1, DIM), np.float32), 3)
    assert zero.similarities.tolist() == [[0.0, 0.0, 0.0]]


def test_invalid_queries_are_refused_as_without_an_index(indexed: Indexed) -> None:
    with indexed.store.snapshot() as snapshot:
        for queries, k, message in (
            (np.ones((1, 2), np.float32), 1, "32 dimensions"),
            (np.full((1, DIM), np.nan, np.float32), 1, "NaN"),
            (np.ones((1, DIM), np.float32), 0, "at least one"),
        ):
            with pytest.raises(UsageError, match=message):
                snapshot.search(KEY, queries, k)


def test_checks_against_exact_search_are_stored(indexed: Indexed) -> None:
    store = indexed.store
    before = store.indexes.history(KEY)
    first = store.indexes.check(KEY, queries=60)
    new = add(store, image_vectors(10, seed=4), "new")
    second = store.indexes.check(KEY, queries=60)
    assert store.indexes.history(KEY) == [*before, first, second]
    assert first.recall >= 0.9
    assert second.rows - first.rows == len(new)
    assert second.unindexed - first.unindexed in (0, 10)  # servers index them at once
    assert first.queries == 60
    with store.writer() as writer:
        writer.remove(new)


# Recipes of FAISS


@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_reaches_the_target_recall(
    empty: Store, recipe: str, similarity: Similarity
) -> None:
    fill(empty, image_vectors(), similarity=similarity, normalised=similarity == "cosine")
    index = empty.indexes.build(KEY, IndexBuildOptions(recipe=recipe, target=0.9, threads=1))
    assert index.recall >= 0.9
    assert index.recipe == recipe
    assert index.rows == COUNT
    assert index.disabled_reason == ""
    assert recall(empty, image_vectors(40, seed=9)) >= 0.85


def test_a_recipe_is_chosen_and_its_measurements_are_stored(empty: Store) -> None:
    fill(empty, image_vectors())
    built = empty.indexes.build(KEY)
    with empty.snapshot() as snapshot:
        [one] = snapshot.spaces()
    assert one.index == built
    assert built.recall >= built.target == 0.98
    assert built.bytes_per_vector < 400
    assert built.milliseconds > 0
    assert built.recipe.startswith("IVF")


def test_an_index_serves_another_similarity_only_for_unit_vectors(
    empty: Store,
) -> None:
    fill(empty, image_vectors(), similarity="cosine", normalised=False)
    empty.indexes.build(KEY, IndexBuildOptions(target=0.9))
    with empty.snapshot() as snapshot:
        assert not snapshot.search(KEY, image_vectors(2), 3).exact
        assert snapshot.search(KEY, image_vectors(2), 3, similarity="euclidean").exact


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (IndexBuildOptions(recipe="IVF32,Nonsense"), "recipe 'IVF32,Nonsense' does not work"),
        (IndexBuildOptions(recipe="IVF9000,Flat"), r"not work for 1,6\d\d vectors of 32 dim"),
        (IndexBuildOptions(recipe="PCA64,Flat"), "PCA64,Flat"),
        (IndexBuildOptions(memory=1000), "takes at least"),
        (IndexBuildOptions(recipe="HNSW32", memory=100_000), "HNSW32 takes about"),
        (IndexBuildOptions(target=1.5), "between 0 and 1"),
    ],
)
@pytest.mark.parametrize("indexed", ["local"], indirect=True)
def test_impossible_options_are_refused_in_one_line(
    indexed: Indexed, options: IndexBuildOptions, message: str
) -> None:
    store = indexed.store
    with store.snapshot() as snapshot:
        before = snapshot.spaces()[0].index
    with pytest.raises(UsageError, match=message) as error:
        store.indexes.build(KEY, options)
    assert "\n" not in str(error.value)
    with store.snapshot() as snapshot:
        assert snapshot.spaces()[0].index == before


def test_a_removed_index_is_removed(empty: Store) -> None:
    fill(empty, image_vectors())
    with pytest.raises(UsageError, match="no index to check"):
        empty.indexes.check(KEY)
    empty.indexes.build(KEY)
    assert empty.indexes.remove(KEY)
    assert not empty.indexes.remove(KEY)
    with empty.snapshot() as snapshot:
        assert snapshot.spaces()[0].index is None
        assert snapshot.search(KEY, image_vectors(1), 3).exact


def test_an_empty_space_has_no_index(empty: Store) -> None:
    fill(empty, image_vectors(0))
    with pytest.raises(UsageError, match="no vectors"):
        empty.indexes.build(KEY)


def test_clustered_vectors_with_copies_and_zeros_are_found(empty: Store) -> None:
    with empty.writer() as writer:
        writer.add_root(photos(empty))
        writer.add_space(space("other@1", dim=16))
        vectors = clustered(2000, unit=True)
        writer.put([entry(f"{n}.jpg", vectors={"other@1": v}) for n, v in enumerate(vectors)])
    built = empty.indexes.build("other@1")
    assert built.recall >= 0.95
    with empty.snapshot() as snapshot:
        found = snapshot.search("other@1", vectors[3][None], 10)
    assert (found.similarities[0] > 0.999).all()


def test_recipes_are_compared_along_their_parameter_and_nothing_is_stored(empty: Store) -> None:
    fill(empty, image_vectors())
    exact, *others, wrong = empty.indexes.compare(KEY, ["IVF16,Flat", "HNSW16", "Nonsense"])
    assert exact.recipe == "exact"
    assert [one.recipe for one in others] == ["IVF16,Flat", "HNSW16"]
    assert "Nonsense" in wrong.failure
    for one in others:
        recalls = [recall for _, recall, _ in one.points]
        assert recalls[-1] >= 0.99
        assert recalls[0] < recalls[-1]
        assert [probe for probe, _, _ in one.points] == sorted({p for p, _, _ in one.points})
    assert others[0].bytes >= COUNT * DIM * 4
    with empty.snapshot() as snapshot:
        assert snapshot.spaces()[0].index is None


def test_vectors_that_are_all_zero_get_no_index(store: Store) -> None:
    fill(store, np.zeros((50, DIM), np.float32))
    with pytest.raises(UsageError, match="zero"):
        store.indexes.build(KEY)
