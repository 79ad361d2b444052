"""Libraries of older formats stay readable: tests/formats has a small one of each."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from lookalike.stores.local.check import check
from lookalike.stores.local.migrations import MIGRATIONS
from lookalike.stores.local.store import LocalStore

FORMATS = Path(__file__).parents[2] / "formats"


@pytest.mark.parametrize("format", sorted(path.name for path in FORMATS.iterdir()))
def test_a_library_of_an_older_format_is_migrated(format: str, tmp_path: Path) -> None:
    shutil.copytree(FORMATS / format / "photos", tmp_path / "photos")
    folder = tmp_path / "photos" / ".lookalike"
    with LocalStore.open(folder) as store:
        assert store.format == len(MIGRATIONS)
        with store.snapshot() as snapshot:
            by_path = {image.path: image.id for image in snapshot.iter_files()}
            assert len(by_path) == 6
            table = snapshot.images([by_path["table.csv"]])[by_path["table.csv"]]
            assert table.reason.startswith("not an image")
            red, blue, green = (by_path[p] for p in ("red.jpg", "blue.jpg", "trip/green.png"))
            assert snapshot.images([red])[red].metadata["price"] == 49.5
            # Filters and text search include images that are older than their tables.
            assert snapshot.select("kind = 'shoe' and price < 50").tolist() == [red]
            assert snapshot.select("released = '2024'").tolist() == sorted([blue, green])
            assert snapshot.select("format = 'png'").tolist() == [green]
            assert snapshot.search_text("cafe", 5)[0].tolist() == [blue]
            assert snapshot.has_text()
            own = snapshot.vectors(snapshot.spaces()[0].key, np.array([red]))
            near = snapshot.search(snapshot.spaces()[0].key, own, 1)
            assert near.ids.tolist() == [[red]]
    assert check(folder) == []


def test_the_next_writer_indexes_texts_after_a_migration_was_killed(
    tmp_path: Path,
) -> None:
    import sqlite3

    from lookalike.stores.local.migrations import migrate

    shutil.copytree(FORMATS / "1" / "photos", tmp_path / "photos")
    folder = tmp_path / "photos" / ".lookalike"
    connection = sqlite3.connect(folder / "catalogue.sqlite", isolation_level=None)
    migrate(connection, MIGRATIONS)
    connection.close()
    with LocalStore.open(folder) as store:
        with store.snapshot() as snapshot:
            assert len(snapshot.select("kind = 'shoe'")) == 2  # computed from the source tables
            assert not snapshot.has_text()
        with store.writer():
            pass
        with store.snapshot() as snapshot:
            assert len(snapshot.select("kind = 'shoe'")) == 2
            assert snapshot.has_text()
