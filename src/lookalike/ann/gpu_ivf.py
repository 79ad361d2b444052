"""Approximate search on a device: the lists of an index in its memory, beside the rows themselves.

A FAISS index says, on the processor, which of its lists a query looks at. Here the stored vectors of
these lists are compared, not the index's codes of them: what the same lists can tell is told in full.
Queries that come together share the rows of all their lists, each row read once; still each query is
answered of its own lists only, so that the answer does not depend on who asks beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.ann import gpu
from lookalike.ann.gpu import DeviceRows, Pieces
from lookalike.ann.ivf_lists import Lists
from lookalike.vectors.blocks import Floats, Positions, Rows
from lookalike.vectors.similarity import Similarity


class DeviceLists:
    """Which of a device's rows stand in which list: 4 bytes a row. Not for two threads at once."""

    def __init__(self, held: DeviceRows, lists: Lists) -> None:
        self._held, self._lists = held, lists
        self._members = held.torch.from_numpy(lists.members).to(held.device)

    def pays(self, probed: Positions, count: int) -> bool:
        """Whether these lists of each query (q, p), and the rows behind the index up to `count`, are so
        few that fetching them costs less than passing over all."""
        fetched, passes = 0, 0
        for marks in self._shared(probed):
            sizes = np.diff(self._lists.starts)[marks.any(axis=0)]
            fetched += int(sizes.sum()) + count - self._lists.count
            passes += 1
        return fetched * gpu.APART <= passes * count

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
        """As `DeviceRows.nearest`, of the rows in these lists of each query (q, p), -1 for none, and of
        all rows that came after the index. May be fewer than k where there are more."""

        def pieces(part: slice, asked: Any) -> Pieces:
            marks = self._lists.marked(probed[part])
            union = np.flatnonzero(marks.any(axis=0))
            numbers, places = self._allowed(*self._named(union, len(matrix)), rows, exclude)
            return self._scored(asked, numbers, places, marks[:, union], similarity)

        return self._held.best(
            matrix, queries, k, pieces, similarity=similarity, normalised=normalised
        )

    def _shared(self, probed: Positions) -> Iterator[NDArray[np.bool_]]:
        """The lists of the queries that share their rows."""
        for start in range(0, len(probed), gpu.QUERIES):
            yield self._lists.marked(probed[start : start + gpu.QUERIES])

    def _named(self, union: Positions, count: int) -> tuple[Any, Any]:
        """The rows in these lists and behind the index, rising, and which of the lists each is in, as its
        place in `union`; behind the index, len(union)."""
        torch, there = self._held.torch, self._held.device
        starts, covered = self._lists.starts, self._lists.count
        sizes = starts[union + 1] - starts[union]
        total = int(sizes.sum())
        # Of each row, its place in the list is its place here less that of the list's first row.
        shift = torch.from_numpy(starts[union] - np.cumsum(sizes) + sizes).to(there)
        places = torch.repeat_interleave(
            torch.arange(len(union), device=there),
            torch.from_numpy(sizes).to(there),
            output_size=total,
        )
        numbers = self._members[shift[places] + torch.arange(total, device=there)].long()
        numbers, order = numbers.sort()
        late = torch.arange(covered, count, device=there)
        return (
            torch.cat([numbers, late]),
            torch.cat([places[order], torch.full_like(late, len(union))]),
        )

    def _allowed(
        self, numbers: Any, places: Any, rows: Rows | None, exclude: Rows
    ) -> tuple[Any, Any]:
        """Only those of `rows`, or all but those of `exclude`."""
        listed = exclude if rows is None else rows
        if not len(listed):
            return (numbers, places) if rows is None else (numbers[:0], places[:0])
        torch = self._held.torch
        known = torch.from_numpy(np.array(listed)).to(self._held.device)
        at = torch.searchsorted(known, numbers).clamp_(max=len(listed) - 1)
        kept = (known[at] == numbers) == (rows is not None)
        return numbers[kept], places[kept]

    def _scored(
        self,
        asked: Any,
        numbers: Any,
        places: Any,
        marks: NDArray[np.bool_],
        similarity: Similarity,
    ) -> Pieces:
        """These rows with their scores, -inf where a query does not look at the list that they are in."""
        torch = self._held.torch
        # What came after the index is in nobody's list, and looked at by all.
        looked = np.hstack([marks, np.ones((len(marks), 1), np.bool_)])
        away = torch.from_numpy(~looked).to(self._held.device)
        start = 0
        for scores, some in self._held.fetched(asked, numbers, similarity):
            end = start + len(some)
            if len(looked) > 1:
                scores.masked_fill_(away[:, places[start:end]], -torch.inf)
            yield scores, some
            start = end
