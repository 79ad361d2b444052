"""Copies found by imagededup and czkawka, on the images of `copies.py`.

    python benchmarks/copies.py DATA_FOLDER --work FOLDER
    PYTHON benchmarks/copies_peers.py DATA_FOLDER FOLDER

PYTHON has `pip install czkawka==0.1.2 numpy pillow PyWavelets scipy scikit-learn tqdm` and
`pip install --no-deps imagededup==0.3.3.post2`: its hashes run without PyTorch, its network does not.
imagededup compares with 10 of 64 bits by default.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any
from unittest import mock

Pairs = Iterator[tuple[Path, Path]]


def by_imagededup(files: list[Path], threshold: int) -> Pairs:
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
    found: dict[str, list[Any]] = method.find_duplicates(
        encoding_map={name: code for name, code in encodings.items() if code},
        max_distance_threshold=threshold,
    )
    for one, others in found.items():
        for other in others:
            if one < other:
                yield Path(one), Path(other)


def by_czkawka(files: list[Path], threshold: int) -> Pairs:
    from czkawka import ImageSimilarity

    finder = ImageSimilarity()
    finder.set_directories(sorted({file.parent for file in files}))
    finder.set_similarity(threshold)
    for group in finder.find_similar():
        yield from combinations(map(Path, group), 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--images", type=int, default=200)
    given = parser.parse_args()
    data, copies = given.data.resolve(), (given.work / "copies").resolve()
    originals = sorted((data / "coco-mini").rglob("*.jpg"))[: given.images]
    numbers = {original: number for number, original in enumerate(originals)}
    sets = [data / name for name in ("corel1k", "grocery", "coco-mini")]
    files = [file for folder in sets for file in folder.rglob("*.jpg")]
    files += [file for file in copies.iterdir() if int(file.name[:3]) < given.images]

    def source(file: Path) -> object:
        return int(file.name[:3]) if file.parent == copies else numbers.get(file, file)

    methods: list[tuple[str, Callable[[list[Path], int], Pairs], tuple[int, ...]]] = [
        ("imagededup PHash", by_imagededup, (10, 8)),
        ("czkawka", by_czkawka, (10, 5)),
    ]
    for name, method, thresholds in methods:
        for threshold in thresholds:
            started, busy = time.perf_counter(), time.process_time()
            right = wrong = 0
            found = set()
            for one, other in method(files, threshold):
                if source(one) != source(other):
                    wrong += 1
                    continue
                right += 1
                if one in numbers or other in numbers:
                    found |= {one, other} - numbers.keys()
            took, busy = time.perf_counter() - started, time.process_time() - busy
            recall = len(found) / max(1, sum(file.parent == copies for file in files))
            print(
                f"{name}, {threshold} bits: {recall:.1%} found, {wrong} of {right + wrong} pairs wrong, "
            )
            print(f"    {took:.1f} s ({busy:.1f} s of processor)", flush=True)


if __name__ == "__main__":
    main()
