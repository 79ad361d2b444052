"""Index files that are truncated, foreign, unreadable or incomplete: searches are exact and say why."""

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
from filelock import FileLock
from tests.stores.ann_spaces import DIM, KEY, add, fill, image_vectors, recall

from lookalike.ann import faiss_index, untrusted_index
from lookalike.ann.faiss_index import AnnIndex
from lookalike.errors import LibraryBusy, LibraryReadOnly, StorageFull
from lookalike.stores.ann_index import Index, IndexBuildOptions
from lookalike.stores.interface import Space
from lookalike.stores.local.ann import index_builder, index_files
from lookalike.stores.local.ann.index_files import INDEX_FILE
from lookalike.stores.local.store import LocalStore

QUERY = image_vectors(1, seed=9)


@pytest.fixture
def indexed(tmp_path: Path, with_index: Callable[[Path], Path]) -> Path:
    """The folder of a library whose space has an index."""
    return with_index(tmp_path / "photos" / ".lookalike")


def space_files(folder: Path) -> Path:
    [place] = (folder / "spaces").iterdir()
    return place


def index_of(store: LocalStore) -> Index:
    with store.snapshot() as snapshot:
        index = snapshot.spaces()[0].index
    assert index is not None
    return index


def truncate(place: Path) -> None:
    [file] = place.glob("*.faiss")
    os.truncate(file, file.stat().st_size // 2)


def overwrite(place: Path) -> None:
    [file] = place.glob("*.faiss")
    with file.open("r+b") as opened:
        opened.seek(0)
        opened.write(bytes(200))


def delete(place: Path) -> None:
    [file] = place.glob("*.faiss")
    file.unlink()


def damage_manifest(place: Path) -> None:
    (place / "ann.json").write_text('{"index": {}}')


def alter_manifest(name: str, value: object) -> Callable[[Path], None]:
    def alter(place: Path) -> None:
        document = json.loads((place / "ann.json").read_text())
        document["index"][name] = value
        (place / "ann.json").write_text(json.dumps(document))

    alter.__name__ = f"{name}={value}"
    return alter


def copy_from_another_library(place: Path) -> None:
    """The index of another library with its manifest: intact, but of other vectors."""
    other = place.parents[2] / "other" / ".lookalike"
    with LocalStore.create(other) as store:
        fill(store, image_vectors(seed=77))
        store.indexes.build(KEY)
    for file in space_files(other).glob("ann*"):
        shutil.copy(file, place)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (truncate, "not the file that was written"),
        (overwrite, "not the file that was written"),
        (delete, "missing or cannot be read"),
        (damage_manifest, "manifest cannot be read"),
        (copy_from_another_library, "other vectors"),
        (alter_manifest("nprobe", "../../x"), "manifest cannot be read"),
        (alter_manifest("candidates", 1e308), "manifest cannot be read"),
        (alter_manifest("candidates", float("nan")), "manifest cannot be read"),
        (alter_manifest("rows", True), "manifest cannot be read"),
        (alter_manifest("seconds", -1.0), "manifest cannot be read"),
        (alter_manifest("recipe", []), "manifest cannot be read"),
    ],
)
def test_a_broken_index_is_reported_not_used_and_can_be_rebuilt(
    indexed: Path, damage: Callable[[Path], None], reason: str
) -> None:
    damage(space_files(indexed))
    with LocalStore.open(indexed) as store:
        with store.snapshot() as snapshot:
            found = snapshot.search(KEY, QUERY, 5)
        assert found.exact
        assert reason in index_of(store).disabled_reason
        store.indexes.build(KEY)
        assert index_of(store).disabled_reason == ""
        assert recall(store, image_vectors(10, seed=9)) > 0.9


def other_kind(content: bytes, place: Path) -> bytes:
    index = faiss_index.train(image_vectors(), "Flat", similarity="cosine")
    faiss_index.fill(index, image_vectors())
    index.save(place / "other.faiss")
    return (place / "other.faiss").read_bytes()


def absurd_head(content: bytes, _: Path) -> bytes:
    return content[:8] + (1 << 60).to_bytes(8, "little") + content[16:]


