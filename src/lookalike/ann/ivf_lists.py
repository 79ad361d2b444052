"""The inverted lists of a FAISS index: the rows of each list, and the lists that a query probes.

For callers that compare the stored vectors of a list themselves, without the index's codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.ann.faiss_index import AnnIndex, prepare, unwrap
from lookalike.vectors.blocks import Positions, Rows
from lookalike.vectors.kmeans import import_faiss


@dataclass(frozen=True, slots=True)
class InvertedLists:
    """The rows of an index, list by list.

    members  (n,) int32 (int64 beyond its range), each row once; sorted within a list
    starts   (lists + 1,) where in `members` each list begins, and the end
    """

    members: NDArray[np.int32] | Rows
    starts: Rows

    @property
    def count(self) -> int:
        """The number of rows in all lists."""
        return int(self.starts[-1])

    def mask(self, probed: Positions) -> NDArray[np.bool_]:
        """Return (q, lists) whether each query probes each list, from list numbers (q, p), -1 for none."""
        mask = np.zeros((len(probed), len(self.starts)), np.bool_)
        np.put_along_axis(mask, probed, True, axis=1)  # -1 marks an extra list, which is cut off
        return mask[:, :-1]


def has_lists(index: AnnIndex) -> bool:
    """Return whether the index is an inverted file, whatever transforms, encodes and refines its vectors."""
    inner, _ = unwrap(index.index)
    return isinstance(inner, import_faiss().IndexIVF)


def read_lists(index: AnnIndex) -> InvertedLists | None:
    """Return the lists of the index; None if it has none, or if their rows are not those of the index."""
    if not has_lists(index):
        return None
    inner, _ = unwrap(index.index)
    stored = inner.invlists
    sizes = [stored.list_size(number) for number in range(inner.nlist)]
    starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
    if starts[-1] != index.count:
        return None
    members = np.empty(index.count, np.int64)
    for number in np.flatnonzero(sizes).tolist():
        members[starts[number] : starts[number + 1]] = _read_ids(stored, number, sizes[number])
    # Row numbers out of range would be read outside of a device's memory.
    seen = np.zeros(index.count, np.bool_)
    seen[members[(members >= 0) & (members < index.count)]] = True
    if not seen.all():
        return None
    small = index.count <= np.iinfo(np.int32).max
    return InvertedLists(members.astype(np.int32) if small else members, starts)


def _read_ids(stored: Any, number: int, size: int) -> Rows:
    pointer = stored.get_ids(number)
    try:
        return np.sort(import_faiss().rev_swig_ptr(pointer, size))
    finally:
        stored.release_ids(number, pointer)


def probed_lists(
    index: AnnIndex, queries: NDArray[np.float32], nprobe: int, *, threads: int = 1
) -> Positions:
    """Return (q, nprobe) the numbers of the lists that `AnnIndex.candidates` searches, -1 for none.

    queries  (q, dim) float32, finite
    """
    import_faiss().omp_set_num_threads(threads)
    inner, transforms = unwrap(index.index)
    transformed = prepare(queries, index.similarity)
    for transform in transforms:
        transformed = transform.apply(transformed)
    _, numbers = inner.quantizer.search(transformed, min(nprobe, inner.nlist))
    return np.asarray(numbers, np.int64)
