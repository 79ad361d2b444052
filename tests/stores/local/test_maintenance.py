"""Compaction, and recovery by a new writer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.stores.builders import begin, entry, is_vector_of, put, space, stored_vector

from lookalike.errors import LibraryDamaged
from lookalike.stores.local.check import check
from lookalike.stores.local.store import LocalStore


def files(store: LocalStore) -> dict[str, int]:
    """Return names and sizes of the files below spaces/."""
    place = store.folder / "spaces"
    return {
        path.relative_to(place).as_posix(): path.stat().st_size
        for path in place.rglob("*")
        if path.is_file()
    }


def vectors_file(store: LocalStore) -> Path:
    return store.folder / "spaces" / "toy-1" / "vectors-1.f32"


def test_vectors_and_ids_are_plain_arrays_in_files(local: LocalStore) -> None:
    ids = put(local, entry("a.jpg"), entry("b.jpg"))
    assert files(local) == {"toy-1/vectors-1.f32": 24, "toy-1/ids-1.i64": 16}
    vectors = np.fromfile(vectors_file(local), "<f4").reshape(2, 3)
    assert is_vector_of(vectors[0], "a.jpg")
    assert is_vector_of(vectors[1], "b.jpg")
    stored = np.fromfile(vectors_file(local).with_name("ids-1.i64"), "<i8")
    assert stored.tolist() == ids


def test_compaction_removes_tombstones_and_changes_nothing_else(local: LocalStore) -> None:
    local.compact_at_least = 10
    ids = put(local, *(entry(f"{n}.jpg") for n in range(60)))
    with local.writer() as writer:
        writer.put([entry(f"{n}.jpg", f"new {n}") for n in reversed(range(0, 60, 4))])
        assert "toy-1/vectors-1.f32" in files(local)  # 15 of 75 rows are tombstones: too few
        writer.remove(ids[1::4])
    assert files(local) == {"toy-1/vectors-2.f32": 45 * 12, "toy-1/ids-2.i64": 45 * 8}
    kept = [(n, id) for n, id in enumerate(ids) if n % 4 != 1]
    for n, id in kept:
        assert is_vector_of(stored_vector(local, id), f"{n}.jpg" if n % 4 else f"new {n}")
    stored = np.fromfile(local.folder / "spaces" / "toy-1" / "ids-2.i64", "<i8")
    assert stored.tolist() == [id for _, id in kept]
    assert check(local.folder) == []


def test_a_few_tombstones_are_not_compacted(local: LocalStore) -> None:
    ids = put(local, *(entry(f"{n}.jpg") for n in range(20)))
    with local.writer() as writer:
        writer.remove(ids[:19])
    assert files(local)["toy-1/vectors-1.f32"] == 20 * 12
    assert check(local.folder) == []


def test_a_new_writer_truncates_uncommitted_rows(local: LocalStore) -> None:
    [id] = put(local, entry("a.jpg"))
    with vectors_file(local).open("ab") as file:
        file.write(b"half a ro")
    with local.snapshot() as snapshot:
        assert snapshot.search("toy@1", np.ones((1, 3), np.float32), 5).ids[0, :2].tolist() == [
            id,
            -1,
        ]
    put(local, entry("b.jpg"))
    assert files(local) == {"toy-1/vectors-1.f32": 24, "toy-1/ids-1.i64": 16}
    assert check(local.folder) == []


def test_a_new_writer_removes_unknown_generations_and_spaces(local: LocalStore) -> None:
    put(local, entry("a.jpg"))
    spaces = local.folder / "spaces"
    (spaces / "killed-7").mkdir()
    (spaces / "killed-7" / "vectors-1.f32").write_bytes(b"x")
    (spaces / "toy-1" / "vectors-2.f32").write_bytes(b"x")
    (spaces / "toy-1" / "notes.txt").write_text("not ours")
    (spaces / "mine").mkdir()
    with local.writer():
        pass
    assert set(files(local)) == {
        "toy-1/vectors-1.f32", "toy-1/ids-1.i64", "toy-1/notes.txt",
    }  # fmt: skip
    assert (spaces / "mine").is_dir()


def test_removing_a_space_removes_its_files(local: LocalStore) -> None:
    put(local, entry("a.jpg"))
    with local.writer() as writer:
        writer.add_space(space("toy@2"))
        writer.promote("toy@2")
    assert set(files(local)) == {"toy-2/vectors-1.f32", "toy-2/ids-1.i64"}


@pytest.mark.parametrize("left", [0, 12, 30])
def test_lost_vectors_are_counted_and_can_be_stored_again(local: LocalStore, left: int) -> None:
    with local.writer() as writer:
        writer.add_space(space("other@1"))
        both = [entry(f"{n}.jpg") for n in range(4)]
        ids = writer.put(both)
        other = [entry(f"{n}.jpg", vectors={"other@1": np.ones(3, np.float32)}) for n in range(4)]
        writer.put(other)
    with vectors_file(local).open("r+b") as file:
        file.truncate(left)
    with LocalStore.open(local.folder) as store:
        with store.snapshot() as snapshot:
            with pytest.raises(LibraryDamaged, match="lookalike index"):
                snapshot.search("toy@1", np.ones((1, 3), np.float32), 5)
            assert snapshot.search("other@1", np.ones((1, 3), np.float32), 5).ids[0, 0] == ids[0]
        assert any("toy@1" in line for line in check(store.folder))
        with store.writer() as writer:
            kept = left // 12
            assert writer.lost_vectors == {"toy@1": 4 - kept}
            known = writer.file_states(1, [f"{n}.jpg" for n in range(4)])
            held = ["toy@1" in known[f"{n}.jpg"].spaces for n in range(4)]
            assert held == [True] * kept + [False] * (4 - kept)
            assert writer.put(both) == ids
        assert check(store.folder) == []
        assert all(is_vector_of(stored_vector(store, id), f"{n}.jpg") for n, id in enumerate(ids))


def test_a_space_whose_files_are_missing_can_be_filled_again(local: LocalStore) -> None:
    ids = put(local, entry("a.jpg"))
    vectors_file(local).unlink()
    with LocalStore.open(local.folder) as store:
        with store.snapshot() as snapshot, pytest.raises(LibraryDamaged, match="toy"):
            snapshot.search("toy@1", np.ones((1, 3), np.float32), 5)
        assert put(store, entry("a.jpg")) == ids
        assert is_vector_of(stored_vector(store, ids[0]), "a.jpg")
        assert check(store.folder) == []


@pytest.mark.parametrize("harm", ["gone", "short", "zeros", "out of order", "no image"])
def test_damaged_ids_are_restored_from_the_catalogue(local: LocalStore, harm: str) -> None:
    ids = put(local, *(entry(f"{n}.jpg") for n in range(5)))
    file = vectors_file(local).with_name("ids-1.i64")
    stored = np.fromfile(file, "<i8")
    harmed = {
        "short": stored[:2],
        "zeros": stored * 0,
        "out of order": stored[[0, 2, 1, 3, 4]],
        "no image": np.append(stored[:4], 99),
    }
    file.unlink() if harm == "gone" else harmed[harm].tofile(file)
    with LocalStore.open(local.folder) as store:
        with store.writer() as writer:
            assert writer.lost_vectors == {"toy@1": 0}
        assert all(is_vector_of(stored_vector(store, id), f"{n}.jpg") for n, id in enumerate(ids))
        assert check(store.folder) == []


@pytest.mark.parametrize("content", [None, b"", b"PK half of an archive", bytes(400)])
def test_lost_fitted_arrays_disable_one_space_until_they_are_saved_again(
    tmp_path: Path, content: bytes | None
) -> None:
    fitted = {"mean": np.arange(3.0)}
    with LocalStore.create(tmp_path / ".lookalike") as store:
        begin(store, space(fitted=fitted), space("other@1"))
        both = {"toy@1": np.ones(3, np.float32), "other@1": np.ones(3, np.float32)}
        [id] = put(store, entry("a.jpg", vectors=both))
    file = store.folder / "spaces" / "toy-1" / "fitted.npz"
    file.unlink() if content is None else file.write_bytes(content)
    query = np.ones((1, 3), np.float32)
    with LocalStore.open(store.folder) as again:
        with again.snapshot() as snapshot:
            assert snapshot.search("other@1", query, 1).ids.tolist() == [[id]]
            with pytest.raises(LibraryDamaged, match="lookalike index"):
                snapshot.search("toy@1", query, 1)
        with again.writer() as writer:
            writer.add_space(space(fitted=fitted))
        with again.snapshot() as snapshot:
            assert snapshot.search("toy@1", query, 1).ids.tolist() == [[id]]
            assert dict(snapshot.spaces()[0].fitted or {})["mean"].tolist() == [0.0, 1.0, 2.0]


def test_the_remedy_for_lost_imported_vectors_is_another_import(local: LocalStore) -> None:
    with local.writer() as writer:
        writer.add_space(space("shop@imported"))
        writer.put([entry("a.jpg", vectors={"shop@imported": np.ones(3, np.float32)})])
    (local.folder / "spaces" / "shop-2" / "vectors-1.f32").unlink()
    with (
        LocalStore.open(local.folder) as store,
        store.snapshot() as snapshot,
        pytest.raises(LibraryDamaged, match="lookalike import"),
    ):
        snapshot.search("shop@imported", np.ones((1, 3), np.float32), 1)


def test_lost_vectors_are_logged_once(local: LocalStore, caplog: pytest.LogCaptureFixture) -> None:
    with local.writer() as writer:
        writer.add_space(space("shop@imported"))
        both = {"toy@1": np.ones(3, np.float32), "shop@imported": np.ones(3, np.float32)}
        writer.put([entry(f"{n}.jpg", vectors=both) for n in range(5)])
    for name in ("toy-1", "shop-2"):
        with (local.folder / "spaces" / name / "vectors-1.f32").open("r+b") as file:
            file.truncate(24)
    for _ in range(2):
        with LocalStore.open(local.folder) as store, store.writer():
            pass
    assert [record.getMessage() for record in caplog.records] == [
        "3 vectors of toy were lost from a damaged file: `lookalike index` makes them again from the "
        "images",
        "3 vectors of shop were lost from a damaged file: import them again with `lookalike import`",
    ]
