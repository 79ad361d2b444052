"""Searching with an index: what it proposes, the rows it does not know, and what is gone, as one answer."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from lookalike.stores.local.matrix import Matrix
from lookalike.vectors.ann import AnnIndex, bits
from lookalike.vectors.exact import Floats, Rows
from lookalike.vectors.refining import refine
from lookalike.vectors.similarity import Similarity, top_k
from lookalike.vectors.tuning import Effort

MOST = 0.1
"""Of the rows an index is asked to propose; for more, comparing with all of them costs less."""

FEW_BYTES = 8 << 20
"""Of stored vectors that pass a filter: so few are compared one by one in the time an index takes."""

PROBE_LIMIT = 16.0
"""A filter makes an index look at more, as what it finds is thrown away; up to so many times."""

BATCH_THREADS = 4
"""Of a batch. Single queries take one: starting threads costs more than it saves."""


@dataclass(frozen=True, slots=True)
class Ready:
    """An index that is loaded. It covers the rows below `index.count` of one generation."""

    index: AnnIndex
    effort: Effort
    generation: int
    _masks: dict[tuple[int, int], tuple[int, NDArray[np.uint8]]] = field(
        default_factory=dict, compare=False
    )

    def living(self, matrix: Matrix) -> tuple[int, NDArray[np.uint8] | None]:
        """How many covered rows can be found, and which (None: all)."""
        covered = min(self.index.count, len(matrix.ids))
        dead = int(np.searchsorted(matrix.dead, covered))
        if not dead and covered == self.index.count:
            return covered, None
        state = (covered, dead)
        kept = self._masks.get(state)
        if kept is None:
            mask = np.zeros(self.index.count, np.bool_)
            mask[:covered] = True
            mask[matrix.dead[:dead]] = False
            kept = covered - dead, bits(mask)
            self._masks.clear()  # only the newest state will be asked for again
            self._masks[state] = kept
        return kept


def nearest(
    ready: Ready,
    matrix: Matrix,
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
    covered = min(ready.index.count, len(matrix.ids))
    effort = ready.effort.at(k, most=ready.index.largest_probe)
    tail_rows = None
    if rows is None:
        there, allowed = ready.living(matrix)
        dead = matrix.dead[np.searchsorted(matrix.dead, covered) :] - covered
        available = there + len(matrix.ids) - covered - len(dead)
    else:
        split = int(np.searchsorted(rows, covered))
        there, dead, available = split, None, len(rows)
        if _few(matrix.vectors, split):
            return None
        allowed = _mask(rows[:split], ready.index.count)
        tail_rows = rows[split:] - covered
        probe = effort.probe * min(PROBE_LIMIT, covered / split)
        effort = replace(effort, probe=min(int(np.ceil(probe)), ready.index.largest_probe))
    if effort.width > MOST * there:
        return None
    threads = 1 if len(queries) < 8 else BATCH_THREADS
    proposed = ready.index.candidates(
        queries, effort.width, probe=effort.probe, allowed=allowed, threads=threads
    )
    found, similarities = refine(matrix.vectors, queries, proposed, k, similarity=similarity)
    if covered < len(matrix.ids):
        late = top_k(
            matrix.vectors[covered:],
            queries,
            k,
            similarity=similarity,
            rows=tail_rows,
            dead=dead,
            normalised=normalised,
        )
        found, similarities = _merged((found, similarities), late, covered, k)
    if (found[:, : min(k, available)] < 0).any():
        return None
    return found, similarities


def _serves(
    ready: Ready,
    queries: NDArray[np.float32],
    k: int,
    *,
    similarity: Similarity,
    normalised: bool,
    matrix: Matrix,
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


def _mask(rows: Rows, count: int) -> NDArray[np.uint8]:
    mask = np.zeros(count, np.bool_)
    mask[rows] = True
    return bits(mask)


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
