"""A snapshot is one state of the library, whatever a writer does meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from tests.stores.builders import begin, entry, is_vector_of, put, space, stored_vector

from lookalike.errors import LibraryError, UsageError
from lookalike.stores.interface import Snapshot
from lookalike.stores.local.check import check
from lookalike.stores.local.store import LocalStore

ONES = np.ones((1, 3), np.float32)


def found(snapshot: Snapshot) -> list[int]:
    return [id for id in snapshot.search("toy@1", ONES, 100).ids[0].tolist() if id > 0]


def test_a_snapshot_does_not_see_later_commits(local: LocalStore) -> None:
    ids = put(local, entry("a.jpg"), entry("b.jpg"))
    with local.snapshot() as before:
        with local.writer() as writer:
            [third] = writer.put([entry("c.jpg")])
            writer.put([entry("a.jpg", "changed")])
            writer.remove([ids[1]])
            with local.snapshot() as after:
                assert set(found(after)) == {ids[0], third}
                assert set(after.images([*ids, third])) == {ids[0], third}
        assert set(found(before)) == set(ids)
        assert set(before.images([*ids, third])) == set(ids)
        assert before.spaces()[0].count == 2
        assert np.isnan(before.vectors("toy@1", np.array([third]))).all()
        old = before.vectors("toy@1", np.array([ids[0]]))[0]
    assert is_vector_of(old, "a.jpg")
    assert is_vector_of(stored_vector(local, ids[0]), "changed")


def test_a_snapshot_survives_a_promotion(local: LocalStore) -> None:
    ids = put(local, entry("a.jpg"))
    with local.snapshot() as before:
        with local.writer() as writer:
            writer.add_space(space("toy@2"))
            writer.promote("toy@2")
        assert found(before) == ids
        assert is_vector_of(before.vectors("toy@1", np.array(ids))[0], "a.jpg")
        with local.snapshot() as after, pytest.raises(UsageError):
            found(after)


def test_a_snapshot_survives_a_compaction(local: LocalStore) -> None:
    local.compact_at_least = 1
    ids = put(local, *(entry(f"{n}.jpg") for n in range(10)))
    with local.snapshot() as before:
        with local.writer() as writer:
            writer.remove(ids[:5])
        assert set(found(before)) == set(ids)
        with local.snapshot() as after:
            assert set(found(after)) == set(ids[5:])


def test_an_unfinished_iter_files_does_not_affect_later_snapshots(local: LocalStore) -> None:
    put(local, *(entry(f"{n}.jpg") for n in range(5)))
    with local.snapshot() as snapshot:
        iter_files = snapshot.iter_files()
        next(iter_files)
    put(local, entry("new.jpg"))
    with local.snapshot() as snapshot:
        assert snapshot.lookup(1, "new.jpg") is not None


def test_concurrent_searches_see_only_consistent_states(local: LocalStore) -> None:
    """Every state consists of pairs: a vector and its negative, stored and removed together."""
    local.compact_at_least = 8
    stop = threading.Event()
    wrong: list[str] = []
    seen: set[int] = set()

    def search() -> None:
        try:
            while not stop.is_set():
                with local.snapshot() as snapshot:
                    [one] = snapshot.spaces()
                    hits = snapshot.search("toy@1", ONES, 200)
                    images = snapshot.images(hits.ids[0])
                ids = [id for id in hits.ids[0].tolist() if id > 0]
                names = sorted(images[id].path.removeprefix("-") for id in ids)
                if len(ids) != one.count or names[::2] != names[1::2]:
                    wrong.append(f"{one.count} vectors, {names}")
                if abs(hits.similarities[0, : len(ids)].sum()) > 1e-3:
                    wrong.append("vectors and images do not belong together")
                seen.add(one.count)
        except BaseException as error:
            wrong.append(repr(error))
            raise

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    with local.writer() as writer:
        for turn in range(25):
            vector = np.array([1, turn, 5 - turn], np.float32)
            pair = [
                entry(f"{turn}", f"{turn}", vectors={"toy@1": vector}),
                entry(f"-{turn}", f"{turn}", vectors={"toy@1": -vector}),
            ]
            ids = writer.put(pair)
            if turn % 3:
                writer.remove(ids)
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(seen) > 1
    assert check(local.folder) == []


SEARCH_ON = """
import sys, numpy as np
from pathlib import Path
from lookalike.stores.local.store import LocalStore
with LocalStore.open(Path(sys.argv[1])) as store:
    for _ in sys.stdin:
        with store.snapshot() as snapshot:
            ids = snapshot.search("toy@1", np.ones((1, 3), np.float32), 50).ids[0]
            images = snapshot.images(ids[ids > 0])
            print(len(images), flush=True)
