"""The store in PostgreSQL: ANN indexes, errors, passwords, and a server that is killed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from tests.stores.ann_spaces import COUNT, KEY, add, fill, image_vectors, recall
from tests.stores.conftest import in_postgres

from lookalike.stores.ann_index import IndexBuildOptions
from lookalike.stores.interface import Store

pytest.importorskip("psycopg", reason="psycopg is not installed (lookalike[postgres])")


@pytest.fixture
def store() -> Iterator[Store]:
    made = in_postgres()
    yield made
    made.close()


def test_an_index_reaches_its_recall_and_its_measurements_are_stored(store: Store) -> None:
    fill(store, image_vectors())
    built = store.indexes.build(KEY, IndexBuildOptions(target=0.95))
    with store.snapshot() as snapshot:
        [one] = snapshot.spaces()
    assert one.index == built
    assert built.recipe.startswith("HNSW")
    assert built.recall >= built.target == 0.95
    assert (built.rows, built.unindexed) == (COUNT, 0)
    assert recall(store, image_vectors(30, seed=9)) >= 0.9
    first = store.indexes.check(KEY, queries=40)
    add(store, image_vectors(10, seed=4), "new")
    second = store.indexes.check(KEY, queries=40)
    assert store.indexes.history(KEY) == [first, second]
    assert first.recall >= 0.9
    assert second.rows == COUNT + 10


def test_new_vectors_are_found_at_once_and_removed_ones_are_not(store: Store) -> None:
    fill(store, image_vectors())
    store.indexes.build(KEY, IndexBuildOptions(target=0.95))
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
    assert not set(new[::2]) & set(found.ids.ravel().tolist())


@pytest.mark.parametrize("share", [0.003, 0.05, 0.7])
def test_only_images_that_pass_the_filter_are_found(store: Store, share: float) -> None:
    ids = fill(store, image_vectors())
    store.indexes.build(KEY, IndexBuildOptions(target=0.95))
    chosen = np.array(ids)[np.random.default_rng(2).random(COUNT) < share]
    with store.snapshot() as snapshot:
        some = snapshot.search(KEY, image_vectors(20, seed=9), 10, among=chosen)
        exact = snapshot.search(KEY, image_vectors(20, seed=9), 10, among=chosen, exact=True)
    assert some.exact == (share < 0.5)
    fits = min(10, len(chosen))
    assert np.isin(some.ids[:, :fits], chosen).all()
    assert (some.ids[:, fits:] == -1).all()
    true = [len(np.intersect1d(a, b)) for a, b in zip(some.ids, exact.ids, strict=True)]
    assert np.mean(true) >= 0.9 * fits
