"""A library works on any store: here on the one in memory, which has no folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.library.image_builders import album

from lookalike import Library, Query
from lookalike.errors import UsageError
from lookalike.query import Term
from lookalike.stores.memory import MemoryStore


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return album(tmp_path / "photos", 6)


@pytest.fixture
def library(photos: Path) -> Iterator[Library]:
    with Library(MemoryStore()) as library:
        library.add([photos], extractors=["histogram", "phash"])
        yield library


def test_images_are_indexed_searched_and_removed(library: Library, photos: Path) -> None:
    hits = library.search(photos / "odd" / "003.jpg", k=3)
    assert (hits.hits[0].path, hits.exact) == ("odd/003.jpg", True)
    assert hits.hits[0].similarity == pytest.approx(1.0, abs=1e-6)
    assert library.add([photos]).unchanged == 6
    assert library.remove([photos / "odd"]) == 3
    assert library.info().images == 3
    assert library.check() == []


def test_filters_copies_and_thumbnails_work(library: Library, photos: Path) -> None:
    (photos / "copy.jpg").write_bytes((photos / "000.jpg").read_bytes())
    assert library.add([photos]).copied == 1
    hits = library.search(Query((Term(image=photos / "000.jpg"),), where="folder = ''"))
    assert {hit.path for hit in hits.hits} == {"000.jpg", "002.jpg", "004.jpg", "copy.jpg"}
    groups = library.duplicates(kind="exact").groups
    assert [len(group.members) for group in groups] == [2]
    assert library.thumbnails.get(1, 64).data.startswith(b"\xff\xd8")


def test_vectors_are_imported_and_ann_indexes_refused(library: Library, tmp_path: Path) -> None:
    np.save(tmp_path / "vectors.npy", np.eye(4, dtype=np.float32))
    imported = library.vectors.import_vectors(tmp_path / "vectors.npy", name="shop")
    assert imported.space.name == "shop"
    with library.snapshot() as snapshot:
        assert [root.imported for root in snapshot.roots()] == [False, True]
    with pytest.raises(UsageError, match="no ANN index"):
        library.ann.build("shop")


def test_a_library_without_a_folder_says_so(library: Library) -> None:
    assert library.info().location == "memory"
    with pytest.raises(UsageError, match="not kept in a folder"):
        _ = library.folder
