"""Where new vectors cannot be indexed, or the index of them is not theirs: all are found all the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.stores.builders import Vector
from tests.stores.local.test_late import LATE, asked, count, current, put_in, ready_of
from tests.stores.test_indexes import DIM, KEY, fill, more, pictures

from lookalike.ann.faiss_index import AnnIndex, faiss
from lookalike.errors import MissingExtra
from lookalike.stores.ann_index import IndexBuildOptions
from lookalike.stores.local import LocalStore
from lookalike.stores.local.ann import delta_index, index_files


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalStore:
    """With an index. Fifty vectors are many here."""
    monkeypatch.setattr(delta_index, "STEP", 50 * DIM)
    store = LocalStore.create(tmp_path / ".lookalike")
    fill(store, pictures())
    store.indexes.build(KEY)
    return store


def test_without_what_was_learnt_they_are_compared_one_by_one(store: LocalStore) -> None:
    [trained] = store.folder.rglob("*.trained")
    trained.unlink()
    ids = more(store, asked(), "late")
    assert current(store) is None
    with store.snapshot() as snapshot:
        assert snapshot.search(KEY, asked(), 1).ids[:, 0].tolist() == ids


@pytest.mark.parametrize("harm", ["cut", "foreign", "gone", "no facts", "odd facts"])
def test_a_file_that_is_not_what_was_written_is_left_alone(store: LocalStore, harm: str) -> None:
    ids = more(store, asked(), "late")
    [file] = store.folder.rglob("*-late-*.faiss")
    store.close()
    if harm == "cut":
        file.write_bytes(file.read_bytes()[:-100])
    elif harm == "foreign":
        file.write_bytes(b"not an index")
    elif harm == "gone":
        file.unlink()
    else:
        said = "{" if harm == "no facts" else '{"number": 1e999}'
        file.with_name(index_files.LATE_FACTS).write_text(said)
    with LocalStore.open(store.folder) as again:
        assert current(again) is None
        with again.snapshot() as snapshot:
            assert snapshot.search(KEY, asked(), 1).ids[:, 0].tolist() == ids
        more(again, pictures(60, seed=12), "later")  # and made anew
        assert count(again) == LATE + 60


def test_a_full_disk_costs_nothing_but_time(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: AnnIndex, path: Path) -> None:
        path.write_bytes(b"a part")
        raise RuntimeError("Error in write_index: could not write")

    monkeypatch.setattr(AnnIndex, "save", full)
    ids = more(store, asked(), "late")
    assert current(store) is None
    assert not list(store.folder.rglob("*.part"))  # it gives back what it took
    with store.snapshot() as snapshot:
        assert snapshot.search(KEY, asked(), 1).ids[:, 0].tolist() == ids


def test_an_index_that_was_removed_and_built_beside_a_writer_is_another_one(
    store: LocalStore,
) -> None:
    """Their numbers are the same."""
    with store.writer() as writer:
        put_in(writer, "late", asked())
        assert store.indexes.remove(KEY)
        store.indexes.build(KEY)
        put_in(writer, "later", pictures(100, seed=12))
    with LocalStore.open(store.folder) as again:
        assert ready_of(again).index.count == 1600 + LATE
        assert count(again) == 100
        with again.snapshot() as snapshot:
            near = snapshot.search(KEY, pictures(100, seed=12), 1)
    assert near.similarities.min() > 0.9999


def test_the_file_of_other_vectors_is_left_alone(store: LocalStore) -> None:
    """A library that was restored over a newer one keeps files that are not in the older one."""
    kept = store.folder.with_name("kept")
    store.close()
    shutil.copytree(store.folder, kept)
    with LocalStore.open(store.folder) as newer:
        more(newer, asked(), "late")
    shutil.copytree(kept, store.folder, dirs_exist_ok=True)
    with LocalStore.open(store.folder) as again:
        ids = more(again, pictures(LATE + 10, seed=12), "others")
        with again.snapshot() as snapshot:
            near = snapshot.search(KEY, pictures(LATE + 10, seed=12), 1)
        assert not near.exact
        assert near.ids[:, 0].tolist() == ids
        assert count(again) == LATE + 10


@pytest.mark.parametrize("error", [MemoryError, AssertionError, TypeError, MissingExtra])
def test_whatever_prevents_it_does_not_fail_the_writer(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise error("no")

    with monkeypatch.context() as patch:
        patch.setattr(AnnIndex, "add", fail)
        ids = more(store, asked(), "late")
    with store.snapshot() as snapshot:
        assert snapshot.search(KEY, asked(), 1).ids[:, 0].tolist() == ids


def test_a_writer_that_is_interrupted_in_it_has_stored_the_batch_and_can_go_on(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the inner part of the index had taken some, and the outer one does not know."""
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
                put_in(writer, "late", asked())
        put_in(writer, "later", pictures(60, seed=12))
    assert count(store) == LATE + 60
    with store.snapshot() as snapshot:
        near = snapshot.search(KEY, np.concatenate([asked(), pictures(60, seed=12)]), 1)
    assert (near.similarities > 0.9999).mean() >= 0.99


def test_what_cannot_be_loaded_leaves_the_one_before_in_use(store: LocalStore) -> None:
    more(store, asked(), "late")
    ready = ready_of(store)

    def seen() -> int:
        with store.snapshot() as snapshot:
            index = ready.late.current(snapshot.open_space(KEY)[1].vectors)
        return 0 if index is None else index.count

    assert seen() == LATE
    more(store, pictures(100, seed=12), "later")
    [file] = store.folder.rglob(f"*-late-{LATE + 100}.faiss")
    file.unlink()
    assert seen() == LATE
    more(store, pictures(100, seed=13), "last")
    assert seen() == LATE + 200


@pytest.mark.parametrize("damage", ["cut", "of another width"])
def test_what_was_learnt_is_not_read_where_it_is_not_what_was_written(
    store: LocalStore, damage: str
) -> None:
    [trained] = store.folder.rglob("*.trained")
    if damage == "cut":
        trained.write_bytes(trained.read_bytes()[:-50])
    else:
        AnnIndex(faiss().IndexFlatL2(DIM + 1), "Flat", "cosine").save(trained)
    ids = more(store, asked(), "late")
    assert current(store) is None
    with store.snapshot() as snapshot:
        assert snapshot.search(KEY, asked(), 1).ids[:, 0].tolist() == ids
