"""Vectors that came after the index was built are indexed in memory, and found as before."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from tests.stores.test_indexes import DIM, KEY, fill, more, pictures, recall
from tests.stores.toys import Vector

from lookalike.stores.local import LocalStore, fresh
from lookalike.stores.local.fresh import Fresh
from lookalike.vectors.ann import AnnIndex

LATE = 300


@pytest.fixture(autouse=True)
def early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifty vectors are many here, and the second search begins."""
    monkeypatch.setattr(fresh, "STEP", 50 * DIM)
    monkeypatch.setattr(fresh, "PATIENCE", 1)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    store = LocalStore.create(tmp_path / ".lookalike")
    fill(store, pictures())
    store.indexes.build(KEY)
    return store


def made(store: LocalStore) -> Fresh:
    """Searches until the index in memory is up to date."""
    with store.view() as view:
        for _ in range(3):
            view.search(KEY, pictures(1, seed=2), 3)
        row, matrix = view.raw(KEY)
        ready = view._shelf.ready(row, matrix)
    assert ready is not None
    ready.fresh.wait()
    return ready.fresh


def asked() -> Vector:
    return pictures(LATE, seed=8)


def test_they_are_indexed_beside_the_searches_and_all_found(store: LocalStore) -> None:
    late = more(store, asked(), "late")
    found = made(store)
    assert found.end == 1600 + LATE
    with store.view() as view:
        near = view.search(KEY, asked(), 2)
    assert not near.exact
    assert (near.ids[:, 0] == late).mean() >= 0.99
    assert recall(store, pictures(40, seed=9)) >= 0.9


def test_it_grows_in_a_copy(store: LocalStore) -> None:
    more(store, asked(), "late")
    first = made(store).current
    more(store, pictures(200, seed=12), "later")
    second = made(store).current
    assert first is not None
    assert second is not None
    assert (first.count, second.count) == (LATE, LATE + 200)
    assert recall(store, pictures(40, seed=9)) >= 0.9


def test_a_few_are_not_worth_it(store: LocalStore) -> None:
    more(store, asked()[:20], "late")
    assert made(store).current is None
    with store.view() as view:
        assert not view.search(KEY, asked()[:1], 1).exact


def test_what_is_removed_or_filtered_out_is_not_found_in_it(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lookalike.stores.local.approximate.FEW_BYTES", 4000)
    late = more(store, asked(), "late")
    made(store)
    with store.writer() as writer:
        writer.remove(late[::2])
    with store.view() as view:
        near = view.search(KEY, asked(), 1)
        everything = np.arange(1, max(late) + 1)
        some = view.search(KEY, asked(), 1, among=everything[everything % 3 > 0])
    assert not near.exact
    assert not some.exact
    assert not np.isin(near.ids, late[::2]).any()
    assert (near.ids[1::2, 0] == late[1::2]).mean() >= 0.98
    assert (some.ids % 3 > 0).all()
    assert recall(store, pictures(40, seed=9)) >= 0.9


def test_an_older_view_sees_none_of_it(store: LocalStore) -> None:
    with store.view() as old:
        before = old.search(KEY, asked(), 3)
        late = more(store, asked(), "late")
        made(store)
        after = old.search(KEY, asked(), 3)
    assert not np.isin(after.ids, late).any()
    assert after.ids.tolist() == before.ids.tolist()


def test_without_its_file_they_are_compared_one_by_one(store: LocalStore) -> None:
    [trained] = store.folder.rglob("*.trained")
    trained.unlink()
    late = more(store, asked(), "late")
    assert made(store).current is None
    with store.view() as view:
        assert view.search(KEY, asked(), 1).ids[:, 0].tolist() == late


def test_closing_the_library_ends_what_was_begun(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, let_go = threading.Event(), threading.Event()
    add = AnnIndex.add

    def slow(self: AnnIndex, vectors: Vector, *, threads: int = 1) -> None:
        begun.set()
        let_go.wait(20)
        add(self, vectors, threads=threads)

    monkeypatch.setattr(fresh, "SLICE", 10)
    monkeypatch.setattr(AnnIndex, "add", slow)
    more(store, asked(), "late")
    with store.view() as view:
        for _ in range(3):
            view.search(KEY, pictures(1, seed=2), 3)
        row, matrix = view.raw(KEY)
        ready = view._shelf.ready(row, matrix)
    assert ready is not None
    assert begun.wait(20)
    closing = threading.Thread(target=store.close)
    closing.start()
    for _ in range(2000):  # twenty seconds
        if ready.fresh._ended:
            break
        closing.join(0.01)
    let_go.set()
    closing.join(20)
    assert not closing.is_alive()
    assert ready.fresh.current is None  # thirty slices were to come; it left after the first
