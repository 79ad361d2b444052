"""`check` finds contradictions in catalogue and files."""

from __future__ import annotations

import sqlite3

import numpy as np
import pytest
from tests.stores.builders import entry, failed, put

from lookalike.stores.local.check import check
from lookalike.stores.local.store import LocalStore


@pytest.fixture
def library(local: LocalStore) -> LocalStore:
    ids = put(local, *(entry(f"{n}.jpg") for n in range(6)), failed("bad.jpg"))
    put(local, entry("0.jpg", "changed"))
    with local.writer() as writer:
        writer.remove([ids[3]])
    assert check(local.folder) == []
    return local


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("UPDATE placements SET row = 99 WHERE image = 2", "outside"),
        ("UPDATE placements SET row = 0 WHERE image = 2", "deleted"),
        ("UPDATE placements SET row = 4 WHERE image = 2", "share"),
        ("UPDATE placements SET row = 4 WHERE image = 2", "another image"),
        ("DELETE FROM placements WHERE image = 2", "in use"),
        ("DELETE FROM dead WHERE number = 0", "deleted rows"),
        ("UPDATE dead SET row = 77 WHERE number = 0", "outside"),
        ("UPDATE spaces SET rows = 70", "committed rows"),
        ("UPDATE spaces SET ordered = 7", "order"),
        ("UPDATE images SET outcome = 'truncated' WHERE id = 2", "failed"),
        ("UPDATE images SET root = 9 WHERE id = 2", "missing"),
        ("DELETE FROM images WHERE id = 2", "missing"),
    ],
)
def test_a_contradiction_in_the_catalogue_is_found(
    library: LocalStore, change: str, says: str
) -> None:
    connection = sqlite3.connect(library.folder / "catalogue.sqlite")
    with connection:
        assert connection.execute(change).rowcount == 1
    connection.close()
    assert any(says in line for line in check(library.folder)), check(library.folder)


def without_checksums(library: LocalStore) -> None:
    """Make it a library as older versions wrote it."""
    connection = sqlite3.connect(library.folder / "catalogue.sqlite")
    with connection:
        connection.execute("DELETE FROM checksums")
    connection.close()


@pytest.mark.parametrize(("value", "says"), [(np.nan, "NaN"), (7.0, "a length other than 1: 1 of")])
def test_an_impossible_vector_is_found(library: LocalStore, value: float, says: str) -> None:
    path = library.folder / "spaces" / "toy-1" / "vectors-1.f32"
    vectors = np.fromfile(path, "<f4")
    vectors[2 * 3] = value
    vectors.tofile(path)
    without_checksums(library)
    [line] = check(library.folder)
    assert says in line
