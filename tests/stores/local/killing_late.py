"""A writer beside an index, killed at any moment, over and over. Run by test_late_killed, in a process of
its own.

The lists of this index hold the vectors themselves, and a question that is one of them looks first at the
list that holds it. So each is found, through whichever index, or compared: one that is missed was misnamed.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tests.stores.builders import content, entry, space, vector_of
from tests.stores.local.killing import Moment, live_until

from lookalike.stores.ann_index import IndexBuildOptions
from lookalike.stores.local import LocalStore, vector_file
from lookalike.stores.local import store as local_store
from lookalike.stores.local.ann import ann_search, delta_index, index_files
from lookalike.stores.local.check import check
from lookalike.stores.local.writer import LocalWriter

KEY = "many@1"
DIM = 8
WISH = IndexBuildOptions(recipe="IVF8,Flat", target=0.5, threads=1)
FIRST = 320
STEP = 16
BATCHES = 16
KILLS = 16
AGAIN = 6  # kills after which another library is begun


def life(folder: Path, look: Callable[[Path], object] = lambda folder: None) -> None:
    """Put, change and remove, beside an index that is built again, removed and compacted away;
    somebody may look at each state."""
    with LocalStore.create(folder) as store:
        with store.writer() as writer:
            writer.add_root(store.folder.parent)
            writer.add_space(space(KEY, dim=DIM))
            first = put(writer, "first", range(FIRST))
        store.indexes.build(KEY, WISH)
        with store.writer() as writer:
            for batch in range(BATCHES):
                numbers = range(batch * STEP, (batch + 1) * STEP)
                ids = put(writer, "late", numbers)
                if batch % 4 == 1:
                    put(writer, "late", numbers[::3], "second")
                    writer.remove(ids[::5])
                if batch == 5:
                    store.indexes.remove(KEY)
                if batch in (5, 9):
                    store.indexes.build(KEY, WISH)
                look(folder)
            writer.remove(first[::2])  # which compaction follows
            put(writer, "last", range(STEP))
            store.indexes.build(KEY, WISH)
            for batch in range(4):
                put(writer, "end", range(batch * STEP, (batch + 1) * STEP))


def put(writer: LocalWriter, name: str, numbers: range, state: str = "first") -> list[int]:
    return writer.put(
        [
            entry(path, text, vectors={KEY: vector_of(text, DIM)})
            for path, text in ((f"{name}{n}.jpg", f"{name}{n}.jpg {state}") for n in numbers)
        ]
    )


def judge(folder: Path) -> int:
    """Every picture is found by its vector; of how many a late index told."""
    if not (folder / "catalogue.sqlite").exists():
        return 0
    told = 0
    with LocalStore.open(folder) as store, store.snapshot() as snapshot:
        images = list(snapshot.iter_files())
        for one in snapshot.spaces():
            ids = np.array([image.id for image in images], np.int64)
            asked = np.array([vector_of(text_of(i.path, i.hash), DIM) for i in images], np.float32)
            if not len(ids):
                continue
            found = snapshot.search(one.key, asked.reshape(-1, DIM), 1)
            assert found.ids[:, 0].tolist() == ids.tolist()
            row, rows = snapshot.open_space(one.key)
            ready = snapshot._shelf.ready(row, rows)
            index = None if ready is None else ready.late.current(rows.vectors)
            told = 0 if index is None or found.exact else index.count
    problems = check(folder)
    assert not problems, problems
    return told


def text_of(path: str, hash: bytes | None) -> str:
    texts = [f"{path} {state}" for state in ("first", "second")]
    return next(text for text in texts if content(text) == hash)


def main(place: str) -> None:
    """Prints how many writers were killed, and after how many of these a late index was in use."""
    delta_index.STEP = STEP * DIM
    delta_index.SLICE = 12
    ann_search.MOST = 1.0
    local_store.COMPACT_AT_LEAST = 100
    for module in (vector_file, index_files):
        module.sync_folder = lambda folder: None  # type: ignore[attr-defined]
    vector_file.sync = lambda descriptor: None
    moment = Moment(None)
    sys.setprofile(moment)
    life(Path(place) / "undisturbed")
    sys.setprofile(None)
    assert judge(Path(place) / "undisturbed")
    life(Path(place) / "looked at", judge)
    chance = random.Random(3)
    killed = used = 0
    for turn in range(KILLS):
        folder = Path(place) / f"killed {turn // AGAIN}"
        killed += live_until(folder, int(moment.count * chance.random()) + 1, life)
        used += judge(folder) > 0
    for folder in Path(place).glob("killed *"):
        life(folder)
        judge(folder)
        left = [file.name for file in folder.rglob("ann-*") if ".part" in file.name]
        assert not left, left
        assert len(list(folder.rglob("ann-*-late-*"))) <= 2
    print(killed, used)
