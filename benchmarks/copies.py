"""Recall of duplicates on 2,400 edited copies, and precision of all pairs that are found.

    python benchmarks/copies.py DATA_FOLDER [--work FOLDER]

DATA_FOLDER holds corel1k, grocery and coco-mini. 200 images of coco-mini are each saved with twelve
edits; the copies are searched for among all images of the three sets. A copy is found if it is in the same
group as its original. Precision is that of all pairs within groups: a pair is right if both come from the
same image. Pairs in which neither image is from coco-mini count as wrong, although some of them are two
shots of one scene that nobody could tell from a copy. Plain pHash is given the largest radius at which its
pairs are as precise.
"""

from __future__ import annotations

import argparse
import pickle
import tempfile
import time
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
from PIL import Image

from lookalike.duplicates.candidates import Hashes
from lookalike.duplicates.report import Duplicates
from lookalike.evaluation.edits import EDITS
from lookalike.library import Library
from lookalike.vectors.hamming import distances

PRECISE = 0.99


def make_copies(data: Path, folder: Path, images: int) -> list[Path]:
    """Save the copies as NNN-edit.suffix, and return the originals in order."""
    originals = sorted((data / "coco-mini").rglob("*.jpg"))[:images]
    folder.mkdir(parents=True, exist_ok=True)
    for number, original in enumerate(originals):
        with Image.open(original) as image:
            pixels = np.array(image.convert("RGB"))
        for edit in EDITS:
            file = folder / f"{number:03d}-{edit.name}{edit.suffix}"
            if not file.exists():
                file.write_bytes(edit.saved(pixels))
    return originals


class Truth:
    """Knows which image each file comes from."""

    def __init__(self, originals: list[Path], copies: Path) -> None:
        self.images = len(originals)
        self._copies = copies
        self._numbers = {original: number for number, original in enumerate(originals)}

    def source(self, file: Path) -> object:
        """Return the number of the original; the file itself if it is not a copy."""
        if file.parent == self._copies:
            return int(file.name[:3])
        return self._numbers.get(file, file)

    def edit(self, file: Path) -> str | None:
        return file.stem[4:] if file.parent == self._copies else None


def report(name: str, pairs: Iterator[tuple[Path, Path]], truth: Truth) -> tuple[float, float]:
    """Print recall by edit and precision of pairs, and return (recall, precision)."""
    found: set[Path] = set()
    right = wrong = unrelated = 0
    for one, other in pairs:
        if truth.source(one) != truth.source(other):
            wrong += 1
            unrelated += not isinstance(truth.source(one), int) and not isinstance(
                truth.source(other), int
            )
            continue
        right += 1
        for copy, original in ((one, other), (other, one)):
            if truth.edit(copy) and not truth.edit(original):
                found.add(copy)
    recall = len(found) / (truth.images * len(EDITS))
    precision = right / max(1, right + wrong)
    print(f"\n{name}: {recall:.2%} found, precision {precision:.2%} ({right:,} pairs right, ")
    print(f"    {wrong} wrong, {unrelated} of them between images that are not from coco-mini)")
    for edit in EDITS:
        share = sum(truth.edit(file) == edit.name for file in found) / truth.images
        print(f"    {edit.name:<10} {share:7.1%}")
    return recall, precision


def in_groups(found: Duplicates) -> Iterator[tuple[Path, Path]]:
    for group in found.groups:
        yield from combinations([member.file for member in group.members], 2)


def by_hash(library: Library, truth: Truth, *, turned: bool) -> tuple[int, list[tuple[Path, Path]]]:
    """Return the largest radius of pHash at which its pairs are precise enough, and the pairs."""
    with library._store.snapshot() as snapshot:
        space = next(space for space in snapshot.spaces() if space.name == "phash")
        ids = snapshot.sample(space.key, space.count)
        hashes = Hashes(snapshot, space, ids)
        folders = {root.id: root.path for root in snapshot.roots()}
        images = snapshot.images(hashes.ids.tolist())
    files = [folders[images[id].root] / images[id].path for id in hashes.ids.tolist()]
    ways = hashes.codes if turned else hashes.codes[:1]
    nearest = np.min([distances(hashes.codes[0][:, None], way) for way in ways], axis=0)
    rows, columns = np.nonzero(np.triu(nearest <= 24, 1))
    sources = [truth.source(file) for file in files]
    right = np.array([sources[a] == sources[b] for a, b in zip(rows, columns, strict=True)])
    bits = nearest[rows, columns]
    radius = max(r for r in range(25) if right[bits <= r].mean() >= PRECISE)
    kept = bits <= radius
    return radius, [(files[a], files[b]) for a, b in zip(rows[kept], columns[kept], strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, help="keeps copies, library and groups between runs")
    parser.add_argument("--images", type=int, default=200, help="number of originals")
    parser.add_argument("--extractor", dest="extractors", default="lookalike,phash,dhash")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = given.work or Path(temporary)
        data = given.data.resolve()
        copies = (work / "copies").resolve()
        truth = Truth(make_copies(data, copies, given.images), copies)
        sets = [data / name for name in ("corel1k", "grocery", "coco-mini")]
        with Library.create(copies, folder=work / "lib") as library:
            added = library.add([*sets, copies], extractors=given.extractors.split(","))
            print(f"{added.new} images indexed in {added.seconds:.0f} s")
            started = time.perf_counter()
            found = library.duplicates()
            taken = time.perf_counter() - started
            if given.work:
                (work / "found.pickle").write_bytes(pickle.dumps(found))
            stages = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in found.seconds.items())
            print(f"{found.searched} images, {found.compared} pairs compared, {stages};")
            print(f"    {1000 * taken / found.searched:.1f} ms per image")
            report("duplicates", in_groups(found), truth)
            for name, turned in (("plain pHash", False), ("pHash in eight orientations", True)):
                radius, pairs = by_hash(library, truth, turned=turned)
                report(f"{name}, {radius} bits", iter(pairs), truth)


if __name__ == "__main__":
    main()
