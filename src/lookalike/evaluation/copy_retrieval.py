"""Self-test without labels: edited copies of one's own images must retrieve their originals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.evaluation.collection import (
    Collection,
    EvalLibrary,
    collect,
    content_codes,
    select_spaces,
)
from lookalike.evaluation.edits import EDITS, WARMER
from lookalike.evaluation.file_vectors import vectors_of
from lookalike.evaluation.ground_truth import Note, count_note
from lookalike.evaluation.invariance import EditWorker
from lookalike.evaluation.rankings import Progress
from lookalike.extractors.extraction import Extraction, Vector
from lookalike.extractors.interface import Extractor
from lookalike.stores.interface import Snapshot, Space
from lookalike.workers.limits import Limits
from lookalike.workers.pool import Pool

# Images that are edited by default.
SAMPLE_SIZE = 200

SELF_TEST_EDITS = (*EDITS, WARMER)

# Hits that are examined.
CUTOFF = 10


@dataclass(frozen=True, slots=True)
class CopyRecall:
    """How often one extractor retrieved the originals.

    ranks       edit → (images,) rank of the original among the first `CUTOFF` hits, 0 if it is not
                among them
    ann_recall  share of the exact first ten that the ANN index finds, averaged over all edits; None
                without an index
    """

    extractor: str
    dim: int
    ranks: dict[str, NDArray[np.int64]]
    ann_recall: float | None = None

    def recall(self, edit: str, k: int) -> float:
        """Return the share of originals among the first k hits."""
        ranks = self.ranks[edit]
        return float(((ranks > 0) & (ranks <= k)).mean())

    def overall(self, k: int) -> float:
        """Return the mean recall over the edits."""
        return float(np.mean([self.recall(edit, k) for edit in self.ranks]))


@dataclass(frozen=True, slots=True)
class SelfTest:
    """The result of a self-test, extractors in the order of their recall.

    edited    number of images whose edited copies were queries
    searched  number of images in the collection
    """

    extractors: tuple[CopyRecall, ...]
    edits: tuple[str, ...]
    edited: int
    searched: int
    notes: tuple[Note, ...]


def self_test(
    opened: EvalLibrary,
    *,
    extractors: Sequence[str] = (),
    count: int = SAMPLE_SIZE,
    progress: Progress | None = None,
) -> SelfTest:
    """Edit `count` evenly spaced images in the ways of `SELF_TEST_EDITS` and search with the results.

    An image with the same content as the original counts as the original. Images are edited at no more
    than 1024 pixels a side. Raises UsageError if none of them can be read.
    """
    with opened.library.snapshot() as snapshot:
        spaces = [s for s in select_spaces(snapshot, extractors) if s.boxes is None]
        if not spaces:
            raise UsageError(
                "spaces of image parts have no self-test: name another one with --extractor"
            )
        collection, notes = collect(snapshot, spaces, folder=opened.folder)
        rows = np.unique(np.linspace(0, len(collection) - 1, count).round().astype(np.int64))
        loaded = [opened.library.extractor(space.name) for space in spaces]
        vectors, readable = _edited_vectors(spaces, loaded, collection, rows, progress)
        if not len(readable):
            raise UsageError("none of the images can be read: are the files still there?")
        notes += count_note(
            len(rows) - len(readable),
            "image could not be read again and was left out",
            "images could not be read again and were left out",
        )
        content = content_codes(snapshot, collection)
        found = [
            _measure(snapshot, space, collection, readable, vectors[space.key], content)
            for space in spaces
        ]
    return SelfTest(
        tuple(sorted(found, key=lambda one: -one.overall(1))),
        tuple(edit.name for edit in SELF_TEST_EDITS),
        len(readable),
        len(collection),
        (*opened.notes, *notes),
    )


def _edited_vectors(
    spaces: Sequence[Space],
    extractors: Sequence[Extractor],
    collection: Collection,
    rows: NDArray[np.int64],
    progress: Progress | None,
) -> tuple[dict[str, list[list[Vector | None]]], NDArray[np.int64]]:
    """Return the vectors of all edits of every readable image by space key, and the rows of these images.

    Each image is decoded and edited once for all extractors.
    """
    work = EditWorker(Extraction.of(extractors), SELF_TEST_EDITS, original=False)
    made: dict[str, list[list[Vector | None]]] = {space.key: [] for space in spaces}
    readable: list[int] = []
    limits = Limits()
    # A file takes one extraction per edit.
    limits = replace(limits, timeout=(1 + len(SELF_TEST_EDITS)) * limits.timeout)
    files = [str(collection.files[row]) for row in rows.tolist()] if collection.files else []
    with Pool(work, limits=limits, on_failure=EditWorker.failed) as pool:
        for at, edited in enumerate(pool.map(files)):
            if len(edited.results) == len(SELF_TEST_EDITS):
                readable.append(int(rows[at]))
                for space, extractor in zip(spaces, extractors, strict=True):
                    vectors = vectors_of(extractor, edited.results, unit=space.normalised)
                    made[space.key].append(vectors)
            if progress is not None:
                progress(at + 1, len(files))
    return made, np.array(readable, np.int64)


def _measure(
    snapshot: Snapshot,
    space: Space,
    collection: Collection,
    rows: NDArray[np.int64],
    edited: Sequence[Sequence[Vector | None]],
    content: NDArray[np.int64],
) -> CopyRecall:
    ranks: dict[str, NDArray[np.int64]] = {}
    shares: list[float] = []
    among = None if len(collection) == space.count else collection.ids
    for number, edit in enumerate(SELF_TEST_EDITS):
        vectors = [one[number] for one in edited]
        queries = np.stack([np.zeros(space.dim, np.float32) if v is None else v for v in vectors])
        k = min(CUTOFF, len(collection))
        exact = snapshot.search(space.key, queries, k, among=among, exact=True)
        right = content[collection.rows(exact.ids)] == content[rows][:, None]
        right &= exact.ids >= 0
        # An image from which the extractor makes no vector counts as not found.
        right[[at for at, vector in enumerate(vectors) if vector is None]] = False
        ranks[edit.name] = np.where(right.any(axis=1), right.argmax(axis=1) + 1, 0)
        approximate = snapshot.search(space.key, queries, k, among=among)
        if not approximate.exact:
            pairs = zip(approximate.ids, exact.ids, strict=True)
            shares.append(float(np.mean([np.isin(true, ids).mean() for ids, true in pairs])))
    ann_recall = float(np.mean(shares)) if shares else None
    return CopyRecall(space.name, space.dim, ranks, ann_recall)
