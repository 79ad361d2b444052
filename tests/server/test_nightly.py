"""Indexes that a server checks every day; time is told, never taken."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.errors import LibraryBusy
from lookalike.library import Library
from lookalike.query import Query, Term
from lookalike.server.jobs.computations import Apart
from lookalike.server.nightly import checked_daily, following, keep_checking
from lookalike.stores.interface import Space


@pytest.mark.parametrize(
    ("now", "at", "then"),
    [
        ("2024-02-28 02:00", time(3, 15), "2024-02-28 03:15"),
        ("2024-02-28 03:15", time(3, 15), "2024-02-29 03:15"),
        ("2024-12-31 23:59", time(0, 0), "2025-01-01 00:00"),
    ],
)
def test_the_next_time_is_today_or_tomorrow(now: str, at: time, then: str) -> None:
    assert following(datetime.fromisoformat(now), at) == datetime.fromisoformat(then)


class Days:
    """A clock that moves only when somebody waits, for `count` checks."""

    def __init__(self, count: int) -> None:
        self.time = datetime(2024, 6, 1, 22, 0)
        self.checked: list[datetime] = []
        self._count = count

    def now(self) -> datetime:
        return self.time

    def wait(self, seconds: float) -> bool:
        self.time += timedelta(seconds=seconds)
        return len(self.checked) == self._count

    def run(self, what: str, words: Any) -> list[str]:
        self.checked.append(self.time)
        if len(self.checked) == 1:
            raise LibraryBusy("another process builds an index")
        return ["color: recall 0.990"]


def test_every_day_has_its_check_and_one_that_fails_ends_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    days = Days(3)
    with caplog.at_level(logging.INFO, "lookalike.server"):
        keep_checking(days, time(3, 15), days.wait, now=days.now)  # type: ignore[arg-type]
    assert days.checked == [datetime(2024, 6, day, 3, 15) for day in (2, 3, 4)]
    said = [record.getMessage() for record in caplog.records]
    assert said[0] == "indexes could not be checked: another process builds an index"
    assert said[1:] == ["indexes: color: recall 0.990"] * 2


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """600 imported vectors, of which an index covers the first 400."""
    pytest.importorskip("faiss")
    vectors = np.random.default_rng(3).normal(size=(600, 16)).astype(np.float32)
    with Library.create(tmp_path) as library:
        for part, rows in (("a", vectors[:400]), ("b", vectors[400:])):
            np.save(tmp_path / f"{part}.npy", rows)
            names = tmp_path / f"{part}.txt"
            names.write_text("".join(f"{part}{n}.jpg\n" for n in range(len(rows))))
            library.vectors.import_vectors(tmp_path / f"{part}.npy", "many", paths=names, ann=False)
            if part == "a":
                library.ann.build("many")
        yield library


def covered(library: Library) -> tuple[int, int]:
    """How many vectors the index of the space has, and how many came later."""
    index = space(library).index
    assert index is not None
    return index.rows, index.unindexed


def space(library: Library) -> Space:
    (only,) = library.info().spaces
    return only


def test_an_index_that_covers_too_little_is_built_anew_under_open_readers(library: Library) -> None:
    with Library.open(library.folder, read_only=True) as reader:
        assert covered(reader) == (400, 200)
        first = reader.search(Query((Term(id=1),), k=5))
        (sentence,) = Apart(library.folder).run("check of indexes", {})
        assert sentence.startswith("many: recall ")
        assert "built anew, for 200 vectors were added after it was built" in sentence
        assert covered(reader) == (600, 0)
        assert reader.search(Query((Term(id=1),), k=5)).hits == first.hits
    assert library.ann.history("many")[-1].rows == 600


def test_a_server_that_ends_leaves_no_thread_that_waits(library: Library) -> None:
    import threading

    before = threading.active_count()
    with checked_daily(library.folder, time(3, 15)):
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
    with checked_daily(library.folder, None):
        assert threading.active_count() == before
