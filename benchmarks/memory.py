"""Peak memory of indexing by number of files.

    python benchmarks/memory.py [--files 50000 100000] [--flat]

Writes that many distinct JPEGs of about 700 bytes (all in one folder with --flat), indexes them, and prints
the peak resident memory of the parent and of its largest worker, and how much Python memory of the parent
(tracemalloc, peak) each further file costs.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tempfile
from pathlib import Path

CHILD = """
import resource, sys, tracemalloc
from pathlib import Path
from lookalike import IndexOptions, Library
trace = sys.argv[3] == "trace"
library = Library.create(Path(sys.argv[1]), folder=Path(sys.argv[2]))
if trace:
    tracemalloc.start()
added = library.add([Path(sys.argv[1])], extractors=["histogram"], options=IndexOptions())
peak = tracemalloc.get_traced_memory()[1] if trace else 0
library.close()
print(added.new, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
      resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, peak, f"{added.seconds:.1f}")
"""


def draw(folder: Path, files: int, *, flat: bool) -> None:
    """Write `files` small JPEGs."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    base = []
    for _ in range(64):
        tile = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(tile).resize((32, 32)).save(buffer, "JPEG")
        base.append(buffer.getvalue())
    for i in range(files):
        target = folder if flat else folder / f"{i // 1000:05d}"
        target.mkdir(exist_ok=True)
        (target / f"{i:08d}.jpg").write_bytes(base[i % 64] + i.to_bytes(8, "little"))


def main() -> None:
    """Measure every number of files in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, nargs="+", default=[50_000, 100_000])
    parser.add_argument("--flat", action="store_true")
    options = parser.parse_args()
    peaks = []
    for files in options.files:
        with tempfile.TemporaryDirectory() as scratch:
            photos = Path(scratch) / "photos"
            photos.mkdir()
            draw(photos, files, flat=options.flat)
            for mode in ("plain", "trace"):
                library = Path(scratch) / f"library-{mode}"
                done = subprocess.run(
                    [sys.executable, "-c", CHILD, str(photos), str(library), mode],
                    check=True,
                    capture_output=True,
                    text=True,
                )
                new, mine, child, peak, seconds = done.stdout.split()
                if mode == "plain":
                    print(
                        f"{new} files in {seconds} s: parent {int(mine) / 1024:.0f} MB, "
                        f"largest worker {int(child) / 1024:.0f} MB peak resident"
                    )
                else:
                    peaks.append((files, int(peak)))
                    print(f"  Python memory of the parent at its peak: {int(peak) / 1e6:.2f} MB")
    (few, low), (many, high) = peaks[0], peaks[-1]
    if many > few:
        print(f"a further file costs {(high - low) / (many - few):.2f} bytes of Python memory")


if __name__ == "__main__":
    main()
