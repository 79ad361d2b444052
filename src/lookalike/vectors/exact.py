"""Exact top-k for many queries in one pass over the blocks of a matrix.

One matrix product per block gives approximate scores for all queries. Every pair that could still be
among the k best, given the error bound of float32, is then compared in float64. The result therefore
depends neither on the block size, nor on the other queries of the batch, nor on the machine's BLAS,
and equal similarities always come in the order of the rows.

Used through `lookalike.vectors.similarity.top_k`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lookalike.vectors.blocks import Block, Floats, Positions, Rows

# Pairs that may wait for the exact comparison, and the largest queries · k for which they wait. Waiting
# spares most pairs the comparison, because the threshold rises with later rows.
MAX_PENDING = 1 << 18

# Size of the float64 rows that are compared exactly at a time: they are read three times and should
# stay in the cache.
PAIRS_BYTES = 512 << 10

# Cosines below this are 0: float64's rounding of a few thousand products decides their sign, and
# orthogonal vectors would not tie.
NOISE = 1e-12

# Divides in place of a length of 0; float32 has none so small.
TINY = 1e-300

# Squared lengths for which float32 can be trusted. Rows outside are always compared exactly.
SAFE_SQUARES = (1e-28, 1e28)


class ExactTopK:
    """Collects the k best rows for each query (q, dim) while blocks go by.

    A score is what the product gives almost for free, in the order of the similarity: the cosine;
    or q·m - |m|²/2 = (|q|² - |q - m|²)/2 for the Euclidean distance.

    Call `update` for each block, then `finalize`; `rows` (q, k) int64 and `similarities` (q, k) float32
    are the result, -1 and -inf where there are fewer rows.
    """

    def __init__(
        self,
        matrix: Floats,
        queries: NDArray[np.float32],
        k: int,
        *,
        cosine: bool,
        normalised: bool,
        max_pending: int = MAX_PENDING,
    ) -> None:
        self.matrix, self.k, self.cosine, self.normalised = matrix, k, cosine, normalised
        self.wide = queries.astype(np.float64)
        self.squares = dots(self.wide, self.wide)
        if cosine:
            self.wide /= np.sqrt(self.squares)[:, None]
        self.queries = self.wide.astype(np.float32)
        self.rows = np.full((len(queries), k), -1, np.int64)
        self.similarities = np.full((len(queries), k), -np.inf, np.float32)
        # A sum of n products in float32, kept in at least eight lanes, is off by less than
        # n/8 rounding steps (Higham, Accuracy and Stability, 2002, 3.1); the rest is for casts.
        self.error = (queries.shape[1] / 8 + 16) * 2.0**-23
        self._scores_buffer, self._mask_buffer = np.empty(0, np.float32), np.empty(0, np.bool_)
        self._max_pending = max_pending
        self._deferred = len(queries) * k <= max_pending
        # Lower bounds of the k best scores of each query, over all blocks so far.
        self._low = np.full((len(queries), k if self._deferred else 0), -np.inf, np.float32)
        self._pending: list[tuple[Positions, Rows, NDArray[np.float32]]] = []
        too_long = self.squares > (np.inf if cosine else SAFE_SQUARES[1])
        self._unsafe_queries = np.flatnonzero(too_long)

    def update(self, block: Block) -> None:
        """Add the pairs of this block that may be among the k best."""
        with np.errstate(over="ignore", invalid="ignore"):  # such rows are compared exactly
            query, position, scores = self._candidates(block)
        self._pending.append((query, block.row_numbers(position), scores))
        pending = sum(len(query) for query, _, _ in self._pending)
        if not self._deferred or pending > self._max_pending:
            self.finalize()

    def finalize(self) -> None:
        """Compare all pending pairs exactly, so that `rows` and `similarities` cover all blocks so far."""
        if not self._pending:
            return
        query, row, score = map(np.concatenate, zip(*self._pending, strict=True))
        self._pending = []
        if self._deferred:
            possible = score >= self._low_threshold()[query]
            query, row = query[possible], row[possible]
        exact = np.empty(len(query), np.float32)
        step = max(1, PAIRS_BYTES // 8 // self.wide.shape[1])
        for start in range(0, len(query), step):
            some = slice(start, start + step)
            rows = self.matrix[row[some]].astype(np.float64)
            exact[some] = exact_similarities(self.wide[query[some]], rows, cosine=self.cosine)
        self._merge(query, row, exact)

    def _scores(
        self, block: Block
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | float, Positions]:
        """Return scores (q, rows) not below the true ones; by how much they may be above them (both
        up to the query's `_slack`); and positions for which float32 says nothing."""
        size = len(self.queries) * len(block.stored)
        if len(self._scores_buffer) < size:
            self._scores_buffer = np.empty(size, np.float32)
        scores = self._scores_buffer[:size].reshape(len(self.queries), -1)
        if self.cosine and self.normalised:
            block.products(self.queries, out=scores)
            scores[:, block.excluded] = -np.inf
            return scores, 0.0, np.empty(0, np.intp)
        floats = block.floats()
        np.matmul(self.queries, floats.T, out=scores)
        scores[:, block.excluded] = -np.inf
        squares = np.einsum("ij,ij->i", floats, floats)
        unsafe = np.flatnonzero(~((squares >= SAFE_SQUARES[0]) & (squares <= SAFE_SQUARES[1])))
        unsafe = unsafe[block.stored[unsafe].any(axis=1)]
        margin: NDArray[np.float32] | float = 0.0
        if self.cosine:
            scores *= 1.0 / np.sqrt(np.where(squares > 0.0, squares, np.float32(1.0)))
        else:
            margin = np.float32(4.0 * self.error) * squares
            scores -= (np.float32(0.5 - 2.0 * self.error)) * squares
        return scores, margin, np.setdiff1d(unsafe, block.excluded)

    def _slack(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the score of each query's k-th best (-inf while there are fewer), and the error bound
        of any score of the query."""
        last = self.similarities[:, -1].astype(np.float64)
        if not self.cosine:
            return (self.squares - last * last) / 2, (
                2.0 * self.error * self.squares
                + np.where(np.isfinite(last), 1e-6 * last * last, 0.0)
            )
        # Unit vectors that were rounded when they were stored are a little longer or shorter.
        rounding = 5e-4 if self.matrix.dtype == np.float16 else 1e-6
        slack = self.error + (rounding if self.normalised else 0.0)
        return last, np.full(len(last), slack)

    def _candidates(self, block: Block) -> tuple[Positions, Positions, NDArray[np.float32]]:
        """Return all pairs (query, position) that may be among the k best, sorted by query and position,
        and their scores; infinity where float32 says nothing."""
        scores, margin, unsafe = self._scores(block)
        threshold, slack = self._threshold(), self._slack()[1]

        def raise_threshold(some: Positions) -> None:
            """Raise it to the k-th best score of this block, less the possible error."""
            some = np.setdiff1d(some, self._unsafe_queries)
            low = scores[some]
            if not isinstance(margin, float):
                low -= margin
            low[:, unsafe] = -np.inf
            if len(some) and (kth := low.shape[1] - self.k) > 0:
                low.partition(kth, axis=1)
                threshold[some] = np.maximum(threshold[some], low[:, kth] - 2 * slack[some])

        raise_threshold(np.flatnonzero(np.isneginf(threshold)))
        query, position = self._above(scores, threshold, unsafe)
        many = np.flatnonzero(np.bincount(query) > 4 * self.k + 64)
        if len(many):
            raise_threshold(many)
            query, position = self._above(scores, threshold, unsafe)
        if len(block.excluded):
            allowed = ~np.isin(position, block.excluded)
            query, position = query[allowed], position[allowed]
        found = scores[query, position]
        low = found - (margin if isinstance(margin, float) else margin[position])
        unsure = np.isin(position, unsafe) | np.isin(query, self._unsafe_queries)
        found[unsure], low[unsure] = np.inf, -np.inf
        if self._deferred:
            self._record_low(query, low)
            kept = found >= self._low_threshold()[query]
            query, position, found = query[kept], position[kept], found[kept]
        if len(many) and (np.bincount(query) > 16 * self.k + 1024).any():
            kept = self._without_copies(block.stored, np.unique(position))[position]
            query, position, found = query[kept], position[kept], found[kept]
        return query, position, found

    def _threshold(self) -> NDArray[np.float32]:
        """Return the score (q,) that a row needs to be among the k best so far, -inf if fewer."""
        worst, slack = self._slack()
        threshold: NDArray[np.float32] = (worst - slack).astype(np.float32)
        return np.maximum(threshold, self._low_threshold()) if self._deferred else threshold

    def _record_low(self, query: Positions, low: NDArray[np.float32]) -> None:
        """Merge lower bounds of scores into the k best of each query; `query` is sorted.

        Of very many some are enough: the k-th best of a part is not above the k-th best of all.
        """
        counts = np.bincount(query, minlength=len(self.queries))
        column = np.arange(len(query)) - (np.cumsum(counts) - counts)[query]
        width = int(min(counts.max(), 4 * self.k + 1024))
        some = column < width
        table = np.full((len(counts), self.k + width), -np.inf, np.float32)
        table[:, : self.k] = self._low
        table[query[some], self.k + column[some]] = low[some]
        table.partition(width, axis=1)
        self._low = table[:, width:]

    def _low_threshold(self) -> NDArray[np.float32]:
        """Return the score that the k best rows of each query certainly reach."""
        threshold: NDArray[np.float32] = (self._low[:, 0] - 2 * self._slack()[1]).astype(np.float32)
        return threshold

    def _above(
        self, scores: NDArray[np.float32], threshold: NDArray[np.float32], unsafe: Positions
    ) -> tuple[Positions, Positions]:
        """Return the pairs whose score reaches the threshold, and all that float32 cannot judge."""
        if len(self._mask_buffer) < scores.size:
            self._mask_buffer = np.empty(scores.size, np.bool_)
        possible = self._mask_buffer[: scores.size].reshape(scores.shape)
        np.greater_equal(scores, threshold[:, None], out=possible)
        possible[:, unsafe] = True
        possible[self._unsafe_queries] = True
        return np.divmod(np.flatnonzero(possible.ravel()), scores.shape[1])

    def _without_copies(self, stored: Floats, positions: Positions) -> NDArray[np.bool_]:
        """Return False for rows that are identical to k earlier ones of these positions.

        They are as similar and come later, so they are never found. Without this, thousands of copies
        of one image would all be compared exactly.
        """
        keep = np.ones(len(stored), np.bool_)
        bits = np.ascontiguousarray(stored[positions]).view(np.uint16)
        random = np.random.default_rng(0).integers(1, 1 << 63, bits.shape[1], dtype=np.uint64)
        hashes = np.array([(row * random).sum(dtype=np.uint64) for row in bits])
        _, first, group = np.unique(hashes, return_index=True, return_inverse=True)
        order = np.argsort(group, kind="stable")
        rank = np.arange(len(order)) - np.searchsorted(group[order], group[order], side="left")
        late = order[rank >= self.k]
        keep[positions[late]] = (bits[late] != bits[first[group[late]]]).any(axis=1)
        return keep

    def _merge(self, query: Positions, row: Rows, similarity: NDArray[np.float32]) -> None:
        """Merge new pairs into the result.

        Each row comes only once for a query, and rows rise from call to call, so that an equal row
        that comes later never replaces an earlier one.
        """
        new = similarity > self.similarities[query, -1]
        touched = np.unique(query[new])
        if not len(touched):
            return
        held = self.rows[touched] >= 0
        queries = np.concatenate([np.repeat(touched, held.sum(axis=1)), query[new]])
        rows = np.concatenate([self.rows[touched][held], row[new]])
        similarities = np.concatenate([self.similarities[touched][held], similarity[new]])
        order = np.lexsort((rows, -similarities, queries))
        queries = queries[order]
        rank = np.arange(len(order)) - np.searchsorted(queries, queries, side="left")
        kept = rank < self.k
        self.rows[queries[kept], rank[kept]] = rows[order][kept]
        self.similarities[queries[kept], rank[kept]] = similarities[order][kept]


def exact_similarities(
    queries: NDArray[np.float64], rows: NDArray[np.float64], *, cosine: bool
) -> NDArray[np.float32]:
    """Return the similarity (n,) float32 of each query (n, dim) with the row (n, dim) beside it.

    A single query (1, dim) is compared with every row. A pair's similarity does not depend on the
    other pairs. For the cosine, queries must have length 1.
    """
    if not cosine:
        differences = queries - rows
        return (-np.sqrt(dots(differences, differences))).astype(np.float32)
    cosines = dots(queries, rows)
    cosines /= np.maximum(np.sqrt(dots(rows, rows)), TINY)
    cosines[np.abs(cosines) < NOISE] = 0.0
    np.maximum(cosines, -1.0, out=cosines)
    np.minimum(cosines, 1.0, out=cosines)
    return cosines.astype(np.float32)


def dots(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the dot product of each pair of rows."""
    products: NDArray[np.float64] = np.vecdot(one, other)
    return products
