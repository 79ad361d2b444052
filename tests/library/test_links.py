"""Symbolic links to a library or to its images make no difference."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.library.image_builders import album

from lookalike import Library

pytestmark = pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")


def add(library: Library, folder: Path) -> tuple[int, int, int]:
    added = library.add([folder], extractors=["dhash"])
    return added.new, added.unchanged, added.removed


def test_a_library_opened_through_a_link_is_the_same_library(tmp_path: Path) -> None:
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


def test_images_moved_behind_a_link_are_recognised(tmp_path: Path) -> None:
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


def test_a_library_moved_behind_a_link_keeps_its_images(tmp_path: Path) -> None:
    photos = album(tmp_path / "photos", 4)
    with Library.create(photos) as library:
        assert add(library, photos) == (4, 0, 0)
    (photos / ".lookalike").rename(tmp_path / "fast disk")
    (photos / ".lookalike").symlink_to(tmp_path / "fast disk")
    with Library.open(photos) as library:
        assert [root.path for root in library.info().roots] == [photos]
        assert add(library, photos) == (0, 4, 0)
