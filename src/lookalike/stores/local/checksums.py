"""Checksums of stored vectors: one CRC-32 for each block of rows, in the catalogue.

They are written with the rows, so a block's checksum covers exactly its committed rows, deleted ones
included, and a batch that is rolled back leaves none. Ids need none: the catalogue knows the image of each
row. Blocks of libraries older than the checksums have none until `check --repair`.

They are verified by `check`, by compaction and when a stored vector is copied, so that damage is never copied
under a new checksum. Searches do not verify them: CRC-32 would cost a cold search more than the comparison.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lookalike.errors import LibraryDamaged
from lookalike.stores.local.database import SpaceRow, chunks, placeholders
from lookalike.stores.local.vector_file import (
    DTYPES,
    append,
    remedy_for_damaged_vectors,
    row_bytes,
    vectors_file,
)
from lookalike.stores.records import Ids
from lookalike.vectors.blocks import Floats, Rows

BLOCK_ROWS = 64
"""Rows per checksum; part of the format. Of a damaged block all vectors are lost, and 64 images are read
again in seconds; for ten million vectors the table takes 2 MB."""

READ_BYTES = 4 << 20
"""Vectors that are read at a time."""


def append_rows(
    library: Path, connection: sqlite3.Connection, space: SpaceRow, ids: Ids, vectors: Floats
) -> None:
    """Append rows behind the committed ones, and record their checksums in the caller's transaction."""
    array = np.ascontiguousarray(vectors, DTYPES[space.dtype])
    append(library, space, ids, array)
    stored = array.view(np.uint8).data
    first = space.rows - space.rows % BLOCK_ROWS
    before = 0
    if first < space.rows:
        [known] = _known(connection, space, [first // BLOCK_ROWS])
        before = zlib.crc32(_read(library, space, first, space.rows)) if known is None else known
    checksums = []
    start = 0
    for block in range(first // BLOCK_ROWS, (space.rows + len(stored) - 1) // BLOCK_ROWS + 1):
        stop = (block + 1) * BLOCK_ROWS - space.rows
        before = zlib.crc32(stored[start:stop], before)
        checksums.append((space.id, block, before))
        start, before = stop, 0
    connection.executemany("INSERT OR REPLACE INTO checksums VALUES (?, ?, ?)", checksums)


def damaged_rows(
    library: Path, connection: sqlite3.Connection, space: SpaceRow, *, below: int
) -> Rows:
    """Return the rows of blocks that are damaged or cannot be read.

    Only of blocks whose rows all lie below `below`, which is where the file ends: no part can be verified."""
    damaged = [
        block
        for block, expected, content in _blocks(library, connection, space, below=below)
        if content is None or expected not in (None, zlib.crc32(content))
    ]
    rows = np.add.outer(np.array(damaged, np.int64) * BLOCK_ROWS, np.arange(BLOCK_ROWS)).reshape(-1)
    return rows[rows < space.rows]


def add_missing(library: Path, connection: sqlite3.Connection, space: SpaceRow) -> int:
    """Record checksums of blocks that have none, in the caller's transaction; return how many."""
    new = [
        (space.id, block, zlib.crc32(content))
        for block, expected, content in _blocks(library, connection, space, below=space.rows)
        if expected is None and content is not None
    ]
    connection.executemany("INSERT INTO checksums VALUES (?, ?, ?)", new)
    return len(new)


def verified_rows(
    library: Path, connection: sqlite3.Connection, space: SpaceRow, rows: Rows
) -> Floats:
    """Read rows (n, dim) whose blocks match their checksums; `LibraryDamaged` if one does not."""
    found = np.empty((len(rows), space.dim), DTYPES[space.dtype])
    blocks = sorted({int(row) // BLOCK_ROWS for row in rows})
    for block, expected in zip(blocks, _known(connection, space, blocks), strict=True):
        first = block * BLOCK_ROWS
        content = _read(library, space, first, min(first + BLOCK_ROWS, space.rows))
        if expected not in (None, zlib.crc32(content)):
            raise LibraryDamaged(
                f"stored vectors of {space.name!r} are damaged: {remedy_for_damaged_vectors()}"
            )
        matrix = np.frombuffer(content, DTYPES[space.dtype]).reshape(-1, space.dim)
        chosen = rows // BLOCK_ROWS == block
        found[chosen] = matrix[rows[chosen] - first]
    return found


def _known(
    connection: sqlite3.Connection, space: SpaceRow, blocks: list[int]
) -> Iterator[int | None]:
    for some in chunks(blocks):
        known = dict(
            connection.execute(
                f"SELECT block, crc FROM checksums WHERE space = ? AND block IN ({placeholders(some)})",  # noqa: S608
                [space.id, *some],
            ).fetchall()
        )
        yield from map(known.get, some)


def _blocks(
    library: Path, connection: sqlite3.Connection, space: SpaceRow, *, below: int
) -> Iterator[tuple[int, int | None, bytes | memoryview | None]]:
    """Yield number, checksum and content of each block; None for a content that cannot be read completely."""
    at_once = max(1, READ_BYTES // (BLOCK_ROWS * row_bytes(space)))
    count = -(-space.rows // BLOCK_ROWS) if below >= space.rows else below // BLOCK_ROWS
    for start in range(0, count, at_once):
        blocks = list(range(start, min(start + at_once, count)))
        ends = [min((block + 1) * BLOCK_ROWS, space.rows) for block in blocks]
        first = start * BLOCK_ROWS
        try:
            together = memoryview(_read(library, space, first, ends[-1]))
        except (OSError, LibraryDamaged):
            together = None
        for block, end, expected in zip(
            blocks, ends, _known(connection, space, blocks), strict=True
        ):
            content: bytes | memoryview | None = None
            if together is not None:
                place = (block * BLOCK_ROWS - first) * row_bytes(space)
                content = together[place : (end - first) * row_bytes(space)]
            else:
                try:
                    content = _read(library, space, block * BLOCK_ROWS, end)
                except (OSError, LibraryDamaged):
                    content = None
            yield block, expected, content


def _read(library: Path, space: SpaceRow, start: int, stop: int) -> bytes:
    """Read rows as bytes, not through a mapping: what the disk cannot read is an error. `LibraryDamaged` if
    the file is shorter."""
    size = row_bytes(space)
    with vectors_file(library, space).open("rb", buffering=0) as file:
        file.seek(start * size)
        wanted = (stop - start) * size
        content = file.read(wanted)
        while len(content) < wanted and (more := file.read(wanted - len(content))):
            content += more
    if len(content) < wanted:
        raise LibraryDamaged(
            f"vectors of {space.name!r} are missing: {remedy_for_damaged_vectors()}"
        )
    return content
