"""The semantic gap: images that are similar by one measure and not by another.

Smeulders et al., Content-Based Image Retrieval at the End of the Early Years, PAMI 2000: what can be computed
from pixels and what an image means to people need not coincide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.embedding_map.layout import nearest_neighbours
from lookalike.errors import UsageError
from lookalike.extractors.builtin import BuiltinExtractor
from lookalike.library import Library
from lookalike.stores.interface import Ids, Snapshot, Space
from lookalike.stores.records import missing_vectors
from lookalike.vectors.similarity import normalise

# Images that are compared with each other; a larger library is sampled evenly.
MAX_IMAGES = 20_000

NEIGHBOURS = 5

# Random pairs that calibrate the similarities.
RANDOM_PAIRS = 20_000

# Shares of random pairs: pairs closer than 99 % of them are similar, pairs closer than at most 60 % are not.
CLOSE, FAR = 0.99, 0.6

Row: TypeAlias = tuple[int, int, tuple[float, float], tuple[float, float]]
"""Two rows, their similarities by both measures, and the shares of random pairs that are less similar."""

PART = "/"
NETWORK = "network"


@dataclass(frozen=True, slots=True)
class GapImage:
    """One image of a pair."""

    id: int
    path: str
    file: Path


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A pair on which two measures disagree.

    similarities  by both measures
    closer        by both measures, the share of random pairs of the library that are less similar
    """

    first: GapImage
    second: GapImage
    similarities: tuple[float, float]
    closer: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Gap:
    """Pairs on which two measures disagree.

    measures   their names
    only       pairs that are similar only by the first measure, and only by the second; widest gap
               first, each image at most once per list
    agreement  share of an image's five nearest by one measure that are among its five nearest by the other
    compared   number of images compared, of `total`
    """

    measures: tuple[str, str]
    only: tuple[tuple[Disagreement, ...], tuple[Disagreement, ...]]
    agreement: float
    compared: int
    total: int

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON document."""
        return {
            "measures": list(self.measures),
            "agreement": self.agreement,
            "compared": self.compared,
            "total": self.total,
            "only": {
                name: [
                    {
                        "paths": [pair.first.path, pair.second.path],
                        "similarities": dict(zip(self.measures, pair.similarities, strict=True)),
                        "closer_than": dict(zip(self.measures, pair.closer, strict=True)),
                    }
                    for pair in pairs
                ]
                for name, pairs in zip(self.measures, self.only, strict=True)
            },
        }


def find_gap(
    library: Library,
    first: str = "color",
    second: str = NETWORK,
    *,
    pairs: int = 8,
) -> Gap:
    """Return the pairs of a library's images on which two measures disagree most.

    first, second  extractors of the library, or parts of the built-in one: "lookalike/network",
                   "lookalike/color". "network" is short for the former, and "color" for the latter if the
                   library has no color vectors
    pairs          largest number of pairs of each kind

    Raises UsageError for an unknown measure, the same one twice, or fewer than three images.
    """
    with library.snapshot() as snapshot:
        measures = [_measure(library, snapshot, name) for name in (first, second)]
        if measures[0].name == measures[1].name:
            raise UsageError(f"{first} and {second} are the same measure: name two different ones")
        samples = [snapshot.sample(each.space.key, each.space.count) for each in measures]
        ids = samples[0][np.isin(samples[0], samples[1])]
        total = len(ids)
        if total < 3:
            raise UsageError(
                f"too few images have both {first} and {second} vectors: index more of them"
            )
        if total > MAX_IMAGES:
            ids = ids[np.linspace(0, total - 1, MAX_IMAGES).astype(np.int64)]
        vectors = [each.vectors(snapshot, ids) for each in measures]
        found = compare(vectors[0], vectors[1], pairs=pairs)
        wanted = {int(ids[row]) for side in found.only for pair in side for row in pair[:2]}
        images = snapshot.images(wanted)
        roots = {root.id: root.path for root in snapshot.roots()}
    described = {
        id: GapImage(id, image.path, roots[image.root] / image.path) for id, image in images.items()
    }
    only = tuple(
        tuple(
            Disagreement(described[int(ids[a])], described[int(ids[b])], values, closer)
            for a, b, values, closer in side
        )
        for side in found.only
    )
    names = (measures[0].name, measures[1].name)
    return Gap(names, (only[0], only[1]), found.agreement, len(ids), total)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The pairs on which two measures disagree, and the agreement of their neighbours."""

    only: tuple[list[Row], list[Row]]
    agreement: float


