"""Import vectors, against the least that stores the same: their bytes and their rows.

    python benchmarks/importing.py [--rows 1000000] [--dim 512] [--rounds 1] [--profile]

least    write the vectors to a file with one fsync, and insert as many rows (path, hash, place of the vector)
         into SQLite in one transaction, in tables and indexes like those of the catalogue
import   `Library.vectors.import_vectors` from an NPY file and a list of paths, without building an ANN index

Both read the same file and write to the same disk, in turns.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import sqlite3
import tempfile
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np

from lookalike.library import Library

BLOCK = 10_000


def make_input(folder: Path, rows: int, dim: int) -> tuple[Path, Path]:
    """Write random unit vectors and their paths; return both files."""
    random = np.random.default_rng(0)
    file = folder / "vectors.npy"
    made = np.lib.format.open_memmap(file, "w+", np.float32, (rows, dim))
    for start in range(0, rows, BLOCK):
        block = random.standard_normal((min(BLOCK, rows - start), dim), np.float32)
        made[start : start + BLOCK] = block / np.linalg.norm(block, axis=1, keepdims=True)
    made.flush()
    paths = folder / "paths.txt"
    paths.write_text("".join(f"folder {n // 1000:05d}/image {n:08d}.jpg\n" for n in range(rows)))
    return file, paths


def least(folder: Path, vectors: Path, paths: Path) -> None:
    """Store the vectors and rows like those of the catalogue."""
    rows = np.load(vectors, mmap_mode="r")
    with (folder / "vectors").open("wb") as file:
        for start in range(0, len(rows), BLOCK):
            file.write(rows[start : start + BLOCK].tobytes())
        file.flush()
        os.fsync(file.fileno())
    connection = sqlite3.connect(folder / "rows.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(
        "CREATE TABLE images (id INTEGER PRIMARY KEY AUTOINCREMENT, root INTEGER, path, size INTEGER, "
        "mtime_ns INTEGER, hash BLOB, outcome TEXT, UNIQUE (root, path))"
    )
    connection.execute("CREATE INDEX by_hash ON images (hash)")
    connection.execute("CREATE INDEX by_size ON images (size)")
    connection.execute(
        "CREATE TABLE placements (image INTEGER, space INTEGER, row INTEGER, "
        "PRIMARY KEY (image, space)) WITHOUT ROWID"
    )
    connection.execute("BEGIN")
    with paths.open() as lines:
        connection.executemany(
            "INSERT INTO images (root, path, size, mtime_ns, hash, outcome) VALUES (1, ?, 0, 0, ?, "
            "'indexed')",
            ((line[:-1], sha256(line.encode()).digest()) for line in lines),
        )
    connection.executemany(
        "INSERT INTO placements VALUES (?, 1, ?)", ((n + 1, n) for n in range(len(rows)))
    )
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.close()


def whole(folder: Path, vectors: Path, paths: Path) -> None:
    """Import the same into a new library."""
    with Library.create(folder) as library:
        library.vectors.import_vectors(vectors, "made-up", paths=paths, ann=False)


def timed(name: str, rows: int, work: Callable[[], None]) -> float:
    started, processor = time.perf_counter(), time.process_time()
    work()
    seconds, processor = time.perf_counter() - started, time.process_time() - processor
    print(
        f"  {name:8} {seconds:7.1f} s, {processor:6.1f} of the processor: "
        f"{1e6 * processor / rows:5.1f} µs a row",
        flush=True,
    )
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        vectors, paths = make_input(Path(scratch), given.rows, given.dim)
        print(f"{given.rows:,} × {given.dim}")
        for number in range(given.rounds):
            for name in ("least", "import"):
                (Path(scratch) / f"{name}{number}").mkdir()
            first = Path(scratch) / f"least{number}"
            seconds = timed("least", given.rows, lambda: least(first, vectors, paths))  # noqa: B023
            second = Path(scratch) / f"import{number}"
            imported = timed("import", given.rows, lambda: whole(second, vectors, paths))  # noqa: B023
            print(f"  ratio    {imported / seconds:7.2f}")
        if given.profile:
            (Path(scratch) / "profiled").mkdir()
            profiler = cProfile.Profile()
            profiler.runcall(whole, Path(scratch) / "profiled", vectors, paths)
            pstats.Stats(profiler).sort_stats("tottime").print_stats(25)


if __name__ == "__main__":
    main()
