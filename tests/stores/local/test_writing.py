"""One writer at a time; a full disk; a kill at any moment."""

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
from tests.stores.toys import entry, put, same, stored_vector

from lookalike.errors import LibraryBusy
from lookalike.stores.contract import Entry
from lookalike.stores.local import LocalStore, check, rows

ROOT = Path(__file__).parents[3]
posix = pytest.mark.skipif(os.name != "posix", reason="signals and limits as POSIX has them")


def python(code: str, *arguments: object, **options: object) -> subprocess.Popen[str]:
    """A Python of its own that can import the tests."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_second_writer_is_told_who_holds_the_lock(local: LocalStore) -> None:
    told = pytest.raises(LibraryBusy, match=f"process \\({os.getpid()} on .*wait")
    with local.writer(), told, local.writer():
        pass
    with local.writer() as writer:
        writer.put([entry("a.jpg")])


HOLD = """
import sys, time
from pathlib import Path
from lookalike.stores.local import LocalStore
with LocalStore.open(Path(sys.argv[1])).writer():
    print("holding", flush=True)
    time.sleep(60)
"""


@posix
def test_the_lock_of_a_killed_process_is_free_at_once(local: LocalStore) -> None:
    [id] = put(local, entry("a.jpg"))
    with python(HOLD, local.folder) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "holding\n"
        with pytest.raises(LibraryBusy, match=f"{other.pid} on"), local.writer():
            pass
        assert same(stored_vector(local, id), "a.jpg")  # readers do not wait
        other.kill()
    with local.writer() as writer:
        writer.put([entry("b.jpg")])


def test_an_error_in_the_middle_of_a_batch_leaves_nothing_of_it(
    local: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(local, entry("a.jpg"))
    with local.writer() as writer:
        with monkeypatch.context() as patch:
            whole = rows._write_vectors

            def interrupted(*arguments: object) -> None:
                whole(*arguments)  # type: ignore[arg-type]
                raise KeyboardInterrupt

            patch.setattr(rows, "_write_vectors", interrupted)
            with pytest.raises(KeyboardInterrupt):
                writer.put([entry("a.jpg", "changed"), entry("b.jpg")])
        assert set(writer.known(1, ["a.jpg", "b.jpg"])) == {"a.jpg"}
        [id] = writer.put([entry("c.jpg")])
    assert same(stored_vector(local, id), "c.jpg")
    assert same(stored_vector(local, id - 1), "a.jpg")
    assert check(local.folder) == []


FILL = """
import resource, sys
from pathlib import Path
from tests.stores.toys import entry
from lookalike.errors import StorageFull
from lookalike.stores.local import LocalStore
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
    """A limit on file sizes stands for the full disk. The smallest one stops the vectors, the others
    the catalogue or its log."""
    with python(FILL, local.folder, limit) as other:
        output, errors = other.communicate()
    assert errors == ""
    message, stored = output.splitlines()
    assert "committed before is safe" in message
    assert 0 <= int(stored) < 20_000
    with LocalStore.open(local.folder) as store:
        assert check(store.folder) == []
        with store.view() as view:
            assert view.spaces()[0].count == sum(view.counts().values()) == int(stored)
        put(store, *(entry(f"{n:05d}.jpg") for n in range(int(stored), int(stored) + 100)))
        assert check(store.folder) == []


# A kill at any moment. The child does everything that a writer can, in small batches, over and over;
# every vector is a function of the file's content, and the end is the same however often it was killed.

FILES = 240
STEP = 8


def life(store: LocalStore) -> None:
    """What an indexer does: put, change, copy, move, remove, a new revision, compaction."""
    from tests.stores.toys import FACTS, space, vector_of

    from lookalike.stores.local import upkeep

    upkeep.DEAD_AT_LEAST = 10
    with store.writer() as writer:
        assert writer.add_root(store.folder.parent).id == 1
        with store.view() as view:
            keys = {one.key for one in view.spaces()}
        if "toy@2" not in keys:
            writer.add_space(space("toy@1"))
        for text in ("first", "second"):
            for start in range(0, FILES, STEP):
                names = [f"{n}.jpg" for n in range(start, start + STEP)]
                if "toy@2" not in keys:
                    writer.put([entry(name, f"{name} {text}") for name in names])
        writer.add_space(space("toy@2"))
        for start in range(0, FILES, STEP):
            batch: list[Entry] = []
            for n in range(start, start + STEP):
                text = f"{n}.jpg second"
                batch.append(entry(f"{n}.jpg", text, vectors={"toy@2": -vector_of(text)}))
            ids = writer.put(batch)
            copies = [(entry.path, id) for entry, id in zip(batch, ids, strict=True)][::3]
            writer.put(
                [
                    entry(f"copy/{path}", f"{path} second", vectors={}, facts=FACTS, same_as=id)
                    for path, id in copies
                ]
            )
        writer.promote("toy@2")
        with store.view() as view:
            gone = [image.id for image in view.ledger() if image.path.endswith("7.jpg")]
        writer.remove(gone)


def contents(store: LocalStore) -> dict[str, tuple[bytes | None, bytes]]:
    """What is in the library, without its ids: by path, the hash and the vector."""
    with store.view() as view:
        [one] = view.spaces()
        images = list(view.ledger())
        vectors = view.vectors(one.key, np.array([image.id for image in images]))
    return {
        image.path: (image.hash, vector.tobytes())
        for image, vector in zip(images, vectors, strict=True)
    }


def is_consistent(store: LocalStore) -> None:
    """Every vector is that of its image's content, and the files agree with each other."""
    from tests.stores.toys import content, vector_of

    assert check(store.folder) == []
    with store.view() as view:
        for one in view.spaces():
            sign = 1 if one.revision == "1" else -1
            images = list(view.ledger())
            vectors = view.vectors(one.key, np.array([image.id for image in images], np.int64))
            held = 0
            for image, vector in zip(images, vectors, strict=True):
                name = image.path.removeprefix("copy/")
                text = next(
                    text
                    for text in (f"{name} first", f"{name} second")
                    if content(text) == image.hash
                )
                if not np.isnan(vector).any():
                    assert np.allclose(vector, sign * vector_of(text), atol=1e-6)
                    held += 1
            assert held == one.count


LIVE = """
import sys
from pathlib import Path
from tests.stores.local.test_writing import life
from lookalike.stores.local import LocalStore
print("alive", flush=True)
with LocalStore.create(Path(sys.argv[1])) as store:
    life(store)
print("done", flush=True)
"""


@posix
def test_whenever_the_writer_is_killed_the_library_is_whole_and_can_be_finished(
    tmp_path: Path,
) -> None:
    with LocalStore.create(tmp_path / "undisturbed" / ".lookalike") as undisturbed:
        started = time.monotonic()
        life(undisturbed)
        needed = time.monotonic() - started
        expected = contents(undisturbed)
    chance = random.Random(2)
    folder = tmp_path / "killed" / ".lookalike"
    killed = 0
    for turn in range(25):
        with python(LIVE, folder) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "alive\n", child.communicate()
            time.sleep(chance.random() ** 2 * needed * 1.2)
            child.send_signal(signal.SIGKILL)
            rest, errors = child.communicate()
            killed += rest != "done\n"
            assert errors == ""
        if (folder / "catalogue.sqlite").exists():
            with LocalStore.open(folder) as store:
                is_consistent(store)
        if turn % 8 == 7:  # begin anew, for the early moments of a library are dangerous too
            folder = tmp_path / f"killed again {turn}" / ".lookalike"
    assert killed > 12
    with LocalStore.create(folder) as store:
        life(store)
        is_consistent(store)
        assert contents(store) == expected
