"""Reading the rows of a matrix in blocks, as float32."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Rows: TypeAlias = NDArray[np.int64]
Positions: TypeAlias = NDArray[np.intp]
Floats: TypeAlias = NDArray[np.floating[Any]]

# Size of a block of scores, and of rows that must be copied, as float32. With smaller blocks the start of
# BLAS's threads dominates; larger ones glibc allocates from the system every time, which costs a batch a
# thirtieth.
BLOCK_BYTES = 30 << 20

# Rows of the first block.
FIRST_ROWS = 2048

# Bytes that fit into a core's second-level cache; with half as many float16 takes a quarter longer.
CACHE_BYTES = 512 << 10

# Up to this many queries, multiplying a row costs less than converting it to float32.
FEW_QUERIES = 4


@dataclass(frozen=True, slots=True)
class Block:
    """Some rows of a matrix, in their stored dtype.

    first     number of the first row; the others follow it, unless `chosen` is given
    chosen    (n,) numbers of the rows, or None
    stored    (n, dim) the rows
    excluded  positions in the block that must not be found
    buffer    (n, dim) float32, for the converted rows
    """

    first: int
    chosen: Rows | None
    stored: Floats
    excluded: Positions
    buffer: NDArray[np.float32]

    def row_numbers(self, positions: Positions) -> Rows:
        """Return the row numbers in the matrix of these positions in the block."""
        return positions + self.first if self.chosen is None else self.chosen[positions]

    def floats(self) -> NDArray[np.float32]:
        """Return the rows as float32; valid until the next block is read."""
        return as_float32(self.stored, self.buffer)

    def products(self, queries: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        """Multiply queries (q, dim) with all rows, into `out` (q, n).

        For few queries, float16 rows are converted and multiplied in pieces that stay in the cache;
        products that small are also too small for BLAS to start threads.
        """
        if len(queries) > FEW_QUERIES or self.stored.dtype == np.float32:
            np.matmul(queries, self.floats().T, out=out)
            return
        step = max(1, CACHE_BYTES // 2 // (len(queries) * self.stored.shape[1]))
        for start in range(0, len(self.stored), step):
            some = self.stored[start : start + step]
            wide = as_float32(some, self.buffer[: len(some)])
            np.matmul(queries, wide.T, out=out[:, start : start + step])


def blocks(
    matrix: Floats,
    *,
    rows: Rows | None,
    exclude: Rows | None,
    queries: int,
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[Block]:
    """Read the matrix (n, dim), or only these rows of it (sorted), in blocks.

    exclude      sorted row numbers that must not be found
    queries      how many queries each block is multiplied with: bounds the block of scores
    block_bytes  size of a block of scores, and of rows that must be copied; at least 256 rows
    """
    dim = matrix.shape[1]
    in_place = rows is None and matrix.dtype == np.float32 and matrix.flags.c_contiguous
    height = max(256, block_bytes // 4 // max(queries, 1 if in_place else dim))
    exclude = np.empty(0, np.int64) if exclude is None else exclude
    total = len(matrix) if rows is None else len(rows)
    buffer = np.empty((0 if in_place else min(height, total), dim), np.float32)
    for start, end in _ranges(total, height):
        chosen = None if rows is None else rows[start:end]
        first, last = (start, end - 1) if chosen is None else (int(chosen[0]), int(chosen[-1]))
        if chosen is None or last - first + 1 == len(chosen):  # without gaps: read in place
            chosen, stored = None, matrix[first : last + 1]
        else:
            stored = np.take(matrix, chosen, axis=0)
        inside = exclude[np.searchsorted(exclude, first) : np.searchsorted(exclude, last, "right")]
        excluded = inside - first
        if chosen is not None:
            excluded = np.searchsorted(chosen, inside)
            excluded = excluded[chosen[excluded] == inside]
        yield Block(first, chosen, stored, excluded, buffer[: len(stored)])


def _ranges(total: int, height: int) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each block, at most `height` rows.

    The first blocks are small, because every row must be ranked until a query has k rows; each is four
    times as high as the one before, so that few rows of it are better than those already found.
    """
    start, step = 0, min(height, FIRST_ROWS)
    while start < total:
        end = min(start + step, total)
        yield start, end
        start, step = end, min(height, 4 * step)


def as_float32(stored: Floats, buffer: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
    """Return the same numbers as contiguous float32: the array itself if it is that already, else a
    copy in `buffer`. Numbers must be finite."""
    if stored.dtype == np.float32 and stored.flags.c_contiguous:
        return stored.astype(np.float32, copy=False)
    buffer = np.empty(stored.shape, np.float32) if buffer is None else buffer
    if stored.dtype != np.float16:
        np.copyto(buffer, stored, casting="same_kind")
        return buffer
    # Move sign, exponent and mantissa to their float32 places; the multiplication corrects the bias of
    # the exponent, for subnormal numbers too. Several times as fast as astype, for finite numbers. A
    # few rows at a time, so that the four steps stay in the cache.
    step = max(1, CACHE_BYTES // 4 // buffer.shape[1])
    for start in range(0, len(buffer), step):
        floats = buffer[start : start + step]
        bits = floats.view(np.int32)
        np.copyto(bits, stored[start : start + step].view(np.int16))
        np.left_shift(bits, 13, out=bits)
        np.bitwise_and(bits, np.int32(-0x70002000), out=bits)
        np.multiply(floats, np.float32(2.0**112), out=floats)
    return buffer
