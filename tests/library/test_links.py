"""Links on the way to a library or to its pictures change nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.library.drawing import album

from lookalike import Library

pytestmark = pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")


def add(library: Library, folder: Path) -> tuple[int, int, int]:
    added = library.add([folder], extractors=["dhash"])
    return added.new, added.unchanged, added.removed


def test_a_library_reached_by_a_link_is_the_one_that_is_there(tmp_path: Path) -> None:
    photos = album(tmp_path / "real" / "photos", 4)
    link = tmp_path / "link"
    link.symlink_to("real")
    with Library.create(photos, folder=link / ".lookalike") as library:
        assert add(library, link / "photos") == (4, 0, 0)
        assert add(library, photos) == (0, 4, 0)
        assert library.estimate([photos]).to_index == 0
        assert library.search(link / "photos" / "000.jpg", k=1).hits[0].path == "000.jpg"
        assert library.remove([link / "photos" / "000.jpg"]) == 1
        assert library.remove([photos / "002.jpg"]) == 1


def test_pictures_that_were_moved_and_left_a_link_are_the_same(tmp_path: Path) -> None:
    photos = album(tmp_path / "home" / "photos", 4)
    elsewhere = tmp_path / "large disk"
    with Library.create(photos, folder=tmp_path / "home" / ".lookalike") as library:
        assert add(library, photos) == (4, 0, 0)
        photos.rename(elsewhere)
        photos.symlink_to(elsewhere)
        assert add(library, photos) == (0, 4, 0)
        assert add(library, elsewhere / "odd") == (0, 2, 0)
        assert len(library.info().roots) == 1
        assert library.estimate([elsewhere]).to_index == 0
        assert library.remove([elsewhere / "odd"]) == 2


def test_a_library_that_was_moved_and_left_a_link_keeps_its_pictures(tmp_path: Path) -> None:
    photos = album(tmp_path / "photos", 4)
    with Library.create(photos) as library:
        assert add(library, photos) == (4, 0, 0)
    (photos / ".lookalike").rename(tmp_path / "fast disk")
    (photos / ".lookalike").symlink_to(tmp_path / "fast disk")
    with Library.open(photos) as library:
        assert [root.path for root in library.info().roots] == [photos]
        assert add(library, photos) == (0, 4, 0)
