"""How often a hit of each relevance shows the same thing, on labelled pictures.

    python benchmarks/relevance.py FOLDER... [--with color,shape,histogram,pixels] [--count 500]

For every picture of the library, all others are hits: for each band the share of them that has the same
label (precision), how many hits a question has in it, and the share of questions whose first hit is in it.
Then copies: pictures saved again as JPEG 50 and at half size, asked from outside: the share whose original
is judged a near-copy, and how many of 1,000 other pairs are, all of different files.
"""

from __future__ import annotations

import argparse
import io
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from lookalike import Library, Query
from lookalike.datasets.labelled import Labelled, read_labelled
from lookalike.extractors.table import parse
from lookalike.query import Term
from lookalike.vectors.calibration import RELEVANCES

COPIES = 60


def spread(pictures: list[Labelled], count: int) -> list[Labelled]:
    """So many of them, evenly."""
    step = max(1, -(-len(pictures) // count))
    return pictures[::step]


def saved_again(file: Path, *, half: bool) -> bytes:
    """As JPEG of quality 50, or at half size with quality 90."""
    out = io.BytesIO()
    with Image.open(file) as image:
        rgb = image.convert("RGB")
        if half:
            rgb = rgb.resize((rgb.width // 2, rgb.height // 2), Image.Resampling.LANCZOS)
        rgb.save(out, "JPEG", quality=90 if half else 50)
    return out.getvalue()


def bands(library: Library, name: str, labels: dict[Path, str]) -> str:
    """A row of the table: precision and hits a question in each band."""
    hits: Counter[str] = Counter()
    right: Counter[str] = Counter()
    firsts: Counter[str] = Counter()
    files = list(labels)
    for start in range(0, len(files), 100):
        some = files[start : start + 100]
        queries = [Query((Term(file),), by=(name,), k=len(files)) for file in some]
        for file, answer in zip(some, library.search_batch(queries), strict=True):
            others = [hit for hit in answer.hits if hit.file != file]
            firsts.update([others[0].relevance or "none"])
            for hit in others:
                hits[hit.relevance or "none"] += 1
                right[hit.relevance or "none"] += labels[hit.file] == labels[file]
    cells = [f"| {name:22}"]
    for band in reversed(RELEVANCES):
        precision = f"{right[band] / hits[band]:.2f}" if hits[band] else "–"
        each = hits[band] / len(files)
        cells.append(f"{precision} ({each:.2g} hits, {firsts[band] / len(files):.0%} first)")
    return " | ".join(cells) + " |"


def copies(library: Library, name: str, files: list[Path]) -> str:
    """Copies found, and other pictures taken for copies."""
    chosen = files[:: max(1, len(files) // COPIES)][:COPIES]
    told = []
    strangers = compared = 0
    for half in (False, True):
        queries = [
            Query((Term(saved_again(file, half=half)),), by=(name,), k=len(files))
            for file in chosen
        ]
        found = 0
        for file, answer in zip(chosen, library.search_batch(queries), strict=True):
            for hit in answer.hits:
                if hit.file == file:
                    found += hit.relevance == "near-copy"
                else:
                    strangers += hit.relevance == "near-copy"
                    compared += 1
        told.append(f"{found / len(chosen):.0%}")
    return f"| {name:22} | {told[0]} | {told[1]} | {1000 * strangers / compared:.2f} |"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    arguments.add_argument("folders", nargs="+", type=Path)
    arguments.add_argument("--with", dest="extractors", default="color,shape,histogram,pixels")
    arguments.add_argument("--count", type=int, default=500)
    given = arguments.parse_args()
    names = parse(given.extractors)
    for folder in given.folders:
        pictures = spread(list(read_labelled(folder)), given.count)
        labels = {picture.path.resolve(): picture.label for picture in pictures}
        kinds = len(set(labels.values()))
        print(f"\n{folder.name}: {len(labels)} pictures of {kinds} kinds, precision by band\n")
        with TemporaryDirectory() as home, Library.create(folder, folder=Path(home)) as library:
            library.add(list(labels), extractors=names)
            print(f"| space | {' | '.join(reversed(RELEVANCES))} |\n|---|---|---|---|---|")
            for name in names:
                print(bands(library, name, labels), flush=True)
            print("\n| space | JPEG 50 | half size | others, of 1,000 |\n|---|---|---|---|")
            for name in names:
                print(copies(library, name, list(labels)), flush=True)


if __name__ == "__main__":
    main()