"""


def test_another_process_reads_while_this_one_writes(local: LocalStore) -> None:
    local.compact_at_least = 4
    reader = subprocess.Popen(
        [sys.executable, "-c", SEARCH_ON, str(local.folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def count() -> int:
        assert reader.stdin is not None
        assert reader.stdout is not None
        reader.stdin.write("\n")
        reader.stdin.flush()
        return int(reader.stdout.readline())

    with local.writer() as writer:
        assert count() == 0
        ids: list[int] = []
        for turn in range(10):
            ids += writer.put([entry(f"{turn}-{n}.jpg") for n in range(4)])
            assert count() == 4 * (turn + 1)
        for turn in range(9):
            writer.remove(ids[4 * turn : 4 * turn + 4])
            assert count() == 40 - 4 * (turn + 1)
    reader.communicate()
    assert reader.returncode == 0


def test_a_closed_library_raises_an_error(local: LocalStore) -> None:
    local.close()
    with pytest.raises(LibraryError, match="closed"), local.snapshot():
        pass


def test_an_open_snapshot_survives_closing_the_store(local: LocalStore) -> None:
    ids = put(local, entry("a.jpg"))
    with local.snapshot() as snapshot:
        local.close()
        assert found(snapshot) == ids


@pytest.mark.skipif(os.name != "posix", reason="Windows does not move what is open")
def test_a_library_that_replaces_another_is_seen_by_the_next_snapshot(
    local: LocalStore, tmp_path: Path
) -> None:
    """Restored from a backup, or deleted and made again, while a server runs: as many images, with the same
    ids, in the same rows."""
    [first] = put(local, entry("a.jpg"))
    with LocalStore.create(tmp_path / "other" / ".lookalike") as other:
        begin(other)
        assert put(other, entry("b.jpg")) == [first]
    with local.snapshot() as before:
        version = before.version
        local.folder.rename(tmp_path / "gone")
        (tmp_path / "other" / ".lookalike").rename(local.folder)
        assert before.images([first])[first].path == "a.jpg"
        assert before.select("path = 'a.jpg'").tolist() == [first]
        assert is_vector_of(before.vectors("toy@1", np.array([first]))[0], "a.jpg")
        with local.snapshot() as after:
            assert after.images([first])[first].path == "b.jpg"
            assert after.select("path = 'b.jpg'").tolist() == [first]
            assert is_vector_of(after.vectors("toy@1", np.array([first]))[0], "b.jpg")
            assert after.version != version
        assert is_vector_of(before.vectors("toy@1", np.array([first]))[0], "a.jpg")
    assert is_vector_of(stored_vector(local, first), "b.jpg")


@pytest.mark.skipif(os.name != "posix", reason="Windows does not move what is open")
def test_a_library_that_was_moved_away_is_read_as_long_as_it_is_open(
    local: LocalStore, tmp_path: Path
) -> None:
    [first] = put(local, entry("a.jpg"))
    with local.snapshot():
        pass
    local.folder.rename(tmp_path / "gone")
    with local.snapshot() as snapshot:
        assert is_vector_of(snapshot.vectors("toy@1", np.array([first]))[0], "a.jpg")
    (tmp_path / "gone").rename(local.folder)
    put(local, entry("b.jpg"))
    with local.snapshot() as snapshot:
        assert len(snapshot.search("toy@1", ONES, 2).ids[0]) == 2
