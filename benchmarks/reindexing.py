"""Index a folder again in which nothing has changed: microseconds a file, and what they go to.

    python benchmarks/reindexing.py [--files 50000 1000000] [--sizes 256] [--rounds 3] [--profile]

The files are empty space of `--sizes` different sizes; the library is filled through the store, so that only
the run that finds nothing to do is measured. Beside it, in the same run, a bare `os.scandir` and `os.stat` of
the same files: the least that any program must do.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import tempfile
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import islice
from pathlib import Path

import numpy as np

from lookalike.errors import Outcome
from lookalike.extractors import load
from lookalike.extractors.interface import space_key
from lookalike.images.metadata.facts import Facts
from lookalike.images.walk import FoundFile, find_files
from lookalike.indexing.report import IndexOptions
from lookalike.indexing.sources import relative_paths
from lookalike.library import Library
from lookalike.stores.interface import Entry, Space
from lookalike.stores.local.store import LocalStore

BATCH = 1_000
EXTRACTORS = ("phash", "dhash")


def make_files(folder: Path, count: int, sizes: int) -> None:
    """Create sparse files of 100 to 100 + `sizes` bytes, a thousand in each folder."""
    for number in range(count):
        if number % BATCH == 0:
            below = folder / f"folder {number // BATCH:05d}"
            below.mkdir()
        with (below / f"image {number:08d}.jpg").open("wb") as file:
            file.truncate(100 + number * 7919 % sizes)


def fill(folder: Path) -> None:
    """Store every file as an indexed image with random vectors."""
    made = [load(name) for name in EXTRACTORS]
    random = np.random.default_rng(0)
    facts = Facts(64, 64, "jpeg")
    with LocalStore.create(folder / ".lookalike") as store, store.writer() as writer:
        root = writer.add_root(folder)
        for one in made:
            writer.add_space(Space(space_key(one), one.name, one.revision, one.dim, one.similarity))
        for files in batches(folder):
            paths = relative_paths((file.path for file in files), root)
            vectors = {
                space_key(one): random.normal(size=(len(files), one.dim)).astype(np.float32)
                for one in made
            }
            writer.put(
                [
                    Entry(
                        root.id,
                        path,
                        file.size,
                        file.mtime_ns,
                        sha256(path.encode()).digest(),
                        Outcome.INDEXED,
                        facts=facts,
                        vectors={key: each[number] for key, each in vectors.items()},
                    )
                    for number, (file, path) in enumerate(zip(files, paths, strict=True))
                ]
            )


def batches(folder: Path) -> Iterator[list[FoundFile]]:
    found = find_files([folder], skip=[folder / ".lookalike"])
    while batch := list(islice(found, BATCH)):
        yield batch


def bare_walk(folder: Path) -> int:
    """Return the number of files below a folder, after `os.stat` of each."""
    count = 0
    for parent in os.scandir(folder):
        for entry in os.scandir(parent):
            os.stat(entry.path)  # noqa: PTH116
            count += 1
    return count


def timed(name: str, count: int, work: Callable[[], object]) -> None:
    started, processor = time.perf_counter(), time.process_time()
    work()
    seconds, processor = time.perf_counter() - started, time.process_time() - processor
    print(
        f"  {name:22} {seconds:7.2f} s  {1e6 * seconds / count:6.1f} µs a file"
        f"  ({1e6 * processor / count:6.1f} of the processor)",
        flush=True,
    )


def measure(count: int, sizes: int, rounds: int, profile: bool) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make_files(folder, count, sizes)
        fill(folder)
        print(f"{count:,} files of {sizes} sizes")
        with Library.open(folder) as library:
            for _ in range(rounds):
                timed("scandir and stat", count, lambda: bare_walk(folder))
                timed("index again", count, lambda: again(library, folder, count))
            if profile:
                profiler = cProfile.Profile()
                profiler.runcall(again, library, folder, count)
                pstats.Stats(profiler).sort_stats("tottime").print_stats(15)


def again(library: Library, folder: Path, count: int) -> None:
    report = library.add(folder, options=IndexOptions(ann=False))  # a million are due for an index
    assert report.unchanged == count, report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, nargs="+", default=[50_000, 1_000_000])
    parser.add_argument("--sizes", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    for count in given.files:
        measure(count, given.sizes, given.rounds, given.profile)


if __name__ == "__main__":
    main()
