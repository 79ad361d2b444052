"""Contract of every store: answers with an index, compared with those of exact search."""

from __future__ import annotations

import numpy as np
import pytest
from tests.stores.builders import Vector, entry, photos, space
from tests.stores.test_search import clustered

from lookalike.errors import UsageError
from lookalike.stores.ann_index import IndexBuildOptions
from lookalike.stores.interface import Store
from lookalike.vectors.similarity import Similarity

KEY = "many@1"
DIM = 32
COUNT = 1600

RECIPES = (
    "Flat",
    "HNSW16",
    "IVF32,Flat",
    "IVF32,SQ8",
    "IVF32,PQ16x4fs",
    "PCAR16,IVF32,PQ8x4fs",
    "RR32,IVF32,RaBitQfs4",
    "PCAR16,IVF32,RaBitQfs",
    "PCA16,HNSW16",
    "PCAR16,IVF32,RaBitQfs,Refine(SQfp16)",
)


def pictures(count: int = COUNT, *, seed: int = 5) -> Vector:
    """Vectors as pictures have them: around many centres, and not along all directions alike."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(1).normal(size=(40, DIM))
    vectors = centres[random.integers(40, size=count)] + 0.5 * random.normal(size=(count, DIM))
    return (vectors * (0.9 ** np.arange(DIM))).astype(np.float32)


def fill(store: Store, vectors: Vector, **changes: object) -> list[int]:
    with store.writer() as writer:
        writer.add_root(photos(store))
        writer.add_space(space(KEY, dim=DIM, **changes))
    return more(store, vectors)


def more(store: Store, vectors: Vector, name: str = "") -> list[int]:
    with store.writer() as writer:
        return writer.put(
            [entry(f"{name}{n}.jpg", vectors={KEY: v}) for n, v in enumerate(vectors)]
        )


def recall(store: Store, queries: Vector, k: int = 10, **asked: object) -> float:
    """The share of the true neighbours that is found; every similarity must be the true one."""
    with store.snapshot() as snapshot:
        found = snapshot.search(KEY, queries, k, **asked)  # type: ignore[arg-type]
        exact = snapshot.search(KEY, queries, k, exact=True, **asked)  # type: ignore[arg-type]
    assert not found.exact
    assert exact.exact
    right = 0
    for number in range(len(queries)):
        true = dict(
            zip(exact.ids[number].tolist(), exact.similarities[number].tolist(), strict=True)
        )
        shown = list(
            zip(found.ids[number].tolist(), found.similarities[number].tolist(), strict=True)
        )
        assert len({id for id, _ in shown}) == k
        assert all(true.get(id, similarity) == similarity for id, similarity in shown)
        assert [s for _, s in shown] == sorted((s for _, s in shown), reverse=True)
        right += sum(similarity >= min(true.values()) for _, similarity in shown)
    return right / (k * len(queries))


@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_reaches_the_recall_that_was_asked_for(
    empty: Store, recipe: str, similarity: Similarity
) -> None:
    fill(empty, pictures(), similarity=similarity, normalised=similarity == "cosine")
    index = empty.indexes.build(KEY, IndexBuildOptions(recipe=recipe, target=0.9, threads=1))
    assert index.recall >= 0.9
    assert index.recipe == recipe
    assert index.rows == COUNT
    assert index.disabled_reason == ""
    assert recall(empty, pictures(40, seed=9)) >= 0.85


def test_an_index_is_chosen_by_itself_and_its_facts_are_told(empty: Store) -> None:
    fill(empty, pictures())
    built = empty.indexes.build(KEY)
    with empty.snapshot() as snapshot:
        [one] = snapshot.spaces()
    assert one.index == built
    assert built.recall >= built.target == 0.98
    assert built.bytes_per_vector < 400
    assert built.milliseconds > 0
    assert built.recipe.startswith("IVF")


def test_new_vectors_are_found_at_once_and_removed_ones_are_not(empty: Store) -> None:
    ids = fill(empty, pictures())
    empty.indexes.build(KEY)
    asked = pictures(20, seed=8)
    late = more(empty, asked, "late")
    with empty.snapshot() as snapshot:
        found = snapshot.search(KEY, asked, 3)
        assert not found.exact
        assert snapshot.spaces()[0].index.unindexed == 20  # type: ignore[union-attr]
    assert found.ids[:, 0].tolist() == late
    gone = [*late[::2], *np.setdiff1d(found.ids[:, 1], late).tolist()]
    with empty.writer() as writer:
        writer.remove(gone)
    with empty.snapshot() as snapshot:
        found = snapshot.search(KEY, asked, 3)
    assert not found.exact
    assert not set(gone) & set(found.ids.ravel().tolist())
    assert found.ids[1::2, 0].tolist() == late[1::2]
    assert set(ids) >= set(found.ids[::2].ravel().tolist()) - set(late)
    assert recall(empty, pictures(30, seed=9)) >= 0.9


def test_a_picture_that_changed_is_found_as_it_is_now(empty: Store) -> None:
    vectors = pictures()
    ids = fill(empty, vectors)
    empty.indexes.build(KEY)
    with empty.writer() as writer:
        writer.put([entry("7.jpg", "changed", vectors={KEY: vectors[9]})])
    with empty.snapshot() as snapshot:
        found = snapshot.search(KEY, vectors[9][None], 2)
        before = snapshot.search(KEY, vectors[7][None], 5)
    assert found.ids[0].tolist() == sorted([ids[7], ids[9]])
    assert ids[7] not in before.ids[0].tolist()


@pytest.mark.parametrize("share", [0.003, 0.05, 0.5])
def test_a_filter_is_kept_and_all_that_fit_are_found(
    empty: Store, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lookalike.stores.local.ann.ann_search.FEW_BYTES", 4000)
    ids = fill(empty, pictures())
    empty.indexes.build(KEY)
    chosen = np.array(ids)[np.random.default_rng(2).random(COUNT) < share]
    with empty.snapshot() as snapshot:
        some = snapshot.search(KEY, pictures(20, seed=9), 10, among=chosen)
        exact = snapshot.search(KEY, pictures(20, seed=9), 10, among=chosen, exact=True)
    fits = min(10, len(chosen))
    assert np.isin(some.ids[:, :fits], chosen).all()
    assert (some.ids[:, fits:] == -1).all()
    true = [len(np.intersect1d(a, b)) for a, b in zip(some.ids, exact.ids, strict=True)]
    assert np.mean(true) >= 0.9 * fits


def test_as_many_are_found_as_there_are(empty: Store) -> None:
    fill(empty, pictures())
    empty.indexes.build(KEY)
    with empty.snapshot() as snapshot:
        found = snapshot.search(KEY, pictures(2, seed=9), COUNT + 5)
    assert found.exact
    assert (found.ids[:, :COUNT] > 0).all()
    assert (found.ids[:, COUNT:] == -1).all()


def test_exact_search_can_be_asked_for(empty: Store) -> None:
    fill(empty, pictures())
    empty.indexes.build(KEY)
    with empty.snapshot() as snapshot:
        assert snapshot.search(KEY, pictures(1), 3, exact=True).exact
        assert not snapshot.search(KEY, pictures(1), 3).exact
        zero = snapshot.search(KEY, np.zeros((1, DIM), np.float32), 3)
    assert zero.similarities.tolist() == [[0.0, 0.0, 0.0]]


def test_what_cannot_be_asked_is_refused_as_without_an_index(empty: Store) -> None:
    fill(empty, pictures())
    empty.indexes.build(KEY)
    with empty.snapshot() as snapshot:
        for queries, k, says in (
            (np.ones((1, 2), np.float32), 1, "32 numbers"),
            (np.full((1, DIM), np.nan, np.float32), 1, "NaN"),
            (np.ones((1, DIM), np.float32), 0, "at least one"),
        ):
            with pytest.raises(UsageError, match=says):
                snapshot.search(KEY, queries, k)


def test_an_index_is_used_beside_another_similarity_only_where_both_order_alike(
    empty: Store,
) -> None:
    fill(empty, pictures(), similarity="cosine", normalised=False)
    empty.indexes.build(KEY, IndexBuildOptions(target=0.9))
    with empty.snapshot() as snapshot:
        assert not snapshot.search(KEY, pictures(2), 3).exact
        assert snapshot.search(KEY, pictures(2), 3, similarity="euclidean").exact


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        (IndexBuildOptions(recipe="IVF32,Nonsense"), "recipe 'IVF32,Nonsense' does not work"),
        (IndexBuildOptions(recipe="IVF9000,Flat"), "does not work for 1,600 vectors of 32 numbers"),
        (IndexBuildOptions(recipe="PCA64,Flat"), "PCA64,Flat"),
        (IndexBuildOptions(memory=1000), "takes at least"),
        (IndexBuildOptions(recipe="HNSW32", memory=100_000), "HNSW32 takes about"),
        (IndexBuildOptions(target=1.5), "between 0 and 1"),
    ],
)
def test_an_impossible_wish_is_refused_in_one_line(
    empty: Store, wish: IndexBuildOptions, says: str
) -> None:
    fill(empty, pictures())
    before = empty.indexes.build(KEY)
    with pytest.raises(UsageError, match=says) as error:
        empty.indexes.build(KEY, wish)
    assert "\n" not in str(error.value)
    with empty.snapshot() as snapshot:
        assert snapshot.spaces()[0].index == before


def test_an_index_is_checked_against_exact_search_and_the_checks_are_kept(empty: Store) -> None:
    fill(empty, pictures())
    with pytest.raises(UsageError, match="no index to check"):
        empty.indexes.check(KEY)
    empty.indexes.build(KEY)
    first = empty.indexes.check(KEY, queries=60)
    more(empty, pictures(10, seed=4), "late")
    second = empty.indexes.check(KEY, queries=60)
    assert empty.indexes.history(KEY) == [first, second]
    assert first.recall >= 0.95
    assert (first.unindexed, second.unindexed) == (0, 10)
    assert second.rows == COUNT + 10
    assert first.queries == 60


def test_an_index_that_was_removed_is_gone(empty: Store) -> None:
    fill(empty, pictures())
    empty.indexes.build(KEY)
    assert empty.indexes.remove(KEY)
    assert not empty.indexes.remove(KEY)
    with empty.snapshot() as snapshot:
        assert snapshot.spaces()[0].index is None
        assert snapshot.search(KEY, pictures(1), 3).exact


def test_an_empty_space_has_no_index(empty: Store) -> None:
    fill(empty, pictures(0))
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
    fill(empty, pictures())
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