def foreign_ids(content: bytes, _: Path) -> bytes:
    ids = np.arange(10, 14, dtype="<i8").tobytes()
    assert ids in content  # of the one list of `IVF1`
    return content.replace(ids, np.full(4, 1 << 40, "<i8").tobytes())


@pytest.mark.parametrize(
    ("craft", "reason"),
    [
        (other_kind, "another kind of index"),
        (absurd_head, "cannot be read"),
        (foreign_ids, "ids of other vectors"),
    ],
)
def test_an_index_crafted_to_match_its_manifest_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    craft: Callable[[bytes, Path], bytes],
    reason: str,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / ".lookalike"
    with LocalStore.create(folder) as store:
        fill(store, image_vectors())
        store.indexes.build(KEY, IndexBuildOptions(recipe="IVF1,SQ8"))
    place = space_files(folder)
    [file] = place.glob("*.faiss")
    file.write_bytes(craft(file.read_bytes(), tmp_path))
    manifest = json.loads((place / "ann.json").read_text())
    manifest |= {
        "fingerprint": index_files.fingerprint_file(file),
        "checksum": index_files.checksum_file(file),
    }
    (place / "ann.json").write_text(json.dumps(manifest))
    with LocalStore.open(folder) as store:
        with store.snapshot() as snapshot:
            assert snapshot.search(KEY, QUERY, 5).exact
        found = index_of(store).disabled_reason
        assert reason in found and "\n" not in found
        store.indexes.build(KEY)
        assert recall(store, image_vectors(10, seed=9)) > 0.9


@pytest.mark.skipif(os.name != "posix", reason="the cache is elsewhere")
def test_the_index_of_a_copied_library_is_tried_once_and_then_used(
    indexed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    tried: list[Path] = []
    attempt = untrusted_index._try

    def counted(path: Path, recipe: str) -> str:
        tried.append(path)
        return attempt(path, recipe)

    monkeypatch.setattr(untrusted_index, "_try", counted)
    copy = tmp_path / "copy" / ".lookalike"
    shutil.copytree(indexed, copy)
    for _ in range(2):
        with LocalStore.open(copy) as store, store.snapshot() as snapshot:
            assert not snapshot.search(KEY, QUERY, 5).exact
        assert len(tried) == 1
    with LocalStore.open(copy) as store:
        store.indexes.build(KEY)  # our own
        with store.snapshot() as snapshot:
            assert not snapshot.search(KEY, QUERY, 5).exact
    assert len(tried) == 1


def test_only_the_files_of_the_index_in_use_are_kept(indexed: Path) -> None:
    (space_files(indexed) / "ann-7.faiss.part").write_bytes(b"half")
    with LocalStore.open(indexed) as store:
        store.indexes.build(KEY)
    names = sorted(f.name for f in space_files(indexed).iterdir() if INDEX_FILE.fullmatch(f.name))
    assert names == ["ann-8.faiss", "ann-8.trained"]


def test_a_killed_build_leaves_the_older_index_in_use(indexed: Path) -> None:
    """Killed after its files were written, but before the manifest."""
    with LocalStore.open(indexed) as store:
        before = index_of(store)
        child = os.fork()
        if child == 0:
            index_files.write_manifest = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
            try:
                store.indexes.build(KEY, IndexBuildOptions(recipe="Flat", threads=1))
            finally:
                os._exit(1)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status)
        assert len(list(space_files(indexed).glob("*.faiss"))) == 2
        assert index_of(store) == before
        assert recall(store, image_vectors(10, seed=9)) > 0.9
        after = store.indexes.build(KEY, IndexBuildOptions(recipe="Flat"))
        assert index_of(store) == after
    assert len(list(space_files(indexed).glob("*.faiss"))) == 1


