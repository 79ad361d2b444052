"""How good a search is without any labels: edited copies of one's own pictures must find them again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.evaluation.collection import Collection, collect
from lookalike.evaluation.edits import EDITS, WARMER, Edit
from lookalike.evaluation.ground_truth import Note, tally
from lookalike.evaluation.invariance import Changed, vectors_of
from lookalike.evaluation.open_or_build import Opened, spaces_of
from lookalike.evaluation.rankings import Advance
from lookalike.extractors.extraction import Extraction, Vector
from lookalike.extractors.interface import Extractor
from lookalike.stores.interface import Snapshot, Space
from lookalike.workers.limits import Limits
from lookalike.workers.pool import Pool

SAMPLE = 200
"""Pictures that are edited, by default."""

TRIED = (*EDITS, WARMER)

CUTOFF = 10
"""Hits that are looked at."""


@dataclass(frozen=True, slots=True)
class Found:
    """How one extractor found the originals.

    ranks  edit → (pictures,) rank of the original among the first `CUTOFF` hits, 0 where it is not
           among them
    kept   share of the exact first ten that the library's index finds, the mean over all edits; None
           where there is no index
    """

    extractor: str
    dim: int
    ranks: dict[str, NDArray[np.int64]]
    kept: float | None = None

    def recall(self, edit: str, k: int) -> float:
        """Share of the originals that are among the first k hits."""
        ranks = self.ranks[edit]
        return float(((ranks > 0) & (ranks <= k)).mean())

    def overall(self, k: int) -> float:
        """The mean over the edits."""
        return float(np.mean([self.recall(edit, k) for edit in self.ranks]))


@dataclass(frozen=True, slots=True)
class SelfTest:
    """What came of it: extractors in the order of what they found.

    edited    pictures whose copies asked
    searched  pictures that could be found
    """

    extractors: tuple[Found, ...]
    edits: tuple[str, ...]
    edited: int
    searched: int
    notes: tuple[Note, ...]


def self_test(
    opened: Opened,
    *,
    by: Sequence[str] = (),
    count: int = SAMPLE,
    edits: Sequence[Edit] = TRIED,
    advance: Advance | None = None,
) -> SelfTest:
    """Edit `count` pictures, evenly drawn, in each of these ways and search with the results.

    A picture with the same content as the original counts as the original. Pictures are edited at 1024
    pixels a side at most. `UsageError` where none of them can be read.
    """
    with opened.library.snapshot() as snapshot:
        spaces = [space for space in spaces_of(snapshot, by) if space.boxes is None]
        if not spaces:
            raise UsageError("spaces of parts cannot be tested in this way: name another with --by")
        pictures, notes = collect(snapshot, spaces, folder=opened.within)
        rows = np.unique(np.linspace(0, len(pictures) - 1, count).round().astype(np.int64))
        extractors = [opened.library.extractor(space.name) for space in spaces]
        versions, kept = _edited(spaces, extractors, pictures, rows, edits, advance)
        lost = len(rows) - len(kept)
        if not len(kept):
            raise UsageError("none of the pictures can be read: are the files still there?")
        notes += tally(
            lost,
            "picture could not be read again and was left out",
            "pictures could not be read again and were left out",
        )
        same = same_content(snapshot, pictures)
        found = [
            _found(snapshot, space, pictures, kept, versions[space.key], edits, same)
            for space in spaces
        ]
    return SelfTest(
        tuple(sorted(found, key=lambda one: -one.overall(1))),
        tuple(edit.name for edit in edits),
        len(kept),
        len(pictures),
        (*opened.notes, *notes),
    )


def _edited(
    spaces: Sequence[Space],
    extractors: Sequence[Extractor],
    pictures: Collection,
    rows: NDArray[np.int64],
    edits: Sequence[Edit],
    advance: Advance | None,
) -> tuple[dict[str, list[list[Vector | None]]], NDArray[np.int64]]:
    """By space key, for every picture that can be read the vectors of its edited versions; and the rows
    of these pictures. The workers decode and edit once for all extractors."""
    work = Changed(Extraction.of(extractors), tuple(edits), original=False)
    made: dict[str, list[list[Vector | None]]] = {space.key: [] for space in spaces}
    kept: list[int] = []
    limits = Limits()
    # A file costs as many extractions as there are edits instead of one.
    limits = replace(limits, timeout=(1 + len(edits)) * limits.timeout)
    files = [str(pictures.files[row]) for row in rows.tolist()] if pictures.files else []
    with Pool(work, limits=limits, on_failure=Changed.failed) as pool:
        for at, versions in enumerate(pool.map(files)):
            if len(versions.results) == len(edits):
                kept.append(int(rows[at]))
                for space, extractor in zip(spaces, extractors, strict=True):
                    vectors = vectors_of(extractor, versions.results, unit=space.normalised)
                    made[space.key].append(vectors)
            if advance is not None:
                advance(at + 1, len(files))
    return made, np.array(kept, np.int64)


def _found(
    snapshot: Snapshot,
    space: Space,
    pictures: Collection,
    rows: NDArray[np.int64],
    versions: Sequence[Sequence[Vector | None]],
    edits: Sequence[Edit],
    same: NDArray[np.int64],
) -> Found:
    ranks: dict[str, NDArray[np.int64]] = {}
    shares: list[float] = []
    among = None if len(pictures) == space.count else pictures.ids
    for number, edit in enumerate(edits):
        vectors = [one[number] for one in versions]
        asked = np.stack([np.zeros(space.dim, np.float32) if v is None else v for v in vectors])
        k = min(CUTOFF, len(pictures))
        exact = snapshot.search(space.key, asked, k, among=among, exact=True)
        right = same[pictures.rows(exact.ids)] == same[rows][:, None]
        right &= exact.ids >= 0
        # A picture of which an extractor makes nothing is not found.
        right[[at for at, vector in enumerate(vectors) if vector is None]] = False
        ranks[edit.name] = np.where(right.any(axis=1), right.argmax(axis=1) + 1, 0)
        quick = snapshot.search(space.key, asked, k, among=among)
        if not quick.exact:
            pairs = zip(quick.ids, exact.ids, strict=True)
            shares.append(float(np.mean([np.isin(true, ids).mean() for ids, true in pairs])))
    kept = float(np.mean(shares)) if shares else None
    return Found(space.name, space.dim, ranks, kept)


def same_content(snapshot: Snapshot, pictures: Collection) -> NDArray[np.int64]:
    """(n + 2,) a number for the content of each row, equal for copies; rows below 0 have their own."""
    numbers = np.arange(len(pictures) + 2)
    for ids in snapshot.exact_duplicates():
        rows = pictures.rows(np.array(ids, np.int64))
        rows = rows[rows >= 0]
        if len(rows):
            numbers[rows] = rows[0]
    return numbers
