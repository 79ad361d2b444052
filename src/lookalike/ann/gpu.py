"""Exact search on a graphics card (or whatever else PyTorch calls a device).

The rows lie in the card's memory as they are stored. It multiplies in float32 and proposes more than are
asked for; those are compared again here in float64, from the stored numbers. The answer is therefore that of
`top_k`, number for number, or none at all: where the card cannot be sure (a crowd of equals at the last
place, lengths that leave float32's range) it says so, and the processor is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.ann.rerank import refine
from lookalike.errors import UsageError
from lookalike.vectors.blocks import Floats, Rows
from lookalike.vectors.exact import SAFE_SQUARES
from lookalike.vectors.similarity import Similarity

PART_BYTES = 128 << 20
"""Of rows in one piece of the card's memory. The last piece is partly empty."""

SPARE = 64
"""Rows proposed beyond those asked for: so many near equals at the last place may be told apart."""

QUERIES = 256
"""That share one pass: their scores with a piece of rows must fit beside it."""

APART = 4
"""A row that is fetched by its number is taken to cost as much as so many that are passed in order: it is
read, written and read again, and rows of a filter or of lists lie apart."""

Pieces: TypeAlias = Iterator[tuple[Any, Any]]
"""Scores of some rows (q, n) float32, -inf for what may not be found, and the rows' numbers (n,) int64; on
the device."""


def torch_device(name: str) -> tuple[Any, Any]:
    """PyTorch and one of its devices ("cuda", "cuda:1", "mps", "cpu"); `UsageError` where it is not there."""
    try:
        import torch
    except ImportError:
        raise UsageError(
            "searching on a graphics card needs PyTorch: pip install 'lookalike[gpu]', or leave the "
            "device out"
        ) from None
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(f"the device {name!r} cannot be used: {reason}") from None
    return torch, device


def rounding_step(torch: Any) -> float:
    """How coarsely PyTorch may round the factors of a matrix product of float32, as the program has
    allowed it: to float32, TF32 or bfloat16."""
    coarsest = {"highest": 2.0**-23, "high": 2.0**-10, "medium": 2.0**-7}
    step = coarsest[torch.get_float32_matmul_precision()]
    return max(step, coarsest["high"]) if torch.backends.cuda.matmul.allow_tf32 else step


