"""The delta index: vectors added after the ANN index was built are indexed by the writer."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.stores.ann_spaces import DIM, KEY, RECIPES, add, fill, image_vectors, recall
from tests.stores.builders import Vector
from tests.stores.local.delta_indexes import (
    ADDED,
    added_vectors,
    delta_count,
    delta_index,
    load_index,
    put,
)

from lookalike.ann.faiss_index import AnnIndex
from lookalike.stores.ann_index import IndexBuildOptions
from lookalike.stores.local.ann import delta_index as module
from lookalike.stores.local.ann import index_files
from lookalike.stores.local.database import SpaceRow
from lookalike.stores.local.store import LocalStore


@pytest.fixture(autouse=True)
def small_threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifty vectors are worth a delta index."""
    monkeypatch.setattr(module, "MIN_NUMBERS", 50 * DIM)


@pytest.fixture
def store(tmp_path: Path, with_index: Callable[[Path], Path]) -> LocalStore:
    return LocalStore.open(with_index(tmp_path / ".lookalike"))


def test_the_writer_indexes_new_vectors_and_all_are_found(store: LocalStore) -> None:
    ids = add(store, added_vectors(), "new")
    assert delta_count(store) == ADDED
    with store.snapshot() as snapshot:
        found = snapshot.search(KEY, added_vectors(), 2)
    assert not found.exact
    assert (found.ids[:, 0] == ids).mean() >= 0.99
    assert recall(store, image_vectors(40, seed=9)) >= 0.9


def test_a_reader_loads_what_another_process_wrote(store: LocalStore) -> None:
    with LocalStore.open(store.folder, read_only=True) as reader:
        assert delta_count(reader) == 0
        add(store, added_vectors(), "new")
        assert delta_count(reader) == ADDED
        ids = add(store, image_vectors(100, seed=12), "later")
        assert delta_count(reader) == ADDED + 100
        with reader.snapshot() as snapshot:
            found = snapshot.search(KEY, image_vectors(100, seed=12), 1)
    assert (found.ids[:, 0] == ids).mean() >= 0.99


