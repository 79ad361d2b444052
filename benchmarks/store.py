"""Measure how fast the local store writes, opens and searches.

    python benchmarks/store.py [--rows 100000 1000000] [--dim 192] [--rounds 5]

The vectors are drawn around 1,000 centres, like those of similar images. For each count:

put       entries per second, one vector each, in batches of 1,000 (every fsync included), and the CPU's share
          of that time; the rest is the disk's
states    paths per second of `file_states`, in chunks of 500, all of them known
opening   in a new process: imports, opening the library with a snapshot, and the first search; with the files
          in the system's cache, and dropped from it
warm      milliseconds of one query, top 10; of an unused snapshot; of the bare matrix product on the mapped
          file; of a query among 1 % of the images, and of the part of it that turns ids into rows
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import Outcome
from lookalike.images.metadata.facts import Facts
from lookalike.stores.interface import Entry, Space
from lookalike.stores.local.store import LocalStore

KEY = "made-up@1"
BATCH = 1_000

FIRST = """
import time; start = time.perf_counter()
import json, sys
import numpy as np
from pathlib import Path
from lookalike.stores.local.store import LocalStore
imported = time.perf_counter()
with LocalStore.open(Path(sys.argv[1])) as store, store.snapshot() as snapshot:
    dim = snapshot.spaces()[0].dim
    opened = time.perf_counter()
    snapshot.search("made-up@1", np.ones((1, dim), np.float32), 10)
    answered = time.perf_counter()
print(json.dumps([imported - start, opened - imported, answered - opened]))
"""


def batches(count: int, dim: int) -> Iterator[NDArray[np.float32]]:
    random = np.random.default_rng(0)
    centres = random.normal(size=(1_000, dim)).astype(np.float32)
    for start in range(0, count, BATCH):
        size = min(BATCH, count - start)
        noise = random.normal(size=(size, dim)).astype(np.float32)
        made = centres[random.integers(1_000, size=size)] + 0.5 * noise
        yield made / np.linalg.norm(made, axis=1, keepdims=True)


def path_of(number: int) -> str:
    return f"folder {number // 1000:05d}/image {number:08d}.jpg"


def fill(store: LocalStore, count: int, dim: int) -> None:
    facts = Facts(4032, 3024, "jpeg")
    seconds = own = 0.0
    with store.writer() as writer:
        root = writer.add_root(store.folder.parent).id
        writer.add_space(Space(KEY, "made-up", "1", dim, "cosine"))
        done = 0
        for vectors in batches(count, dim):
            entries = [
                Entry(
                    root=root,
                    path=path_of(n),
                    size=3_000_000 + n * 7919 % 2_000_003,
                    mtime_ns=1_700_000_000_000_000_000 + n,
                    hash=sha256(n.to_bytes(8, "little")).digest(),
                    outcome=Outcome.INDEXED,
                    facts=facts,
                    vectors={KEY: vector},
                )
                for n, vector in enumerate(vectors, done)
            ]
            started, processor = time.perf_counter(), time.process_time()
            writer.put(entries)
            own += time.process_time() - processor
            seconds += time.perf_counter() - started
            done += len(entries)
        print(f"  put      {count / seconds:9,.0f} entries/s  ({100 * own / seconds:.0f} % CPU)")
        paths = [path_of(n) for n in range(0, count, max(1, count // 100_000))]
        started = time.perf_counter()
        for start in range(0, len(paths), 500):
            assert len(writer.file_states(root, paths[start : start + 500])) == len(
                paths[start : start + 500]
            )
        seconds = time.perf_counter() - started
        print(f"  states   {len(paths) / seconds:9,.0f} paths/s")


def drop_from_cache(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def opening(folder: Path, rounds: int) -> None:
    for label, cold in (("cached", False), ("dropped", True)):
        figures = []
        for _ in range(rounds):
            if cold:
                drop_from_cache(folder)
            done = subprocess.run(
                [sys.executable, "-c", FIRST, str(folder)],
                stdout=subprocess.PIPE,
                check=True,
                text=True,
            )
            figures.append(json.loads(done.stdout))
        imports, opened, answered = (
            1e3 * statistics.median(column) for column in zip(*figures, strict=True)
        )
        print(
            f"  opening  {label:8} imports {imports:6.0f} ms, open and snapshot {opened:6.1f} ms, "
            f"first search {answered:7.1f} ms"
        )


def median_ms(act: Callable[[], object], rounds: int) -> float:
    act()
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        act()
        times.append(time.perf_counter() - started)
    return 1e3 * statistics.median(times)


def warm(store: LocalStore, dim: int, rounds: int) -> None:
    query = np.random.default_rng(1).normal(size=(1, dim)).astype(np.float32)

    def unused() -> None:
        with store.snapshot():
            pass

    with store.snapshot() as snapshot:
        count = snapshot.spaces()[0].count
        random = np.random.default_rng(2)
        among = random.choice(count, count // 100, replace=False) + 1
        mapped = snapshot.open_space(KEY)[1]
        figures = {
            "snapshot": median_ms(unused, 20 * rounds),
            "query": median_ms(lambda: snapshot.search(KEY, query, 10), rounds),
            "bare product": median_ms(lambda: mapped.vectors @ query[0], rounds),
            "among 1 %": median_ms(lambda: snapshot.search(KEY, query, 10, among=among), rounds),
            "of that, ids to rows": median_ms(lambda: mapped.rows_of(np.unique(among)), rounds),
        }
    for label, figure in figures.items():
        print(f"  warm     {label:22} {figure:8.2f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--dim", type=int, default=192)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for count in options.rows:
        print(f"{count:,} x {options.dim}")
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / ".lookalike"
            with LocalStore.create(folder) as store:
                fill(store, count, options.dim)
                warm(store, options.dim, options.rounds)
            opening(folder, options.rounds)
            size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            print(
                f"  disk     {size / count:9,.0f} bytes per image, {4 * options.dim} of them the vector"
            )


if __name__ == "__main__":
    main()
