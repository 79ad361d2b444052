"""The rows of a matrix as they are read: as float32, a block at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Rows: TypeAlias = NDArray[np.int64]
Places: TypeAlias = NDArray[np.intp]
Floats: TypeAlias = NDArray[np.floating[Any]]

BLOCK_BYTES = 30 << 20
"""Of a block of scores, and of rows that must be copied, as float32. Smaller ones cost more than
they save: every product starts BLAS's threads anew, and waits for the slowest. Larger ones glibc takes
from the system anew each time, which costs a batch a thirtieth."""

FIRST_ROWS = 2048
"""Of the first block."""

CACHE_BYTES = 256 << 10
"""What surely stays in a core's second-level cache."""

FEW = 4
"""Queries whose product with a row costs less than to widen the row."""


@dataclass(frozen=True, slots=True)
class Block:
    """Rows as they are stored. They are those from `first` on in the matrix, or, with `chosen`, the ones
    of these numbers; `out` lists places in the block that may not be found."""

    first: int
    chosen: Rows | None
    stored: Floats
    out: Places
    room: NDArray[np.float32]

    def numbers(self, places: Places) -> Rows:
        """Where in the matrix these places of the block are."""
        return places + self.first if self.chosen is None else self.chosen[places]

    def floats(self) -> NDArray[np.float32]:
        """The rows as float32, until the next block's are asked for."""
        return as_float32(self.stored, self.room)

    def products(self, queries: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        """queries (q, dim) by all rows, into `out` (q, rows).

        For few queries, rows that must be widened are multiplied a cacheful at a time, before they leave
        the cache again; and for so small a product BLAS starts no threads that would wait for each other.
        """
        if len(queries) > FEW or self.stored.dtype == np.float32:
            np.matmul(queries, self.floats().T, out=out)
            return
        step = max(1, CACHE_BYTES // 2 // (len(queries) * self.stored.shape[1]))
        for start in range(0, len(self.stored), step):
            some = self.stored[start : start + step]
            wide = as_float32(some, self.room[: len(some)])
            np.matmul(queries, wide.T, out=out[:, start : start + step])


def blocks(
    matrix: Floats, *, rows: Rows | None, dead: Rows | None, queries: int
) -> Iterator[Block]:
    """The matrix (n, dim), or those rows of it (rising), a few MiB at a time."""
    dim = matrix.shape[1]
    in_place = rows is None and matrix.dtype == np.float32 and matrix.flags.c_contiguous
    height = max(256, BLOCK_BYTES // 4 // max(queries, 1 if in_place else dim))
    dead = np.empty(0, np.int64) if dead is None else dead
    total = len(matrix) if rows is None else len(rows)
    heights = _heights(total, height)
    wide = np.empty((0 if in_place else min(height, total), dim), np.float32)
    for start, end in heights:
        chosen = None if rows is None else rows[start:end]
        first, last = (start, end - 1) if chosen is None else (int(chosen[0]), int(chosen[-1]))
        if chosen is None or last - first + 1 == len(chosen):  # without gaps: read in place
            chosen, stored = None, matrix[first : last + 1]
        else:
            stored = np.take(matrix, chosen, axis=0)
        near = dead[np.searchsorted(dead, first) : np.searchsorted(dead, last, "right")]
        out = near - first
        if chosen is not None:
            out = np.searchsorted(chosen, near)
            out = out[chosen[out] == near]
        yield Block(first, chosen, stored, out, wide[: len(stored)])


def _heights(total: int, height: int) -> Iterator[tuple[int, int]]:
    """From where to where each block reaches: the first ones are small, because until a query has
    its k rows, every row must be ranked; four times as many at a time bring few better ones."""
    start, step = 0, min(height, FIRST_ROWS)
    while start < total:
        end = min(start + step, total)
        yield start, end
        start, step = end, min(height, 4 * step)


def as_float32(stored: Floats, room: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
    """The same numbers as contiguous float32, in `room` unless they are that already."""
    if stored.dtype == np.float32 and stored.flags.c_contiguous:
        return stored.astype(np.float32, copy=False)
    room = np.empty(stored.shape, np.float32) if room is None else room
    if stored.dtype != np.float16:
        np.copyto(room, stored, casting="same_kind")
        return room
    # Sign, exponent and mantissa moved to their float32 places; the product mends the exponent's
    # bias, for subnormal numbers too. Several times as fast as astype; for finite numbers. A few
    # rows at a time, so that the four steps find them in the processor's cache.
    step = max(1, CACHE_BYTES // 4 // room.shape[1])
    for start in range(0, len(room), step):
        floats = room[start : start + step]
        bits = floats.view(np.int32)
        np.copyto(bits, stored[start : start + step].view(np.int16))
        np.left_shift(bits, 13, out=bits)
        np.bitwise_and(bits, np.int32(-0x70002000), out=bits)
        np.multiply(floats, np.float32(2.0**112), out=floats)
    return room
