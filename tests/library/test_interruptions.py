"""Killed, concurrent and observed indexers leave the library consistent."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tests.library.image_builders import album, draw
from tests.library.stored_rows import vectors

from lookalike import Library, Outcome
from lookalike.stores.local.check import check

posix = pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")

INDEX = """
import sys
import time
from lookalike import Library
from lookalike.indexing import indexer
indexer.BATCH = 16  # many small transactions, so that kills hit all of their stages
flush = indexer.Indexer._flush
def slowly(self):
    flush(self)
    time.sleep(0.2)  # so that a few kills come before the end on a fast machine, too
indexer.Indexer._flush = slowly
with Library.create(sys.argv[1], folder=__import__("pathlib").Path(sys.argv[2])) as library:
    print("ready", flush=True)
    added = library.add([sys.argv[1]], extractors=["histogram", "dhash"])
    print(added.new, added.unchanged, flush=True)
"""


def indexer(photos: Path, library: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", INDEX, str(photos), str(library)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@posix
def test_an_indexer_killed_repeatedly_ends_with_the_library_of_an_uninterrupted_run(
    tmp_path: Path,
) -> None:
    photos = album(tmp_path / "photos", 150)
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff" + bytes(300))
    delays = random.Random(1)
    kills = 0
    for _ in range(12):
        child = indexer(photos, tmp_path / "killed")
        assert child.stdout and child.stdout.readline() == "ready\n"
        time.sleep(delays.uniform(0.0, 0.7))
        child.kill()
        child.communicate()
        kills += child.returncode == -signal.SIGKILL
        with Library.open(tmp_path / "killed") as library:
            assert check(library.folder) == []
            stored = sum(library.info().outcomes.values())
        if stored == 151:
            break
    assert kills >= 3, "the images are indexed too fast for this test to mean anything"
    with Library.create(photos, folder=tmp_path / "killed") as killed:
        killed.add([photos], extractors=["histogram", "dhash"])
        with Library.create(photos, folder=tmp_path / "whole") as whole:
            whole.add([photos], extractors=["histogram", "dhash"])
            assert killed.info().outcomes == whole.info().outcomes
            assert killed.info().outcomes[Outcome.INDEXED] == 150
            resumed, expected = vectors(killed), vectors(whole)
        assert list(resumed) == list(expected)
        assert all(np.array_equal(resumed[path], expected[path]) for path in expected)
        assert check(killed.folder) == []


@posix
def test_no_worker_outlives_a_killed_indexer(tmp_path: Path) -> None:
    photos = album(tmp_path / "photos", 100)
    child = indexer(photos, tmp_path / "library")
    assert child.stdout and child.stdout.readline() == "ready\n"
    time.sleep(0.5)
    child.kill()
    child.communicate()
    for _ in range(100):
        if not workers_of(child.pid):
            break
        time.sleep(0.1)
    assert not workers_of(child.pid)


def workers_of(parent: int) -> list[int]:
    """Return the ids of the child processes of `parent`."""
    listing = subprocess.run(
        ["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True
    )
    rows = [line.split(None, 2) for line in listing.stdout.splitlines()[1:]]
    return [int(pid) for pid, ppid, args in rows if int(ppid) == parent]


def test_of_two_indexers_at_once_one_is_refused_and_nothing_is_lost(tmp_path: Path) -> None:
    photos = album(tmp_path / "photos", 300)
    children = [indexer(photos, tmp_path / "library") for _ in range(2)]
    outputs = [child.communicate(timeout=120) for child in children]
    assert any(child.returncode == 0 for child in children)
    for child, (_, err) in zip(children, outputs, strict=True):
        assert child.returncode == 0 or "LibraryBusy" in err
    with Library.open(tmp_path / "library") as library:
        assert library.info().images == 300
        assert check(library.folder) == []


def test_a_reader_sees_consistent_snapshots_while_an_indexer_writes(tmp_path: Path) -> None:
    photos = album(tmp_path / "photos", 300)
    query = draw(tmp_path / "query.png", 5)
    child = indexer(photos, tmp_path / "library")
    assert child.stdout and child.stdout.readline() == "ready\n"
    seen: list[int] = []
    with Library.open(tmp_path / "library") as reader:
        while child.poll() is None or not seen:
            if reader.info().images == 0:
                continue
            hits = reader.search(query, k=1000)
            assert len(hits) == hits.searched_count
            assert [hit.rank for hit in hits.hits] == list(range(1, len(hits) + 1))
            seen.append(len(hits))
        child.communicate()
        seen.append(len(reader.search(query, k=1000)))
    assert seen == sorted(seen) and seen[-1] == 300
