"""`lookalike evaluate` on 100,000 vectors with 10,000 queries: time and memory of the whole program.

    python benchmarks/evaluation.py [--images 100000] [--queries 10000] [--labels 1000] [--dim 512] [--index]

The library holds made-up unit vectors around as many centres as there are labels. The program
ranks all images for every query, computes all metrics with their intervals and writes them as JSON. No query
is timed, because the image files do not exist. --index: the library gets an ANN index first, and its own
search is evaluated as well.
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from lookalike.errors import Outcome
from lookalike.images.metadata.facts import Facts
from lookalike.stores.interface import Entry, Space
from lookalike.stores.local.store import LocalStore
from lookalike.vectors.similarity import normalise

BATCH = 5_000
NAME = "synthetic"


def fill(folder: Path, images: int, labels: int, dim: int) -> None:
    """Write the library, and labels.csv in the folder of its images."""
    draw = np.random.default_rng(0)
    centres = normalise(draw.normal(size=(labels, dim)))
    space = Space(f"{NAME}@1", NAME, "1", dim, "cosine")
    with (
        LocalStore.create(folder / ".lookalike") as store,
        store.writer() as writer,
        (folder / "labels.csv").open("w", newline="", encoding="utf-8") as table,
    ):
        rows = csv.writer(table)
        rows.writerow(("path", "label"))
        writer.add_space(space)
        root = writer.add_root(folder).id
        for start in range(0, images, BATCH):
            numbers = range(start, min(start + BATCH, images))
            label = draw.integers(0, labels, len(numbers))
            near = centres[label] + draw.normal(scale=2 / dim**0.5, size=(len(numbers), dim))
            vectors = normalise(near)
            paths = [f"{number // 1000:04d}/{number:08d}.jpg" for number in numbers]
            rows.writerows(zip(paths, label.tolist(), strict=True))
            writer.put(
                [
                    Entry(
                        root=root,
                        path=path,
                        size=100_000 + number,
                        mtime_ns=number,
                        hash=number.to_bytes(32, "big"),
                        outcome=Outcome.INDEXED,
                        facts=Facts(1024, 768, "jpeg"),
                        vectors={space.key: vector},
                    )
                    for number, path, vector in zip(numbers, paths, vectors, strict=True)
                ]
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--labels", type=int, default=1_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--index", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "photos"
        folder.mkdir()
        fill(folder, options.images, options.labels, options.dim)
        if options.index:
            building = [
                sys.executable,
                "-m",
                "lookalike.cli",
                "ann",
                "build",
                "--extractor",
                NAME,
                "--library",
                folder,
            ]
            subprocess.run([*map(str, building)], check=True)
        command = [
            *(sys.executable, "-m", "lookalike.cli", "evaluate", str(folder)),
            *("--labels", "labels.csv", "--queries", str(options.queries), "--timed", "0"),
            *("--format", "json", *(["--index"] if options.index else [])),
        ]
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        before, started = used.ru_utime + used.ru_stime, time.perf_counter()
        answer = subprocess.run(command, check=True, capture_output=True, text=True)
        seconds = time.perf_counter() - started
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        peak = used.ru_maxrss / 1024
        processor = used.ru_utime + used.ru_stime - before
        for system in json.loads(answer.stdout)["systems"]:
            means = {name: found["mean"] for name, found in system["metrics"].items()}
            recall = system["ann_recall_at_10"]
            print(
                f"{system['name']}: mAP {means['AP']:.3f}, P@10 {means['P@10']:.3f}"
                + ("" if recall is None else f", ANN recall@10 {recall:.3f}")
            )
        print(
            f"{options.queries:,} queries on {options.images:,} × {options.dim}: {seconds:.1f} s, "
            f"{processor:.1f} s of the processor, peak {peak:,.0f} MB"
        )


if __name__ == "__main__":
    main()
