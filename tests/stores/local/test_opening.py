"""Opening a library: newer and older formats, damage, read-only media, libraries that were moved."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.stores.builders import begin, entry, is_vector_of, put, space, stored_vector

from lookalike.errors import (
    LibraryDamaged,
    LibraryError,
    LibraryReadOnly,
    LibraryTooNew,
    NoLibrary,
    StorageFull,
    UsageError,
)
from lookalike.stores.local import database, reader_pool, store
from lookalike.stores.local.check import check
from lookalike.stores.local.migrations import MIGRATIONS
from lookalike.stores.local.store import LocalStore


def alter(folder: Path, statement: str) -> None:
    connection = sqlite3.connect(folder / "catalogue.sqlite")
    connection.execute(statement)
    connection.commit()
    connection.close()


def test_opening_a_missing_library_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(NoLibrary, match="lookalike index"):
        LocalStore.open(tmp_path)


def test_a_library_cannot_be_made_at_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="is a file"):
        LocalStore.create(tmp_path / "file")


def test_creating_an_existing_library_opens_it(local: LocalStore) -> None:
    put(local, entry("a.jpg"))
    with LocalStore.create(local.folder) as again, again.snapshot() as snapshot:
        assert snapshot.lookup(1, "a.jpg") is not None


def test_a_library_of_a_newer_format_is_refused_with_the_remedy(local: LocalStore) -> None:
    local.close()
    alter(local.folder, "PRAGMA user_version = 99")
    with pytest.raises(LibraryTooNew, match="pip install --upgrade lookalike"):
        LocalStore.open(local.folder)
    with pytest.raises(LibraryTooNew):
        LocalStore.open(local.folder, read_only=True)


def test_an_older_library_is_migrated_when_it_is_opened(local: LocalStore) -> None:
    put(local, entry("a.jpg"))
    local.close()

    def m002(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE captions (image INTEGER PRIMARY KEY, text TEXT)")

    steps = (*MIGRATIONS, m002)
    with pytest.raises(LibraryReadOnly, match="older format"):
        LocalStore.open(local.folder, read_only=True, migrations=steps)
    with LocalStore.open(local.folder, migrations=steps) as newer:
        assert newer.format == len(steps)
        with newer.snapshot() as snapshot:
            assert snapshot.lookup(1, "a.jpg") is not None
    with pytest.raises(LibraryTooNew):
        LocalStore.open(local.folder)


def test_a_migration_that_fails_changes_nothing(local: LocalStore) -> None:
    local.close()

    def m002(connection: sqlite3.Connection) -> None:
        connection.execute("DROP TABLE metadata")
        raise RuntimeError("killed here")

    with pytest.raises(RuntimeError):
        LocalStore.open(local.folder, migrations=(*MIGRATIONS, m002))
    with LocalStore.open(local.folder) as store, store.writer() as writer:
        [id] = writer.put([entry("a.jpg")])
        writer.set_metadata({id: {"a": 1}})


def test_a_library_whose_creation_was_killed_is_finished_later(tmp_path: Path) -> None:
    folder = tmp_path / ".lookalike"
    folder.mkdir()
    database.connect(folder, "create").close()
    with LocalStore.open(folder) as store:
        begin(store)
        put(store, entry("a.jpg"))
        with store.snapshot() as snapshot:
            assert [image.path for image in snapshot.iter_files()] == ["a.jpg"]


@pytest.mark.parametrize(
    "content", [b"this is not SQLite" * 100, b"SQLite format 3\0" + b"\1" * 4000]
)
def test_a_catalogue_that_is_not_sqlite_is_reported_as_damage(
    local: LocalStore, content: bytes
) -> None:
    local.close()
    (local.folder / "catalogue.sqlite").write_bytes(content)
    with pytest.raises(LibraryDamaged, match="backup"):
        LocalStore.open(local.folder)


@pytest.mark.parametrize("content", [None, b""])
def test_vectors_without_a_catalogue_are_not_taken_for_leftovers(
    local: LocalStore, content: bytes | None
) -> None:
    put(local, entry("a.jpg"))
    local.close()
    path = local.folder / "catalogue.sqlite"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(LibraryDamaged, match="backup"):
        LocalStore.create(local.folder)
    assert (local.folder / "spaces" / "toy-1" / "vectors-1.f32").stat().st_size == 12


@pytest.mark.parametrize(
    ("number", "says"), [(errno.ENOLCK, "supports no locks"), (errno.EIO, "fails")]
)
def test_missing_locks_and_failing_disks_are_reported_with_the_remedy(
    local: LocalStore, monkeypatch: pytest.MonkeyPatch, number: int, says: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    with pytest.raises(LibraryError, match=says), local.writer():
        pass


@pytest.mark.skipif(os.name != "posix", reason="limits as POSIX has them")
def test_too_many_open_files_are_not_reported_as_damage(local: LocalStore) -> None:
    """A user who is told of damage would delete an intact library."""
    import resource

    put(local, entry("a.jpg"))
    local.close()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        with pytest.raises(LibraryError, match="too many may be open") as raised:
            LocalStore.open(local.folder)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert type(raised.value) is LibraryError
    with LocalStore.open(local.folder) as store, store.snapshot() as snapshot:
        assert snapshot.lookup(1, "a.jpg") is not None


def test_a_damaged_page_raises_an_error(local: LocalStore) -> None:
    put(local, *(entry(f"{n:04d}.jpg") for n in range(2_000)))
    local.close()
    path = local.folder / "catalogue.sqlite"
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 3 // 4096 * 4096)
        file.write(b"\xff" * 4096 * 40)
    damaged = pytest.raises(LibraryDamaged, match="backup")
    with LocalStore.open(local.folder) as store, store.snapshot() as snapshot, damaged:
        list(snapshot.iter_files())


def test_a_changed_name_of_a_column_is_damage(local: LocalStore) -> None:
    put(local, entry("a.jpg"))
    local.close()
    path = local.folder / "catalogue.sqlite"
    connection = sqlite3.connect(path)
    (columns,) = connection.execute(
        "SELECT sql FROM sqlite_master WHERE name = 'fields'"
    ).fetchone()
    connection.close()
    changed = columns.replace("id INTEGER", "ie INTEGER").encode()
    path.write_bytes(path.read_bytes().replace(columns.encode(), changed))
    damaged = pytest.raises(LibraryDamaged, match=r"no such column.*backup")
    with LocalStore.open(local.folder) as store, store.snapshot() as snapshot, damaged:
        snapshot.fields()


def test_another_sqlite_file_is_not_a_library(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "catalogue.sqlite")
    connection.execute("CREATE TABLE songs (name)")
    connection.commit()
    connection.close()
    with pytest.raises(LibraryDamaged, match="not a catalogue of Lookalike"):
        LocalStore.open(tmp_path)


def test_a_library_opened_for_reading_is_searched_but_not_changed(local: LocalStore) -> None:
    [id] = put(local, entry("a.jpg"))
    with LocalStore.open(local.folder, read_only=True) as store:
        assert store.read_only
        assert is_vector_of(stored_vector(store, id), "a.jpg")
        with pytest.raises(LibraryReadOnly, match="--library"), store.writer():
            pass


def test_a_read_only_store_sees_what_a_writer_commits(local: LocalStore) -> None:
    with LocalStore.open(local.folder, read_only=True) as reader, local.writer() as writer:
        for n in range(3):
            writer.put([entry(f"{n}.jpg")])
            with reader.snapshot() as snapshot:
                assert snapshot.spaces()[0].count == n + 1


def simulate_read_only_medium(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Act like a read-only medium: SQLite refuses, and os.access says no. Permissions are no substitute,
    because root ignores them."""
    whole = database.connect

    def connect(place: Path, access: database.Access) -> sqlite3.Connection:
        if access != "immutable":
            error = sqlite3.OperationalError("unable to open database file")
            error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
            raise error
        return whole(place, access)

    monkeypatch.setattr("lookalike.stores.local.reader_pool.connect", connect)
    monkeypatch.setattr(store, "writable", lambda place: False)


