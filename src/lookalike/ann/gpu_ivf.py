"""Approximate search on a GPU: the inverted lists of an index in its memory, beside the vectors.

FAISS, on the CPU, chooses the lists that a query probes. The GPU then compares the query with the stored
vectors of these lists, not with the index's codes, so that the lists are searched exactly. Queries of
one batch share the rows of all their lists, each row read once; still each query gets only hits from its
own lists, so that its result does not depend on the rest of the batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.ann.gpu import GATHER_COST, GpuVectors, Scored
from lookalike.ann.ivf_lists import InvertedLists
from lookalike.vectors.blocks import Floats, Positions, Rows
from lookalike.vectors.similarity import Similarity


class GpuLists:
    """Which of a device's rows are in which inverted list: 4 bytes a row. Not thread-safe."""

    def __init__(self, vectors: GpuVectors, lists: InvertedLists) -> None:
        self._vectors, self._lists = vectors, lists
        self._members = vectors.torch.from_numpy(lists.members).to(vectors.device)

    def worthwhile(self, probed: Positions, count: int) -> bool:
        """Return whether gathering these lists (q, p), and the unindexed rows up to `count`, costs less
        than scanning all rows."""
        gathered, passes = 0, 0
        for mask in self._query_blocks(probed):
            sizes = np.diff(self._lists.starts)[mask.any(axis=0)]
            gathered += int(sizes.sum()) + count - self._lists.count
            passes += 1
        return gathered * GATHER_COST <= passes * count

    def nearest(
        self,
        matrix: Floats,
        queries: NDArray[np.float32],
        k: int,
        probed: Positions,
        *,
        similarity: Similarity,
        rows: Rows | None,
        exclude: Rows,
        normalised: bool,
    ) -> tuple[Rows, NDArray[np.float32]] | None:
        """Do what `GpuVectors.nearest` does, among the rows of the lists (q, p) of each query, -1 for none,
        and all rows that are not in the index. May find fewer than k."""

        def score(part: slice, block: Any) -> Scored:
            mask = self._lists.mask(probed[part])
            union = np.flatnonzero(mask.any(axis=0))
            numbers, places = self._rows_of(union, len(matrix))
            numbers, places = self._filter(numbers, places, rows, exclude)
            return self._masked_scores(block, numbers, places, mask[:, union], similarity)

        return self._vectors.best(
            matrix, queries, k, score, similarity=similarity, normalised=normalised
        )

    def _query_blocks(self, probed: Positions) -> Iterator[NDArray[np.bool_]]:
        """Yield the mask of lists for each block of queries that share their rows."""
        size = self._vectors.query_block
        for start in range(0, len(probed), size):
            yield self._lists.mask(probed[start : start + size])

    def _rows_of(self, union: Positions, count: int) -> tuple[Any, Any]:
        """Return the rows in these lists and the unindexed rows, sorted, and the list of each as its place
        in `union`; len(union) for unindexed rows."""
        torch, device = self._vectors.torch, self._vectors.device
        starts, covered = self._lists.starts, self._lists.count
        sizes = starts[union + 1] - starts[union]
        total = int(sizes.sum())
        # The difference between a row's position in `members` and its position here, for each list.
        shift = torch.from_numpy(starts[union] - np.cumsum(sizes) + sizes).to(device)
        places = torch.repeat_interleave(
            torch.arange(len(union), device=device),
            torch.from_numpy(sizes).to(device),
            output_size=total,
        )
        numbers = self._members[shift[places] + torch.arange(total, device=device)].long()
        numbers, order = numbers.sort()
        unindexed = torch.arange(covered, count, device=device)
        return (
            torch.cat([numbers, unindexed]),
            torch.cat([places[order], torch.full_like(unindexed, len(union))]),
        )

    def _filter(
        self, numbers: Any, places: Any, rows: Rows | None, exclude: Rows
    ) -> tuple[Any, Any]:
        """Keep only `rows`, or all but `exclude`."""
        listed = exclude if rows is None else rows
        if not len(listed):
            return (numbers, places) if rows is None else (numbers[:0], places[:0])
        torch = self._vectors.torch
        known = torch.from_numpy(np.array(listed)).to(self._vectors.device)
        at = torch.searchsorted(known, numbers).clamp_(max=len(listed) - 1)
        kept = (known[at] == numbers) == (rows is not None)
        return numbers[kept], places[kept]

    def _masked_scores(
        self,
        queries: Any,
        numbers: Any,
        places: Any,
        mask: NDArray[np.bool_],
        similarity: Similarity,
    ) -> Scored:
        """Yield the scores of these rows, -inf where a query does not probe the row's list."""
        torch = self._vectors.torch
        # Unindexed rows are in no list, and searched by all queries.
        probes = np.hstack([mask, np.ones((len(mask), 1), np.bool_)])
        hidden = torch.from_numpy(~probes).to(self._vectors.device)
        start = 0
        for scores, some in self._vectors.gather_scores(queries, numbers, similarity):
            end = start + len(some)
            if len(probes) > 1:
                scores.masked_fill_(hidden[:, places[start:end]], -torch.inf)
            yield scores, some
            start = end
