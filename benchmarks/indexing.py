"""Indexing against the plain loop and against the bare JPEG decoder, on the same cores.

    python benchmarks/indexing.py FOLDER [--copies 20] [--rounds 3]

Three programs make the same 96 numbers per image (the bare decoder: none), alternately, each in
fresh processes:

loop    one process: Pillow open, convert to RGB at full size, np.histogram three times
bare    one process a core: open, read, simplejpeg.decode_jpeg at the scale that indexing uses
index   `lookalike index --extractor histogram` into a fresh library, everything counted: start-up, walking,
        hashing, decoding, extraction, catalogue

Prints images per second of each, by the clock and by the processor time of all processes, and the
ratios, as medians over the rounds.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LOOP = """
import sys
import numpy as np
from PIL import Image
for path in sys.stdin.read().splitlines():
    pixels = np.asarray(Image.open(path).convert("RGB"))
    np.concatenate([np.histogram(pixels[..., c], bins=32, range=(0, 256))[0] for c in range(3)])
"""

BARE = """
import sys
import simplejpeg
side = int(sys.argv[1])
for path in sys.stdin.read().splitlines():
    with open(path, "rb") as file:
        data = file.read()
    simplejpeg.decode_jpeg(data, "RGB", fastdct=True, fastupsample=True,
                           min_height=side, min_width=side, min_factor=1)
"""


Spent = tuple[float, float]
"""Seconds by the clock, and of processor time of all processes."""


def run(program: str, paths: list[str], processes: int, *arguments: str) -> Spent:
    """Return the times that `processes` copies of a program take for their shares of the paths."""
    before = sum(os.times()[2:4])
    started = time.perf_counter()
    children = []
    for i in range(processes):
        child = subprocess.Popen(
            [sys.executable, "-c", program, *arguments], stdin=subprocess.PIPE, text=True
        )
        assert child.stdin
        child.stdin.write("\n".join(paths[i::processes]))
        child.stdin.close()
        children.append(child)
    assert not any(child.wait() for child in children)
    return time.perf_counter() - started, sum(os.times()[2:4]) - before


def index(folder: Path) -> Spent:
    library = Path(tempfile.mkdtemp()) / "library"
    command = [
        sys.executable,
        "-m",
        "lookalike.cli",
        "index",
        str(folder),
        "--extractor",
        "histogram",
    ]
    # An installed program has its bytecode; a checkout may be forbidden to keep any.
    variables = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    before = sum(os.times()[2:4])
    started = time.perf_counter()
    done = subprocess.run(
        [*command, "--library", str(library)], capture_output=True, text=True, env=variables
    )
    seconds = time.perf_counter() - started
    assert done.returncode == 0, done.stderr
    processor = sum(os.times()[2:4]) - before
    shutil.rmtree(library.parent)
    return seconds, processor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--copies", type=int, default=1, help="repeat every file that often")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()

    from lookalike.extractors import load

    side = load("histogram").pixels.min_side
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as scratch:
        for file in sorted(options.folder.rglob("*")):
            if file.suffix.lower() in (".jpg", ".jpeg"):
                for copy in range(options.copies):
                    # Bytes after the end of a JPEG are ignored by decoders, and make the content new:
                    # equal copies would cost no extraction at all. As many of a size as there are copies
                    # would cost more than real photographs do: each would be taken for a likely copy.
                    content = file.read_bytes() + copy.to_bytes(4, "little") + bytes(97 * copy)
                    (Path(scratch) / f"{copy}-{len(content)}-{file.name}").write_bytes(content)
        paths = sorted(str(path) for path in Path(scratch).iterdir())
        few = paths[:: max(1, len(paths) // 40)]
        spent: dict[str, list[Spent]] = {"loop": [], "bare": [], "index": []}
        index(Path(scratch))  # once, so that the bytecode is there
        for _ in range(options.rounds):
            spent["loop"].append(run(LOOP, few, 1))
            spent["bare"].append(run(BARE, paths, cores, str(side)))
            spent["index"].append(index(Path(scratch)))
    print(f"{options.folder.name}: {len(paths)} files, {cores} cores, scaled to at least {side} px")
    counts = {"loop": len(few), "bare": len(paths), "index": len(paths)}
    rates = {
        name: [(counts[name] / clock, counts[name] / processor) for clock, processor in found]
        for name, found in spent.items()
    }
    for name, found in rates.items():
        clock, processor = (statistics.median(column) for column in zip(*found, strict=True))
        print(f"  {name:6} {clock:9.1f} images/s {processor:9.1f} images/s of processor time")
    for other in ("loop", "bare"):
        for column, of in enumerate(("clock", "processor time")):
            ratios = [
                a[column] / b[column] for a, b in zip(rates["index"], rates[other], strict=True)
            ]
            print(
                f"  index / {other} by {of}: {statistics.median(ratios):.2f}"
                f" (from {min(ratios):.2f} to {max(ratios):.2f})"
            )


if __name__ == "__main__":
    main()
