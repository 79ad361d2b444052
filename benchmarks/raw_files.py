"""Rate of raw camera files that are read by their preview, beside that of JPEGs of the preview's size.

    python benchmarks/raw_files.py JPEG... [--rounds 5]

Each JPEG becomes the preview of a DNG with so many pixels of 16 bits that the file has a byte for each pixel
of the preview beside it, as the compressed ones of cameras have (--bytes 2: twice as many). Both are read,
hashed, decoded and extracted in turns, in one process; the time is that of the processor.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.images.raw_builder import dng

from lookalike.errors import Outcome
from lookalike.extractors import load
from lookalike.extractors.extraction import Extraction, Task


def main() -> None:
    """Print milliseconds per file of both kinds, and the ratio of their rates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bytes", type=int, choices=(1, 2), default=1)
    arguments = parser.parse_args()
    work = Extraction.of([load("phash"), load("color")])
    with tempfile.TemporaryDirectory() as folder:
        pairs = []
        for number, source in enumerate(arguments.images):
            jpeg, raw = (Path(folder) / f"{number}{suffix}" for suffix in (".jpg", ".dng"))
            image = Image.open(source).convert("RGB")
            image = image.crop((0, 0, image.width // 2 * 2, image.height // 2 * 2))
            image.save(jpeg, quality=95)  # as `dng` saves the preview
            rows = image.height * arguments.bytes // 4 * 2
            raw.write_bytes(dng(image.resize((image.width, rows)), preview=image))
            pairs.append((jpeg, raw))
        spent = {".jpg": 0.0, ".dng": 0.0}
        for turn in range(arguments.rounds + 1):
            for file in (one for pair in pairs for one in pair):
                start = time.process_time()
                result = work(Task(path=str(file)))
                assert result.outcome is Outcome.INDEXED, result.reason
                if turn:  # the first round loads libraries and fills the cache of files
                    spent[file.suffix] += time.process_time() - start
        count = len(pairs) * arguments.rounds
        for suffix, seconds in spent.items():
            print(f"{suffix}  {1000 * seconds / count:7.1f} ms a file")
        print(f"rate of raw files: {spent['.jpg'] / spent['.dng']:.2f} of that of JPEGs")


if __name__ == "__main__":
    main()
