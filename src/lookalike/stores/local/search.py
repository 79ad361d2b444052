"""Nearest neighbours in one space: with the GPU, with the ANN index, or exactly on the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lookalike.stores.local.database import SpaceRow
from lookalike.stores.local.vector_file import MappedVectors
from lookalike.stores.records import Ids, Neighbours
from lookalike.vectors.blocks import Rows
from lookalike.vectors.multi_vector import nearest
from lookalike.vectors.similarity import Similarity

if TYPE_CHECKING:
    from lookalike.stores.local.ann.ann_search import LoadedIndex
    from lookalike.stores.local.gpu_cache import GpuCache


def search_space(
    row: SpaceRow,
    mapped: MappedVectors,
    queries: NDArray[np.float32],
    k: int,
    *,
    similarity: Similarity,
    among: Ids | None,
    regions: int,
    has_regions: bool,
    index: LoadedIndex | None,
    gpu: GpuCache | None,
) -> Neighbours:
    """See `Snapshot.search`.

    regions      vectors in each row, of which the nearest one counts
    has_regions  whether the result names the nearest region; a row may have a single one
    index, gpu   used where they are given and can answer; otherwise every vector is compared
    """
    rows = None if among is None else _rows_among(mapped, among)
    normalised = bool(row.normalised)
    if gpu is not None and regions == 1:
        best = gpu.nearest(row, mapped, queries, k, similarity=similarity, rows=rows, loaded=index)
        if best is not None:
            return _neighbours(mapped, *best[:2], regions=None, exact=best[2])
    if index is not None:
        from lookalike.stores.local.ann import ann_search  # it imports FAISS

        found = ann_search.nearest(
            index, mapped, queries, k, similarity=similarity, rows=rows, normalised=normalised
        )
        if found is not None:
            return _neighbours(mapped, *found, regions=None, exact=False)
    best_rows, similarities, nearest_regions = nearest(
        mapped.vectors,
        queries,
        k,
        similarity=similarity,
        rows=rows,
        exclude=mapped.deleted if rows is None else None,  # `rows` has none of them
        normalised=normalised,
        regions=regions,
    )
    return _neighbours(
        mapped,
        best_rows,
        similarities,
        regions=nearest_regions if has_regions else None,
        exact=True,
    )


def _rows_among(mapped: MappedVectors, ids: Ids) -> Rows:
    """Return the sorted, distinct rows of those of the ids that have one."""
    # Not np.unique, which imports numpy.ma at its first call: 50 ms of a cold search.
    rows = np.sort(mapped.rows_of(np.sort(np.asarray(ids, np.int64))))
    return rows[(rows >= 0) & (np.diff(rows, prepend=-1) > 0)]


def _neighbours(
    mapped: MappedVectors,
    found: Rows,
    similarities: NDArray[np.float32],
    *,
    regions: NDArray[np.int64] | None,
    exact: bool,
) -> Neighbours:
    """Return the images of rows; those of equal similarity by rising id."""
    ids: Ids = mapped.ids.take(found, mode="clip") if len(mapped.ids) else found
    if found.size and found.min() < 0:
        ids[found < 0] = -1
    if mapped.ordered < len(mapped.ids):
        order = np.lexsort((ids, -similarities), axis=-1)
        ids = np.take_along_axis(ids, order, axis=-1)
        similarities = np.take_along_axis(similarities, order, axis=-1)
        regions = None if regions is None else np.take_along_axis(regions, order, axis=-1)
    return Neighbours(ids, similarities, exact, regions)
