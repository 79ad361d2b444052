"""Faults of the delta index: all vectors are found all the same."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.stores.ann_spaces import DIM, KEY, add, image_vectors
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
from lookalike.errors import MissingExtra
from lookalike.stores.ann_index import IndexBuildOptions
from lookalike.stores.local.ann import delta_index as module
from lookalike.stores.local.ann import index_files
from lookalike.stores.local.store import LocalStore
from lookalike.vectors.kmeans import import_faiss


@pytest.fixture
def store(
    tmp_path: Path, with_index: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> LocalStore:
    """A store with an index, in which fifty vectors are worth a delta index."""
    monkeypatch.setattr(module, "MIN_NUMBERS", 50 * DIM)
    return LocalStore.open(with_index(tmp_path / ".lookalike"))


def test_without_the_trained_index_new_vectors_are_compared_one_by_one(store: LocalStore) -> None:
    [trained] = store.folder.rglob("*.trained")
    trained.unlink()
    ids = add(store, added_vectors(), "new")
    assert delta_index(store) is None
    with store.snapshot() as snapshot:
        assert snapshot.search(KEY, added_vectors(), 1).ids[:, 0].tolist() == ids


@pytest.mark.parametrize("damage", ["cut", "foreign", "gone", "cut manifest", "odd manifest"])
def test_a_file_that_is_not_what_was_written_is_ignored(store: LocalStore, damage: str) -> None:
    ids = add(store, added_vectors(), "new")
    [file] = store.folder.rglob("*-delta-*.faiss")
    store.close()
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-100])
    elif damage == "foreign":
        file.write_bytes(b"not an index")
    elif damage == "gone":
        file.unlink()
    else:
        said = "{" if damage == "cut manifest" else '{"number": 1e999}'
        file.with_name(index_files.DELTA_MANIFEST).write_text(said)
    with LocalStore.open(store.folder) as again:
        assert delta_index(again) is None
        with again.snapshot() as snapshot:
            assert snapshot.search(KEY, added_vectors(), 1).ids[:, 0].tolist() == ids
        add(again, image_vectors(60, seed=12), "later")  # and written again
        assert delta_count(again) == ADDED + 60


def test_on_a_full_disk_searches_are_only_slower(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: AnnIndex, path: Path) -> None:
        path.write_bytes(b"a part")
        raise RuntimeError("Error in write_index: could not write")

    monkeypatch.setattr(AnnIndex, "save", full)
    ids = add(store, added_vectors(), "new")
    assert delta_index(store) is None
    assert not list(store.folder.rglob("*.part"))
    with store.snapshot() as snapshot:
        assert snapshot.search(KEY, added_vectors(), 1).ids[:, 0].tolist() == ids


def test_an_index_that_was_removed_and_built_meanwhile_is_another_one(
    store: LocalStore,
) -> None:
    """Their numbers are the same."""
    with store.writer() as writer:
        put(writer, "new", added_vectors())
        assert store.indexes.remove(KEY)
        store.indexes.build(KEY)
        put(writer, "later", image_vectors(100, seed=12))
    with LocalStore.open(store.folder) as again:
        assert load_index(again).index.count == 1600 + ADDED
        assert delta_count(again) == 100
        with again.snapshot() as snapshot:
            found = snapshot.search(KEY, image_vectors(100, seed=12), 1)
    assert found.similarities.min() > 0.9999


def test_a_delta_index_of_other_vectors_is_ignored(store: LocalStore) -> None:
    """A library that was restored over a newer one keeps files that are not in the older one."""
    kept = store.folder.with_name("kept")
    store.close()
    shutil.copytree(store.folder, kept)
    with LocalStore.open(store.folder) as newer:
        add(newer, added_vectors(), "new")
    shutil.copytree(kept, store.folder, dirs_exist_ok=True)
    with LocalStore.open(store.folder) as again:
        ids = add(again, image_vectors(ADDED + 10, seed=12), "others")
        with again.snapshot() as snapshot:
            found = snapshot.search(KEY, image_vectors(ADDED + 10, seed=12), 1)
        assert not found.exact
        assert found.ids[:, 0].tolist() == ids
        assert delta_count(again) == ADDED + 10


@pytest.mark.parametrize("error", [MemoryError, AssertionError, TypeError, MissingExtra])
def test_no_error_in_indexing_fails_the_writer(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise error("no")

    with monkeypatch.context() as patch:
        patch.setattr(AnnIndex, "add", fail)
        ids = add(store, added_vectors(), "new")
    with store.snapshot() as snapshot:
        assert snapshot.search(KEY, added_vectors(), 1).ids[:, 0].tolist() == ids


def test_an_interrupted_writer_has_stored_the_batch_and_can_continue(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if the inner FAISS index has added some of the vectors and the outer one does not know."""
    store.indexes.build(
        KEY, IndexBuildOptions(recipe="PCAR16,IVF32,PQ8x4fs", target=0.9, threads=1)
    )
    add = AnnIndex.add

    def interrupted(self: AnnIndex, vectors: Vector, *, threads: int = 1) -> None:
        add(self, vectors[:7], threads=threads)
        self.index.ntotal -= 7
        raise KeyboardInterrupt

    with store.writer() as writer:
        with monkeypatch.context() as patch:
            patch.setattr(AnnIndex, "add", interrupted)
            with pytest.raises(KeyboardInterrupt):
                put(writer, "new", added_vectors())
        put(writer, "later", image_vectors(60, seed=12))
    assert delta_count(store) == ADDED + 60
    with store.snapshot() as snapshot:
        found = snapshot.search(
            KEY, np.concatenate([added_vectors(), image_vectors(60, seed=12)]), 1
        )
    assert (found.similarities > 0.9999).mean() >= 0.99


def test_if_the_newest_file_cannot_be_loaded_the_one_before_stays_in_use(store: LocalStore) -> None:
    add(store, added_vectors(), "new")
    loaded = load_index(store)

    def loaded_count() -> int:
        with store.snapshot() as snapshot:
            index = loaded.delta.current(snapshot.open_space(KEY)[1].vectors)
        return 0 if index is None else index.count

    assert loaded_count() == ADDED
    add(store, image_vectors(100, seed=12), "later")
    [file] = store.folder.rglob(f"*-delta-{ADDED + 100}.faiss")
    file.unlink()
    assert loaded_count() == ADDED
    add(store, image_vectors(100, seed=13), "last")
    assert loaded_count() == ADDED + 200


@pytest.mark.parametrize("damage", ["cut", "of another dimension"])
def test_a_trained_index_that_is_not_what_was_written_is_ignored(
    store: LocalStore, damage: str
) -> None:
    [trained] = store.folder.rglob("*.trained")
    if damage == "cut":
        trained.write_bytes(trained.read_bytes()[:-50])
    else:
        AnnIndex(import_faiss().IndexFlatL2(DIM + 1), "Flat", "cosine").save(trained)
    ids = add(store, added_vectors(), "new")
    assert delta_index(store) is None
    with store.snapshot() as snapshot:
        assert snapshot.search(KEY, added_vectors(), 1).ids[:, 0].tolist() == ids
