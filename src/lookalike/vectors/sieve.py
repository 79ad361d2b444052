"""A sieve before the exact comparison: products of 8-bit numbers, for many queries at once.

Rows and queries are rounded to whole numbers, whose products are formed several times as fast
(`whole_products`). How far a cosine may be off by that is known (Cauchy and Schwarz:
|q·x - q'·x'| <= |q| |x - x'| + |q - q'| |x'|), so whatever could reach the bar passes, and what does is never
missed.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from lookalike.cpu import physical_cores
from lookalike.vectors.blocks import Floats, Places, as_float32
from lookalike.vectors.whole_products import HIGHEST, multiply, open_session

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

ROWS = 512
"""That are multiplied at a time: their products stay in the cache until they were looked through."""

ROUNDING = 1e-3
"""By how much stored vectors are longer than 1, and the half of a step longer than a half, at most."""

Steps = TypeVar("Steps", float, NDArray[np.float64])


@dataclass(frozen=True, slots=True)
class Passed:
    """Pairs of a query and a place among the rows, by query; the cosine that each is likely to have, and the
    highest that it can have. (n,) each."""

    query: Places
    place: Places
    likely: NDArray[np.float32]
    highest: NDArray[np.float32]

    def where(self, some: NDArray[np.bool_]) -> Passed:
        return Passed(self.query[some], self.place[some], self.likely[some], self.highest[some])


class Sieve:
    """Queries (q, dim) of length 1, ready to be compared with many rows."""

    def __init__(self, queries: NDArray[np.float32]) -> None:
        wide = queries.astype(np.float64)
        self._steps = np.abs(wide).max(axis=1) / HIGHEST
        whole = np.rint(wide / self._steps[:, None])
        self._lost = np.sqrt(((wide - whole * self._steps[:, None]) ** 2).sum(axis=1))
        self._session = open_session(np.ascontiguousarray(whole.T, np.int8))
        self._cores = physical_cores()

    def above(self, rows: Floats, bar: NDArray[np.float32], *, most: int) -> Passed | None:
        """All pairs with `rows` (n, dim), of length 1 or 0, whose cosine can reach the query's bar (q,);
        None if they are more than `most`."""
        share = -(-len(rows) // self._cores)
        starts = range(0, len(rows), share)
        wide = bar.astype(np.float64)
        parts = list(
            threads().map(lambda at: self._share(at, rows[at : at + share], wide, most), starts)
        )
        if sum(len(part[0]) for part in parts) > most:
            return None
        query, place, likely, highest = map(np.concatenate, zip(*parts, strict=True))
        order = np.argsort(query, kind="stable")
        likely, highest = likely.astype(np.float32), highest.astype(np.float32)
        return Passed(query[order], place[order], likely[order], highest[order])

    def _share(
        self, start: int, rows: Floats, bar: NDArray[np.float64], most: int
    ) -> tuple[Places, Places, NDArray[np.float64], NDArray[np.float64]]:
        """On the thread that asks; the columns of `Passed`, by place. Stops where there are more than
        `most`."""
        least = (bar - self._lost * (1.0 + ROUNDING)) / self._steps
        each = (1.0 + self._lost) / self._steps
        places, products, steps, many = [], [], [], 0
        marks = np.empty((min(ROWS, len(rows)), len(bar)), np.bool_)
        for first, found, step in self._products(rows):
            needed = np.floor((least - _lost(step, rows.shape[1]) * each) / step)
            needed = needed.clip(-(2**31), 2**31 - 1).astype(np.int32)
            some = marks[: len(found)]
            np.greater_equal(found, needed, out=some)
            pairs = np.flatnonzero(some.ravel())
            places.append(pairs + first * len(bar))
            products.append(found.ravel()[pairs])
            steps.append(np.full(len(pairs), step))
            many += len(pairs)
            if many > most:
                break
        place, query = np.divmod(np.concatenate(places), len(bar))
        step_of = np.concatenate(steps)
        likely = np.concatenate(products) * step_of * self._steps[query]
        lost = _lost(step_of, rows.shape[1])
        highest = likely + lost + self._lost[query] * (1.0 + ROUNDING + lost) + 1e-6
        return query, place + start, likely, highest

    def _products(self, rows: Floats) -> Iterator[tuple[int, NDArray[np.int32], float]]:
        """Where some rows start, their products (n, q) with all queries, which the next ones overwrite,
        and the step between two whole numbers of these rows."""
        products = np.empty((min(ROWS, len(rows)), len(self._steps)), np.int32)
        step = np.empty((), np.float32)
        room = np.empty((min(ROWS, len(rows)), rows.shape[1]), np.float32)
        for start in range(0, len(rows), ROWS):
            some = as_float32(rows[start : start + ROWS], room[: len(rows) - start])
            found = products[: len(some)]
            multiply(self._session, some, found, step)
            yield start, found, float(step)


@functools.cache
def threads() -> ThreadPoolExecutor:
    """One for every core."""
    from concurrent.futures import ThreadPoolExecutor  # slow to import, and rarely of use

    return ThreadPoolExecutor(physical_cores(), thread_name_prefix="sieve")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=threads.cache_clear)  # a child has none of them


def _lost(step: Steps, dim: int) -> Steps:
    """The longest difference between a row and its whole numbers times `step`."""
    return (0.5 + ROUNDING) * math.sqrt(dim) * step
