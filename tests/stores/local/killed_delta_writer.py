"""A writer beside an index, killed at random moments, again and again. Run by test_delta_index_kill, in
its own process.

The lists of this index hold the vectors themselves, and a query that is one of them probes first the
list that holds it. So each is found, through either index or by comparison: a miss means that an index has
wrong row numbers.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tests.stores.builders import content, entry, space, vector_of
from tests.stores.local.killed_writer import KillSwitch, run_until_killed

from lookalike.stores.ann_index import IndexBuildOptions
from lookalike.stores.local import store as local_store
from lookalike.stores.local import vector_file
from lookalike.stores.local.ann import ann_search, delta_index, index_files
from lookalike.stores.local.ann.index_cache import IndexCache
from lookalike.stores.local.check import check
from lookalike.stores.local.store import LocalStore
from lookalike.stores.local.writer import LocalWriter

KEY = "many@1"
DIM = 8
OPTIONS = IndexBuildOptions(recipe="IVF8,Flat", target=0.5, threads=1)
FIRST = 320
STEP = 16
BATCHES = 16
KILLS = 16
AGAIN = 6  # kills after which another library is started


def write_everything(folder: Path, observe: Callable[[Path], object] = lambda folder: None) -> None:
    """Put, change and remove images, beside an index that is rebuilt, removed and compacted away; `observe`
    is called in each state."""
    with LocalStore.create(folder) as store:
        with store.writer() as writer:
            writer.add_root(store.folder.parent)
            writer.add_space(space(KEY, dim=DIM))
            first = put(writer, "first", range(FIRST))
        store.indexes.build(KEY, OPTIONS)
        with store.writer() as writer:
            for batch in range(BATCHES):
                numbers = range(batch * STEP, (batch + 1) * STEP)
                ids = put(writer, "new", numbers)
                if batch % 4 == 1:
                    put(writer, "new", numbers[::3], "second")
                    writer.remove(ids[::5])
                if batch == 5:
                    store.indexes.remove(KEY)
                if batch in (5, 9):
                    store.indexes.build(KEY, OPTIONS)
                observe(folder)
            writer.remove(first[::2])  # which compaction follows
            put(writer, "last", range(STEP))
            store.indexes.build(KEY, OPTIONS)
            for batch in range(4):
                put(writer, "end", range(batch * STEP, (batch + 1) * STEP))


def put(writer: LocalWriter, name: str, numbers: range, state: str = "first") -> list[int]:
    return writer.put(
        [
            entry(path, text, vectors={KEY: vector_of(text, DIM)})
            for path, text in ((f"{name}{n}.jpg", f"{name}{n}.jpg {state}") for n in numbers)
        ]
    )


def verify(folder: Path) -> int:
    """Check that every image is found by its vector; return the size of the delta index, 0 without one."""
    if not (folder / "catalogue.sqlite").exists():
        return 0
    indexed = 0
    with LocalStore.open(folder) as store, store.snapshot() as snapshot:
        images = list(snapshot.iter_files())
        for one in snapshot.spaces():
            ids = np.array([image.id for image in images], np.int64)
            queries = np.array(
                [vector_of(text_of(i.path, i.hash), DIM) for i in images], np.float32
            )
            if not len(ids):
                continue
            found = snapshot.search(one.key, queries.reshape(-1, DIM), 1)
            assert found.ids[:, 0].tolist() == ids.tolist()
            row, rows = snapshot.open_space(one.key)
            cache = IndexCache(folder)
            loaded = cache.get(row, rows, cache.stamp(row))
            index = None if loaded is None else loaded.delta.current(rows.vectors)
            indexed = 0 if index is None or found.exact else index.count
    problems = check(folder)
    assert not problems, problems
    return indexed


def text_of(path: str, hash: bytes | None) -> str:
    texts = [f"{path} {state}" for state in ("first", "second")]
    return next(text for text in texts if content(text) == hash)


def main(place: str) -> None:
    """Print how many writers were killed, and after how many of these a delta index was in use."""
    delta_index.MIN_NUMBERS = STEP * DIM
    delta_index.CHUNK = 12
    ann_search.MAX_CANDIDATE_SHARE = 1.0
    local_store.COMPACT_AT_LEAST = 100
    for module in (vector_file, index_files):
        module.sync_folder = lambda folder: None  # type: ignore[attr-defined]
    vector_file.sync = lambda descriptor: None
    moment = KillSwitch(None)
    sys.setprofile(moment)
    write_everything(Path(place) / "undisturbed")
    sys.setprofile(None)
    assert verify(Path(place) / "undisturbed")
    write_everything(Path(place) / "observed", verify)
    chance = random.Random(3)
    killed = used = 0
    for turn in range(KILLS):
        folder = Path(place) / f"killed {turn // AGAIN}"
        killed += run_until_killed(
            folder, int(moment.count * chance.random()) + 1, write_everything
        )
        used += verify(folder) > 0
    for folder in Path(place).glob("killed *"):
        write_everything(folder)
        verify(folder)
        leftovers = [file.name for file in folder.rglob("ann-*") if ".part" in file.name]
        assert not leftovers, leftovers
        assert len(list(folder.rglob("ann-*-delta-*"))) <= 2
    print(killed, used)
