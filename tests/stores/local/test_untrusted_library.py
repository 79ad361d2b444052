"""A library folder from a stranger may hold anything, and must not harm anything outside itself."""

from __future__ import annotations

import os
import sqlite3
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from tests.library.image_builders import album
from tests.stores.builders import entry, put, space

from lookalike.cli.program import program
from lookalike.errors import LibraryDamaged, LibraryError
from lookalike.library import Library
from lookalike.stores.local.store import LocalStore
from lookalike.vectors.npz import read_npz

posix = pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")


def alter(folder: Path, statement: str) -> None:
    connection = sqlite3.connect(folder / "catalogue.sqlite")
    connection.execute(statement)
    connection.commit()
    connection.close()


@posix
@pytest.mark.parametrize(
    "place",
    ["writer.txt", "writer.lock", "spaces/toy-1/vectors-2.f32", "spaces/toy-1/ann.json.part"],
)
def test_the_writer_refuses_links(local: LocalStore, tmp_path: Path, place: str) -> None:
    put(local, entry("a.jpg"))
    precious = tmp_path / "precious"
    precious.write_text("all my keys")
    link = local.folder / place
    link.unlink(missing_ok=True)
    link.symlink_to(precious)
    with pytest.raises(LibraryError, match="is a link"), local.writer():
        pass
    assert precious.read_text() == "all my keys"
    with local.snapshot() as snapshot:  # reading goes on
        assert snapshot.lookup(1, "a.jpg") is not None


@posix
def test_no_catalogue_is_made_behind_a_link(tmp_path: Path) -> None:
    folder = tmp_path / ".lookalike"
    folder.mkdir()
    (folder / "catalogue.sqlite").symlink_to(tmp_path / "elsewhere.sqlite")
    with pytest.raises(LibraryError, match="is a link"):
        LocalStore.create(folder)
    assert not (tmp_path / "elsewhere.sqlite").exists()


@posix
def test_only_files_with_our_names_are_removed_as_leftovers(
    local: LocalStore, tmp_path: Path
) -> None:
    put(local, entry("a.jpg"))
    elsewhere = tmp_path / "elsewhere"
    (local.folder / "spaces").rename(elsewhere)
    (local.folder / "spaces").symlink_to(elsewhere)
    holiday = elsewhere / "holiday-2024"
    left = elsewhere / "color-7"
    for folder in (holiday, left):
        folder.mkdir()
        for name in ("vectors-1.f32", "ids-1.i64", "fitted.npz", "ann-3.faiss", "ann-late.json"):
            (folder / name).write_bytes(b"old")
    (holiday / "beach.jpg").write_bytes(b"an image")
    with local.writer():
        pass
    assert [path.name for path in holiday.iterdir()] == ["beach.jpg"]
    assert not left.exists()
    assert (elsewhere / "toy-1" / "vectors-1.f32").stat().st_size == 12


def test_arrays_that_would_fill_the_memory_are_refused(local: LocalStore) -> None:
    with local.writer() as writer:
        writer.add_space(space(fitted={"mean": np.zeros(3)}))
    file = local.folder / "spaces" / "toy-1" / "fitted.npz"
    np.savez_compressed(file, _mean=np.zeros(3_000_000))
    tracemalloc.start()
    with LocalStore.open(local.folder) as store, store.snapshot() as snapshot:
        assert snapshot.spaces()[0].fitted is None
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()
    with pytest.raises(ValueError, match="larger than their archive"):
        read_npz(file)


