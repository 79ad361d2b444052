"""Searching with an index: what it proposes, the rows it does not know, and what is gone, as one answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.ann.faiss_index import AnnIndex, bits
from lookalike.ann.rerank import nearest_of_few, refine
from lookalike.ann.tuning import Effort
from lookalike.stores.local.ann.delta_index import LateReader
from lookalike.stores.local.vector_file import MappedVectors
from lookalike.vectors.blocks import Floats, Rows
from lookalike.vectors.similarity import Similarity, top_k

MOST = 0.1
"""Of the rows an index is asked to propose; for more, comparing with all of them costs less."""

FEW_BYTES = 8 << 20
"""Of stored vectors that pass a filter: so few are compared one by one in the time an index takes."""

MOST_LATE = 1 << 23
"""Numbers in late vectors, times questions, that one thread compares: a few milliseconds."""

BATCH_THREADS = 4
"""Of a batch. Single queries take one: starting threads costs more than it saves."""


Allowed: TypeAlias = tuple[int, NDArray[np.uint8] | None]
"""How many of the rows of an index may be found, and which, a bit for each (None: all)."""


@dataclass(frozen=True, slots=True)
class Ready:
    """An index that is loaded. It covers the rows below `index.count` of one generation; `late`, where
    there is one, the next ones."""

    index: AnnIndex
    effort: Effort
    generation: int
    late: LateReader
    _masks: dict[int, tuple[tuple[int, ...], Allowed]] = field(default_factory=dict, compare=False)

    def living(self, matrix: MappedVectors, start: int, count: int) -> Allowed:
        """The living ones of the `count` rows from `start` on, remembered for the newest state of each
        index: rows only die."""
        died = np.searchsorted(matrix.deleted, (start, start + count)).tolist()
        state = (count, min(start + count, len(matrix.ids)), *died)
        kept = self._masks.get(start)
        if kept is None or kept[0] != state:
            kept = self._masks[start] = state, _within(matrix, None, start, count)
        return kept[1]


def nearest(
    ready: Ready,
    matrix: MappedVectors,
    queries: NDArray[np.float32],
    k: int,
    *,
    similarity: Similarity,
    rows: Rows | None,
    normalised: bool,
) -> tuple[Rows, NDArray[np.float32]] | None:
    """As `top_k`, of which some rows may be missed; None where exact search should be asked: it costs
    less, the index is for another similarity, the question is odd, or too little was found.

    rows  only these, sorted, of living images
    """
    if not _serves(ready, queries, k, similarity=similarity, normalised=normalised, matrix=matrix):
        return None
    behind = ready.index.count < len(matrix.ids)
    late = ready.late.current(matrix.vectors) if behind else None
    effort = ready.effort.at(k, most=ready.index.largest_probe)
    there, allowed = _allowed(ready, matrix, rows, 0, ready.index.count)
    if effort.width > MOST * there or (rows is not None and _few(matrix.vectors, there)):
        return None
    if rows is not None:
        effort = effort.among(there, ready.index.count, most=ready.index.largest_probe)
    threads = 1 if len(queries) < 8 else BATCH_THREADS
    proposed = ready.index.candidates(
        queries, effort.width, probe=effort.probe, allowed=allowed, threads=threads
    )
    covered = ready.index.count
    if late is not None:
        more, allowed = _allowed(ready, matrix, rows, covered, late.count)
        found = late.candidates(
            queries, effort.width, probe=effort.probe, allowed=allowed, threads=threads
        )
        proposed = np.concatenate([proposed, np.where(found < 0, -1, found + covered)], axis=1)
        there, covered = there + more, covered + late.count
    best = refine(
        matrix.vectors, queries, proposed, k, similarity=similarity, normalised=normalised
    )
    rest, dead = _tail(matrix, rows, covered)
    if covered < len(matrix.ids):
        last = _late(
            matrix.vectors[covered:],
            queries,
            k,
            similarity=similarity,
            rows=rest,
            dead=dead,
            normalised=normalised,
        )
        best = _merged(best, last, covered, k)
        there += len(matrix.ids) - covered - len(dead) if rest is None else len(rest)
    return None if (best[0][:, : min(k, there)] < 0).any() else best


def _late(
    vectors: Floats,
    queries: NDArray[np.float32],
    k: int,
    *,
    similarity: Similarity,
    rows: Rows | None,
    dead: Rows,
    normalised: bool,
) -> tuple[Rows, NDArray[np.float32]]:
    """As `top_k` of the rows that no index knows: few as a rule, and compared on this thread, so that a
    search beside a busy writer does not wait for another one."""
    if len(queries) * vectors.size > MOST_LATE:
        return top_k(
            vectors,
            queries,
            k,
            similarity=similarity,
            rows=rows,
            exclude=dead,
            normalised=normalised,
        )
    if rows is None and len(dead):
        rows = np.setdiff1d(np.arange(len(vectors)), dead, assume_unique=True)
    return nearest_of_few(
        vectors, queries, k, similarity=similarity, rows=rows, normalised=normalised
    )


def _allowed(
    ready: Ready, matrix: MappedVectors, rows: Rows | None, start: int, count: int
) -> Allowed:
    """Of the `count` rows from `start` on, which one index covers: the living ones, or these."""
    if rows is None:
        return ready.living(matrix, start, count)
    return _within(matrix, rows, start, count)


def _within(matrix: MappedVectors, rows: Rows | None, start: int, count: int) -> Allowed:
    """The same, worked out."""
    end = min(start + count, len(matrix.ids))
    if rows is None:
        dead = matrix.deleted[slice(*np.searchsorted(matrix.deleted, (start, max(start, end))))]
        if not len(dead) and end == start + count:
            return count, None
        mask = np.zeros(count, np.bool_)
        mask[: max(0, end - start)] = True
        mask[dead - start] = False
    else:
        some = rows[slice(*np.searchsorted(rows, (start, start + count)))]
        mask = np.zeros(count, np.bool_)
        mask[some - start] = True
    return int(mask.sum()), bits(mask)


def _tail(matrix: MappedVectors, rows: Rows | None, covered: int) -> tuple[Rows | None, Rows]:
    """What may be found behind the covered rows, counted from there: only these, or all but these."""
    if rows is not None:
        return rows[np.searchsorted(rows, covered) :] - covered, np.empty(0, np.int64)
    return None, matrix.deleted[np.searchsorted(matrix.deleted, covered) :] - covered


def _serves(
    ready: Ready,
    queries: NDArray[np.float32],
    k: int,
    *,
    similarity: Similarity,
    normalised: bool,
    matrix: MappedVectors,
) -> bool:
    if ready.index.similarity != similarity and not normalised:  # unit vectors: one order
        return False
    # What cannot be asked is refused by exact search, in its words.
    fits = queries.ndim == 2 and queries.shape[1] == matrix.vectors.shape[1] and k >= 1
    if not fits or not len(queries) or not np.isfinite(queries).all():
        return False
    zero = ~queries.any(axis=1)
    return not bool(zero.any())  # to the zero vector, all are equal


def _few(vectors: Floats, count: int) -> bool:
    return bool(count * vectors.shape[1] * vectors.itemsize <= FEW_BYTES)


def _merged(
    early: tuple[Rows, NDArray[np.float32]],
    late: tuple[Rows, NDArray[np.float32]],
    covered: int,
    k: int,
) -> tuple[Rows, NDArray[np.float32]]:
    """The k best of both; rows of the second are counted from `covered`."""
    rows = np.concatenate([early[0], np.where(late[0] < 0, -1, late[0] + covered)], axis=1)
    similarities = np.concatenate([early[1], late[1]], axis=1)
    order = np.lexsort((rows, -similarities), axis=-1)[:, :k]
    return np.take_along_axis(rows, order, axis=1), np.take_along_axis(similarities, order, axis=1)