def compare(one: NDArray[np.float32], two: NDArray[np.float32], *, pairs: int) -> Comparison:
    """Compare unit vectors (n, …) of the same images by two measures, using the cosine.

    Candidates are the pairs of each image with its five nearest by one measure. Those that are closer
    than 99 % of random pairs by this measure and than at most 60 % by the other are returned, ordered by
    the gap between the two in standard deviations of the random pairs.
    """
    near = [nearest_neighbours(each, min(NEIGHBOURS, len(one) - 1))[0] for each in (one, two)]
    rng = np.random.default_rng(0)
    random = rng.integers(0, len(one), (RANDOM_PAIRS, 2))
    random = random[random[:, 0] != random[:, 1]]
    backgrounds = [np.sort(_cosines(each, random)) for each in (one, two)]
    same = [len(np.intersect1d(a, b)) for a, b in zip(*near, strict=True)]
    only: list[list[Row]] = []
    for this in range(2):
        rows = np.arange(len(one)).repeat(near[this].shape[1])
        candidates = np.column_stack([rows, near[this].ravel()])
        candidates = np.unique(np.sort(candidates, axis=1), axis=0)
        values = [_cosines(each, candidates) for each in (one, two)]
        closer = [
            np.searchsorted(background, value) / len(background)
            for background, value in zip(backgrounds, values, strict=True)
        ]
        scores = [
            (value - np.median(background)) / max(float(np.std(background)), 1e-9)
            for background, value in zip(backgrounds, values, strict=True)
        ]
        found = np.flatnonzero((closer[this] >= CLOSE) & (closer[1 - this] <= FAR))
        order = found[np.argsort(-(scores[this] - scores[1 - this])[found], kind="stable")]
        only.append(_distinct(candidates, values, closer, order, pairs))
    return Comparison((only[0], only[1]), float(np.mean(same)) / near[0].shape[1])


def _distinct(
    candidates: NDArray[np.int64],
    values: Sequence[NDArray[np.float64]],
    closer: Sequence[NDArray[np.float64]],
    order: NDArray[np.intp],
    pairs: int,
) -> list[Row]:
    """Return the first pairs in this order with each image at most once.

    Otherwise a single image that fools a measure would fill the list.
    """
    seen: set[int] = set()
    rows: list[Row] = []
    for number in order.tolist():
        a, b = candidates[number].tolist()
        if len(rows) < pairs and not seen & {a, b}:
            seen |= {a, b}
            rows.append(
                (
                    a,
                    b,
                    (float(values[0][number]), float(values[1][number])),
                    (float(closer[0][number]), float(closer[1][number])),
                )
            )
    return rows


def _cosines(vectors: NDArray[np.float32], pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    products = np.einsum("ij,ij->i", vectors[pairs[:, 0]], vectors[pairs[:, 1]], dtype=np.float64)
    return np.asarray(products)


@dataclass(frozen=True, slots=True)
class Measure:
    """A space, or a part of its vectors."""

    name: str
    space: Space
    part: slice

    def vectors(self, snapshot: Snapshot, ids: Ids) -> NDArray[np.float32]:
        """Return (n, …) vectors of length 1."""
        return normalise(snapshot.vectors(self.space.key, ids)[:, self.part])


def _measure(library: Library, snapshot: Snapshot, name: str) -> Measure:
    """Resolve the name of a measure."""
    spaces = {space.name: space for space in snapshot.spaces() if space.current}
    if name in spaces:
        return Measure(name, spaces[name], slice(None))
    base, _, part = name.partition(PART)
    if not part and name in (NETWORK, "color"):
        base, part = "lookalike", name
    if part and base in spaces:
        extractor = library.extractor(base)
        parts = extractor.parts() if isinstance(extractor, BuiltinExtractor) else {}
        if part in parts:
            return Measure(f"{base}{PART}{part}", spaces[base], parts[part])
        raise UsageError(f"{base} has no part {part!r}; there are: {', '.join(parts) or 'none'}")
    raise missing_vectors(base if part else name, spaces)  # a part is indexed with its extractor
