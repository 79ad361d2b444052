"""Approximate search: candidates of the index and the delta index, plus unindexed rows, re-ranked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.ann.faiss_index import AnnIndex, pack_bitmap
from lookalike.ann.rerank import rerank
from lookalike.ann.tuning import SearchParams
from lookalike.stores.local.ann.delta_index import DeltaIndexReader
from lookalike.stores.local.vector_file import MappedVectors
from lookalike.vectors.blocks import Rows
from lookalike.vectors.exact import dots
from lookalike.vectors.similarity import Similarity, top_k

# Largest share of the rows that an index is asked for as candidates; beyond, exact search costs less.
MAX_CANDIDATE_SHARE = 0.1

# Up to this size of the stored vectors that pass a filter, exact search takes no longer than an index.
EXACT_BYTES = 8 << 20

# Unindexed numbers (vectors · dim) times queries that one thread compares: a few milliseconds. So a search
# beside a busy writer does not wait for other threads.
SINGLE_THREAD_WORK = 1 << 23

# Threads for a batch, and its least number of queries. Fewer use one: on a busy machine threads that meet at
# the end of every search cost more than they save.
BATCH_THREADS, BATCH_QUERIES = 4, 64

# How many of the rows of an index may be found, and which, as a bitmap (None: all).
Allowed: TypeAlias = tuple[int, NDArray[np.uint8] | None]


@dataclass(frozen=True, slots=True)
class LoadedIndex:
    """An ANN index in memory.

    It covers the first `index.count` rows of one generation of a space's vectors; the delta index, where
    there is one, covers the rows after them.
    """

    index: AnnIndex
    params: SearchParams
    generation: int
    delta: DeltaIndexReader
    _bitmaps: dict[int, tuple[tuple[int, ...], Allowed]] = field(
        default_factory=dict, compare=False
    )

    def live_rows(self, matrix: MappedVectors, start: int, count: int) -> Allowed:
        """Return which of the `count` rows from `start` on are not deleted.

        Cached by `start` for the newest state: rows are only ever deleted, never restored.
        """
        if not len(matrix.deleted) and start + count <= len(matrix.ids):
            return count, None
        deleted = np.searchsorted(matrix.deleted, (start, start + count)).tolist()
        state = (count, min(start + count, len(matrix.ids)), *deleted)
        cached = self._bitmaps.get(start)
        if cached is None or cached[0] != state:
            cached = self._bitmaps[start] = state, _bitmap(matrix, None, start, count)
        return cached[1]


def search_params(
    loaded: LoadedIndex, matrix: MappedVectors, k: int, rows: Rows | None
) -> SearchParams | None:
    """Return how to search the index for k neighbours; None if exact search costs less.

    rows  search only these, sorted; None: all that are not deleted
    """
    covered, max_nprobe = loaded.index.count, loaded.index.max_nprobe
    if rows is None:
        deleted = int(matrix.deleted.searchsorted(covered)) if len(matrix.deleted) else 0
        passing = covered - deleted
    else:
        passing = int(rows.searchsorted(covered))
        if passing * matrix.vectors.shape[1] * matrix.vectors.itemsize <= EXACT_BYTES:
            return None
    params = loaded.params.for_k(k, max_nprobe=max_nprobe)
    if params.candidates > MAX_CANDIDATE_SHARE * passing:
        return None
    return params if rows is None else params.filtered(passing, covered, max_nprobe=max_nprobe)


def nearest(
    loaded: LoadedIndex,
    matrix: MappedVectors,
    queries: NDArray[np.float32],
    k: int,
    *,
    similarity: Similarity,
    rows: Rows | None,
    normalised: bool,
) -> tuple[Rows, NDArray[np.float32]] | None:
    """Return what `top_k` does, except that some neighbours may be missed.

    rows  search only these, sorted, none of them deleted; None: all that are not deleted

    Returns None where exact search must be used: it costs less, the index is for another similarity, the
    query is zero or invalid, or fewer than k rows were found.
    """
    index = loaded.index
    if index.similarity != similarity and not normalised:  # for unit vectors the order is one
        return None
    # Invalid queries are left to exact search, which raises the error; to a zero query all rows are equal.
    fits = queries.ndim == 2 and queries.shape[1] == matrix.vectors.shape[1] and k >= 1
    if not fits or not len(queries):
        return None
    wide = queries.astype(np.float64)
    squares = dots(wide, wide)
    if not all(0 < square < np.inf for square in squares.tolist()):
        return None
    params = search_params(loaded, matrix, k, rows)
    if params is None:
        return None
    unit = wide / np.sqrt(squares)[:, None]
    narrow = (unit if index.similarity == "cosine" else wide).astype(np.float32)
    threads = 1 if len(queries) < BATCH_QUERIES else BATCH_THREADS
    covered = index.count
    passing, allowed = _allowed(loaded, matrix, rows, 0, covered)
    candidates = index.candidates(
        narrow, params.candidates, nprobe=params.nprobe, allowed=allowed, threads=threads
    )
    found = None
    if covered < len(matrix.ids):
        if (delta := loaded.delta.current(matrix.vectors)) is not None:
            more, allowed = _allowed(loaded, matrix, rows, covered, delta.count)
            after = delta.candidates(
                narrow, params.candidates, nprobe=params.nprobe, allowed=allowed, threads=threads
            )
            after = np.where(after < 0, -1, after + covered)
            candidates = np.concatenate([candidates, after], axis=1)
            passing, covered = passing + more, covered + delta.count
        last = _unindexed(matrix, rows, covered)
        passing += len(last)
        if len(queries) * len(last) * matrix.vectors.shape[1] <= SINGLE_THREAD_WORK:
            every = np.broadcast_to(last, (len(queries), len(last)))
            candidates = np.concatenate([candidates, every], axis=1)
        else:
            found = top_k(
                matrix.vectors, queries, k, similarity=similarity, rows=last, normalised=normalised
            )
    best = rerank(
        matrix.vectors,
        unit if similarity == "cosine" else wide,
        candidates,
        k,
        similarity=similarity,
        normalised=normalised,
    )
    if found is not None:
        best = _merge(best, found, k)
    last_found = best[0][:, min(k, passing) - 1] if passing else best[0][:0, 0]
    return None if min(last_found.tolist(), default=0) < 0 else best


def _allowed(
    loaded: LoadedIndex, matrix: MappedVectors, rows: Rows | None, start: int, count: int
) -> Allowed:
    """Return which of the `count` rows from `start` on may be found."""
    if rows is None:
        return loaded.live_rows(matrix, start, count)
    return _bitmap(matrix, rows, start, count)


def _bitmap(matrix: MappedVectors, rows: Rows | None, start: int, count: int) -> Allowed:
    """Return the bitmap of these rows, or of those that are not deleted, within `count` rows from `start`."""
    end = min(start + count, len(matrix.ids))
    mask = np.zeros(count, np.bool_)
    if rows is None:
        between = np.searchsorted(matrix.deleted, (start, max(start, end)))
        deleted = matrix.deleted[slice(*between)]
        if not len(deleted) and end == start + count:
            return count, None
        mask[: max(0, end - start)] = True
        mask[deleted - start] = False
    else:
        some = rows[slice(*np.searchsorted(rows, (start, start + count)))]
        mask[some - start] = True
    return int(mask.sum()), pack_bitmap(mask)


def _unindexed(matrix: MappedVectors, rows: Rows | None, covered: int) -> Rows:
    """Return the rows after the covered ones that may be found: of these, or all that are not deleted."""
    if rows is not None:
        return rows[rows.searchsorted(covered) :]
    deleted = matrix.deleted[matrix.deleted.searchsorted(covered) :]
    return np.delete(np.arange(covered, len(matrix.ids)), deleted - covered)


def _merge(
    one: tuple[Rows, NDArray[np.float32]], other: tuple[Rows, NDArray[np.float32]], k: int
) -> tuple[Rows, NDArray[np.float32]]:
    """Return the k best of both."""
    rows = np.concatenate([one[0], other[0]], axis=1)
    similarities = np.concatenate([one[1], other[1]], axis=1)
    order = np.lexsort((rows, -similarities), axis=-1)[:, :k]
    return np.take_along_axis(rows, order, axis=1), np.take_along_axis(similarities, order, axis=1)