def test_the_next_writer_continues_the_file(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(store, added_vectors(), "new")
    store.close()
    added: list[int] = []
    add_to_index = AnnIndex.add

    def counted(self: AnnIndex, vectors: Vector, *, threads: int = 1) -> None:
        added.append(len(vectors))
        add_to_index(self, vectors, threads=threads)

    monkeypatch.setattr(AnnIndex, "add", counted)
    with LocalStore.open(store.folder) as again:
        add(again, image_vectors(200, seed=12), "later")
        assert sum(added) == 200
        assert delta_count(again) == ADDED + 200
        assert recall(again, image_vectors(40, seed=9)) >= 0.9


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_can_be_continued(tmp_path: Path, recipe: str) -> None:
    store = LocalStore.create(tmp_path / ".lookalike")
    fill(store, image_vectors())
    store.indexes.build(KEY, IndexBuildOptions(recipe=recipe, target=0.9, threads=1))
    add(store, added_vectors(), "new")
    store.close()
    with LocalStore.open(store.folder) as again:
        add(again, image_vectors(100, seed=12), "later")
        assert delta_count(again) == ADDED + 100
        assert recall(again, image_vectors(40, seed=9)) >= 0.85


def test_few_new_vectors_are_compared_one_by_one(store: LocalStore) -> None:
    ids = add(store, added_vectors()[:20], "new")
    assert delta_index(store) is None
    with store.snapshot() as snapshot:
        found = snapshot.search(KEY, added_vectors()[:20], 1)
    assert not found.exact
    assert found.ids[:, 0].tolist() == ids


def test_a_new_file_is_written_for_a_sixteenth_of_the_last(store: LocalStore) -> None:
    add(store, image_vectors(960, seed=8), "new")
    add(store, image_vectors(59, seed=12), "later")
    assert delta_count(store) == 960
    add(store, image_vectors(1, seed=13), "last")
    assert delta_count(store) == 1020


def test_a_limited_number_is_indexed_after_a_batch_and_the_rest_at_the_end(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 50)
    monkeypatch.setattr(module, "MAX_CHUNKS", 2)
    seen: list[int] = []
    save = index_files.save_delta

    def noted(
        library: Path,
        row: SpaceRow,
        manifest: index_files.IndexManifest,
        index: AnnIndex,
        rows: Vector,
    ) -> None:
        seen.append(index.count)
        save(library, row, manifest, index, rows)

    monkeypatch.setattr(index_files, "save_delta", noted)
    add(store, added_vectors(), "new")
    assert seen == [100, 300]


def test_removed_and_filtered_images_are_not_found_in_it(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lookalike.stores.local.ann.ann_search.EXACT_BYTES", 4000)
    ids = add(store, added_vectors(), "new")
    with store.writer() as writer:
        writer.remove(ids[::2])
    with store.snapshot() as snapshot:
        found = snapshot.search(KEY, added_vectors(), 1)
        everything = np.arange(1, max(ids) + 1)
        some = snapshot.search(KEY, added_vectors(), 1, among=everything[everything % 3 > 0])
    assert not found.exact
    assert not some.exact
    assert not np.isin(found.ids, ids[::2]).any()
    assert (found.ids[1::2, 0] == ids[1::2]).mean() >= 0.98
    assert (some.ids % 3 > 0).all()
    assert recall(store, image_vectors(40, seed=9)) >= 0.9


def test_an_older_snapshot_does_not_use_it(store: LocalStore) -> None:
    add(store, image_vectors(30, seed=20), "before")
    with store.snapshot() as old:
        before = old.search(KEY, added_vectors(), 3)
        ids = add(store, added_vectors(), "new")
        assert delta_count(store) == 30 + ADDED
        after = old.search(KEY, added_vectors(), 3)
    assert not np.isin(after.ids, ids).any()
    assert (after.ids == before.ids).mean() >= 0.99  # candidates of either index


def test_a_rebuilt_index_starts_without_a_delta_index(store: LocalStore) -> None:
    add(store, added_vectors(), "new")
    store.indexes.build(KEY)
    assert delta_index(store) is None
    assert not list(store.folder.rglob("*-delta-*"))
    ids = add(store, image_vectors(100, seed=12), "later")
    assert delta_count(store) == 100
    with store.snapshot() as snapshot:
        found = snapshot.search(KEY, image_vectors(100, seed=12), 1)
    assert (found.ids[:, 0] == ids).mean() >= 0.99
    assert store.indexes.remove(KEY)
    assert not list(store.folder.rglob("ann-*delta*"))


def test_a_writer_notices_an_index_that_was_rebuilt_meanwhile(store: LocalStore) -> None:
    with store.writer() as writer:
        put(writer, "new", added_vectors())
        assert delta_count(store) == ADDED
        store.indexes.build(KEY)
        assert delta_count(store) == 0
        put(writer, "later", image_vectors(100, seed=12))
        assert delta_count(store) == 100
        assert load_index(store).index.count == 1600 + ADDED


def test_a_writer_of_few_vectors_does_not_read_the_file(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(store, image_vectors(960, seed=8), "new")
    read: list[Path] = []
    load = AnnIndex.load.__func__  # type: ignore[attr-defined]

    def noted(cls: type[AnnIndex], /, path: Path, *arguments: object, **options: bool) -> AnnIndex:
        if options.get("writable"):
            read.append(path)
        index: AnnIndex = load(cls, path, *arguments, **options)
        return index

    monkeypatch.setattr(AnnIndex, "load", classmethod(noted))
    add(store, image_vectors(59, seed=12), "later")
    assert read == []
    add(store, image_vectors(1, seed=13), "last")
    assert len(read) == 1
    assert delta_count(store) == 1020


def indexes_in_memory() -> int:
    gc.collect()
    return sum(isinstance(one, AnnIndex) for one in gc.get_objects())


def test_the_writer_frees_the_delta_index_of_a_removed_index(store: LocalStore) -> None:
    before = indexes_in_memory()  # of other tests
    with store.writer() as writer:
        put(writer, "new", added_vectors())
        assert indexes_in_memory() == before + 1
        store.indexes.remove(KEY)
        put(writer, "later", added_vectors()[:1])
        assert indexes_in_memory() == before


def test_at_most_two_files_are_kept(store: LocalStore) -> None:
    with store.writer() as writer:
        for turn in range(5):
            put(writer, f"new{turn}", image_vectors(100, seed=20 + turn))
    found = sorted(file.name for file in store.folder.rglob("ann-*-delta-*"))
    assert found == ["ann-1-delta-400.faiss", "ann-1-delta-500.faiss"]
