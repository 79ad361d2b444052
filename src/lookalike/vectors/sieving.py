"""Exact search for many queries, through the sieve of 8-bit products."""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

from lookalike.vectors.blocks import Block, Floats, Places, Rows, as_float32
from lookalike.vectors.exact import PAIRS_BYTES, PENDING, Pass
from lookalike.vectors.sieve import Sieve, threads
from lookalike.vectors.whole_products import LARGEST_DIM, fast

QUERIES = 256
"""So many are worth the rounding of every row."""

PRODUCTS = 1 << 35
"""Numbers to multiply that are worth loading ONNX Runtime, which takes a tenth of a second."""

PRODUCTS_LOADED = 1 << 32
"""The same where it is loaded already."""

ROWS_EACH = 4000
"""For each of the k best: among fewer, so many rows must be looked up by themselves that it costs what the
8-bit products save (of 100,000, k = 25 takes a sixth to a third less and k = 50 no less time;
`benchmarks/search.py`)."""

COMPARISONS = 100
"""A pair that passes costs as much as so many that do not, about: its row is looked up by itself."""


def worth(queries: int, rows: int, dim: int, k: int) -> bool:
    """Whether a sieve saves time here."""
    if queries < QUERIES or queries * k > PENDING or rows < ROWS_EACH * k or dim > LARGEST_DIM:
        return False
    least = PRODUCTS_LOADED if "onnxruntime" in sys.modules else PRODUCTS
    return queries * rows * dim >= least and fast()


class SievedPass(Pass):
    """The same answers as `Pass` gives, for the cosine among rows of length 1 or 0.

    Rows that could be among the best by their 8-bit products wait. Those of them that are likely to be
    get their score from float32 at once, which raises the bar for the others. Where too much passes, as
    in a crowd of copies, the float32 product takes over.
    """

    def __init__(self, matrix: Floats, queries: NDArray[np.float32], k: int) -> None:
        super().__init__(matrix, queries, k, cosine=True, normalised=True)
        self._sieve = Sieve(self.queries)
        self._blurred: list[tuple[Places, Rows, NDArray[np.float32]]] = []
        self._seen = 0
        # What passed and what was looked at, in pairs. Some credit, for the first blocks have few best.
        self._passed, self._looked = 0, PENDING * COMPARISONS // 2

    def see(self, block: Block) -> None:
        before, self._seen = self._seen, self._seen + len(block.stored)
        if before < COMPARISONS * self.k or not self._pays() or not self._sieved(block):
            super().see(block)

    def settle(self) -> None:
        if self._blurred:
            query, row, highest = map(np.concatenate, zip(*self._blurred, strict=True))
            self._blurred = []
            hopeful = highest >= self._bar()[query]
            self._score(query[hopeful], row[hopeful])
        super().settle()

    def _pays(self) -> bool:
        return self._passed * COMPARISONS <= self._looked

    def _sieved(self, block: Block) -> bool:
        bar = self._bar()
        if np.isneginf(bar).any():
            return False
        passed = self._sieve.above(block.stored, bar, most=PENDING)
        self._looked += len(self.queries) * len(block.stored)
        if passed is None:
            self._passed += PENDING
            return False
        if len(block.out):
            passed = passed.where(~np.isin(passed.place, block.out))
        better = passed.likely >= self._low[passed.query, 0]
        now, later = passed.where(better), passed.where(~better)
        self._score(now.query, block.numbers(now.place))
        self._blurred.append((later.query, block.numbers(later.place), later.highest))
        if sum(len(query) for query, _, _ in self._pending + self._blurred) > PENDING:
            self.settle()
        return True

    def _score(self, query: Places, row: Rows) -> None:
        """Gives pairs the score that others have from the product of matrices."""
        self._passed += len(query)
        score = np.empty(len(query), np.float32)
        step = max(1, PAIRS_BYTES // 4 // self.queries.shape[1])

        def some(start: int) -> None:
            piece = slice(start, start + step)
            rows = as_float32(self.matrix[row[piece]])
            score[piece] = np.einsum("ij,ij->i", self.queries[query[piece]], rows)

        list(threads().map(some, range(0, len(query), step)))
        # However many lanes it sums in: n rounding steps for n numbers, and some for casts.
        error = np.float32((self.queries.shape[1] + 16) * 2.0**-24)
        order = np.argsort(query, kind="stable")
        query, row, score = query[order], row[order], score[order]
        self._learn(query, score - error)
        hopeful = score + error >= self._learnt()[query]
        self._pending.append((query[hopeful], row[hopeful], score[hopeful] + error))
