"""A writer that is killed at random moments, again and again. Run by test_writing, in a process of its own.

The writer always does the same, however often it was interrupted, and every vector depends only on the
content of its file. So the library can be verified after each kill, and at the end it must equal that of an
undisturbed run.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import numpy as np
from tests.stores.builders import FACTS, content, entry, space, vector_of

from lookalike.stores.interface import Entry
from lookalike.stores.local import store as local_store
from lookalike.stores.local.check import check
from lookalike.stores.local.store import LocalStore

FILES = 64
STEP = 8
KILLS = 36
KILLS_PER_LIBRARY = 9  # then another one is begun, because kills matter at the beginning, too


def write_everything(folder: Path) -> None:
    """Do what indexing does: put, change, copy, move, remove, add a revision, compact."""
    with LocalStore.create(folder) as store, store.writer() as writer:
        assert writer.add_root(store.folder.parent).id == 1
        with store.snapshot() as snapshot:
            keys = {one.key for one in snapshot.spaces()}
        if "toy@2" not in keys:
            writer.add_space(space("toy@1"))
            for text in ("first", "second"):
                for start in range(0, FILES, STEP):
                    names = [f"{n}.jpg" for n in range(start, start + STEP)]
                    writer.put([entry(name, f"{name} {text}") for name in names])
        writer.add_space(space("toy@2"))
        for start in range(0, FILES, STEP):
            batch: list[Entry] = []
            for n in range(start, start + STEP):
                text = f"{n}.jpg second"
                batch.append(entry(f"{n}.jpg", text, vectors={"toy@2": -vector_of(text)}))
            ids = writer.put(batch)
            writer.put(
                [
                    entry(f"copy/{n}.jpg", f"{n}.jpg second", vectors={}, facts=FACTS, same_as=id)
                    for n, id in zip(range(start, start + STEP, 3), ids[::3], strict=True)
                ]
            )
        moved = [
            entry(f"moved/{n}.jpg", f"{n}.jpg second", vectors={}, same_as=known.id, moved=True)
            for n in range(0, FILES, 5)
            for known in writer.file_states(1, [f"{n}.jpg"]).values()
        ]
        writer.put(moved)
        writer.promote("toy@2")
        with store.snapshot() as snapshot:
            writer.remove(
                [image.id for image in snapshot.iter_files() if image.path.endswith("7.jpg")]
            )


def contents(folder: Path) -> dict[str, tuple[bytes | None, bytes]]:
    """Return hash and vector of all images by path: everything in the library except the ids."""
    with LocalStore.open(folder) as store, store.snapshot() as snapshot:
        [one] = snapshot.spaces()
        images = list(snapshot.iter_files())
        vectors = snapshot.vectors(one.key, np.array([image.id for image in images]))
    return {
        image.path: (image.hash, vector.tobytes())
        for image, vector in zip(images, vectors, strict=True)
    }


def verify(folder: Path) -> None:
    """Check that every vector is that of its image's content, and that the files are consistent."""
    if not (folder / "catalogue.sqlite").exists():
        return
    with LocalStore.open(folder) as store, store.snapshot() as snapshot:
        images = list(snapshot.iter_files())
        texts = [text_of(image.path, image.hash) for image in images]
        ids = np.array([image.id for image in images], np.int64)
        for one in snapshot.spaces():
            sign = 1 if one.revision == "1" else -1
            vectors = snapshot.vectors(one.key, ids)
            there = ~np.isnan(vectors).any(axis=1)
            assert there.sum() == one.count
            for place in np.flatnonzero(there):
                assert np.allclose(vectors[place], sign * vector_of(texts[place]), atol=1e-6)
    problems = check(folder)
    assert not problems, problems


def text_of(path: str, hash: bytes | None) -> str:
    name = Path(path).name
    return next(text for text in (f"{name} first", f"{name} second") if content(text) == hash)


class KillSwitch:
    """Counts the calls and returns of Python and C functions inside the store (SQLite, write, rename ...),
    and kills the process at the given count. Unlike a clock, this hits every place with the same probability
    on any machine."""

    def __init__(self, end: int | None) -> None:
        self.count = 0
        self.end = end

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        if "/stores/local/" in frame.f_code.co_filename:
            self.count += 1
            if self.count == self.end:
                os.kill(os.getpid(), signal.SIGKILL)


def run_until_killed(
    folder: Path, end: int, write: Callable[[Path], None] = write_everything
) -> bool:
    """Run a writer in a child process; return whether it was killed before it was done."""
    child = os.fork()
    if child == 0:
        sys.setprofile(KillSwitch(end))
        try:
            write(folder)
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def main(place: str, kills: int = KILLS) -> None:
    """Print how many writers were killed, and how many finished."""
    local_store.COMPACT_AT_LEAST = 10
    # A kill does not lose what the system has written; only a power cut does. Syncing would take long.
    os.fsync = os.fdatasync = lambda fd: None
    undisturbed = Path(place) / "undisturbed"
    counter = KillSwitch(None)
    sys.setprofile(counter)
    write_everything(undisturbed)
    sys.setprofile(None)
    expected = contents(undisturbed)
    chance = random.Random(3)
    killed = finished = 0
    for turn in range(kills):
        folder = Path(place) / f"killed {turn // KILLS_PER_LIBRARY}"
        if run_until_killed(folder, int(counter.count * chance.random() ** 2) + 1):
            killed += 1
        else:
            finished += 1
        verify(folder)
    for folder in Path(place).glob("killed *"):
        write_everything(folder)
        verify(folder)
        assert contents(folder) == expected, folder
        finished += 1
    print(killed, finished)
