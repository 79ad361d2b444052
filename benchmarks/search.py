"""Exact search: the plain loop, the matrix, and how near the matrix comes to what the machine can do.

    python benchmarks/search.py [--count 100000] [--dim 512] [--repeats 5]
    python benchmarks/search.py --vectors FILE.npy --count 1000000 [--k 50]   # real ones; without the loop

Every ratio is of two times measured in turns, best of all repeats, in this run: a single query against
reading the same bytes once, a batch against the bare matrix product and against itself without the
sieve of 8-bit products, and that sieve alone when nothing passes it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from os import cpu_count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.vectors import sieving
from lookalike.vectors.sieve import Sieve
from lookalike.vectors.similarity import normalise, top_k
from lookalike.vectors.speed import search_speed
from lookalike.vectors.whole_products import right

Work = Callable[[], object]


def clustered(count: int, dim: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Unit vectors in groups, as pictures are, a block at a time to save memory."""
    centres = rng.standard_normal((1000, dim), np.float32)
    made = np.empty((count, dim), np.float32)
    for start in range(0, count, 20_000):
        block = made[start : start + 20_000]
        block[:] = centres[rng.integers(0, 1000, len(block))]
        block += rng.standard_normal(block.shape, np.float32)
        block[:] = normalise(block)
    return made


def stored(file: Path, count: int) -> NDArray[np.float32]:
    """The first rows of a file at length 1, a block at a time."""
    rows = np.load(file, mmap_mode="r")[:count]
    made = np.empty(rows.shape, np.float32)
    for start in range(0, len(rows), 20_000):
        block = slice(start, start + 20_000)
        made[block] = normalise(np.asarray(rows[block], np.float32))
    return made


def read_once(matrix: NDArray[np.float32]) -> None:
    """All bytes through all cores, with the least arithmetic that NumPy has."""
    cores = cpu_count() or 1
    with ThreadPoolExecutor(cores) as threads:
        list(threads.map(lambda part: part.max(), np.array_split(matrix.reshape(-1), cores)))


def best(works: dict[str, Work], repeats: int) -> dict[str, float]:
    """The best time of each, measured in turns."""
    times = dict.fromkeys(works, float("inf"))
    for _ in range(repeats):
        for name, work in works.items():
            started = time.perf_counter()
            work()
            times[name] = min(times[name], time.perf_counter() - started)
    return times


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    arguments.add_argument("--count", type=int, default=100_000)
    arguments.add_argument("--dim", type=int, default=512)
    arguments.add_argument("--repeats", type=int, default=5)
    arguments.add_argument("--vectors", type=Path)
    arguments.add_argument("--k", type=int, default=10)
    given = arguments.parse_args()
    if given.vectors:
        against_the_machine(stored(given.vectors, given.count), given.exact_duplicates, given.k)
        return
    say_loop(given.count, given.dim)
    matrix = clustered(given.count, given.dim, np.random.default_rng(0))
    against_the_machine(matrix, given.exact_duplicates, given.k)


def say_loop(count: int, dim: int) -> None:
    """The plain loop beside the matrix, on some of the vectors."""
    speed = search_speed(count=min(count, 20_000), dim=dim)
    per_image = speed.bytes / speed.count / 1000
    print(
        f"{speed.count} × {speed.dim}: {speed.bytes / 1e6:.1f} MB in all, {per_image:.2f} KB an image"
    )
    print(f"  loop              {speed.loop * 1e3:9.2f} ms a query")
    for name, seconds in (("matrix, one", speed.single), ("matrix, 64 at once", speed.batch)):
        print(
            f"  {name:18}{seconds * 1e3:9.3f} ms a query, {speed.loop / seconds:.0f} times the loop"
        )


def against_the_machine(matrix: NDArray[np.float32], repeats: int, k: int) -> None:
    """One query against reading the bytes, a batch against the bare product."""
    count, dim = matrix.shape
    rng = np.random.default_rng(1)
    queries = normalise(matrix[:1000] + 0.5 / dim**0.5 * rng.standard_normal((1000, dim)))
    halves = matrix.astype(np.float16)
    few = np.sort(rng.permutation(count)[: count // 100])

    def found(
        vectors: NDArray[np.floating], many: int, rows: NDArray[np.int64] | None = None
    ) -> Work:
        return lambda: top_k(vectors, queries[:many], k, similarity="cosine", rows=rows)

    def bare(many: int) -> Work:
        return lambda: queries[:many] @ matrix.T

    times = best(
        {
            "read": lambda: read_once(matrix),
            "gemv": lambda: matrix @ queries[0],
            "one": found(matrix, 1),
            "half": found(halves, 1),
            "filter": found(matrix, 1, few),
            "euclidean": lambda: top_k(matrix, queries[:1], k, similarity="euclidean"),
        },
        repeats,
    )
    print(f"{count} × {dim}, one query: {times['one'] * 1e3:.1f} ms")
    bandwidth = matrix.nbytes / times["read"] / 1e9
    print(f"  {times['one'] / times['read']:.2f} of reading the bytes ({bandwidth:.1f} GB/s)")
    print(f"  {times['one'] / times['gemv']:.2f} of the bare product, {times['gemv'] * 1e3:.1f} ms")
    print(f"  {times['half'] / times['one']:.2f} times as long from float16")
    print(f"  {times['euclidean'] / times['one']:.2f} times as long by Euclidean distance")
    print(f"  {times['filter'] / times['one']:.3f} of the time among 1 % of the rows")
    for many in (256, 1000):
        works = {"bare": bare(many), "ours": found(matrix, many)}
        if right():
            nothing, sieve = np.full(many, 2.0, np.float32), Sieve(queries[:many])
            works["plain"] = unsieved(works["ours"])
            works["half plain"], works["half"] = unsieved(found(halves, many)), found(halves, many)
            works["sieve"] = partial(sieve.above, matrix, nothing, most=0)
        times = best(works, max(2, repeats // 2))
        print(
            f"{many} queries at once, k = {k}: {times['ours']:.2f} s, {times['ours'] / times['bare']:.2f} of"
            f" the bare product, {many / times['ours']:.0f} queries/s"
        )
        if right():
            print(
                f"  without the sieve {times['plain']:.2f} s; from float16 {times['half']:.2f} s, without"
                f" {times['half plain']:.2f} s; the sieve alone {times['sieve']:.2f} s,"
                f" {times['sieve'] / times['bare']:.2f} of the bare product"
            )


def unsieved(work: Work) -> Work:
    def plain() -> None:
        kept, sieving.QUERIES = sieving.QUERIES, 1 << 40
        try:
            work()
        finally:
            sieving.QUERIES = kept

    return plain


if __name__ == "__main__":
    main()
