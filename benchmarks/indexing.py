"""Indexing against the plain loop and against the bare JPEG decoder, on the same cores.

    python benchmarks/indexing.py FOLDER [--copies 20] [--rounds 3]

Three programs make the same 96 numbers a picture (or, the bare decoder, none), in turn, each in
fresh processes:

loop    one process: Pillow open, convert to RGB at full size, np.histogram three times
bare    one process a core: open, read, simplejpeg.decode_jpeg at the scale that indexing uses
index   `lookalike index --with histogram` into a fresh library, everything counted: start-up, walking,
        hashing, decoding, extraction, catalogue

Prints images per second of each, and the ratios, as medians over the rounds.
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


def run(program: str, paths: list[str], processes: int, *arguments: str) -> float:
    """Seconds that `processes` copies of a program take for their shares of the paths."""
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
    return time.perf_counter() - started


def index(folder: Path) -> float:
    library = Path(tempfile.mkdtemp()) / "library"
    command = [sys.executable, "-m", "lookalike.cli", "index", str(folder), "--with", "histogram"]
    started = time.perf_counter()
    done = subprocess.run([*command, "--library", str(library)], capture_output=True, text=True)
    seconds = time.perf_counter() - started
    assert done.returncode == 0, done.stderr
    shutil.rmtree(library.parent)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--copies", type=int, default=1, help="repeat every file that often")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()

    from lookalike.extractors import load

    side = load("histogram").needs.min_side
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as scratch:
        for file in sorted(options.folder.rglob("*")):
            if file.suffix.lower() in (".jpg", ".jpeg"):
                for copy in range(options.copies):
                    # A byte after the end of a JPEG is ignored by decoders, and makes the content new:
                    # equal copies would cost no extraction at all.
                    content = file.read_bytes() + copy.to_bytes(4, "little")
                    (Path(scratch) / f"{copy}-{len(content)}-{file.name}").write_bytes(content)
        paths = sorted(str(path) for path in Path(scratch).iterdir())
        few = paths[:: max(1, len(paths) // 40)]
        rates: dict[str, list[float]] = {"loop": [], "bare": [], "index": []}
        for _ in range(options.rounds):
            rates["loop"].append(len(few) / run(LOOP, few, 1))
            rates["bare"].append(len(paths) / run(BARE, paths, cores, str(side)))
            rates["index"].append(len(paths) / index(Path(scratch)))
    print(f"{options.folder.name}: {len(paths)} files, {cores} cores, scaled to at least {side} px")
    for name, values in rates.items():
        print(f"  {name:6} {statistics.median(values):9.1f} images/s")
    for other in ("loop", "bare"):
        ratios = [a / b for a, b in zip(rates["index"], rates[other], strict=True)]
        print(
            f"  index / {other}: {statistics.median(ratios):.2f}"
            f" (from {min(ratios):.2f} to {max(ratios):.2f})"
        )


if __name__ == "__main__":
    main()
