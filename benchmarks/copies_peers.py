"""Copies found by imagededup and czkawka, on the images of `copies.py`.

    python benchmarks/copies.py DATA_FOLDER --work FOLDER
    PYTHON benchmarks/copies_peers.py DATA_FOLDER FOLDER
    PYTHON benchmarks/copies_peers.py --made FOLDER                  # the images of copies_scale.py

PYTHON has `pip install czkawka==0.1.2 numpy pillow PyWavelets scipy scikit-learn tqdm matplotlib` and
`pip install --no-deps imagededup==0.3.3.post2`: its hashes run without PyTorch, its network does not.
imagededup compares with 10 of 64 bits by default. Its hashes are computed in one process here; czkawka uses
all cores. Of more than 50,000 images its pairs are computed from its hashes with NumPy.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import comb
from pathlib import Path
from typing import Any
from unittest import mock

# Beyond this number of images imagededup takes hours: for each one it reads all hashes from text again.
MAX_SEARCHED = 50_000

Groups = Iterator[Sequence[Path]]
"""Files that are said to be copies of each other, in pairs or larger groups."""


def by_imagededup(files: list[Path], threshold: int) -> Groups:
    import sklearn.metrics.pairwise  # noqa: F401 - before it sees what stands in for PyTorch

    for name in (
        "torch",
        "torch.nn",
        "torch.utils",
        "torch.utils.data",
        "torchvision",
        "torchvision.transforms",
    ):
        sys.modules.setdefault(name, mock.MagicMock())
    sys.modules["imagededup.methods.cnn"] = sys.modules["imagededup.utils.models"] = (
        mock.MagicMock()
    )
    from imagededup.methods.hashing import PHash

    method = PHash(verbose=False)
    encodings = {str(file): method.encode_image(str(file)) for file in files}
    encodings = {name: code for name, code in encodings.items() if code}
    if len(files) > MAX_SEARCHED:
        yield from within(encodings, threshold)
        return
    found: dict[str, list[Any]] = method.find_duplicates(
        encoding_map=encodings, max_distance_threshold=threshold
    )
    for one, others in found.items():
        for other in others:
            if one < other:
                yield Path(one), Path(other)


def within(encodings: dict[str, str], threshold: int) -> Groups:
    """Return the pairs of hashes that differ in at most `threshold` bits: those of `find_duplicates`."""
    import numpy as np

    names = list(encodings)
    codes = np.array([int(code, 16) for code in encodings.values()], np.uint64)
    for start in range(0, len(codes), 256):
        differing = np.bitwise_count(codes[start : start + 256, None] ^ codes[None, start:])
        for one, other in zip(*np.nonzero(differing <= threshold), strict=True):
            if one < other:
                yield Path(names[start + one]), Path(names[start + other])


def by_czkawka(files: list[Path], threshold: int) -> Groups:
    from czkawka import ImageSimilarity

    finder = ImageSimilarity()
    finder.set_directories(sorted({file.parent for file in files}))
    finder.set_similarity(threshold)
    for group in finder.find_similar():
        yield [Path(file) for file in group]


@dataclass(frozen=True)
class Copies:
    """The images to compare.

    files      all of them
    source     returns what a file shows: the same for copies of one photo
    originals  files of which there are copies
    copies     their copies
    """

    files: list[Path]
    source: Callable[[Path], object]
    originals: set[Path]
    copies: set[Path]


def of_copies(data: Path, work: Path, images: int) -> Copies:
    """Return the images of `copies.py`."""
    data, folder = data.resolve(), (work / "copies").resolve()
    originals = sorted((data / "coco-mini").rglob("*.jpg"))[:images]
    numbers = {original: number for number, original in enumerate(originals)}
    sets = [data / name for name in ("corel1k", "grocery", "coco-mini")]
    copies = {file for file in folder.iterdir() if int(file.name[:3]) < images}
    files = [file for folder in sets for file in folder.rglob("*.jpg")]

    def source(file: Path) -> object:
        return int(file.name[:3]) if file.parent == folder else numbers.get(file, file)

    return Copies([*files, *sorted(copies)], source, {*originals}, copies)


def of_copies_scale(work: Path) -> Copies:
    """Return the images of `copies_scale.py`."""
    files = sorted((work / "images").resolve().iterdir())
    copies = {file for file in files if "-" in file.name}
    numbers = {file.name[:6] for file in copies}
    originals = {file for file in files if file.stem in numbers}
    return Copies(files, lambda file: file.name[:6], originals, copies)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("work", type=Path, nargs="?")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--made", type=Path)
    given = parser.parse_args()
    made = (
        of_copies_scale(given.made)
        if given.made
        else of_copies(given.data, given.work, given.images)
    )
    methods: list[tuple[str, Callable[[list[Path], int], Groups], tuple[int, ...]]] = [
        ("czkawka", by_czkawka, (10, 5)),
        ("imagededup PHash", by_imagededup, (10, 8)),
    ]
    for name, method, thresholds in methods:
        for threshold in thresholds:
            started, busy = time.perf_counter(), time.process_time()
            right = pairs = 0
            found: set[Path] = set()
            for group in method(made.files, threshold):
                of_source = Counter(map(made.source, group))
                pairs += comb(len(group), 2)
                right += sum(comb(count, 2) for count in of_source.values())
                known = {made.source(file) for file in group if file in made.originals}
                found |= {
                    file for file in made.copies.intersection(group) if made.source(file) in known
                }
            took, busy = time.perf_counter() - started, time.process_time() - busy
            print(f"{name}, {threshold} bits: {len(found) / len(made.copies):.1%} found, ")
            print(f"    {pairs - right:,} of {pairs:,} pairs wrong")
            print(f"    {took:.1f} s ({busy:.1f} s of processor)", flush=True)


if __name__ == "__main__":
    main()