def test_the_next_writer_removes_leftovers_of_a_killed_build_unless_a_build_is_running(
    indexed: Path,
) -> None:
    place = space_files(indexed)
    leftovers = [place / "ann-7.faiss.part", place / "ann-8.faiss", place / "ann-8.trained"]
    for file in leftovers:
        file.write_bytes(b"large")
    with LocalStore.open(indexed) as store:
        before = index_of(store)
        with FileLock(indexed / index_builder.LOCK), store.writer():
            pass
        assert all(file.exists() for file in leftovers)
        with store.writer():
            pass
        assert not any(file.exists() for file in leftovers)
        assert index_of(store) == before
        store.indexes.remove(KEY)
        leftovers[0].write_bytes(b"large")
        with store.writer():
            pass
        assert not leftovers[0].exists()


def test_a_space_that_is_replaced_while_its_index_is_built_is_reported(indexed: Path) -> None:
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
def test_a_build_on_a_full_disk_fails_and_leaves_the_older_index_in_use(
    indexed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = AnnIndex.save
    monkeypatch.setattr(AnnIndex, "save", lambda self, _: save(self, Path("/dev/full")))
    with LocalStore.open(indexed) as store:
        before = index_of(store)
        with pytest.raises(StorageFull):
            store.indexes.build(KEY)
        assert index_of(store) == before


def test_a_snapshot_older_than_the_index_still_works(indexed: Path) -> None:
    with LocalStore.open(indexed) as store, store.snapshot() as old:
        first = old.search(KEY, QUERY, 5)
        new_ids = add(store, QUERY, "new")
        store.indexes.build(KEY)
        again = old.search(KEY, QUERY, 5)
        with store.snapshot() as new:
            assert new.search(KEY, QUERY, 1).ids[0].tolist() == new_ids
            assert new.version != old.version
    assert again.ids.tolist() == first.ids.tolist()


def test_a_second_build_at_the_same_time_is_refused(indexed: Path) -> None:
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


def test_a_read_only_library_is_searched_with_its_index(indexed: Path) -> None:
    with LocalStore.open(indexed, read_only=True) as store:
        with store.snapshot() as snapshot:
            assert not snapshot.search(KEY, QUERY, 5).exact
        with pytest.raises(LibraryReadOnly):
            store.indexes.build(KEY)
        assert store.indexes.check(KEY, queries=20).recall > 0.9
        assert store.indexes.history(KEY) == []


def test_after_compaction_searches_are_exact_until_the_index_is_rebuilt(
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
        assert recall(store, image_vectors(10, seed=9)) > 0.9


def test_incomplete_lines_of_the_check_history_are_skipped(indexed: Path) -> None:
    with LocalStore.open(indexed) as store:
        kept = store.indexes.check(KEY, queries=20)
        with (space_files(indexed) / "ann-checks.jsonl").open("a") as file:
            file.write(json.dumps({"recall": 0.5})[:-3])
        assert store.indexes.history(KEY) == [kept]


def test_faiss_works_in_one_process_with_opencv_and_onnxruntime(indexed: Path) -> None:
    """Each brings its own BLAS and threads; all are used in one process here."""
    import cv2
    import onnxruntime

    with LocalStore.open(indexed) as store, store.snapshot() as snapshot:
        before = snapshot.search(KEY, image_vectors(64, seed=3), 5)
        assert onnxruntime.get_available_providers()
        resized = cv2.resize(np.zeros((64, 64, 3), np.uint8), (32, 32))
        product = np.ones((512, DIM)) @ np.ones((DIM, 512))
        after = snapshot.search(KEY, image_vectors(64, seed=3), 5)
    assert resized.shape == (32, 32, 3)
    assert product[0, 0] == DIM
    assert before.ids.tolist() == after.ids.tolist()


def test_manifests_and_checks_with_older_field_names_are_read(indexed: Path) -> None:
    with LocalStore.open(indexed) as store:
        index, check = index_of(store), store.indexes.check(KEY, queries=20)
    for name in ("ann.json", "ann-checks.jsonl"):
        file = space_files(indexed) / name
        text = file.read_text()
        for new, old in (("nprobe", "probe"), ("candidates", "width"), ("unindexed", "tail")):
            text = text.replace(f'"{new}"', f'"{old}"')
        file.write_text(text)
    with LocalStore.open(indexed) as store:
        assert index_of(store) == index
        assert store.indexes.history(KEY) == [check]
        with store.snapshot() as snapshot:
            assert not snapshot.search(KEY, QUERY, 5).exact
