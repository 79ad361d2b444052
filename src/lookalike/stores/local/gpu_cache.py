"""The vectors of an open library in a GPU's memory, copied there when a space is first searched.

A query is compared with all of them, or, if the ANN index has few lists to probe, with the vectors in these
lists.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lookalike.ann.gpu import GpuVectors, torch_device
from lookalike.stores.local.database import SpaceRow
from lookalike.stores.local.vector_file import MappedVectors
from lookalike.vectors.blocks import Positions, Rows
from lookalike.vectors.similarity import Similarity

if TYPE_CHECKING:
    from lookalike.ann.faiss_index import AnnIndex
    from lookalike.ann.gpu_ivf import GpuLists
    from lookalike.stores.local.ann.ann_search import LoadedIndex

log = logging.getLogger(__name__)

# Largest k: for more, the exact comparison on the CPU costs as much as the GPU saves.
MAX_K = 4096


@dataclass(slots=True)
class GpuSpace:
    """Data of one space in GPU memory.

    generation  of the vector files
    vectors     None if they do not fit
    index       the index whose lists are there
    lists       its inverted lists; None if it has none
    """

    generation: int
    vectors: GpuVectors | None
    index: AnnIndex | None = None
    lists: GpuLists | None = None


class GpuCache:
    """Searches spaces on a GPU. Thread-safe; searches are serialised."""

    def __init__(self, device: str) -> None:
        self._torch, self._device = torch_device(device)
        self._spaces: dict[int, GpuSpace] = {}
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
        loaded: LoadedIndex | None,
    ) -> tuple[Rows, NDArray[np.float32], bool] | None:
        """Return what `top_k` does, and whether all rows were compared, not only those in some lists.

        rows    search only these, sorted; None: all that are not deleted
        loaded  the ANN index of the space, if it has one

        Returns None where the CPU must search: the space does not fit into the GPU's memory, a query is
        zero or invalid, or the GPU is not certain.
        """
        fits = queries.ndim == 2 and queries.shape[1] == matrix.vectors.shape[1]
        if not fits or not 1 <= k <= MAX_K or not np.isfinite(queries).all():
            return None
        if not len(matrix.ids) or not bool(queries.any(axis=1).all()):
            return None  # all rows are equal to the zero vector
        probed = None
        if loaded is not None and (loaded.index.similarity == similarity or row.normalised):
            probed = _probed_lists(loaded, matrix, queries, k, rows)
        options: dict[str, Any] = {
            "similarity": similarity,
            "rows": rows,
            "exclude": matrix.deleted,
            "normalised": bool(row.normalised),
        }
        with self._lock:
            space = self._update(row, matrix)
            if space.vectors is None or space.generation != row.generation:
                return None
            try:
                if loaded is not None and probed is not None:
                    lists = _lists(space, space.vectors, loaded.index)
                    if lists is not None and lists.worthwhile(probed, len(matrix.ids)):
                        some = lists.nearest(matrix.vectors, queries, k, probed, **options)
                        if some is None or not _too_few(some[0], matrix, rows):
                            return some and (*some, False)
                best = space.vectors.nearest(matrix.vectors, queries, k, **options)
                return best and (*best, True)
            except RuntimeError as error:
                _disable(space, row, error)
                return None

    def clear(self) -> None:
        """Free the GPU's memory."""
        with self._lock:
            self._spaces.clear()

    def _update(self, row: SpaceRow, matrix: MappedVectors) -> GpuSpace:
        """Return the space with all rows of the matrix, unless the matrix is of an older generation."""
        space = self._spaces.get(row.id)
        if space is None or row.generation > space.generation:
            vectors = GpuVectors(self._torch, self._device, row.dim, matrix.vectors.dtype)
            space = self._spaces[row.id] = GpuSpace(row.generation, vectors)
        # An older generation has other rows: the space was compacted since.
        same = row.generation == space.generation
        if same and space.vectors is not None and space.vectors.count < len(matrix.vectors):
            try:
                space.vectors.append(matrix.vectors)
            except RuntimeError as error:
                _disable(space, row, error)
        return space


def _probed_lists(
    loaded: LoadedIndex,
    matrix: MappedVectors,
    queries: NDArray[np.float32],
    k: int,
    rows: Rows | None,
) -> Positions | None:
    """Return the lists (q, p) that a search on the CPU would probe, -1 for none.

    None if the index has no lists, or if the CPU would search exactly: the GPU must not find less.
    """
    from lookalike.ann import ivf_lists
    from lookalike.stores.local.ann.ann_search import search_params

    if not ivf_lists.has_lists(loaded.index):
        return None
    params = search_params(loaded, matrix, k, rows)
    if params is None:
        return None
    return ivf_lists.probed_lists(loaded.index, queries, params.nprobe)


def _lists(space: GpuSpace, vectors: GpuVectors, index: AnnIndex) -> GpuLists | None:
    """Return the lists of this index, copied when it is first used: it may have replaced another."""
    if space.index is not index:
        from lookalike.ann.gpu_ivf import GpuLists
        from lookalike.ann.ivf_lists import read_lists

        lists = read_lists(index)
        space.lists = None  # so that both need not fit
        space.lists = None if lists is None else GpuLists(vectors, lists)
        space.index = index
    return space.lists


def _too_few(found: Rows, matrix: MappedVectors, rows: Rows | None) -> bool:
    """Return whether a query got fewer hits than there are."""
    there = len(matrix.ids) - len(matrix.deleted) if rows is None else len(rows)
    return bool((found[:, : min(found.shape[1], there)] < 0).any())


def _disable(space: GpuSpace, row: SpaceRow, error: Any) -> None:
    """Leave this generation to the CPU: most likely, the GPU's memory is full."""
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    log.warning("%s is searched on the CPU: %s", row.name, reason)
    space.vectors = space.index = space.lists = None