def test_a_library_on_a_read_only_medium_is_searched(
    local: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    [id] = put(local, entry("a.jpg"))
    local.close()
    simulate_read_only_medium(local.folder, monkeypatch)
    with LocalStore.open(local.folder) as medium:
        assert medium.read_only
        assert is_vector_of(stored_vector(medium, id), "a.jpg")
        with pytest.raises(LibraryReadOnly), medium.writer():
            pass


@pytest.mark.parametrize("read_only", [True, False])
def test_a_library_on_a_full_disk_is_searched(
    local: LocalStore, monkeypatch: pytest.MonkeyPatch, read_only: bool
) -> None:
    """There is no space for the shared memory beside the log, not even 32 KB."""
    [id] = put(local, entry("a.jpg"))
    local.close()
    connect = database.connect
    full = True

    def no_room(folder: Path, access: database.Access) -> sqlite3.Connection:
        if full and access != "immutable":
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE
            raise error
        return connect(folder, access)

    for module in (reader_pool, store):
        monkeypatch.setattr(module, "connect", no_room)
    with LocalStore.open(local.folder, read_only=read_only) as opened:
        assert is_vector_of(stored_vector(opened, id), "a.jpg")
        if not read_only:
            with pytest.raises(StorageFull), opened.writer():
                pass
        full = False
        with LocalStore.open(local.folder) as other:
            put(other, entry("b.jpg"))
            with opened.snapshot() as snapshot:
                assert snapshot.lookup(1, "b.jpg") is not None
        (local.folder / "catalogue.sqlite-wal").write_bytes(b"something")
        full = True
        with pytest.raises(StorageFull):
            LocalStore.open(local.folder, read_only=read_only)


def test_a_log_on_a_read_only_medium_is_not_ignored(
    local: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(local, entry("a.jpg"))
    local.close()
    (local.folder / "catalogue.sqlite-wal").write_bytes(b"something")
    simulate_read_only_medium(local.folder, monkeypatch)
    with pytest.raises(LibraryReadOnly, match="not closed"):
        LocalStore.open(local.folder)


def test_a_reader_on_a_read_only_medium_notices_a_writer(
    local: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(local, entry("a.jpg"))
    local.close()
    with monkeypatch.context() as patch:
        simulate_read_only_medium(local.folder, patch)
        reader = LocalStore.open(local.folder)
    with reader, LocalStore.open(local.folder) as other:
        put(other, entry("b.jpg"))
        with reader.snapshot() as snapshot:
            assert snapshot.lookup(1, "b.jpg") is not None


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_write_permission_is_read_only(local: LocalStore) -> None:
    [id] = put(local, entry("a.jpg"))
    local.close()
    places = [local.folder, *local.folder.rglob("*")]
    for place in places:
        place.chmod(0o555 if place.is_dir() else 0o444)
    try:
        with LocalStore.open(local.folder) as store:
            assert store.read_only
            assert is_vector_of(stored_vector(store, id), "a.jpg")
    finally:
        for place in places:
            place.chmod(0o755 if place.is_dir() else 0o644)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read anything")
@pytest.mark.parametrize("name", ["vectors-1.f32", "."])
def test_unreadable_files_disable_one_space_and_are_named(local: LocalStore, name: str) -> None:
    with local.writer() as writer:
        writer.add_space(space("other@1"))
    both = {"toy@1": np.ones(3, np.float32), "other@1": np.ones(3, np.float32)}
    [id] = put(local, entry("a.jpg", vectors=both))
    local.close()
    shut = local.folder / "spaces" / "toy-1" / name
    mode = shut.stat().st_mode
    shut.chmod(0)
    query = np.ones((1, 3), np.float32)
    try:
        with LocalStore.open(local.folder) as store, store.snapshot() as snapshot:
            assert snapshot.search("other@1", query, 1).ids.tolist() == [[id]]
            with pytest.raises(LibraryReadOnly, match="no permission to read"):
                snapshot.search("toy@1", query, 1)
    finally:
        shut.chmod(mode)


def test_a_library_moves_with_its_photos(local: LocalStore, tmp_path: Path) -> None:
    with local.writer() as writer:
        inside = writer.add_root(local.folder.parent / "2024")
        outside = writer.add_root(tmp_path / "elsewhere")
        [id] = writer.put([entry("a.jpg", root=inside.id)])
    local.close()
    moved = tmp_path / "somewhere" / "new name"
    shutil.move(local.folder.parent, moved)
    with LocalStore.open(moved / ".lookalike") as store:
        with store.snapshot() as snapshot:
            paths = {root.id: root.path for root in snapshot.roots()}
        assert paths == {1: moved, inside.id: moved / "2024", outside.id: tmp_path / "elsewhere"}
        assert is_vector_of(stored_vector(store, id), "a.jpg")
        with store.writer() as writer:
            assert writer.add_root(moved / "2024") == store_root(store, inside.id)
        assert check(store.folder) == []


def store_root(store: LocalStore, id: int) -> object:
    with store.snapshot() as snapshot:
        return next(root for root in snapshot.roots() if root.id == id)


def test_a_library_survives_a_change_of_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with LocalStore.create(Path("photos/.lookalike")) as store:
        begin(store)
        monkeypatch.chdir("/")
        [id] = put(store, entry("a.jpg"))
        assert is_vector_of(stored_vector(store, id), "a.jpg")


def test_odd_folder_names_work(tmp_path: Path) -> None:
    folder = tmp_path / "50% of #1 ü?\udce9" / ".lookalike"
    with LocalStore.create(folder) as store:
        begin(store, space("a/../b:c@1"))
        with store.snapshot() as snapshot:
            assert snapshot.spaces()[0].key == "a/../b:c@1"
            assert snapshot.roots()[0].path == folder.parent
            assert np.isnan(snapshot.vectors("a/../b:c@1", np.array([1]))).all()
    assert [path.name for path in (folder / "spaces").iterdir()] == ["a-b-c-1"]


def test_disk_bytes_ignores_files_that_vanish_meanwhile(
    local: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = local.disk_bytes()
    (local.folder / "more").write_bytes(b"12345")
    walk = os.walk

    def late(folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
        for place, folders, names in walk(folder):
            yield place, folders, [*names, "gone meanwhile"]

    monkeypatch.setattr(os, "walk", late)
    assert local.disk_bytes() == before + 5
