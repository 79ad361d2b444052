"""Similarities of unrelated images, by extractor: the numbers against which relevance is judged.

They belong to one revision of an extractor and are made again with each network:

    python -m tools.distill calibrate FOLDER... [--related A,B]... [--extractor lookalike,color]

Each folder holds images of one kind. Only images of different folders are compared, so that folders which
share a kind have to be named by --related. The result is written to the package, with vectors of reference
images from all folders for `color` and `histogram`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike import Library, Outcome
from lookalike.errors import UsageError
from lookalike.evaluation.file_vectors import file_vectors
from lookalike.extractors.interface import space_key
from lookalike.extractors.registry import load
from lookalike.files import atomic_write
from lookalike.search.relevance import REFERENCE_FILE, UNRELATED_FILE
from lookalike.stores.interface import Snapshot, Space
from lookalike.vectors.calibration import TAIL, Unrelated
from lookalike.vectors.similarity import similarity_matrix

# Images of each folder that are compared: 400 of two make 160,000 pairs.
PER_FOLDER = 400

# Bins of similarities from -1 to 1.
BINS = 20_000

# Reference images of each folder, and how many of them are added in grey.
REFERENCES, IN_GREY = 20, 8
# Extractors that describe grey or plain images by so few numbers that unrelated ones are nearly equal.
WITH_REFERENCES = ("color", "histogram")

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


def calibrate(
    folders: Sequence[Path], extractors: Sequence[str], *, related: Collection[frozenset[str]] = ()
) -> dict[str, Unrelated]:
    """Return the distribution of each extractor, by the key of its space.

    related  pairs of names of folders that are not compared
    """
    pairs = [
        (one, other)
        for one, other in combinations(folders, 2)
        if frozenset((one.name, other.name)) not in related
    ]
    if not pairs:
        raise UsageError("nothing to compare: name at least two folders that are not related")
    with TemporaryDirectory() as home, Library.create(Path(home), folder=Path(home)) as library:
        for folder in folders:
            library.add(every(images_in(folder), PER_FOLDER), extractors=extractors)
        with library.snapshot() as snapshot:
            spaces = [space for space in snapshot.spaces() if space.similarity == "cosine"]
            return {space.key: compare(snapshot, space, pairs) for space in spaces}


def compare(snapshot: Snapshot, space: Space, pairs: Sequence[tuple[Path, Path]]) -> Unrelated:
    """Return the distribution of a space from the similarities of pairs of folders."""
    vectors = {
        folder: vectors_of(snapshot, space, folder)
        for folder in dict.fromkeys(folder for pair in pairs for folder in pair)
    }
    edges = np.linspace(-1, 1, BINS + 1).astype(np.float32)
    counts = []
    for one, other in pairs:
        found = similarity_matrix(vectors[one], vectors[other], similarity="cosine")
        counts.append(np.histogram(np.clip(found, -1, 1), edges)[0])
    return from_histograms(np.array(counts, np.float64), edges)


def from_histograms(counts: NDArray[np.floating], edges: NDArray[np.floating]) -> Unrelated:
    """Estimate from histograms (m, n) of similarities and their n + 1 rising edges.

    Each histogram is of two sets of images that have nothing in common, and counts the same.
    """
    shares = (counts / counts.sum(axis=1, keepdims=True)).mean(axis=0)
    at_least = np.cumsum(shares[::-1])[::-1]  # falling: the part at or above each lower edge
    places = np.searchsorted(-at_least, -np.array(TAIL), side="right")
    return Unrelated(tuple(edges[np.minimum(places, len(shares) - 1)].tolist()))


def references(
    folders: Sequence[Path], extractors: Sequence[str]
) -> dict[str, NDArray[np.float16]]:
    """Return the vectors (n, dim) of the reference images, by the key of the space."""
    found = {}
    with TemporaryDirectory() as home:
        files: list[Path] = []
        for folder in folders:
            chosen = every(images_in(folder), REFERENCES)
            files += chosen
            for file in every(chosen, IN_GREY):
                files.append(Path(home) / f"{len(files)}.png")
                with Image.open(file) as image:
                    image.convert("L").save(files[-1])
        for name in extractors:
            extractor = load(name)
            made = file_vectors(extractor, files, unit=True)
            rows = [vector for vector in made if vector is not None]
            found[space_key(extractor)] = np.stack(rows).astype(np.float16)
    return found


def vectors_of(snapshot: Snapshot, space: Space, folder: Path) -> NDArray[np.float32]:
    """Return the vectors (n, width) of the images of a folder that were indexed."""
    roots = {root.id: root.path for root in snapshot.roots()}
    resolved = folder.resolve()
    ids = [
        image.id
        for image in snapshot.iter_files(outcomes={Outcome.INDEXED})
        if (roots[image.root] / image.path).is_relative_to(resolved)
    ]
    vectors = snapshot.vectors(space.key, np.array(ids, np.int64))
    return vectors[~np.isnan(vectors).any(axis=1)]


def images_in(folder: Path) -> list[Path]:
    """Return the images below a folder, links followed; `UsageError` if there is none."""
    found = sorted(
        Path(file.resolve()) for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES
    )
    if not found:
        raise UsageError(f"{folder} has no images")
    return found


def every(files: Sequence[Path], count: int) -> list[Path]:
    """Return at most `count` of the files, evenly spaced."""
    return list(files[:: max(1, -(-len(files) // count))])


def write(found: dict[str, Unrelated], file: Path = UNRELATED_FILE) -> None:
    """Add distributions to the file; those of other revisions of the same extractors are dropped."""
    document = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"cosines": {}}
    names = {key.partition("@")[0] for key in found}
    cosines = {k: v for k, v in document["cosines"].items() if k.partition("@")[0] not in names}
    cosines |= {key: [round(cosine, 6) for cosine in one.cosines] for key, one in found.items()}
    file.write_text(
        json.dumps({"probabilities": TAIL, "cosines": dict(sorted(cosines.items()))}, indent=1)
        + "\n",
        encoding="utf-8",
    )


def write_references(found: dict[str, NDArray[np.float16]], file: Path = REFERENCE_FILE) -> None:
    """Write the vectors of the reference images."""
    with atomic_write(file, private=False) as out:
        arrays: dict[str, Any] = dict(found)
        np.savez_compressed(out, **arrays)
