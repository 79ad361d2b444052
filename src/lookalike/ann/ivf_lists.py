"""The inverted lists of a FAISS index: which rows stand in each, and which a query would look at.

For those who compare the stored vectors of a list themselves, without the index's codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.ann.faiss_index import AnnIndex, faiss, innermost, prepared
from lookalike.vectors.blocks import Positions, Rows


@dataclass(frozen=True, slots=True)
class Lists:
    """The rows of an index, list by list.

    members  (n,) int32 (int64 beyond its range), each row once, those of a list rising
    starts   (lists + 1,) where in `members` each begins, and the end
    """

    members: NDArray[np.int32] | Rows
    starts: Rows

    @property
    def count(self) -> int:
        return int(self.starts[-1])

    def marked(self, probed: Positions) -> NDArray[np.bool_]:
        """(q, lists) of the numbers of the lists that each query looks at (q, p), -1 for none."""
        marks = np.zeros((len(probed), len(self.starts)), np.bool_)
        np.put_along_axis(marks, probed, True, axis=1)  # -1 marks one more list, which is cut off
        return marks[:, :-1]


def has_lists(index: AnnIndex) -> bool:
    """Whether it is made of an inverted file, whatever transforms, encodes and refines the vectors."""
    inner, _ = innermost(index.index)
    return isinstance(inner, faiss().IndexIVF)


def lists_of(index: AnnIndex) -> Lists | None:
    """The lists of the index; None where it has none, or they are not those of its rows."""
    if not has_lists(index):
        return None
    inner, _ = innermost(index.index)
    stored = inner.invlists
    sizes = [stored.list_size(number) for number in range(inner.nlist)]
    starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
    if starts[-1] != index.count:
        return None
    members = np.empty(index.count, np.int64)
    for number in np.flatnonzero(sizes).tolist():
        members[starts[number] : starts[number + 1]] = _ids(stored, number, sizes[number])
    # Numbers that lie outside would be read outside of a device's memory.
    seen = np.zeros(index.count, np.bool_)
    seen[members[(members >= 0) & (members < index.count)]] = True
    if not seen.all():
        return None
    small = index.count <= np.iinfo(np.int32).max
    return Lists(members.astype(np.int32) if small else members, starts)


def _ids(stored: Any, number: int, size: int) -> Rows:
    library = faiss()
    lent = stored.get_ids(number)
    try:
        return np.sort(library.rev_swig_ptr(lent, size))
    finally:
        stored.release_ids(number, lent)


def probed(
    index: AnnIndex, queries: NDArray[np.float32], probe: int, *, threads: int = 1
) -> Positions:
    """(q, probe) the numbers of the lists that `AnnIndex.candidates` looks at, -1 for none.

    queries  (q, dim) float32, finite
    """
    faiss().omp_set_num_threads(threads)
    inner, steps = innermost(index.index)
    seen = prepared(queries, index.similarity)
    for step in steps:
        seen = step.apply(seen)
    _, numbers = inner.quantizer.search(seen, min(probe, inner.nlist))
    return np.asarray(numbers, np.int64)
