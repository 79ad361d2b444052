"""Draws the first hits of several extractors for the same queries, side by side.

    python benchmarks/side_by_side.py FOLDER OUT.png [--label COLUMN] [--extractor color,lookalike]

FOLDER has a manifest.csv or products.csv; without them, the names of its folders are the labels. Ten images
are queries, one of each of ten evenly spaced labels. Hits with the label of the query have a green edge.
--hits sets the number of hits per extractor (4).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.evaluation.file_vectors import file_vectors
from lookalike.evaluation.labels import LabelledImage, read_labelled, read_manifest
from lookalike.extractors import load, parse
from lookalike.images.pixel_spec import Pixels
from lookalike.viz.result_grid import thumbnails
from lookalike.viz.style import ACCENT, FAINT, INK, save_figure

QUERIES = 10
RIGHT = "#15803d"
SIDE = 0.82  # inches of a tile


def labelled(folder: Path, label: str) -> list[LabelledImage]:
    products = folder / "products.csv"
    if products.is_file():
        return list(read_manifest(products, label=label))
    table = folder / "manifest.csv"
    return list(read_manifest(table, label=label) if table.is_file() else read_labelled(folder))


def query_rows(labels: list[str]) -> list[int]:
    """Return one row of each of ten labels, evenly spaced over the labels and over their images."""
    names = sorted(set(labels))
    chosen = [names[int(at)] for at in np.linspace(0, len(names) - 1, QUERIES).round()]
    members = [[row for row, label in enumerate(labels) if label == name] for name in chosen]
    return [rows[len(rows) * number // QUERIES] for number, rows in enumerate(members)]


def best(vectors: NDArray[np.float32], row: int, count: int) -> list[int]:
    similarity = vectors @ vectors[row]
    similarity[row] = -np.inf
    return [int(at) for at in np.argsort(-similarity, kind="stable")[:count]]


def draw(
    tiles: dict[tuple[int, int], tuple[Pixels | None, str]],
    titles: dict[int, str],
    shape: tuple[int, int],
    out: Path,
) -> None:
    """Draw tiles, given by (row, column) with the colour of their edge, and titles, given by column."""
    from matplotlib.figure import Figure

    rows, columns = shape
    step, gap = SIDE + 0.1, 0.3
    wide = step * columns + gap * len(titles) + 0.1
    high = step * rows + 0.45
    figure = Figure(figsize=(wide, high), dpi=110, facecolor="white")
    starts = sorted(titles)

    def left(column: int) -> float:
        return 0.1 + step * column + gap * (sum(start <= column for start in starts) - 1)

    for column, title in titles.items():
        figure.text(left(column) / wide, 1 - 0.25 / high, title, size=10, color=INK, va="center")
    for (row, column), (pixels, colour) in tiles.items():
        box = (left(column) / wide, 1 - (0.4 + step * row + SIDE) / high, SIDE / wide, SIDE / high)
        axes = figure.add_axes(box)
        axes.set(xticks=[], yticks=[])
        for side in axes.spines.values():
            side.set(color=colour, linewidth=2.4)
        if pixels is not None:
            axes.imshow(pixels, aspect="equal", interpolation="lanczos")
    save_figure(figure, out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--label", default="label")
    parser.add_argument("--extractor", dest="extractors", default="color,lookalike")
    parser.add_argument("--hits", type=int, default=4)
    wanted = parser.parse_args()
    images = labelled(wanted.folder, wanted.label)
    files, labels = [p.path for p in images], [p.label for p in images]
    queries = query_rows(labels)
    names = parse(wanted.extractors)
    place: dict[tuple[int, int], tuple[int, str]] = {
        (row, 0): (query, ACCENT) for row, query in enumerate(queries)
    }
    titles = {0: "query"}
    for number, name in enumerate(names):
        made = file_vectors(load(name), files, unit=True)
        vectors = np.stack([v for v in made if v is not None])
        if len(vectors) != len(files):
            raise SystemExit("an image cannot be read, so the rows would not match")
        start = 1 + number * wanted.hits
        right = 0
        for row, query in enumerate(queries):
            for at, hit in enumerate(best(vectors, query, wanted.hits)):
                same = labels[hit] == labels[query]
                right += same
                place[row, start + at] = (hit, RIGHT if same else FAINT)
        titles[start] = f"{name.rpartition('/')[2]}: {right} of {QUERIES * wanted.hits}"
        print(titles[start])
    shown = thumbnails([files[row] for row, _ in place.values()])
    tiles = {
        at: (pixels, colour) for (at, (_, colour)), pixels in zip(place.items(), shown, strict=True)
    }
    draw(tiles, titles, (QUERIES, 1 + len(names) * wanted.hits), wanted.out)


if __name__ == "__main__":
    main()
