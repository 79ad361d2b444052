"""The spaces of an open library in the memory of a graphics card, each brought there when it is searched.

A question is compared with everything there, or, where an index says which lists to look at and these are
few, with what stands in them.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lookalike.ann.gpu import DeviceRows, torch_device
from lookalike.stores.local.database import SpaceRow
from lookalike.stores.local.vector_file import MappedVectors
from lookalike.vectors.blocks import Positions, Rows
from lookalike.vectors.similarity import Similarity

if TYPE_CHECKING:
    from lookalike.ann.faiss_index import AnnIndex
    from lookalike.ann.gpu_ivf import DeviceLists
    from lookalike.stores.local.ann.ann_search import Ready

log = logging.getLogger(__name__)

MOST = 4096
"""Neighbours of a question: for more, as little is saved as the comparing here costs."""


@dataclass(frozen=True, slots=True)
class Probed:
    """The lists (q, p) of this index that each of some queries looks at, -1 for none."""

    index: AnnIndex
    lists: Positions


@dataclass(slots=True)
class Held:
    """A generation of a space's rows, None where they do not fit; and the lists of the index that was last
    asked, None where it has none."""

    generation: int
    rows: DeviceRows | None
    index: AnnIndex | None = None
    lists: DeviceLists | None = None


class Cards:
    """For any number of threads, which take turns."""

    def __init__(self, device: str) -> None:
        self._torch, self._device = torch_device(device)
        self._held: dict[int, Held] = {}
        self._lock = threading.Lock()

    def nearest(
        self,
        row: SpaceRow,
        matrix: MappedVectors,
        queries: NDArray[np.float32],
        k: int,
        *,
        similarity: Similarity,
        rows: Rows | None,
        ready: Ready | None,
    ) -> tuple[Rows, NDArray[np.float32], bool] | None:
        """As `top_k`, and whether all rows were compared, not only those in some lists of the index that
        is `ready`. None where the processor must be asked: the space does not fit in the card's memory,
        the question is odd, or the card is not sure."""
        fits = queries.ndim == 2 and queries.shape[1] == matrix.vectors.shape[1]
        if not fits or not 1 <= k <= MOST or not np.isfinite(queries).all():
            return None
        if not len(matrix.ids) or not bool(queries.any(axis=1).all()):
            return None  # to the zero vector, all are equal
        probed = None
        if ready is not None and (ready.index.similarity == similarity or row.normalised):
            probed = _probed(ready, matrix, queries, k, rows)
        asked: dict[str, Any] = {
            "similarity": similarity,
            "rows": rows,
            "exclude": matrix.deleted,
            "normalised": bool(row.normalised),
        }
        with self._lock:
            held = self._grown(row, matrix)
            if held.rows is None or held.generation != row.generation:
                return None
            try:
                if probed is not None:
                    lists = _lists(held, held.rows, probed.index)
                    if lists is not None and lists.pays(probed.lists, len(matrix.ids)):
                        some = lists.nearest(matrix.vectors, queries, k, probed.lists, **asked)
                        if some is None or not _short(some[0], matrix, rows):
                            return some and (*some, False)
                best = held.rows.nearest(matrix.vectors, queries, k, **asked)
                return best and (*best, True)
            except RuntimeError as error:
                _give_up(held, row, error)
                return None

    def clear(self) -> None:
        with self._lock:
            self._held.clear()

    def _grown(self, row: SpaceRow, matrix: MappedVectors) -> Held:
        """What is held of the space, with all rows of the matrix unless this is an older generation."""
        held = self._held.get(row.id)
        if held is None or row.generation > held.generation:
            held = Held(
                row.generation,
                DeviceRows(self._torch, self._device, row.dim, matrix.vectors.dtype),
            )
            self._held[row.id] = held
        # Rows of an older generation were compacted since.
        same = row.generation == held.generation
        if same and held.rows is not None and held.rows.count < len(matrix.vectors):
            try:
                held.rows.grow(matrix.vectors)
            except RuntimeError as error:
                _give_up(held, row, error)
        return held


def _probed(
    ready: Ready, matrix: MappedVectors, queries: NDArray[np.float32], k: int, rows: Rows | None
) -> Probed | None:
    """The lists that the processor's search would look at; None where the index has none, or where that
    search would compare everything, too: so no less is found here."""
    from lookalike.ann import ivf_lists
    from lookalike.stores.local.ann import ann_search

    if not ivf_lists.has_lists(ready.index):
        return None
    covered, most = ready.index.count, ready.index.largest_probe
    effort = ready.effort.at(k, most=most)
    if rows is None:
        there = covered - int(np.searchsorted(matrix.deleted, covered))
    else:
        there = int(np.searchsorted(rows, covered))
        if there * matrix.vectors.shape[1] * matrix.vectors.itemsize <= ann_search.FEW_BYTES:
            return None
        effort = effort.among(there, covered, most=most)
    if effort.width > ann_search.MOST * there:
        return None
    return Probed(ready.index, ivf_lists.probed(ready.index, queries, effort.probe))


def _lists(held: Held, rows: DeviceRows, index: AnnIndex) -> DeviceLists | None:
    """Those of this index, taken when it is first asked: another one may have come into use."""
    if held.index is not index:
        from lookalike.ann.gpu_ivf import DeviceLists
        from lookalike.ann.ivf_lists import lists_of

        lists = lists_of(index)
        held.lists = None  # so that both need not fit
        held.lists = None if lists is None else DeviceLists(rows, lists)
        held.index = index
    return held.lists


def _short(found: Rows, matrix: MappedVectors, rows: Rows | None) -> bool:
    """Whether a question was answered with less than there is."""
    there = len(matrix.ids) - len(matrix.deleted) if rows is None else len(rows)
    return bool((found[:, : min(found.shape[1], there)] < 0).any())


def _give_up(held: Held, row: SpaceRow, error: Any) -> None:
    """Of this generation, no more is tried: most likely, the card's memory is full."""
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    log.warning("%s is searched by the processor: %s", row.name, reason)
    held.rows = held.index = held.lists = None
