"""Files of an index that are cut, foreign, unreadable or half made: searches are exact and say why."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.stores.test_indexes import DIM, KEY, fill, more, pictures, recall

from lookalike.ann.faiss_index import AnnIndex
from lookalike.errors import LibraryBusy, LibraryReadOnly, StorageFull
from lookalike.stores.ann_index import Index, IndexBuildOptions
from lookalike.stores.interface import Space
from lookalike.stores.local import LocalStore
from lookalike.stores.local.ann import index_builder, index_files
from lookalike.stores.local.ann.index_files import INDEX_FILE

QUERY = pictures(1, seed=9)


@pytest.fixture
def indexed(tmp_path: Path) -> Path:
    """The folder of a library whose space has an index."""
    folder = tmp_path / "photos" / ".lookalike"
    with LocalStore.create(folder) as store:
        fill(store, pictures())
        store.indexes.build(KEY)
    return folder


def space_files(folder: Path) -> Path:
    [place] = (folder / "spaces").iterdir()
    return place


def index_of(store: LocalStore) -> Index:
    with store.snapshot() as snapshot:
        index = snapshot.spaces()[0].index
    assert index is not None
    return index


def cut(place: Path) -> None:
    [file] = place.glob("*.faiss")
    os.truncate(file, file.stat().st_size // 2)


def scribble(place: Path) -> None:
    [file] = place.glob("*.faiss")
    with file.open("r+b") as opened:
        opened.seek(0)
        opened.write(bytes(200))


def lose(place: Path) -> None:
    [file] = place.glob("*.faiss")
    file.unlink()


def spoil_facts(place: Path) -> None:
    (place / "ann.json").write_text('{"index": {}}')


def from_elsewhere(place: Path) -> None:
    """The index of another library, with its facts: whole, but of other vectors."""
    other = place.parents[2] / "other" / ".lookalike"
    with LocalStore.create(other) as store:
        fill(store, pictures(seed=77))
        store.indexes.build(KEY)
    for file in space_files(other).glob("ann*"):
        shutil.copy(file, place)


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (cut, "not the file that was written"),
        (scribble, "not the file that was written"),
        (lose, "missing or cannot be read"),
        (spoil_facts, "facts cannot be read"),
        (from_elsewhere, "other vectors"),
    ],
)
def test_a_broken_index_is_told_searched_past_and_built_anew(
    indexed: Path, harm: Callable[[Path], None], says: str
) -> None:
    harm(space_files(indexed))
    with LocalStore.open(indexed) as store:
        with store.snapshot() as snapshot:
            found = snapshot.search(KEY, QUERY, 5)
        assert found.exact
        assert says in index_of(store).disabled_reason
        store.indexes.build(KEY)
        assert index_of(store).disabled_reason == ""
        assert recall(store, pictures(10, seed=9)) > 0.9


def test_only_the_files_of_the_index_in_use_are_kept(indexed: Path) -> None:
    (space_files(indexed) / "ann-7.faiss.part").write_bytes(b"half")
    with LocalStore.open(indexed) as store:
        store.indexes.build(KEY)
    names = sorted(f.name for f in space_files(indexed).iterdir() if INDEX_FILE.fullmatch(f.name))
    assert names == ["ann-8.faiss", "ann-8.trained"]


def test_a_building_that_is_killed_leaves_the_older_index_in_use(indexed: Path) -> None:
    """Killed when its files are written, but not yet said to be the index."""
    with LocalStore.open(indexed) as store:
        before = index_of(store)
        child = os.fork()
        if child == 0:
            index_files.write = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
            try:
                store.indexes.build(KEY, IndexBuildOptions(recipe="Flat", threads=1))
            finally:
                os._exit(1)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status)
        assert len(list(space_files(indexed).glob("*.faiss"))) == 2
        assert index_of(store) == before
        assert recall(store, pictures(10, seed=9)) > 0.9
        after = store.indexes.build(KEY, IndexBuildOptions(recipe="Flat"))
        assert index_of(store) == after
    assert len(list(space_files(indexed).glob("*.faiss"))) == 1


def test_what_a_killed_building_left_goes_with_the_next_writer_unless_somebody_builds(
    indexed: Path,
) -> None:
    place = space_files(indexed)
    left = [place / "ann-7.faiss.part", place / "ann-8.faiss", place / "ann-8.trained"]
    for file in left:
        file.write_bytes(b"large")
    with LocalStore.open(indexed) as store:
        before = index_of(store)
        with index_builder._lock(indexed), store.writer():
            pass
        assert all(file.exists() for file in left)
        with store.writer():
            pass
        assert not any(file.exists() for file in left)
        assert index_of(store) == before
        store.indexes.remove(KEY)
        left[0].write_bytes(b"large")
        with store.writer():
            pass
        assert not left[0].exists()


def test_a_space_that_is_replaced_while_its_index_is_built_is_told(indexed: Path) -> None:
    def replace_it(stage: str, done: int, total: int) -> None:
        if stage == "train" and done == 0:
            with other.writer() as writer:
                with other.snapshot() as snapshot:
                    space = snapshot.spaces()[0]
                writer.add_space(dataclasses.replace(space, key="new@2", revision="2"))
                writer.promote("new@2")

    with LocalStore.open(indexed) as store, LocalStore.open(indexed) as other:
        with pytest.raises(LibraryBusy, match="build it again"):
            store.indexes.build(KEY, IndexBuildOptions(recipe="Flat"), progress=replace_it)
        assert [space.key for space in spaces_of(other)] == ["new@2"]


def spaces_of(store: LocalStore) -> list[Space]:
    with store.snapshot() as snapshot:
        return snapshot.spaces()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the full disk of Linux")
def test_a_building_on_a_full_disk_is_told_and_leaves_the_older_index_in_use(
    indexed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = AnnIndex.save
    monkeypatch.setattr(AnnIndex, "save", lambda self, _: save(self, Path("/dev/full")))
    with LocalStore.open(indexed) as store:
        before = index_of(store)
        with pytest.raises(StorageFull):
            store.indexes.build(KEY)
        assert index_of(store) == before


def test_a_view_that_was_taken_before_a_new_index_still_answers(indexed: Path) -> None:
    with LocalStore.open(indexed) as store, store.snapshot() as old:
        first = old.search(KEY, QUERY, 5)
        late = more(store, QUERY, "late")
        store.indexes.build(KEY)
        again = old.search(KEY, QUERY, 5)
        with store.snapshot() as new:
            assert new.search(KEY, QUERY, 1).ids[0].tolist() == late
            assert new.version != old.version
    assert again.ids.tolist() == first.ids.tolist()


def test_two_do_not_build_at_once(indexed: Path) -> None:
    with LocalStore.open(indexed) as store, LocalStore.open(indexed) as other:
        seen: list[str] = []

        def meanwhile(stage: str, done: int, total: int) -> None:
            if not seen:
                with pytest.raises(LibraryBusy, match="building an index"):
                    other.indexes.build(KEY)
                with other.writer() as writer:  # but writing goes on
                    writer.remove([1])
            seen.append(stage)

        store.indexes.build(KEY, progress=meanwhile)
        assert set(seen) == {"ask", "train", "add", "tune"}
        assert index_of(store).disabled_reason == ""


def test_a_library_that_cannot_be_written_to_is_searched_with_its_index(indexed: Path) -> None:
    with LocalStore.open(indexed, read_only=True) as store:
        with store.snapshot() as snapshot:
            assert not snapshot.search(KEY, QUERY, 5).exact
        with pytest.raises(LibraryReadOnly):
            store.indexes.build(KEY)
        assert store.indexes.check(KEY, queries=20).recall > 0.9
        assert store.indexes.history(KEY) == []


def test_after_compaction_searches_are_exact_until_the_index_is_built_anew(
    indexed: Path,
) -> None:
    with LocalStore.open(indexed) as store:
        store.compact_at_least = 10
        with store.snapshot() as snapshot:
            snapshot.search(KEY, QUERY, 5)
        with store.writer() as writer:
            writer.remove(range(1, 900))
        with store.snapshot() as snapshot:
            found = snapshot.search(KEY, QUERY, 5)
        assert found.exact
        assert "compacted" in index_of(store).disabled_reason
        store.indexes.build(KEY)
        assert recall(store, pictures(10, seed=9)) > 0.9


def test_checks_that_were_cut_off_are_left_out(indexed: Path) -> None:
    with LocalStore.open(indexed) as store:
        kept = store.indexes.check(KEY, queries=20)
        with (space_files(indexed) / "ann-checks.jsonl").open("a") as file:
            file.write(json.dumps({"recall": 0.5})[:-3])
        assert store.indexes.history(KEY) == [kept]


def test_faiss_lives_beside_the_libraries_of_pictures_and_networks(indexed: Path) -> None:
    """Each brings its own BLAS and threads; all are used in one process here."""
    import cv2
    import onnxruntime

    with LocalStore.open(indexed) as store, store.snapshot() as snapshot:
        before = snapshot.search(KEY, pictures(64, seed=3), 5)
        assert onnxruntime.get_available_providers()
        resized = cv2.resize(np.zeros((64, 64, 3), np.uint8), (32, 32))
        product = np.ones((512, DIM)) @ np.ones((DIM, 512))
        after = snapshot.search(KEY, pictures(64, seed=3), 5)
    assert resized.shape == (32, 32, 3)
    assert product[0, 0] == DIM
    assert before.ids.tolist() == after.ids.tolist()
