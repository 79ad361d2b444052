"""Retrieval of edited copies by vectors alone: how often the original is the nearest image.

    python benchmarks/copies_first.py DATA_FOLDER [--extractor lookalike,color,phash,...]

DATA_FOLDER holds corel1k, grocery and coco-mini. 200 images of coco-mini are each saved with twelve
edits; each copy is a query among all images of the three sets. The table has a column for each extractor and
a row for each edit. Extractors that must be fitted are fitted to those images first.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.evaluation.edits import EDITS
from lookalike.evaluation.file_vectors import file_vectors
from lookalike.extractors.interface import Extractor
from lookalike.extractors.registry import load, parse
from lookalike.indexing.report import IndexOptions
from lookalike.indexing.spaces import ensure_fitted
from lookalike.vectors.similarity import top_k

SETS = ("coco-mini", "corel1k", "grocery")


def edited(originals: Sequence[Path], folder: Path) -> dict[str, list[Path]]:
    """Return the copies by edit, in the order of the originals."""
    found: dict[str, list[Path]] = {edit.name: [] for edit in EDITS}
    for number, original in enumerate(originals):
        with Image.open(original) as image:
            pixels = np.array(image.convert("RGB"))
        for edit in EDITS:
            file = folder / f"{number:03d}-{edit.name}{edit.suffix}"
            file.write_bytes(edit.saved(pixels))
            found[edit.name].append(file)
    return found


def shares(
    extractor: Extractor, known: Sequence[Path], copies: dict[str, list[Path]]
) -> dict[str, float]:
    """Return by edit the share of copies whose original, at the same row of `known`, comes first."""
    among = stacked(extractor, known)
    found = {}
    for edit, files in copies.items():
        first, _ = top_k(among, stacked(extractor, files), 1, similarity=extractor.similarity)
        found[edit] = float((first[:, 0] == np.arange(len(files))).mean())
    return found


def stacked(extractor: Extractor, files: Sequence[Path]) -> NDArray[np.float32]:
    """Return vectors (n, dim) of length 1, or zero where there is none."""
    empty = np.zeros(extractor.dim, np.float32)
    made = file_vectors(extractor, files, unit=True)
    return np.stack([empty if vector is None else vector for vector in made])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument(
        "--extractor",
        dest="extractors",
        default="lookalike,color,phash,dhash,shape,histogram,pixels",
    )
    parser.add_argument("--images", type=int, default=200)
    given = parser.parse_args()
    sets = [sorted((given.data / name).rglob("*.jpg")) for name in SETS]
    originals = sets[0][: given.images]
    known = [*originals, *sets[0][given.images :], *sets[1], *sets[2]]
    with tempfile.TemporaryDirectory() as folder:
        copies = edited(originals, Path(folder))
        columns = {}
        for name in parse(given.extractors):
            extractor = ensure_fitted(load(name), (), known, IndexOptions())
            columns[name] = shares(extractor, known, copies)
            print(f"{name}: {np.mean(list(columns[name].values())):.1%}", flush=True)
    print(f"\n| edit | {' | '.join(columns)} |\n|---|{'--:|' * len(columns)}")
    for edit in copies:
        print(f"| {edit} | {' | '.join(f'{column[edit]:.1%}' for column in columns.values())} |")
    means = (f"{np.mean(list(column.values())):.1%}" for column in columns.values())
    print(f"| all | {' | '.join(means)} |")


if __name__ == "__main__":
    main()