class DeviceRows:
    """The rows of a matrix that only ever grows, in a device's memory. Not for two threads at once."""

    def __init__(self, torch: Any, device: Any, dim: int, dtype: np.dtype[Any]) -> None:
        self.count = 0
        self.torch, self.device, self._dtype = torch, device, dtype
        self._height = max(1, PART_BYTES // (dim * dtype.itemsize))
        self._parts: list[tuple[Any, Any]] = []
        self._dim = dim
        self._longest = 0.0
        self._sure = True

    def grow(self, matrix: Floats) -> None:
        """Take the rows that came after those that are there. Raises what the device raises when its
        memory is full."""
        torch = self.torch
        while self.count < len(matrix):
            place = self.count % self._height
            if not place:
                half = self._dtype == np.float16
                number = torch.float16 if half else torch.float32
                rows = torch.empty((self._height, self._dim), dtype=number, device=self.device)
                squares = torch.empty(self._height, dtype=torch.float32, device=self.device)
                self._parts.append((rows, squares))
            rows, squares = self._parts[-1]
            end = min(len(matrix), self.count + self._height - place)
            some = np.array(matrix[self.count : end])  # PyTorch warns of what cannot be written
            filled = slice(place, place + len(some))
            rows[filled] = torch.from_numpy(some).to(self.device)
            squares[filled] = rows[filled].float().square().sum(1)
            self._measure(squares[filled], rows[filled])
            self.count = end

    def _measure(self, squares: Any, rows: Any) -> None:
        """Whether float32 can be trusted with these lengths (zero rows are no trouble)."""
        there = squares[(squares > 0) | rows.any(1)]
        if len(there):
            low, high = float(there.min()), float(there.max())
            self._sure &= SAFE_SQUARES[0] <= low and high <= SAFE_SQUARES[1]
            self._longest = max(self._longest, high)

    def nearest(
        self,
        matrix: Floats,
        queries: NDArray[np.float32],
        k: int,
        *,
        similarity: Similarity,
        rows: Rows | None,
        exclude: Rows,
        normalised: bool,
    ) -> tuple[Rows, NDArray[np.float32]] | None:
        """As `top_k` of the matrix, which may end before the rows that are here; None where the card is
        not sure.

        queries  (q, dim) float32, finite, none zero
        rows     only these, sorted; exclude: all but these, sorted
        """
        if rows is not None and len(rows) * APART <= len(matrix):
            some = self.torch.from_numpy(rows).to(self.device)

            def pieces(_: slice, asked: Any) -> Pieces:
                return self.fetched(asked, some, similarity)
        else:

            def pieces(_: slice, asked: Any) -> Pieces:
                return self._passed(asked, len(matrix), similarity, rows, exclude)

        return self.best(matrix, queries, k, pieces, similarity=similarity, normalised=normalised)

    def best(
        self,
        matrix: Floats,
        queries: NDArray[np.float32],
        k: int,
        pieces: Callable[[slice, Any], Pieces],
        *,
        similarity: Similarity,
        normalised: bool,
    ) -> tuple[Rows, NDArray[np.float32]] | None:
        """The k best of the rows that `pieces` scores for some of the queries at a time, given which
        these are, and they themselves on the device. None where the card is not sure."""
        squares = np.einsum("ij,ij->i", queries.astype(np.float64), queries)
        safe = (squares >= SAFE_SQUARES[0]) & (squares <= SAFE_SQUARES[1])
        if not self._sure or not bool(safe.all()):
            return None
        found = np.full((len(queries), k), -1, np.int64)
        similarities = np.full((len(queries), k), -np.inf, np.float32)
        for start in range(0, len(queries), QUERIES):
            part = slice(start, start + QUERIES)
            asked = queries[part]
            if similarity == "cosine":
                asked = (asked / np.sqrt(squares[part])[:, None]).astype(np.float32)
            ready = self.torch.from_numpy(np.array(asked)).to(self.device)
            offered, scores = _proposed(self.torch, pieces(part, ready), len(asked), k + SPARE)
            found[part], similarities[part] = refine(
                matrix, queries[part], offered, k, similarity=similarity, normalised=normalised
            )
            if not self._certain(similarities[part], scores, squares[part], similarity):
                return None
        return found, similarities

    def fetched(self, asked: Any, numbers: Any, similarity: Similarity) -> Pieces:
        """The rows of these numbers, which rise, and their scores for the queries."""
        step = max(1, PART_BYTES // (4 * max(self._dim, len(asked))))
        for some in numbers.split(step):
            yield self._scores(asked, *self._rows(some), similarity), some

    def _rows(self, numbers: Any) -> tuple[Any, Any]:
        """The stored rows of these numbers, which rise, and their squared lengths."""
        torch = self.torch
        rows, squares = self._parts[0]
        stored = torch.empty((len(numbers), self._dim), dtype=rows.dtype, device=self.device)
        lengths = torch.empty(len(numbers), dtype=torch.float32, device=self.device)
        limits = torch.arange(1, len(self._parts) + 1, device=self.device) * self._height
        start = 0
        for part, end in enumerate(torch.searchsorted(numbers, limits).tolist()):
            if start < end:
                rows, squares = self._parts[part]
                places = numbers[start:end] - part * self._height
                torch.index_select(rows, 0, places, out=stored[start:end])
                torch.index_select(squares, 0, places, out=lengths[start:end])
            start = end
        return stored, lengths

    def _passed(
        self, asked: Any, count: int, similarity: Similarity, rows: Rows | None, exclude: Rows
    ) -> Pieces:
        """All of the first `count` rows, and their scores for the queries."""
        torch = self.torch
        for first in range(0, count, self._height):
            stored, squares = self._parts[first // self._height]
            height = min(self._height, count - first)
            chosen = None
            if rows is not None:
                chosen = rows[slice(*np.searchsorted(rows, (first, first + height)))] - first
                if not len(chosen):
                    continue
            scores = self._scores(asked, stored[:height], squares[:height], similarity)
            if chosen is not None:
                out = torch.ones(height, dtype=torch.bool, device=self.device)
                out[torch.from_numpy(chosen).to(self.device)] = False
                scores.masked_fill_(out, -torch.inf)
            else:
                gone = exclude[slice(*np.searchsorted(exclude, (first, first + height)))] - first
                scores[:, torch.from_numpy(gone).to(self.device)] = -torch.inf
            yield scores, torch.arange(first, first + height, device=self.device)

    def _scores(self, asked: Any, stored: Any, squares: Any, similarity: Similarity) -> Any:
        """(q, n) the cosine, or q·m - |m|²/2."""
        scores = asked @ stored.float().T
        if similarity == "cosine":
            scores *= self.torch.where(squares > 0, squares, 1.0).rsqrt()
        else:
            scores -= squares / 2
        return scores

    def _certain(
        self,
        similarities: NDArray[np.float32],
        scores: NDArray[np.float32],
        squares: NDArray[np.float64],
        similarity: Similarity,
    ) -> bool:
        """Whether nothing that was not proposed can belong to the k best."""
        last = similarities[:, -1].astype(np.float64)
        # A sum of n products, in whatever order, is off by less than n rounding steps (Higham, Accuracy
        # and Stability, 2002, 3.1).
        slack = (self._dim + 16) * rounding_step(self.torch)
        if similarity == "cosine":
            worst, off = last, np.full(len(last), slack)
        else:
            worst = (squares - last * last) / 2
            off = slack * (squares + self._longest) + 1e-6 * last * last
        # What is missing scored at most the last proposal; where that is -inf, nothing is missing.
        lowest = scores.min(axis=1, initial=np.inf).astype(np.float64)
        whole = np.isneginf(lowest)
        return bool((whole | (np.where(whole, 0.0, lowest) + off < worst)).all())


def _proposed(
    torch: Any, pieces: Pieces, queries: int, width: int
) -> tuple[Rows, NDArray[np.float32]]:
    """The best rows (q, width) by their scores, -1 where there are fewer, and these. If nothing was left
    out, the last score is -inf."""
    best: list[Any] = []
    places: list[Any] = []
    for scores, numbers in pieces:
        top = scores.topk(min(width, scores.shape[1]), dim=1)
        best.append(top.values)
        places.append(numbers[top.indices])
    nothing = np.full((queries, 1), -1, np.int64), np.full((queries, 1), -np.inf, np.float32)
    if not best:
        return nothing
    merged, offered = torch.cat(best, 1), torch.cat(places, 1)
    top = merged.topk(min(width, merged.shape[1]), dim=1)
    found = top.values.cpu().numpy()
    rows = offered.gather(1, top.indices).cpu().numpy()
    rows = np.where(np.isneginf(found), -1, rows)
    if merged.shape[1] > width:
        return rows, found
    return np.hstack([rows, nothing[0]]), np.hstack([found, nothing[1]])
