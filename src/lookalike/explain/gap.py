"""The semantic gap: pictures that are alike by one measure and not by another.

Smeulders et al., Content-Based Image Retrieval at the End of the Early Years, PAMI 2000: what can be computed
from pixels and what they mean to somebody need not coincide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.embedding_map.neighbourhood import nearest
from lookalike.errors import UsageError
from lookalike.extractors.builtin import BuiltinExtractor
from lookalike.library import Library
from lookalike.stores.interface import Ids, Snapshot, Space
from lookalike.stores.records import NO_VECTORS
from lookalike.vectors.similarity import normalise

MOST = 20_000
"""Pictures that are compared, each with each; of larger libraries an evenly spread sample."""

NEIGHBOURS = 5
PAIRS = 20_000
"""Random pairs that say what a similarity is worth."""

CLOSE, FAR = 0.99, 0.6
"""Closer than 99 % of random pairs counts as alike; than at most 60 % as not alike."""

Row: TypeAlias = tuple[int, int, tuple[float, float], tuple[float, float]]
"""Two pictures, their similarities, and the shares of random pairs that are less alike."""

PART = "/"
NETWORK = "network"


@dataclass(frozen=True, slots=True)
class Sight:
    """One picture of a pair."""

    id: int
    path: str
    file: Path


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A pair. `similarities` by both measures; `closer`: by both, the share of random pairs of the library
    that are less alike."""

    first: Sight
    second: Sight
    similarities: tuple[float, float]
    closer: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Gap:
    """Where two measures disagree.

    measures   their names
    only       pairs that only the first finds alike, and those that only the second does; widest gap
               first, each picture at most once in each list
    agreement  the share of a picture's five nearest by one that are among its five nearest by the other
    compared   pictures that were looked at, of `total`
    """

    measures: tuple[str, str]
    only: tuple[tuple[Disagreement, ...], tuple[Disagreement, ...]]
    agreement: float
    compared: int
    total: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
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


def gap(
    library: Library,
    first: str = "color",
    second: str = NETWORK,
    *,
    pairs: int = 8,
    most: int = MOST,
    seed: int = 0,
) -> Gap:
    """Pairs of a library's pictures on which two measures disagree most.

    first, second  extractors of the library, or parts of the built-in one: "lookalike/network",
                   "lookalike/color". "network" is short for the first of these, "color" for the second
                   where the library has no color vectors
    pairs          of each kind, at most

    `UsageError` for an unknown measure, the same one twice, or fewer than three pictures.
    """
    with library.snapshot() as snapshot:
        measured = [_measure(library, snapshot, name) for name in (first, second)]
        if measured[0].name == measured[1].name:
            raise UsageError(f"{first} and {second} are the same measure: name two different ones")
        samples = [snapshot.sample(each.space.key, each.space.count) for each in measured]
        ids = samples[0][np.isin(samples[0], samples[1])]
        total = len(ids)
        if total < 3:
            raise UsageError(
                f"too few pictures have both {first} and {second} vectors: index more of them"
            )
        if total > most:
            ids = ids[np.linspace(0, total - 1, most).astype(np.int64)]
        vectors = [each.vectors(snapshot, ids) for each in measured]
        found = compare(vectors[0], vectors[1], pairs=pairs, seed=seed)
        wanted = {int(ids[place]) for side in found.only for pair in side for place in pair[:2]}
        images = snapshot.images(wanted)
        folders = {root.id: root.path for root in snapshot.roots()}
    sights = {
        id: Sight(id, image.path, folders[image.root] / image.path) for id, image in images.items()
    }
    only = tuple(
        tuple(
            Disagreement(sights[int(ids[a])], sights[int(ids[b])], values, closer)
            for a, b, values, closer in side
        )
        for side in found.only
    )
    names = (measured[0].name, measured[1].name)
    return Gap(names, (only[0], only[1]), found.agreement, len(ids), total)


@dataclass(frozen=True, slots=True)
class Found:
    """Rows of pairs, with similarities and shares of random pairs that are less alike."""

    only: tuple[list[Row], list[Row]]
    agreement: float


def compare(
    one: NDArray[np.float32], two: NDArray[np.float32], *, pairs: int, seed: int = 0
) -> Found:
    """The same for vectors of length 1, (n, …) each, row by row of the same pictures; by the cosine.

    Candidates are each picture with its five nearest by one measure. Those count that are closer than 99 %
    of random pairs by this measure, and than at most 60 % by the other; the order is by the gap between the
    two, in spreads of the random pairs.
    """
    near = [nearest(each, min(NEIGHBOURS, len(one) - 1))[0] for each in (one, two)]
    chance = np.random.default_rng(seed)
    random = chance.integers(0, len(one), (PAIRS, 2))
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
        spreads = [
            (value - np.median(background)) / max(float(np.std(background)), 1e-9)
            for background, value in zip(backgrounds, values, strict=True)
        ]
        fitting = np.flatnonzero((closer[this] >= CLOSE) & (closer[1 - this] <= FAR))
        order = fitting[np.argsort(-(spreads[this] - spreads[1 - this])[fitting], kind="stable")]
        only.append(_distinct(candidates, values, closer, order, pairs))
    return Found((only[0], only[1]), float(np.mean(same)) / near[0].shape[1])


def _distinct(
    candidates: NDArray[np.int64],
    values: Sequence[NDArray[np.float64]],
    closer: Sequence[NDArray[np.float64]],
    order: NDArray[np.intp],
    pairs: int,
) -> list[Row]:
    """The first pairs of the order, each picture once: a picture that fools a measure does so many times."""
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
class Measured:
    """A space, or a part of its vectors."""

    name: str
    space: Space
    part: slice

    def vectors(self, snapshot: Snapshot, ids: Ids) -> NDArray[np.float32]:
        """(n, …) of length 1."""
        return normalise(snapshot.vectors(self.space.key, ids)[:, self.part])


def _measure(library: Library, snapshot: Snapshot, name: str) -> Measured:
    """What a name means in this library."""
    spaces = {space.name: space for space in snapshot.spaces() if space.current}
    if name in spaces:
        return Measured(name, spaces[name], slice(None))
    base, _, part = name.partition(PART)
    if not part and name in (NETWORK, "color"):
        base, part = "lookalike", name
    if part and base in spaces:
        extractor = library.extractor(base)
        parts = extractor.parts() if isinstance(extractor, BuiltinExtractor) else {}
        if part in parts:
            return Measured(f"{base}{PART}{part}", spaces[base], parts[part])
        raise UsageError(f"{base} has no part {part!r}; there are: {', '.join(parts) or 'none'}")
    if not spaces:
        raise UsageError(NO_VECTORS)
    wanted = base if part else name  # a part is indexed with its whole
    raise UsageError(
        f"the library has no {wanted} vectors, only {', '.join(spaces)}; add them with "
        f"`lookalike index --extractor {wanted}`"
    )
