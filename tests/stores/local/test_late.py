"""Vectors that came after the index was built are indexed by who writes them, and found as before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.stores.builders import Vector, entry
from tests.stores.test_indexes import DIM, KEY, RECIPES, fill, more, pictures, recall

from lookalike.ann.faiss_index import AnnIndex
from lookalike.stores.ann_index import IndexBuildOptions
from lookalike.stores.local import LocalStore
from lookalike.stores.local.ann import delta_index, index_files
from lookalike.stores.local.ann.ann_search import Ready
from lookalike.stores.local.database import SpaceRow
from lookalike.stores.local.writer import LocalWriter

LATE = 300


@pytest.fixture(autouse=True)
def early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifty vectors are many here."""
    monkeypatch.setattr(delta_index, "STEP", 50 * DIM)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    store = LocalStore.create(tmp_path / ".lookalike")
    fill(store, pictures())
    store.indexes.build(KEY)
    return store


def ready_of(store: LocalStore) -> Ready:
    with store.snapshot() as snapshot:
        row, matrix = snapshot.open_space(KEY)
        ready = snapshot._shelf.ready(row, matrix)
    assert ready is not None
    return ready


def current(store: LocalStore) -> AnnIndex | None:
    """What a search would use."""
    with store.snapshot() as snapshot:
        _, matrix = snapshot.open_space(KEY)
    return ready_of(store).late.current(matrix.vectors)


def count(store: LocalStore) -> int:
    index = current(store)
    return 0 if index is None else index.count


def put_in(writer: LocalWriter, name: str, vectors: Vector) -> list[int]:
    return writer.put(
        [entry(f"{name}/{i}.jpg", vectors={KEY: vector}) for i, vector in enumerate(vectors)]
    )


def asked() -> Vector:
    return pictures(LATE, seed=8)


def test_they_are_indexed_by_the_writer_and_all_found(store: LocalStore) -> None:
    ids = more(store, asked(), "late")
    assert count(store) == LATE
    with store.snapshot() as snapshot:
        near = snapshot.search(KEY, asked(), 2)
    assert not near.exact
    assert (near.ids[:, 0] == ids).mean() >= 0.99
    assert recall(store, pictures(40, seed=9)) >= 0.9


def test_a_reader_takes_over_what_another_process_wrote(store: LocalStore) -> None:
    with LocalStore.open(store.folder, read_only=True) as reader:
        assert count(reader) == 0
        more(store, asked(), "late")
        assert count(reader) == LATE
        ids = more(store, pictures(100, seed=12), "later")
        assert count(reader) == LATE + 100
        with reader.snapshot() as snapshot:
            near = snapshot.search(KEY, pictures(100, seed=12), 1)
    assert (near.ids[:, 0] == ids).mean() >= 0.99


