"""Adding vectors to a large library while it is searched.

    python benchmarks/ann_growth.py LIBRARY --extractor NAME [--add 100000] [--rest 20]

The library must have an ANN index. A second process adds some of its own vectors, moved a little, 1,000
at a time, while this one searches. After each thousand the newest must be found first. Prints the median
and the 99th percentile of a query in ms, at rest and while adding, and how many of the added vectors were
searched for and found.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from lookalike.errors import Outcome
from lookalike.library import Library
from lookalike.stores.local.store import LocalStore
from lookalike.stores.records import Entry

BATCH = 1000


def add(folder: Path, key: str, file: Path) -> None:
    """Add the vectors of a file; this runs in the other process."""
    vectors = np.load(file, mmap_mode="r")
    with LocalStore.open(folder) as store, store.writer() as writer:
        root = writer.add_root(folder / "imported")
        stamp = time.time_ns()
        for start in range(0, len(vectors), BATCH):
            batch = vectors[start : start + BATCH]
            entries = [
                Entry(
                    root.id,
                    f"new/{stamp}/{start + number}",
                    0,
                    0,
                    None,
                    Outcome.INDEXED,
                    vectors={key: np.asarray(vector, np.float32)},
                )
                for number, vector in enumerate(batch)
            ]
            ids = writer.put(entries)
            print(start + len(batch) - 1, ids[-1], flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library", type=Path)
    parser.add_argument("--extractor", required=True)
    parser.add_argument("--add", type=int, default=100_000)
    parser.add_argument("--rest", type=float, default=20.0, help="seconds that are measured before")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        add(given.library, given.extractor, given.worker)
        return
    with Library.open(given.library, read_only=True) as library:
        with library.snapshot() as snapshot:
            space = next(s for s in snapshot.spaces() if s.name == given.extractor and s.current)
            ids = snapshot.sample(space.key, min(given.add, space.count))
            random = np.random.default_rng(0)
            new = snapshot.vectors(space.key, ids)
            new = new + 0.02 * random.standard_normal(new.shape).astype(np.float32)
            queries = snapshot.vectors(space.key, random.choice(ids, 200))

        def milliseconds(number: int) -> float:
            started = time.perf_counter()
            with library.snapshot() as snapshot:
                snapshot.search(space.key, queries[number % len(queries)][None], 10)
            return (time.perf_counter() - started) * 1e3

        for number in range(50):
            milliseconds(number)
        rest: list[float] = []
        until = time.monotonic() + given.rest
        while time.monotonic() < until:
            rest.append(milliseconds(len(rest)))
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "new.npy"
            np.save(file, new)
            command = [sys.executable, __file__, str(library.folder), "--extractor", space.key]
            worker = subprocess.Popen(
                [*command, "--worker", str(file)], stdout=subprocess.PIPE, text=True
            )
            assert worker.stdout is not None
            during: list[float] = []
            found = searched = 0
            for line in worker.stdout:
                row, id_ = map(int, line.split())
                with library.snapshot() as snapshot:
                    near = snapshot.search(space.key, new[row][None], 1)
                searched += 1
                found += int(near.ids[0, 0]) == id_
                during += [milliseconds(len(during)) for _ in range(50)]
            worker.wait()
    for name, times in (("at rest", rest), ("while adding", during)):
        median, p99 = np.percentile(times, [50, 99])
        print(f"{name:13} {len(times):7,} queries: median {median:6.2f} ms, 99 % {p99:7.2f} ms")
    ratio = np.percentile(during, 99) / np.percentile(rest, 99)
    print(f"ratio of the 99th percentiles {ratio:.2f}; newest found {found} of {searched} times")


if __name__ == "__main__":
    main()
