"""One writer at a time; a full disk; a kill at any moment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.stores.builders import (
    Vector,
    entry,
    is_vector_of,
    put,
    space,
    stored_vector,
    vector_of,
)
from tests.stores.local.processes import posix, python

from lookalike.errors import LibraryBusy
from lookalike.stores.local.check import check
from lookalike.stores.local.store import LocalStore


def test_a_second_writer_learns_who_holds_the_lock(local: LocalStore) -> None:
    refused = pytest.raises(LibraryBusy, match=f"process \\({os.getpid()} on .*wait")
    with local.writer(), refused, local.writer():
        pass
    with local.writer() as writer:
        writer.put([entry("a.jpg")])


HOLD = """
import sys, time
from pathlib import Path
from lookalike.stores.local.store import LocalStore
with LocalStore.open(Path(sys.argv[1])).writer():
    print("holding", flush=True)
    time.sleep(60)
"""


@posix
def test_the_lock_of_a_killed_process_is_released_at_once(local: LocalStore) -> None:
    [id] = put(local, entry("a.jpg"))
    with python(HOLD, local.folder) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "holding\n"
        with pytest.raises(LibraryBusy, match=f"{other.pid} on"), local.writer():
            pass
        assert is_vector_of(stored_vector(local, id), "a.jpg")  # readers do not wait
        other.kill()
    with local.writer() as writer:
        writer.put([entry("b.jpg")])


class InterruptedAt(dict[str, Vector]):
    """Vectors of an entry; reading the one of "other@1" is interrupted, after "toy@1" has been written."""

    def __getitem__(self, key: str) -> Vector:
        if key == "other@1":
            raise KeyboardInterrupt
        return super().__getitem__(key)


def test_an_error_in_the_middle_of_a_batch_leaves_nothing_of_it(local: LocalStore) -> None:
    put(local, entry("a.jpg"))
    both = InterruptedAt({"toy@1": vector_of("b"), "other@1": vector_of("b")})
    with local.writer() as writer:
        writer.add_space(space("other@1"))
        with pytest.raises(KeyboardInterrupt):
            writer.put([entry("a.jpg", "changed"), entry("b.jpg", vectors=both)])
        assert set(writer.file_states(1, ["a.jpg", "b.jpg"])) == {"a.jpg"}
        [id] = writer.put([entry("c.jpg")])
    assert is_vector_of(stored_vector(local, id), "c.jpg")
    assert is_vector_of(stored_vector(local, id - 1), "a.jpg")
    assert check(local.folder) == []


FILL = """
import resource, sys
from pathlib import Path
from tests.stores.builders import entry
from lookalike.errors import StorageFull
from lookalike.stores.local.store import LocalStore
with LocalStore.open(Path(sys.argv[1])) as store:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
    stored = 0
    try:
        with store.writer() as writer:
            while stored < 20_000:
                writer.put([entry(f"{stored + n:05d}.jpg") for n in range(100)])
                stored += 100
    except StorageFull as error:
        print(error)
    print(stored)
"""


@posix
@pytest.mark.parametrize("limit", [9_000, 150_000, 200_000])
def test_a_full_disk_loses_only_the_batch_in_flight(local: LocalStore, limit: int) -> None:
    """A limit of the file size stands for the full disk: the smallest stops the vectors, the others the
    catalogue or its log."""
    with python(FILL, local.folder, limit) as other:
        output, errors = other.communicate()
    assert errors == ""
    message, stored = output.splitlines()
    assert "committed before is safe" in message
    assert 0 <= int(stored) < 20_000
    with LocalStore.open(local.folder) as store:
        assert check(store.folder) == []
        with store.snapshot() as snapshot:
            assert snapshot.spaces()[0].count == sum(snapshot.counts().values()) == int(stored)
        put(store, *(entry(f"{n:05d}.jpg") for n in range(int(stored), int(stored) + 100)))
        assert check(store.folder) == []


@posix
def test_a_writer_killed_at_any_moment_leaves_a_consistent_library(
    tmp_path: Path,
) -> None:
    with python(
        "import sys; from tests.stores.local.killed_writer import main; main(sys.argv[1])", tmp_path
    ) as other:
        output, errors = other.communicate()
    assert errors == ""
    assert other.returncode == 0
    killed, finished = map(int, output.split())
    assert killed >= 25
    assert finished >= 3
