"""Approximate search in growing libraries: the cost of building, and how the time of a query grows.

    python benchmarks/ann_scale.py VECTORS.npy [--counts 100000 1000000 10000000] [--target 0.95]

The full run with ten million (an hour on two cores, 12 GB of disk):

    python benchmarks/ann_data.py sift PHOTOS ... sift.npy --count 10000000
    python benchmarks/ann_data.py spread REAL.npy spread.npy --count 10000000 --dim 256
    python benchmarks/ann_scale.py sift.npy --plot sift.png
    python benchmarks/ann_scale.py spread.npy --plot spread.png

For each count, the first rows of the file are indexed from the disk and tuned for the target. The recall
is that of held-out rows against exact search, the milliseconds are the median of single queries on one
thread, re-ranking from the file included. `peak` is the largest memory of this process (the mapped file
counts as far as it is in memory), `CPU` the seconds of all threads for building.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lookalike.ann import faiss_index, index_factory, tuning
from lookalike.vectors.blocks import Floats
from lookalike.vectors.similarity import top_k

THREADS = os.cpu_count() or 1


@dataclass(frozen=True)
class Measured:
    """The measurements for one count."""

    count: int
    recipe: str
    wall: float
    cpu: float
    peak: float
    each: float
    recall: float
    milliseconds: float
    exact: float


def measure(vectors: Floats, target: float, recipe: str | None) -> Measured:
    count, dim = vectors.shape
    chosen = recipe or index_factory.candidate_recipes(count, dim)[0]
    wall, cpu = time.perf_counter(), time.process_time()
    index = faiss_index.train(vectors, chosen, similarity="cosine", threads=THREADS)
    faiss_index.fill(index, vectors, threads=THREADS)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    held_out = tuning.hold_out_queries(vectors, similarity="cosine", normalised=True, count=256)
    point = tuning.tune(index, vectors, held_out, target=target, threads=THREADS)
    times = []
    for query in held_out.vectors[:5]:
        started = time.perf_counter()
        top_k(vectors, query[None], tuning.K, similarity="cosine")
        times.append(time.perf_counter() - started)
    with tempfile.TemporaryDirectory() as folder:
        index.save(Path(folder) / "index")
        size = (Path(folder) / "index").stat().st_size
    return Measured(
        count,
        chosen,
        wall,
        cpu,
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        size / count,
        point.recall,
        point.milliseconds,
        float(np.median(times)) * 1e3,
    )


def exponent(found: Sequence[Measured]) -> float:
    """Fit the power of the count by which the time of a query grows; 0.5 is the square root."""
    counts = np.log([one.count for one in found])
    return float(np.polyfit(counts, np.log([one.milliseconds for one in found]), 1)[0])


def draw(found: Sequence[Measured], out: Path, title: str) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.4), dpi=110, layout="constrained")
    axes = figure.subplots()
    counts = np.array([one.count for one in found], float)
    axes.loglog(counts, [one.milliseconds for one in found], "o-", label="index")
    axes.loglog(counts, [one.exact for one in found], "s--", label="exact")
    root = found[0].milliseconds * np.sqrt(counts / counts[0])
    axes.loglog(counts, root, ":", color="0.5", label="square root of the count")
    axes.set(xlabel="vectors", ylabel="ms a query", title=title)
    axes.grid(alpha=0.3, which="both")
    axes.legend(frameon=False)
    figure.savefig(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("vectors", type=Path)
    parser.add_argument("--counts", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000])
    parser.add_argument("--target", type=float, default=0.95)
    parser.add_argument("--recipe")
    parser.add_argument("--plot", type=Path)
    given = parser.parse_args()
    vectors = np.load(given.vectors, mmap_mode="r")
    print(
        f"{'count':>11} {'wall s':>7} {'CPU s':>7} {'peak GB':>8} {'bytes':>6} recall {'ms':>7} exact ms"
    )
    found = []
    for count in given.counts:
        if count > len(vectors):
            print(f"{given.vectors} has only {len(vectors):,} rows")
            break
        one = measure(np.asarray(vectors[:count]), given.target, given.recipe)
        found.append(one)
        print(
            f"{one.count:11,} {one.wall:7.0f} {one.cpu:7.0f} {one.peak:8.2f} {one.each:6.0f} "
            f"{one.recall:.4f} {one.milliseconds:7.3f} {one.exact:8.1f}  {one.recipe}",
            flush=True,
        )
    if len(found) > 1:
        print(f"the time of a query grows with the count to the power {exponent(found):.2f}")
    if given.plot and found:
        draw(found, given.plot, f"{given.vectors.stem}, recall@10 ≥ {given.target:g}")


if __name__ == "__main__":
    main()
