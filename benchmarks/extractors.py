"""All extractors on all labelled folders: mAP, P@1 and P@10, as one table.

    python benchmarks/extractors.py FOLDER[:COLUMN]... [--extractor NAME,...] [--output FILE.json]

A folder has a manifest.csv (column label, or COLUMN) or a products.csv (COLUMN is then needed). Every
image is a query for the others with its label, leave-one-out, by the similarity of the extractor. A folder
that is named several times with different columns is extracted once.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.evaluation.file_vectors import file_vectors
from lookalike.evaluation.labels import LabelledImage, read_manifest
from lookalike.evaluation.rankings import leave_one_out
from lookalike.extractors import load, parse
from lookalike.indexing.report import IndexOptions
from lookalike.indexing.spaces import ensure_fitted

MODEL_FREE = "lookalike,color,shape,keypoints,keypoints-orb,histogram,pixels,dhash,phash"
FIGURES = {"mAP": "AP", "P@1": "P@1", "P@10": "P@10"}


def rows(folder: Path, column: str) -> list[LabelledImage]:
    """Return the labelled images of a folder, from the table that it has."""
    table = folder / "manifest.csv"
    table = table if table.is_file() else folder / "products.csv"
    return list(read_manifest(table, label=column))


def vectors(name: str, files: list[Path]) -> NDArray[np.float32]:
    """Return vectors (n, dim); zero for an image that cannot be read."""
    extractor = ensure_fitted(load(name), (), files, IndexOptions())
    unit = extractor.similarity == "cosine"
    made = file_vectors(extractor, files, unit=unit)
    return np.stack([np.zeros(extractor.dim, np.float32) if v is None else v for v in made])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="+", metavar="FOLDER[:COLUMN]")
    parser.add_argument("--extractor", dest="extractors", default=MODEL_FREE)
    parser.add_argument("--output", dest="out", type=Path, help="also write the figures as JSON")
    wanted = parser.parse_args()
    sets = [
        (Path(f), column or "label") for f, _, column in (s.partition(":") for s in wanted.sets)
    ]
    found: dict[str, dict[str, dict[str, float]]] = {}
    print("| extractor |" + "".join(f" {f.name}, {c} |" for f, c in sets))
    print("|---" * (len(sets) + 1) + "|", flush=True)
    for name in parse(wanted.extractors):
        known: dict[Path, NDArray[np.float32]] = {}
        cells = []
        for folder, column in sets:
            images = rows(folder, column)
            if folder not in known:
                known[folder] = vectors(name, [image.path for image in images])
            labels = [image.label for image in images]
            judged = leave_one_out(known[folder], labels, similarity=load(name).similarity)
            means = judged.means()
            figures = {shown: means[key] for shown, key in FIGURES.items()}
            found.setdefault(name, {})[f"{folder.name}:{column}"] = figures
            cells.append(" / ".join(f"{value:.3f}".lstrip("0") for value in figures.values()))
        print(f"| {name.rpartition('/')[2]} | " + " | ".join(cells) + " |", flush=True)
    if wanted.out:
        wanted.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