@pytest.mark.parametrize("place", ["../../elsewhere", "/tmp/elsewhere", "..", ".", "a/b", ""])
def test_a_space_cannot_have_a_directory_outside_the_library(
    local: LocalStore, tmp_path: Path, place: str
) -> None:
    put(local, entry("a.jpg"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "vectors-1.f32").write_bytes(bytes(100))
    alter(local.folder, f"UPDATE spaces SET directory = '{place}'")
    with pytest.raises(LibraryDamaged, match="impossible"), local.writer():
        pass
    assert (elsewhere / "vectors-1.f32").read_bytes() == bytes(100)


@pytest.mark.parametrize(
    "value",
    [
        "dtype = 'f64'", "dim = 0", "dim = -3", "dim = 'three'", "dim = 1000000000000", "rows = -1",
        "similarity = 'hamming'", "generation = '../x'", "generation = -5", "dead = 1000", "ordered = 1000",
        "name = x'00ff'",
    ],
)  # fmt: skip
def test_impossible_values_of_a_space_are_refused(local: LocalStore, value: str) -> None:
    put(local, entry("a.jpg"))
    local.close()
    alter(local.folder, f"UPDATE spaces SET {value}")
    with LocalStore.open(local.folder) as store:
        with pytest.raises(LibraryDamaged, match="impossible"), store.snapshot():
            pass
        with pytest.raises(LibraryDamaged, match="impossible"), store.writer():
            pass


@pytest.mark.parametrize(
    "program",
    [
        "CREATE TRIGGER t AFTER INSERT ON images BEGIN DELETE FROM roots; END",
        "CREATE VIEW more AS SELECT * FROM images",
    ],
)
def test_a_catalogue_with_triggers_or_views_is_refused(local: LocalStore, program: str) -> None:
    local.close()
    alter(local.folder, program)
    for read_only in (True, False):
        with pytest.raises(LibraryDamaged, match="triggers or views"):
            LocalStore.open(local.folder, read_only=read_only)


def modes(folder: Path) -> dict[str, str]:
    """Return the permissions of a library's folder and of all that is in it."""
    places = [folder, *folder.rglob("*")]
    return {str(place.relative_to(folder)): f"{place.stat().st_mode & 0o777:o}" for place in places}


@posix
def test_a_new_library_is_private(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        photos = album(tmp_path / "photos", 40)
        with Library.create(photos) as library:
            library.add([photos], extractors=["color", "phash"])
            library.ann.build("color")
            library.thumbnails.get(1)
            library.vectors.export_vectors("color", photos / "out.npy")
            library.remove(["id:2"])
            with library._store.writer():  # the lock and the log exist
                found = modes(photos / ".lookalike")
    finally:
        os.umask(before)
    assert {"writer.lock", "catalogue.sqlite", "spaces/color-1/vectors-1.f32"} < found.keys()
    assert any(name.startswith("thumbnails/") and name.endswith(".jpg") for name in found)
    assert any(name.endswith(".faiss") for name in found)
    for name, mode in found.items():
        assert mode == ("700" if (photos / ".lookalike" / name).is_dir() else "600"), name
    assert (photos / "out.npy").stat().st_mode & 0o777 == 0o644  # what users ask for is theirs


@posix
def test_a_library_that_was_opened_to_others_stays_open(tmp_path: Path) -> None:
    """A team may share one: `chmod`, and the umask of those who index."""
    photos = album(tmp_path / "photos", 3)
    before = os.umask(0o002)
    try:
        (photos / ".lookalike").mkdir(mode=0o775)
        with Library.create(photos) as library:
            library.add([photos], extractors=["color"])
            library.thumbnails.get(1)
            found = modes(photos / ".lookalike")
    finally:
        os.umask(before)
    assert {found["."], found["spaces/color-1"], found["thumbnails"]} == {"775"}
    assert {found["catalogue.sqlite"], found["spaces/color-1/vectors-1.f32"]} == {"664"}


@posix
@pytest.mark.parametrize(
    ("mode", "words"), [(0o755, "All users"), (0o750, "The users of its group"), (0o700, "")]
)
def test_check_says_who_can_read_the_library(tmp_path: Path, mode: int, words: str) -> None:
    photos = album(tmp_path / "photos", 1)
    with Library.create(photos) as library:
        library.add([photos], extractors=["color"])
    (photos / ".lookalike").chmod(mode)
    result = CliRunner().invoke(program, ["check", "--library", str(photos)])
    assert result.exit_code == 0
    assert ("can read the library" in result.stdout) is bool(words) and words in result.stdout
