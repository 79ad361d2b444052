"""Exact search against a plain loop, reading the same bytes, and the bare matrix product.

    python benchmarks/search.py [--count 100000] [--dim 512] [--repeats 5]
    python benchmarks/search.py --vectors FILE.npy --count 1000000 [--k 50]   # real vectors; no loop

Every ratio is of two times measured in turns in this run, the best of all repeats: a single query against
reading the same bytes once, a batch against the bare matrix product.
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

from lookalike.evaluation.search_benchmark import measure_search
from lookalike.vectors.similarity import normalise, top_k

Work = Callable[[], object]


def clustered(count: int, dim: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return unit vectors in groups, as those of images are; generated in blocks to save memory."""
    centres = rng.standard_normal((1000, dim), np.float32)
    made = np.empty((count, dim), np.float32)
    for start in range(0, count, 20_000):
        block = made[start : start + 20_000]
        block[:] = centres[rng.integers(0, 1000, len(block))]
        block += rng.standard_normal(block.shape, np.float32)
        block[:] = normalise(block)
    return made


def load(file: Path, count: int) -> NDArray[np.float32]:
    """Return the first rows of a file at length 1."""
    rows = np.load(file, mmap_mode="r")[:count]
    made = np.empty(rows.shape, np.float32)
    for start in range(0, len(rows), 20_000):
        block = slice(start, start + 20_000)
        made[block] = normalise(np.asarray(rows[block], np.float32))
    return made


def read_once(matrix: NDArray[np.float32]) -> None:
    """Read all bytes with all cores, with the least arithmetic that NumPy has."""
    cores = cpu_count() or 1
    with ThreadPoolExecutor(cores) as threads:
        list(threads.map(lambda part: part.max(), np.array_split(matrix.reshape(-1), cores)))


def best(works: dict[str, Work], repeats: int) -> dict[str, float]:
    """Return the best time of each, measured in turns."""
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
        compare_with_machine(load(given.vectors, given.count), given.repeats, given.k)
        return
    print_loop(given.count, given.dim)
    matrix = clustered(given.count, given.dim, np.random.default_rng(0))
    compare_with_machine(matrix, given.repeats, given.k)


def print_loop(count: int, dim: int) -> None:
    """Time the plain loop beside the matrix, on some of the vectors."""
    speed = measure_search(count=min(count, 20_000), dim=dim)
    per_image = speed.bytes / speed.count / 1000
    print(
        f"{speed.count} × {speed.dim}: {speed.bytes / 1e6:.1f} MB in all, {per_image:.2f} KB an image"
    )
    print(f"  loop              {speed.loop * 1e3:9.2f} ms a query")
    for name, seconds in (("matrix, one", speed.single), ("matrix, 64 at once", speed.batch)):
        print(
            f"  {name:18}{seconds * 1e3:9.3f} ms a query, {speed.loop / seconds:.0f} times the loop"
        )


def compare_with_machine(matrix: NDArray[np.float32], repeats: int, k: int) -> None:
    """Time one query against reading the bytes, and batches against the bare product."""
    count, dim = matrix.shape
    rng = np.random.default_rng(1)
    queries = normalise(matrix[:1000] + 0.5 / dim**0.5 * rng.standard_normal((1000, dim)))
    halves = matrix.astype(np.float16)
    few = np.sort(rng.permutation(count)[: count // 100])

    def search(
        vectors: NDArray[np.floating], many: int, rows: NDArray[np.int64] | None = None
    ) -> Work:
        return lambda: top_k(vectors, queries[:many], k, similarity="cosine", rows=rows)

    times = best(
        {
            "read": lambda: read_once(matrix),
            "gemv": lambda: matrix @ queries[0],
            "one": search(matrix, 1),
            "half": search(halves, 1),
            "filter": search(matrix, 1, few),
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
        works: dict[str, Work] = {
            "bare": partial(np.matmul, queries[:many], matrix.T),
            "float32": search(matrix, many),
            "float16": search(halves, many),
        }
        times = best(works, max(2, repeats // 2))
        print(
            f"{many} queries at once, k = {k}: {times['float32']:.2f} s, "
            f"{times['float32'] / times['bare']:.2f} of the bare product, "
            f"{many / times['float32']:.0f} queries/s; from float16 {times['float16']:.2f} s"
        )


if __name__ == "__main__":
    main()
