"""Files that are replaced by others of the same size and date are found, and copied folders are not read."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.library.stored_rows import vectors

from lookalike import Library
from lookalike.indexing import change_detection

DATE = 1_500_000_000 * 10**9


def draw(file: Path, number: int) -> Path:
    """Write an image whose size in bytes and date do not depend on the number."""
    values = np.random.default_rng(number).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    Image.fromarray(values // (1 + number % 5)).save(file)
    os.utime(file, ns=(DATE, DATE))
    return file


def folder(path: Path, count: int) -> Path:
    path.mkdir()
    for number in range(count):
        draw(path / f"{number}.bmp", number)
    return path


def put_back(file: Path) -> None:
    os.utime(file, ns=(DATE, DATE))


def by_rename(file: Path, number: int) -> None:
    os.replace(draw(file.parent.parent / "new.bmp", number), file)  # noqa: PTH105


def in_place(file: Path, number: int) -> None:
    content = draw(file.parent.parent / "new.bmp", number).read_bytes()
    with file.open("r+b") as opened:
        opened.write(content)
    put_back(file)


def by_copying(file: Path, number: int) -> None:
    shutil.copy2(draw(file.parent.parent / "new.bmp", number), file)


def removed_and_made_anew(file: Path, number: int) -> None:
    file.unlink()
    draw(file, number)


@pytest.mark.parametrize("replace", [by_rename, in_place, by_copying, removed_and_made_anew])
def test_content_of_the_same_size_and_date_is_seen(replace, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    photos = folder(tmp_path / "photos", 3)
    with Library.create(photos) as library:
        library.add([photos], extractors=["histogram"])
        before = vectors(library)
        replace(photos / "1.bmp", 7)
        best = library.search(photos / "1.bmp")[0].similarity
        assert (
            best is not None and best < 0.999
        )  # the file is decoded, not taken for the stored image
        report = library.add([photos])
        assert (report.changed, report.unchanged) == (1, 2)
        after = vectors(library)
        assert not np.allclose(after["1.bmp"], before["1.bmp"])
        np.testing.assert_array_equal(after["0.bmp"], before["0.bmp"])
        assert library.search(photos / "1.bmp")[0].path == "1.bmp"
        assert library.add([photos]).unchanged == 3


def test_two_files_that_swapped_names_are_seen(tmp_path: Path) -> None:
    photos = folder(tmp_path / "photos", 3)
    with Library.create(photos) as library:
        library.add([photos], extractors=["histogram"])
        before = vectors(library)
        (photos / "1.bmp").rename(tmp_path / "aside")
        (photos / "2.bmp").rename(photos / "1.bmp")
        (tmp_path / "aside").rename(photos / "2.bmp")
        library.add([photos])
        after = vectors(library)
        np.testing.assert_array_equal(after["1.bmp"], before["2.bmp"])
        np.testing.assert_array_equal(after["2.bmp"], before["1.bmp"])


def test_other_permissions_are_no_change(tmp_path: Path) -> None:
    photos = folder(tmp_path / "photos", 3)
    with Library.create(photos) as library:
        library.add([photos], extractors=["histogram"])
        before = vectors(library)
        for file in photos.glob("*.bmp"):
            file.chmod(0o600)
        report = library.add([photos])
        assert (report.unchanged, report.indexed) == (3, 0)
        assert vectors(library).keys() == before.keys()


def test_a_folder_that_was_copied_is_not_read_again(tmp_path: Path) -> None:
    photos = folder(tmp_path / "photos", 3)
    with Library.create(photos) as library:
        library.add([photos], extractors=["histogram"])
    copied = shutil.copytree(photos, tmp_path / "restored")
    in_place(copied / "1.bmp", 7)  # what is read would be seen
    with Library.open(copied) as library:
        assert library.add([copied]).unchanged == 3
        in_place(copied / "2.bmp", 8)  # from now on the copy is known
        report = library.add([copied])
        assert (report.changed, report.unchanged) == (1, 2)


def test_numbers_that_a_file_system_gives_anew_are_no_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change_detection, "MIN_RENUMBERED", 2)
    photos = folder(tmp_path / "photos", 3)
    with Library.create(photos) as library:
        library.add([photos], extractors=["histogram"])
        with library._store.writer() as writer:
            states = writer.file_states(1, ["0.bmp", "1.bmp", "2.bmp"])
            writer.set_inodes(
                {s.id: s.inode._replace(number=99) for s in states.values() if s.inode is not None}
            )
        in_place(photos / "1.bmp", 7)
        report = library.add([photos])
        assert (report.changed, report.unchanged) == (1, 2)
