"""Flipped bits and blocks of zeros are found, never copied under a new checksum, and repaired."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.library.image_builders import album
from tests.library.stored_rows import vectors
from tests.stores.builders import begin, entry, is_vector_of, put, space, stored_vector, vector_of

from lookalike import Library
from lookalike.errors import LibraryDamaged
from lookalike.stores.interface import Entry
from lookalike.stores.local.store import LocalStore

COUNT, DIM = 200, 4
ROW = DIM * 4


@pytest.fixture
def library(tmp_path: Path) -> Iterator[LocalStore]:
    """Three blocks and a bit, written in batches that end within blocks."""
    with LocalStore.create(tmp_path / "photos" / ".lookalike") as local:
        begin(local, space("wide@1", dim=DIM))
        for start, stop in ((0, 50), (50, 51), (51, 130), (130, COUNT)):
            put(local, *(numbered(n) for n in range(start, stop)))
        assert local.check() == []
        yield local


def numbered(n: int) -> Entry:
    return entry(f"{n}.jpg", vectors={"wide@1": vector_of(f"{n}.jpg", DIM)})


def vectors_file(store: LocalStore) -> Path:
    [file] = store.folder.glob("spaces/wide-*/vectors-*")
    return file


def damage(file: Path, place: int, change: Callable[[bytes], bytes], size: int = 1) -> None:
    content = bytearray(file.read_bytes())
    content[place : place + size] = change(bytes(content[place : place + size]))
    file.write_bytes(content)


def flip(content: bytes) -> bytes:
    return bytes(byte ^ 1 for byte in content)


def zeros(content: bytes) -> bytes:
    return bytes(len(content))


@pytest.mark.parametrize(
    ("row", "change", "size", "lost"),
    [
        (0, flip, 1, range(64)),
        (49, flip, 1, range(64)),  # before the end of a batch, within a block
        (127, zeros, ROW, range(64, 128)),
        (64, zeros, 64 * ROW, range(64, 128)),
        (100, zeros, 64 * ROW, range(64, 192)),
        (COUNT - 1, flip, 1, range(192, COUNT)),
    ],
)
def test_damage_is_found_and_only_the_damaged_blocks_are_dropped(
    library: LocalStore, row: int, change: Callable[[bytes], bytes], size: int, lost: range
) -> None:
    damage(vectors_file(library), row * ROW, change, size)
    [line] = library.check()
    assert line == (
        f"wide@1: {len(lost)} vectors are in blocks that are not what was written, or cannot be read"
    )
    done = library.repair()
    assert any(f"without {len(lost)} damaged vectors" in line for line in done.lines)
    assert done.lost["wide@1"].tolist() == [n + 1 for n in lost]
    assert library.check() == []
    for n in range(COUNT):
        vector = stored_vector(library, n + 1, "wide@1")
        assert (vector is None) if n in lost else is_vector_of(vector, f"{n}.jpg")


def test_compaction_drops_damaged_vectors_instead_of_copying_them(library: LocalStore) -> None:
    damage(vectors_file(library), 70 * ROW, flip)
    library.compact_at_least = 1
    with library.writer() as writer:
        writer.remove(range(130, 201))
    assert [line for line in library.check() if "blocks" in line] == []
    assert stored_vector(library, 71, "wide@1") is None
    assert is_vector_of(stored_vector(library, 1, "wide@1"), "0.jpg")


def test_a_damaged_vector_is_not_copied_to_another_image(library: LocalStore) -> None:
    damage(vectors_file(library), 70 * ROW, flip)
    with library.writer() as writer:
        with pytest.raises(LibraryDamaged, match="check --repair"):
            writer.put([entry("copy.jpg", "70.jpg", vectors={}, same_as=71)])
        writer.put([entry("other.jpg", "0.jpg", vectors={}, same_as=1)])
    assert is_vector_of(stored_vector(library, COUNT + 1, "wide@1"), "0.jpg")


def test_an_older_library_gets_checksums_by_repair_and_as_it_is_written(
    library: LocalStore,
) -> None:
    with sqlite3.connect(library.folder / "catalogue.sqlite") as connection:
        connection.execute("DELETE FROM checksums")
    put(library, numbered(COUNT))
    damage(vectors_file(library), (COUNT - 1) * ROW, flip)
    assert any("9 vectors" in line for line in library.check())
    damage(vectors_file(library), (COUNT - 1) * ROW, flip)
    assert any("3 blocks of vectors had no checksum" in line for line in library.repair().lines)
    damage(vectors_file(library), 0, flip)
    assert any("64 vectors" in line for line in library.check())


def test_a_file_that_is_shorter_is_not_filled_up_with_zeros(library: LocalStore) -> None:
    with library.writer() as writer:
        file = vectors_file(library)
        file.write_bytes(file.read_bytes()[:-1])
        with pytest.raises(LibraryDamaged):
            writer.put([numbered(COUNT)])


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE placements SET row = 9999 WHERE image = 2",
        "UPDATE placements SET row = 0 WHERE image = 2",
        "DELETE FROM placements WHERE image = 2",
        "UPDATE images SET root = 9 WHERE id = 2",
        "DELETE FROM images WHERE id = 2",
        "DELETE FROM words_data",
        "UPDATE spaces SET ordered = 0",
    ],
)
def test_contradictions_in_the_catalogue_are_repaired(library: LocalStore, statement: str) -> None:
    connection = sqlite3.connect(library.folder / "catalogue.sqlite")
    with connection:
        assert connection.execute(statement).rowcount
    connection.close()
    library.repair()
    assert library.check() == []
    assert is_vector_of(stored_vector(library, 5, "wide@1"), "4.jpg")


def test_what_images_can_give_again_is_read_again_and_the_rest_named(tmp_path: Path) -> None:
    photos = album(tmp_path / "photos", 6)
    with Library.create(photos) as library:
        library.add([photos], extractors=["histogram"])
        names = tmp_path / "names.txt"
        names.write_text("".join(f"{file}\n" for file in sorted(photos.rglob("*.jpg"))))
        np.save(tmp_path / "mine.npy", np.eye(6, 8, dtype=np.float32))
        library.vectors.import_vectors(tmp_path / "mine.npy", "mine", paths=names)
        thumbnail = library.thumbnails.get(1)
        before = vectors(library)
        (photos / "odd" / "003.jpg").unlink()
        for file in library.folder.glob("spaces/*/vectors-*"):
            damage(file, 0, flip)
        [cached] = library.folder.glob("thumbnails/*/*/*.jpg")
        damage(cached, 100, flip)
        assert library.thumbnails.get(1) == thumbnail  # made again, not sent damaged
        damage(cached, 100, flip)
        assert len(library.check()) == 3
        assert "thumbnails: damaged files: 1" in library.check()
        done = library.repair()
        assert [line[:26] for line in done if line.startswith("lost")] == [
            "lost: 1 vectors of histogr",
            "lost: 6 vectors of mine, t",
        ]
        assert "5 vectors are made again from their images" in done
        assert library.check() == []
        after = vectors(library)
        assert [path for path in before if not np.array_equal(before[path], after[path])] == [
            "odd/003.jpg"
        ]
        assert library.thumbnails.get(1) == thumbnail
