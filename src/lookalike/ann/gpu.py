"""Exact search on a GPU (or any other PyTorch device).

The vectors lie in the device's memory as they are stored. It multiplies in float32 and returns more
candidates than are asked for, which are compared again here in float64, from the stored vectors. The
result is therefore that of `top_k`, bit for bit, or none: where the device cannot be certain (many equal
scores at the last rank, lengths that leave float32's range), None is returned, and the CPU must search.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.ann.rerank import rerank, scaled
from lookalike.errors import UsageError
from lookalike.vectors.blocks import Floats, Rows
from lookalike.vectors.exact import SAFE_SQUARES
from lookalike.vectors.similarity import Similarity

# Size of one chunk of vectors in the device's memory. The last chunk is partly empty.
CHUNK_BYTES = 128 << 20

# Candidates beyond k: so many near-equal scores at the last rank can be told apart.
EXTRA_CANDIDATES = 64

# Queries that share one pass: their scores with a chunk must fit beside it.
QUERY_BLOCK = 256

# Cost of a vector that is gathered by its row number, relative to one that is read in order: it is read,
# written and read again, and rows of a filter or of lists are scattered.
GATHER_COST = 4

# Scores of some rows (q, n) float32, -inf for rows that must not be found, and the row numbers (n,) int64;
# on the device.
Scored: TypeAlias = Iterator[tuple[Any, Any]]


def torch_device(name: str) -> tuple[Any, Any]:
    """Return PyTorch and one of its devices ("cuda", "cuda:1", "mps", "cpu").

    `UsageError` if PyTorch is not installed or the device does not work.
    """
    try:
        import torch
    except ImportError:
        raise UsageError(
            "searching on a GPU needs PyTorch: pip install 'lookalike[gpu]', or leave the device out"
        ) from None
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(f"the device {name!r} cannot be used: {reason}") from None
    return torch, device


def rounding_step(torch: Any) -> float:
    """Return how coarsely PyTorch may round the factors of a float32 matrix product, as the program has
    configured it: to float32, TF32 or bfloat16."""
    coarsest = {"highest": 2.0**-23, "high": 2.0**-10, "medium": 2.0**-7}
    step = coarsest[torch.get_float32_matmul_precision()]
    return max(step, coarsest["high"]) if torch.backends.cuda.matmul.allow_tf32 else step


class GpuVectors:
    """The rows of a growing matrix in a device's memory. Not thread-safe.

    chunk_bytes  size of one chunk of vectors
    query_block  queries that share one pass
    """

    def __init__(
        self,
        torch: Any,
        device: Any,
        dim: int,
        dtype: np.dtype[Any],
        *,
        chunk_bytes: int = CHUNK_BYTES,
        query_block: int = QUERY_BLOCK,
    ) -> None:
        self.count = 0
        self.torch, self.device, self._dtype = torch, device, dtype
        self.query_block = query_block
        self._chunk_bytes = chunk_bytes
        self._height = max(1, chunk_bytes // (dim * dtype.itemsize))
        self._chunks: list[tuple[Any, Any]] = []
        self._dim = dim
        self._max_square = 0.0
        self._safe = True

    def append(self, matrix: Floats) -> None:
        """Copy the rows of the matrix that are not on the device yet. Raises what PyTorch raises when the
        device's memory is full."""
        torch = self.torch
        while self.count < len(matrix):
            offset = self.count % self._height
            if not offset:
                dtype = torch.float16 if self._dtype == np.float16 else torch.float32
                rows = torch.empty((self._height, self._dim), dtype=dtype, device=self.device)
                squares = torch.empty(self._height, dtype=torch.float32, device=self.device)
                self._chunks.append((rows, squares))
            rows, squares = self._chunks[-1]
            end = min(len(matrix), self.count + self._height - offset)
            some = np.array(matrix[self.count : end])  # PyTorch warns of read-only arrays
            filled = slice(offset, offset + len(some))
            rows[filled] = torch.from_numpy(some).to(self.device)
            squares[filled] = rows[filled].float().square().sum(1)
            self._check_lengths(squares[filled], rows[filled])
            self.count = end

    def _check_lengths(self, squares: Any, rows: Any) -> None:
        """Record whether float32 can be trusted with these lengths; zero rows are fine."""
        there = squares[(squares > 0) | rows.any(1)]
        if len(there):
            low, high = float(there.min()), float(there.max())
            self._safe &= SAFE_SQUARES[0] <= low and high <= SAFE_SQUARES[1]
            self._max_square = max(self._max_square, high)

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
        """Return what `top_k` does; None if the device is not certain.

        matrix   the stored vectors; may have fewer rows than are on the device
        queries  (q, dim) float32, finite, none zero
        rows     search only these, sorted; without it, all but `exclude`, sorted
        """
        if rows is not None and len(rows) * GATHER_COST <= len(matrix):
            numbers = self.torch.from_numpy(rows).to(self.device)

            def score(_: slice, block: Any) -> Scored:
                return self.gather_scores(block, numbers, similarity)
        else:

            def score(_: slice, block: Any) -> Scored:
                return self._scan_scores(block, len(matrix), similarity, rows, exclude)

        return self.best(matrix, queries, k, score, similarity=similarity, normalised=normalised)

    def best(
        self,
        matrix: Floats,
        queries: NDArray[np.float32],
        k: int,
        score: Callable[[slice, Any], Scored],
        *,
        similarity: Similarity,
        normalised: bool,
    ) -> tuple[Rows, NDArray[np.float32]] | None:
        """Return the k best of the rows that `score` scores; None if the device is not certain.

        score  called for a block of queries, with their slice and the queries on the device
        """
        squares = np.einsum("ij,ij->i", queries.astype(np.float64), queries)
        safe = (squares >= SAFE_SQUARES[0]) & (squares <= SAFE_SQUARES[1])
        if not self._safe or not bool(safe.all()):
            return None
        found = np.full((len(queries), k), -1, np.int64)
        similarities = np.full((len(queries), k), -np.inf, np.float32)
        for start in range(0, len(queries), self.query_block):
            part = slice(start, start + self.query_block)
            block = queries[part]
            if similarity == "cosine":
                block = (block / np.sqrt(squares[part])[:, None]).astype(np.float32)
            on_device = self.torch.from_numpy(np.array(block)).to(self.device)
            candidates, scores = _top_candidates(
                self.torch, score(part, on_device), len(block), k + EXTRA_CANDIDATES
            )
            found[part], similarities[part] = rerank(
                matrix,
                scaled(queries[part], similarity),
                candidates,
                k,
                similarity=similarity,
                normalised=normalised,
            )
            if not self._certain(similarities[part], scores, squares[part], similarity):
                return None
        return found, similarities

    def gather_scores(self, queries: Any, numbers: Any, similarity: Similarity) -> Scored:
        """Yield the scores of the rows with these sorted numbers."""
        step = max(1, self._chunk_bytes // (4 * max(self._dim, len(queries))))
        for some in numbers.split(step):
            yield self._scores(queries, *self._gather(some), similarity), some

    def _gather(self, numbers: Any) -> tuple[Any, Any]:
        """Return the rows with these sorted numbers, and their squared lengths."""
        torch = self.torch
        rows, squares = self._chunks[0]
        stored = torch.empty((len(numbers), self._dim), dtype=rows.dtype, device=self.device)
        lengths = torch.empty(len(numbers), dtype=torch.float32, device=self.device)
        limits = torch.arange(1, len(self._chunks) + 1, device=self.device) * self._height
        start = 0
        for chunk, end in enumerate(torch.searchsorted(numbers, limits).tolist()):
            if start < end:
                rows, squares = self._chunks[chunk]
                offsets = numbers[start:end] - chunk * self._height
                torch.index_select(rows, 0, offsets, out=stored[start:end])
                torch.index_select(squares, 0, offsets, out=lengths[start:end])
            start = end
        return stored, lengths

    def _scan_scores(
        self, queries: Any, count: int, similarity: Similarity, rows: Rows | None, exclude: Rows
    ) -> Scored:
        """Yield the scores of all of the first `count` rows."""
        torch = self.torch
        for first in range(0, count, self._height):
            stored, squares = self._chunks[first // self._height]
            height = min(self._height, count - first)
            chosen = None
            if rows is not None:
                chosen = rows[slice(*np.searchsorted(rows, (first, first + height)))] - first
                if not len(chosen):
                    continue
            scores = self._scores(queries, stored[:height], squares[:height], similarity)
            if chosen is not None:
                hidden = torch.ones(height, dtype=torch.bool, device=self.device)
                hidden[torch.from_numpy(chosen).to(self.device)] = False
                scores.masked_fill_(hidden, -torch.inf)
            else:
                gone = exclude[slice(*np.searchsorted(exclude, (first, first + height)))] - first
                scores[:, torch.from_numpy(gone).to(self.device)] = -torch.inf
            yield scores, torch.arange(first, first + height, device=self.device)

    def _scores(self, queries: Any, stored: Any, squares: Any, similarity: Similarity) -> Any:
        """Return (q, n) the cosine, or q·m - |m|²/2."""
        scores = queries @ stored.float().T
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
        """Return whether no row outside the candidates can belong to the k best."""
        last = similarities[:, -1].astype(np.float64)
        # A sum of n products, in whatever order, is off by less than n rounding steps (Higham, Accuracy
        # and Stability, 2002, 3.1).
        slack = (self._dim + 16) * rounding_step(self.torch)
        if similarity == "cosine":
            worst, error = last, np.full(len(last), slack)
        else:
            worst = (squares - last * last) / 2
            error = slack * (squares + self._max_square) + 1e-6 * last * last
        # Other rows scored at most as much as the last candidate; if that is -inf, there are none.
        lowest = scores.min(axis=1, initial=np.inf).astype(np.float64)
        complete = np.isneginf(lowest)
        return bool((complete | (np.where(complete, 0.0, lowest) + error < worst)).all())


def _top_candidates(
    torch: Any, scored: Scored, queries: int, width: int
) -> tuple[Rows, NDArray[np.float32]]:
    """Return the best rows (q, width) by their scores, -1 where there are fewer, and the scores. If no row
    was left out, the last score is -inf."""
    best: list[Any] = []
    rows: list[Any] = []
    for scores, numbers in scored:
        top = scores.topk(min(width, scores.shape[1]), dim=1)
        best.append(top.values)
        rows.append(numbers[top.indices])
    nothing = np.full((queries, 1), -1, np.int64), np.full((queries, 1), -np.inf, np.float32)
    if not best:
        return nothing
    merged_scores, merged_rows = torch.cat(best, 1), torch.cat(rows, 1)
    top = merged_scores.topk(min(width, merged_scores.shape[1]), dim=1)
    found_scores = top.values.cpu().numpy()
    found = merged_rows.gather(1, top.indices).cpu().numpy()
    found = np.where(np.isneginf(found_scores), -1, found)
    if merged_scores.shape[1] > width:
        return found, found_scores
    return np.hstack([found, nothing[0]]), np.hstack([found_scores, nothing[1]])
