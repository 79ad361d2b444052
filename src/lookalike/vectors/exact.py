"""The machinery of exact search: one pass over the blocks of a matrix, for many queries.

One matrix product a block gives approximate scores for all queries at once; whatever could still
be among the k best, given how far float32 may be off, is computed again in float64, pair by pair.
So an answer does not depend on the block, on the other queries of the batch, or on the machine's
BLAS, and equal similarities always come in the order of the rows.

`lookalike.vectors.similarity.top_k` is the door.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lookalike.vectors.blocks import Block, Floats, Places, Rows

PENDING = 1 << 18
"""Pairs that may wait to be compared exactly, and queries times k up to which they do: waiting spares most
pairs the comparison, because later rows are better."""

PAIRS_BYTES = 512 << 10
"""Of the float64 rows that are compared exactly at a time: they are read three times, so they had better
stay in the cache."""

NOISE = 1e-12
"""Of a cosine: below it, float64's rounding of a few thousand products decides the sign, and vectors at
right angles would not be the ties that they are."""

SAFE_SQUARES = (1e-28, 1e28)
"""Squared lengths that float32 can be trusted with. Rows outside are always compared exactly."""


class Pass:
    """The k best rows for each query (q, dim), found while blocks go by.

    A score is what the product gives almost for free, in the order of the similarity: the cosine;
    or q·m - |m|²/2 = (|q|² - |q - m|²)/2 for the Euclidean distance.
    """

    def __init__(
        self,
        matrix: Floats,
        queries: NDArray[np.float32],
        k: int,
        *,
        cosine: bool,
        normalised: bool,
    ) -> None:
        self.matrix, self.k, self.cosine, self.normalised = matrix, k, cosine, normalised
        self.wide = queries.astype(np.float64)
        self.squares = _squares(self.wide)
        if cosine:
            self.wide /= np.sqrt(self.squares)[:, None]
        self.queries = self.wide.astype(np.float32)
        self.rows = np.full((len(queries), k), -1, np.int64)
        self.similarities = np.full((len(queries), k), -np.inf, np.float32)
        # A sum of n products in float32, kept in at least eight lanes, is off by less than
        # n/8 rounding steps (Higham, Accuracy and Stability, 2002, 3.1); the rest is for casts.
        self.error = (queries.shape[1] / 8 + 16) * 2.0**-23
        self._room, self._marks = np.empty(0, np.float32), np.empty(0, np.bool_)
        self._waits = len(queries) * k <= PENDING
        self._low = np.full((len(queries), k if self._waits else 0), -np.inf, np.float32)
        self._pending: list[tuple[Places, Rows, NDArray[np.float32]]] = []
        too_long = self.squares > (np.inf if cosine else SAFE_SQUARES[1])
        self._wild = np.flatnonzero(too_long)

    def see(self, block: Block) -> None:
        """Take whatever may belong to the best of these rows."""
        with np.errstate(over="ignore", invalid="ignore"):  # such rows are compared exactly
            query, place, scores = self._candidates(block)
        self._pending.append((query, block.numbers(place), scores))
        if not self._waits or sum(len(query) for query, _, _ in self._pending) > PENDING:
            self.settle()

    def settle(self) -> None:
        """Compare exactly what waits for it; `rows` and `similarities` then are those of all blocks."""
        if not self._pending:
            return
        query, row, score = map(np.concatenate, zip(*self._pending, strict=True))
        self._pending = []
        if self._waits:
            hopeful = score >= self._learnt()[query]
            query, row = query[hopeful], row[hopeful]
        exact = np.empty(len(query), np.float32)
        step = max(1, PAIRS_BYTES // 8 // self.wide.shape[1])
        for start in range(0, len(query), step):
            some = slice(start, start + step)
            exact[some] = self._compare(query[some], self.matrix[row[some]].astype(np.float64))
        self._add(query, row, exact)

    def _scores(
        self, block: Block
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | float, Places]:
        """Scores (q, rows) not below the true ones, by how much they may be above them, both but for
        what `_slack` allows each query; and places that float32 cannot say anything about."""
        size = len(self.queries) * len(block.stored)
        if len(self._room) < size:
            self._room = np.empty(size, np.float32)
        scores = self._room[:size].reshape(len(self.queries), -1)
        if self.cosine and self.normalised:
            block.products(self.queries, out=scores)
            scores[:, block.out] = -np.inf
            return scores, 0.0, np.empty(0, np.intp)
        floats = block.floats()
        np.matmul(self.queries, floats.T, out=scores)
        scores[:, block.out] = -np.inf
        squares = np.einsum("ij,ij->i", floats, floats)
        odd = np.flatnonzero(~((squares >= SAFE_SQUARES[0]) & (squares <= SAFE_SQUARES[1])))
        odd = odd[block.stored[odd].any(axis=1)]
        spread: NDArray[np.float32] | float = 0.0
        if self.cosine:
            scores *= 1.0 / np.sqrt(np.where(squares > 0.0, squares, np.float32(1.0)))
        else:
            spread = np.float32(4.0 * self.error) * squares
            scores -= (np.float32(0.5 - 2.0 * self.error)) * squares
        return scores, spread, np.setdiff1d(odd, block.out)

    def _slack(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The score of each query's k-th best, -inf while there are fewer; and how far any score of
        the query may be off."""
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

    def _candidates(self, block: Block) -> tuple[Places, Places, NDArray[np.float32]]:
        """All pairs (query, place) that may be among the k best, by query and place, and their scores;
        infinity where float32 cannot say."""
        scores, spread, odd = self._scores(block)
        bar, slack = self._bar(), self._slack()[1]

        def raise_bar(some: Places) -> None:
            """Where the block itself has k better rows, at least these."""
            some = np.setdiff1d(some, self._wild)
            low = scores[some]
            if not isinstance(spread, float):
                low -= spread
            low[:, odd] = -np.inf
            if len(some) and (place := low.shape[1] - self.k) > 0:
                low.partition(place, axis=1)
                bar[some] = np.maximum(bar[some], low[:, place] - 2 * slack[some])

        raise_bar(np.flatnonzero(np.isneginf(bar)))
        query, place = self._above(scores, bar, odd)
        many = np.flatnonzero(np.bincount(query) > 4 * self.k + 64)
        if len(many):
            raise_bar(many)
            query, place = self._above(scores, bar, odd)
        if len(block.out):
            allowed = ~np.isin(place, block.out)
            query, place = query[allowed], place[allowed]
        found = scores[query, place]
        low = found - (spread if isinstance(spread, float) else spread[place])
        unsure = np.isin(place, odd) | np.isin(query, self._wild)
        found[unsure], low[unsure] = np.inf, -np.inf
        if self._waits:
            self._learn(query, low)
            kept = found >= self._learnt()[query]
            query, place, found = query[kept], place[kept], found[kept]
        if len(many) and (np.bincount(query) > 16 * self.k + 1024).any():
            kept = self._distinct(block.stored, np.unique(place))[place]
            query, place, found = query[kept], place[kept], found[kept]
        return query, place, found

    def _bar(self) -> NDArray[np.float32]:
        """The score (q,) that a row needs to be among the k best so far; -inf while there are fewer."""
        worst, slack = self._slack()
        bar: NDArray[np.float32] = (worst - slack).astype(np.float32)
        return np.maximum(bar, self._learnt()) if self._waits else bar

    def _learn(self, query: Places, low: NDArray[np.float32]) -> None:
        """Remember the k best of these scores, which are not above the true ones. The queries rise. Of
        a crowd some are enough: the k-th best of a few is not above the k-th best of all."""
        counts = np.bincount(query, minlength=len(self.queries))
        place = np.arange(len(query)) - (np.cumsum(counts) - counts)[query]
        width = int(min(counts.max(), 4 * self.k + 1024))
        some = place < width
        table = np.full((len(counts), self.k + width), -np.inf, np.float32)
        table[:, : self.k] = self._low
        table[query[some], self.k + place[some]] = low[some]
        table.partition(width, axis=1)
        self._low = table[:, width:]

    def _learnt(self) -> NDArray[np.float32]:
        """The score that each query's k best surely reach, as far as blocks went by."""
        learnt: NDArray[np.float32] = (self._low[:, 0] - 2 * self._slack()[1]).astype(np.float32)
        return learnt

    def _above(
        self, scores: NDArray[np.float32], bar: NDArray[np.float32], odd: Places
    ) -> tuple[Places, Places]:
        if len(self._marks) < scores.size:
            self._marks = np.empty(scores.size, np.bool_)
        hopeful = self._marks[: scores.size].reshape(scores.shape)
        np.greater_equal(scores, bar[:, None], out=hopeful)
        hopeful[:, odd] = True
        hopeful[self._wild] = True
        return np.divmod(np.flatnonzero(hopeful.ravel()), scores.shape[1])

    def _distinct(self, stored: Floats, places: Places) -> NDArray[np.bool_]:
        """False for rows that repeat k earlier ones of these places number for number: they are as
        similar and come later, so they are never found. Spares a crowd of copies the comparison."""
        keep = np.ones(len(stored), np.bool_)
        bits = np.ascontiguousarray(stored[places]).view(np.uint16)
        random = np.random.default_rng(0).integers(1, 1 << 63, bits.shape[1], dtype=np.uint64)
        sums = np.array([(row * random).sum(dtype=np.uint64) for row in bits])
        _, first, group = np.unique(sums, return_index=True, return_inverse=True)
        order = np.argsort(group, kind="stable")
        rank = np.arange(len(order)) - np.searchsorted(group[order], group[order], side="left")
        late = order[rank >= self.k]
        keep[places[late]] = (bits[late] != bits[first[group[late]]]).any(axis=1)
        return keep

    def _compare(self, query: Places, rows: NDArray[np.float64]) -> NDArray[np.float32]:
        return compare(self.wide[query], rows, cosine=self.cosine)

    def _add(self, query: Places, row: Rows, similarity: NDArray[np.float32]) -> None:
        """Merge new pairs; a row is offered to a query only once. Rows rise from call to call, so
        an equal one that comes later never replaces."""
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
        place = np.arange(len(order)) - np.searchsorted(queries, queries, side="left")
        kept = place < self.k
        self.rows[queries[kept], place[kept]] = rows[order][kept]
        self.similarities[queries[kept], place[kept]] = similarities[order][kept]


def compare(
    queries: NDArray[np.float64], rows: NDArray[np.float64], *, cosine: bool
) -> NDArray[np.float32]:
    """The similarity of each pair of a query and a row (n, dim), or of one query (1, dim) with every
    row; the same whatever else is compared. Under cosine the queries have length 1."""
    if not cosine:
        return (-np.sqrt(_squares(queries - rows))).astype(np.float32)
    lengths = np.sqrt(_squares(rows))
    products = _dots(queries, rows) / np.where(lengths == 0.0, 1.0, lengths)
    products[np.abs(products) < NOISE] = 0.0
    cosines: NDArray[np.float64] = np.clip(products, -1.0, 1.0)
    return cosines.astype(np.float32)


def _squares(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return _dots(vectors, vectors)


def _dots(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """The product of each row with the row beside it; without an array of all the products, whose memory
    would cost more than the sums."""
    products: NDArray[np.float64] = np.einsum("ij,ij->i", one, other)
    return products
