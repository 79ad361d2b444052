"""`lookalike search` from a cold start, on a library of 100,000 images.

    python benchmarks/cold_search.py [--images 100000] [--rounds 7]

The library holds generated vectors of the real extractors `lookalike` (the default, a network) and `color`
around 1,000 centres; the query is an image of 1024×768 that is not in it, so that the program must
start a worker and decode it. They alternate, each in a fresh process: the interpreter alone (`python -c
pass`), the interpreter with NumPy, and the search by each. Prints the medians of the wall time and of the
processor time (with children). The wall time is meaningful only on an idle machine.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from lookalike.errors import Outcome
from lookalike.extractors import load
from lookalike.extractors.interface import space_key
from lookalike.images.metadata.facts import Facts
from lookalike.indexing.spaces import space_of
from lookalike.stores.interface import Entry
from lookalike.stores.local.store import LocalStore

BATCH = 5_000
SPACES = ("lookalike", "color")


def fill(folder: Path, images: int) -> None:
    extractors = [load(name) for name in SPACES]
    draw = np.random.default_rng(0)
    centres = {e.name: draw.random((1000, e.dim), np.float32) for e in extractors}
    with LocalStore.create(folder / ".lookalike") as store, store.writer() as writer:
        for extractor in extractors:
            writer.add_space(space_of(extractor))
        root = writer.add_root(folder).id
        for start in range(0, images, BATCH):
            numbers = range(start, min(start + BATCH, images))
            vectors = {}
            for extractor in extractors:
                near = centres[extractor.name][draw.integers(0, 1000, len(numbers))]
                noise = 0.3 * draw.random(near.shape, np.float32)
                vectors[space_key(extractor)] = near + noise
            writer.put(
                [
                    Entry(
                        root=root,
                        path=f"{number // 1000:04d}/{number:08d}.jpg",
                        size=100_000 + number,
                        mtime_ns=number,
                        hash=number.to_bytes(32, "big"),
                        outcome=Outcome.INDEXED,
                        facts=Facts(1024, 768, "jpeg"),
                        vectors={key: rows[number - start] for key, rows in vectors.items()},
                    )
                    for number in numbers
                ]
            )


def timed(command: list[str]) -> tuple[float, float]:
    """Return the seconds by the clock, and of the processor with all children."""
    before, started = os.times(), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - started, os.times()
    used = after.children_user + after.children_system
    return wall, used - before.children_user - before.children_system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "photos"
        folder.mkdir()
        fill(folder, options.images)
        query = Path(scratch) / "query.jpg"
        pixels = np.random.default_rng(1).integers(0, 256, (12, 16, 3), np.uint8)
        Image.fromarray(pixels).resize((1024, 768), Image.Resampling.BICUBIC).save(query)
        search = [sys.executable, "-m", "lookalike.cli", "search", str(query)]
        search += ["--library", str(folder), "--extractor"]
        programs = {
            "python": [sys.executable, "-c", "pass"],
            "python with NumPy": [sys.executable, "-c", "import numpy"],
            **{f"search --extractor {name}": [*search, name] for name in SPACES},
        }
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in programs}
        for _ in range(options.rounds + 1):  # the first warms the files up
            for name, command in programs.items():
                times[name].append(timed(command))
        print(f"{options.images} images, medians of {options.rounds} rounds")
        for name, pairs in times.items():
            wall, used = (statistics.median(column) for column in zip(*pairs[1:], strict=True))
            print(f"  {name:21} {wall:.3f} s by the clock, {used:.3f} s of the processor")


if __name__ == "__main__":
    main()