def test_the_next_writer_goes_on_where_the_last_one_ended(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    more(store, asked(), "late")
    store.close()
    added: list[int] = []
    add = AnnIndex.add

    def counted(self: AnnIndex, vectors: Vector, *, threads: int = 1) -> None:
        added.append(len(vectors))
        add(self, vectors, threads=threads)

    monkeypatch.setattr(AnnIndex, "add", counted)
    with LocalStore.open(store.folder) as again:
        more(again, pictures(200, seed=12), "later")
        assert sum(added) == 200
        assert count(again) == LATE + 200
        assert recall(again, pictures(40, seed=9)) >= 0.9


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_can_go_on(tmp_path: Path, recipe: str) -> None:
    store = LocalStore.create(tmp_path / ".lookalike")
    fill(store, pictures())
    store.indexes.build(KEY, IndexBuildOptions(recipe=recipe, target=0.9, threads=1))
    more(store, asked(), "late")
    store.close()
    with LocalStore.open(store.folder) as again:
        more(again, pictures(100, seed=12), "later")
        assert count(again) == LATE + 100
        assert recall(again, pictures(40, seed=9)) >= 0.85


def test_few_are_compared_one_by_one(store: LocalStore) -> None:
    ids = more(store, asked()[:20], "late")
    assert current(store) is None
    with store.snapshot() as snapshot:
        near = snapshot.search(KEY, asked()[:20], 1)
    assert not near.exact
    assert near.ids[:, 0].tolist() == ids


def test_a_new_file_is_worth_a_sixteenth_of_the_last(store: LocalStore) -> None:
    more(store, pictures(960, seed=8), "late")
    more(store, pictures(59, seed=12), "later")
    assert count(store) == 960
    more(store, pictures(1, seed=13), "last")
    assert count(store) == 1020


def test_many_are_indexed_over_several_batches_and_the_rest_at_the_end(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delta_index, "SLICE", 50)
    monkeypatch.setattr(delta_index, "SLICES", 2)
    seen: list[int] = []
    put = index_files.put_late

    def noted(
        library: Path, row: SpaceRow, filed: index_files.Filed, index: AnnIndex, rows: Vector
    ) -> None:
        seen.append(index.count)
        put(library, row, filed, index, rows)

    monkeypatch.setattr(index_files, "put_late", noted)
    more(store, asked(), "late")
    assert seen == [100, 300]


def test_what_is_removed_or_filtered_out_is_not_found_in_it(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lookalike.stores.local.ann.ann_search.FEW_BYTES", 4000)
    ids = more(store, asked(), "late")
    with store.writer() as writer:
        writer.remove(ids[::2])
    with store.snapshot() as snapshot:
        near = snapshot.search(KEY, asked(), 1)
        everything = np.arange(1, max(ids) + 1)
        some = snapshot.search(KEY, asked(), 1, among=everything[everything % 3 > 0])
    assert not near.exact
    assert not some.exact
    assert not np.isin(near.ids, ids[::2]).any()
    assert (near.ids[1::2, 0] == ids[1::2]).mean() >= 0.98
    assert (some.ids % 3 > 0).all()
    assert recall(store, pictures(40, seed=9)) >= 0.9


def test_an_older_view_sees_none_of_it(store: LocalStore) -> None:
    more(store, pictures(30, seed=20), "before")
    with store.snapshot() as old:
        before = old.search(KEY, asked(), 3)
        ids = more(store, asked(), "late")
        assert count(store) == 30 + LATE
        after = old.search(KEY, asked(), 3)
    assert not np.isin(after.ids, ids).any()
    assert (after.ids == before.ids).mean() >= 0.99  # one index or the other proposed them


def test_a_new_index_begins_without_one_and_takes_its_place(store: LocalStore) -> None:
    more(store, asked(), "late")
    store.indexes.build(KEY)
    assert current(store) is None
    assert not list(store.folder.rglob("*-late-*"))
    ids = more(store, pictures(100, seed=12), "later")
    assert count(store) == 100
    with store.snapshot() as snapshot:
        near = snapshot.search(KEY, pictures(100, seed=12), 1)
    assert (near.ids[:, 0] == ids).mean() >= 0.99
    assert store.indexes.remove(KEY)
    assert not list(store.folder.rglob("ann-*late*"))


def test_an_index_that_is_built_beside_a_writer_is_noticed(store: LocalStore) -> None:
    with store.writer() as writer:
        put_in(writer, "late", asked())
        assert count(store) == LATE
        store.indexes.build(KEY)
        assert count(store) == 0
        put_in(writer, "later", pictures(100, seed=12))
        assert count(store) == 100
        assert ready_of(store).index.count == 1600 + LATE


def test_a_writer_of_few_does_not_read_the_whole(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a file is worth a sixteenth of the last one, so is the growing of it."""
    more(store, pictures(960, seed=8), "late")
    read: list[Path] = []
    load = AnnIndex.load.__func__  # type: ignore[attr-defined]

    def noted(cls: type[AnnIndex], /, path: Path, *arguments: object, **options: bool) -> AnnIndex:
        if options.get("to_grow"):
            read.append(path)
        index: AnnIndex = load(cls, path, *arguments, **options)
        return index

    monkeypatch.setattr(AnnIndex, "load", classmethod(noted))
    more(store, pictures(59, seed=12), "later")
    assert read == []
    more(store, pictures(1, seed=13), "last")
    assert len(read) == 1
    assert count(store) == 1020


def test_a_removed_index_is_not_kept_by_the_writer(store: LocalStore) -> None:
    with store.writer() as writer:
        put_in(writer, "late", asked())
        assert writer._late._growing
        store.indexes.remove(KEY)
        put_in(writer, "later", asked()[:1])
        assert not writer._late._growing


def test_two_files_are_kept_at_most(store: LocalStore) -> None:
    with store.writer() as writer:
        for turn in range(5):
            put_in(writer, f"late{turn}", pictures(100, seed=20 + turn))
    found = sorted(file.name for file in store.folder.rglob("ann-*-late-*"))
    assert found == ["ann-1-late-400.faiss", "ann-1-late-500.faiss"]
