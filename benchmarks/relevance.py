"""Precision of each relevance on labelled images, of queries from elsewhere, and recognition of saved copies.

    python benchmarks/relevance.py FOLDER[:COLUMN]... [--extractor color,shape] [--queries 250]
        [--related A,B]... [--together]

A folder has a manifest.csv (or products.csv) with the labels in COLUMN, or folders that are labels;
`catalogue` draws the simulated one; `FOLDER:-` has no labels. Each is a library of its own. For every
extractor it prints

inside   at most --queries evenly spaced images of a library are queries, all others are hits: for each
         relevance the share of its hits with the label of the query, and in brackets its hits per query; then
         the share of the ten best hits with that label that is strong or better, and of the queries with such
         a hit
copies   images saved again as JPEG 50 and at half size: the share whose original is called a near-copy, and
         how many of 1,000 other images are
outside  images of one folder are queries to the library of another one: the share that gets a strong hit or a
         near-copy. --related names folders that share a kind and are not compared. Images with the label
         "unlabelled" take part in this only.

`--together` makes one library of all folders.
"""

from __future__ import annotations

import argparse
import io
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from lookalike import Library, Query
from lookalike.evaluation.labels import read_labelled, read_manifest
from lookalike.extractors.registry import parse
from lookalike.query import Hits, Term
from lookalike.vectors import RELEVANCES

COPIES = 60
DRAWN = 150, 4, 192
"""Products of the catalogue, views of each, and pixels per side."""
UNLABELLED = "unlabelled"
HIGH = ("strong", "near-copy")


@dataclass(frozen=True)
class LabelledSet:
    """One library: a label for every file."""

    name: str
    labels: dict[Path, str]

    @property
    def labelled(self) -> dict[Path, str]:
        """The files that have a label."""
        return {file: label for file, label in self.labels.items() if label != UNLABELLED}


def labelled_set_of(given: str, stack: ExitStack) -> LabelledSet:
    """Return the images and labels that FOLDER[:COLUMN] means."""
    name, _, column = given.partition(":")
    folder = Path(name)
    if name == "catalogue":
        from lookalike.catalogue.generate import write_catalogue

        folder = Path(stack.enter_context(TemporaryDirectory())) / name
        write_catalogue(folder, products=DRAWN[0], views=DRAWN[1], size=DRAWN[2])
    if column == "-":
        files = sorted(file.resolve() for file in folder.rglob("*.jp*g"))
        return LabelledSet(folder.name, dict.fromkeys(files, UNLABELLED))
    tables = [folder / table for table in ("manifest.csv", "products.csv")]
    table = next((table for table in tables if table.is_file()), None)
    found = read_manifest(table, label=column) if table and column else read_labelled(folder)
    return LabelledSet(folder.name, {each.path.resolve(): each.label for each in found})


def every(files: Sequence[Path], count: int) -> list[Path]:
    """Return at most `count` of the files, evenly spaced."""
    return list(files[:: max(1, -(-len(files) // count))])


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
    near = near_high = answered = 0
    files = every(list(labels), query_count)
    for start in range(0, len(files), 50):
        some = files[start : start + 50]
        queries = [Query((Term(file),), extractors=(name,), k=len(labels)) for file in some]
        for file, answer in zip(some, library.search_batch(queries), strict=True):
            others = [hit for hit in answer.hits if hit.file != file and hit.file in labels]
            same = [hit for hit in others if labels[hit.file] == labels[file]]
            hits.update(hit.relevance or "none" for hit in others)
            right.update(hit.relevance or "none" for hit in same)
            answered += any(hit.relevance in HIGH for hit in others)
            best = [hit for hit in others[:10] if labels[hit.file] == labels[file]]
            near += len(best)
            near_high += sum(hit.relevance in HIGH for hit in best)
    cells = [f"| {name:10}"]
    for band in reversed(RELEVANCES):
        precision = f"{right[band] / hits[band]:.2f}" if hits[band] else "–"
        cells.append(f"{precision} ({hits[band] / len(files):.2g})")
    cells += [f"{near_high / max(near, 1):.2f}", f"{answered / len(files):.2f}"]
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


def answers_of(library: Library, other: Library, name: str, count: int) -> list[Hits]:
    """Return what the library answers to images of another one, by their vectors."""
    with other.snapshot() as snapshot:
        (space,) = (space for space in snapshot.spaces() if space.name == name)
        vectors = snapshot.vectors(space.key, snapshot.sample(space.key, count))
    queries = [
        Query((Term(vector=vector),), extractors=(name,), k=3)
        for vector in vectors[~np.isnan(vectors).any(axis=1)]
    ]
    return library.search_batch(queries)


def outside(
    sets: Sequence[LabelledSet],
    libraries: Sequence[Library],
    name: str,
    related: Collection[frozenset[str]],
    count: int,
) -> None:
    """Print the share of queries of each set (rows) that get a strong hit in another one (columns)."""
    names = [one.name for one in sets]
    print(f"\noutside, {name}: strong or near-copy, of 100 queries\n")
    print(f"| queries | {' | '.join(names)} |\n|---|{'--:|' * len(names)}")
    shares: dict[tuple[str, str], float] = {}
    for asking, other in zip(names, libraries, strict=True):
        cells = []
        for asked, library in zip(names, libraries, strict=True):
            if asking == asked or frozenset((asking, asked)) in related:
                cells.append("")
                continue
            answers = answers_of(library, other, name, count)
            high = sum(answer.top_relevance in HIGH for answer in answers)
            shares[asking, asked] = high / len(answers)
            cells.append(f"{100 * high / len(answers):.0f}")
        print(f"| {asking} | {' | '.join(cells)} |", flush=True)
    mean = sum(shares.values()) / len(shares)
    print(f"\n{name}: {100 * mean:.2f} of 100 on the mean of {len(shares)} pairs", flush=True)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    arguments.add_argument("folders", nargs="+")
    arguments.add_argument("--extractor", dest="extractors", default="color,shape,histogram,pixels")
    arguments.add_argument("--queries", type=int, default=250)
    arguments.add_argument("--related", action="append", default=[], metavar="A,B")
    arguments.add_argument("--together", action="store_true")
    given = arguments.parse_args()
    names = parse(given.extractors)
    with ExitStack() as stack:
        sets = [labelled_set_of(folder, stack) for folder in given.folders]
        if given.together:
            joined = {file: label for one in sets for file, label in one.labels.items()}
            sets = [LabelledSet(" + ".join(one.name for one in sets), joined)]
        libraries = []
        for one in sets:
            home = Path(stack.enter_context(TemporaryDirectory()))
            library = stack.enter_context(Library.create(home, folder=home))
            library.add(list(one.labels), extractors=names)
            libraries.append(library)
            labels = one.labelled
            print(f"\n{one.name}: {len(one.labels)} images, {len(set(labels.values()))} kinds\n")
            if labels:
                print(f"| space | {' | '.join(reversed(RELEVANCES))} | recall | queries |")
                print("|---|---|---|---|---|--:|--:|")
                for name in names:
                    print(bands(library, name, labels, given.queries), flush=True)
            print("\n| space | JPEG 50 | half size | others, of 1,000 |\n|---|---|---|---|")
            for name in names:
                print(copies(library, name, list(one.labels)), flush=True)
        if len(sets) > 1:
            related = {frozenset(pair.split(",")) for pair in given.related}
            for name in names:
                outside(sets, libraries, name, related, min(given.queries, 150))


if __name__ == "__main__":
    main()
