"""Measure filters and text search on a library of a million images, written directly into the store.

    python benchmarks/filters.py [--images 1000000] [--fields 30] [--folder FOLDER]

Each image has a kind, a price, a date, further fields of numbers and texts, and a caption of ten
words. Prints the time of each filter in a new process (cold), with its columns in memory (warm), and together
with an exact search in 128 dimensions, beside that search without a filter; then text search, and a filter
after one image has changed. With --folder, a library that is there already is used again.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.errors import Outcome
from lookalike.images.metadata.facts import Facts
from lookalike.stores.interface import Entry, Space
from lookalike.stores.local.store import LocalStore

KINDS = ["shoe", "bag", "hat", "coat", "lamp", "chair", "cup", "ball", "kite", "watch"] + [
    f"kind {n}" for n in range(10)
]
WORDS = [f"word{n}" for n in range(20_000)]
DIM = 128
BATCH = 4096

FILTERS = {
    "keeps 1 %": "kind = 'shoe' and price < 20",
    "with a date": "kind = 'shoe' and price < 50 and taken >= '2024-01-01'",
    "a month": "taken = '2024-05'",
    "a list": "kind in ('shoe', 'bag', 'hat') and not n3 between 10 and 90",
    "a pattern": "kind like 'ki%' and t2 != 'value 7'",
    "folder": "folder = 'shop/0042'",
    "path pattern": "path like '%/0000421%'",
    "caption pattern": "caption like '%word77 %'",
}


def metadata(random: np.random.Generator, fields: int, count: int) -> list[dict[str, Any]]:
    kinds = random.integers(0, len(KINDS), count)
    prices = np.round(random.uniform(0, 100, count), 2)
    numbers = random.integers(0, 100, (count, fields))
    days = random.integers(0, 3650, count)
    starts = np.datetime64("2015-01-01T00:00:00") + days * 86400 + random.integers(0, 86400, count)
    words = (random.pareto(1.0, (count, 10)) * 20).astype(int) % len(WORDS)
    made = []
    for i in range(count):
        row: dict[str, Any] = {"kind": KINDS[kinds[i]], "price": prices[i], "taken": str(starts[i])}
        row["caption"] = " ".join(WORDS[w] for w in words[i])
        for field in range(fields - 4):
            number = int(numbers[i, field])
            row[f"t{field}" if field % 2 == 0 else f"n{field}"] = (
                f"value {number % 20}" if field % 2 == 0 else number
            )
        made.append(row)
    return made


def build(folder: Path, images: int, fields: int) -> None:
    random = np.random.default_rng(0)
    started = time.perf_counter()
    with LocalStore.create(folder) as store:
        with store.writer() as writer:
            root = writer.add_root(folder.parent)
            writer.add_space(Space("toy@1", "toy", "1", DIM, "cosine"))
            for start in range(0, images, BATCH):
                count = min(BATCH, images - start)
                vectors = random.normal(size=(count, DIM)).astype(np.float32)
                entries = [
                    Entry(
                        root.id,
                        f"shop/{(start + i) // 1000:04d}/{start + i:08d}.jpg",
                        50_000 + i,
                        1,
                        hashlib.sha256(str(start + i).encode()).digest(),
                        Outcome.INDEXED,
                        facts=Facts(640, 480, "jpeg"),
                        vectors={"toy@1": vectors[i]},
                    )
                    for i in range(count)
                ]
                ids = writer.put(entries)
                writer.set_metadata(dict(zip(ids, metadata(random, fields, count), strict=True)))
        print(f"built in {time.perf_counter() - started:.0f} s")


def milliseconds(work: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return 1000 * float(np.median(times))


COLD = """
import sys, time
from pathlib import Path
from lookalike.stores.local.store import LocalStore
with LocalStore.open(Path(sys.argv[1])) as store, store.snapshot() as snapshot:
    started = time.perf_counter()
    snapshot.select(sys.argv[2])
    print(1000 * (time.perf_counter() - started))
"""


def measure(folder: Path) -> None:
    query = np.random.default_rng(1).normal(size=(1, DIM)).astype(np.float32)
    print(
        f"{'filter':<18}{'keeps':>9}{'cold ms':>9}{'warm ms':>9}{'+ search':>10}{'no filter':>10}"
    )
    with LocalStore.open(folder) as store, store.snapshot() as snapshot:
        for name, where in FILTERS.items():
            ids = snapshot.select(where)
            command = [sys.executable, "-c", COLD, str(folder), where]
            cold = float(np.median([float(subprocess.check_output(command)) for _ in range(3)]))
            warm = milliseconds(partial(snapshot.select, where), 9)

            def search(where: str = where) -> object:
                return snapshot.search("toy@1", query, 10, among=snapshot.select(where))

            both = milliseconds(search, 9)
            bare = milliseconds(lambda: snapshot.search("toy@1", query, 10), 9)
            print(f"{name:<18}{len(ids):>9,}{cold:>9.1f}{warm:>9.2f}{both:>10.2f}{bare:>10.2f}")
        print(f"statistics of all fields {milliseconds(snapshot.fields, 1):.0f} ms")
        for words in ("word12345", "word3 word500", "word0 word1 word2"):
            print(
                f"text {words!r}: {milliseconds(partial(snapshot.search_text, words, 10), 5):.1f} ms"
            )
    with LocalStore.open(folder) as store:
        where = FILTERS["keeps 1 %"]
        with store.snapshot() as snapshot:
            snapshot.select(where)
        with store.writer() as writer:
            started = time.perf_counter()
            writer.set_metadata({1: {"kind": "shoe", "price": 1}})
            changed = 1000 * (time.perf_counter() - started)
            with store.snapshot() as snapshot:
                stale = milliseconds(lambda: snapshot.select(where), 1)
        with store.snapshot() as snapshot:
            packed = milliseconds(lambda: snapshot.select(where), 1)
    print(
        f"one change {changed:.1f} ms, the filter after it {stale:.1f} ms, packed {packed:.1f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--fields", type=int, default=30)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = (options.folder or Path(scratch)) / ".lookalike"
        if not folder.exists():
            build(folder, options.images, options.fields)
        measure(folder)
        tables = list(folder.rglob("*.sqlite"))
        print(f"catalogue {sum(f.stat().st_size for f in tables) / 1e6:,.0f} MB")


if __name__ == "__main__":
    main()
