"""Precision of each relevance label on labelled images, and recognition of re-saved copies.

    python benchmarks/relevance.py FOLDER[:COLUMN]... [--extractor color,shape] [--queries 250] [--together]

A folder has a manifest.csv (or products.csv) with the labels in COLUMN, or folders that are labels;
`catalogue` draws the simulated one. At most --queries evenly spaced images are queries, and all others are
hits. For each relevance it prints the share of its hits with the label of the query (precision), and the
number of its hits per query. Then images are saved again as JPEG 50 and at half size: it prints the share
whose original is called a near-copy, and how many of 1,000 other images are. `:-` means no labels: copies
only. `--together` makes one library of all folders.
"""

from __future__ import annotations

import argparse
import io
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from lookalike import Library, Query
from lookalike.evaluation.labels import read_labelled, read_manifest
from lookalike.extractors.registry import parse
from lookalike.query import Term
from lookalike.vectors.calibration import RELEVANCES

COPIES = 60
DRAWN = 150, 4, 192
"""Products of the catalogue, views of each, and pixels per side."""


@dataclass(frozen=True)
class LabelledSet:
    """One library: a label for every file."""

    name: str
    labels: dict[Path, str]
    labelled: bool = True


def labelled_set_of(given: str, stack: ExitStack) -> LabelledSet:
    """Return the images and labels that FOLDER[:COLUMN] means."""
    name, _, column = given.partition(":")
    folder = Path(name)
    if name == "catalogue":
        from lookalike.catalogue.generate import write_catalogue

        folder = Path(stack.enter_context(TemporaryDirectory())) / name
        write_catalogue(folder, products=DRAWN[0], views=DRAWN[1], size=DRAWN[2])
    if column == "-":
        files = sorted(file.resolve() for file in folder.rglob("*.jpg"))
        return LabelledSet(folder.name, {file: str(file) for file in files}, labelled=False)
    tables = [folder / table for table in ("manifest.csv", "products.csv")]
    table = next((table for table in tables if table.is_file()), None)
    found = read_manifest(table, label=column) if table and column else read_labelled(folder)
    return LabelledSet(given.split("/")[-1], {each.path.resolve(): each.label for each in found})


def every(files: list[Path], count: int) -> list[Path]:
    """Return at most `count` of the files, evenly spaced."""
    return files[:: max(1, -(-len(files) // count))]


def saved_again(file: Path, *, half: bool) -> bytes:
    """Return the image as a JPEG of quality 50, or at half size with quality 90."""
    out = io.BytesIO()
    with Image.open(file) as image:
        rgb = image.convert("RGB")
        if half:
            rgb = rgb.resize((rgb.width // 2, rgb.height // 2), Image.Resampling.LANCZOS)
        rgb.save(out, "JPEG", quality=90 if half else 50)
    return out.getvalue()


def bands(library: Library, name: str, labels: dict[Path, str], query_count: int) -> str:
    """Return a row of the table: precision and hits per query of each relevance."""
    hits: Counter[str] = Counter()
    right: Counter[str] = Counter()
    files = every(list(labels), query_count)
    for start in range(0, len(files), 50):
        some = files[start : start + 50]
        queries = [Query((Term(file),), extractors=(name,), k=len(labels)) for file in some]
        for file, answer in zip(some, library.search_batch(queries), strict=True):
            for hit in answer.hits:
                if hit.file != file:
                    hits[hit.relevance or "none"] += 1
                    right[hit.relevance or "none"] += labels[hit.file] == labels[file]
    cells = [f"| {name:22}"]
    for band in reversed(RELEVANCES):
        precision = f"{right[band] / hits[band]:.2f}" if hits[band] else "–"
        cells.append(f"{precision} ({hits[band] / len(files):.2g})")
    return " | ".join(cells) + " |"


def copies(library: Library, name: str, files: list[Path]) -> str:
    """Return a row of the table: share of the copies found, and false near-copies per 1,000 images."""
    chosen = every(files, COPIES)
    shares = []
    false_copies = compared = 0
    for half in (False, True):
        queries = [
            Query((Term(saved_again(file, half=half)),), extractors=(name,), k=len(files))
            for file in chosen
        ]
        found = 0
        for file, answer in zip(chosen, library.search_batch(queries), strict=True):
            for hit in answer.hits:
                if hit.file == file:
                    found += hit.relevance == "near-copy"
                else:
                    false_copies += hit.relevance == "near-copy"
                    compared += 1
        shares.append(f"{found / len(chosen):.0%}")
    return f"| {name:22} | {shares[0]} | {shares[1]} | {1000 * false_copies / compared:.2f} |"


def report(labelled_set: LabelledSet, names: list[str], query_count: int) -> None:
    labels = labelled_set.labels
    print(f"\n{labelled_set.name}: {len(labels)} images of {len(set(labels.values()))} kinds\n")
    with TemporaryDirectory() as home, Library.create(Path(home), folder=Path(home)) as library:
        library.add(list(labels), extractors=names)
        if labelled_set.labelled:
            print(f"| space | {' | '.join(reversed(RELEVANCES))} |\n|---|---|---|---|---|")
            for name in names:
                print(bands(library, name, labels, query_count), flush=True)
        print("\n| space | JPEG 50 | half size | others, of 1,000 |\n|---|---|---|---|")
        for name in names:
            print(copies(library, name, list(labels)), flush=True)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    arguments.add_argument("folders", nargs="+")
    arguments.add_argument("--extractor", dest="extractors", default="color,shape,histogram,pixels")
    arguments.add_argument("--queries", type=int, default=250)
    arguments.add_argument("--together", action="store_true")
    given = arguments.parse_args()
    with ExitStack() as stack:
        sets = [labelled_set_of(folder, stack) for folder in given.folders]
        if given.together:
            joined = {file: label for one in sets for file, label in one.labels.items()}
            sets = [LabelledSet(" + ".join(one.name for one in sets), joined)]
        for one in sets:
            report(one, parse(given.extractors), given.queries)


if __name__ == "__main__":
    main()
