"""Whether the files of a library agree with each other."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lookalike.errors import LibraryError
from lookalike.stores.local.database import SpaceRow, space_rows, translated, writable
from lookalike.stores.local.reader_pool import Readers
from lookalike.stores.local.vector_file import MappedVectors, map_vectors, row_bytes
from lookalike.vectors.blocks import Rows

BLOCK_BYTES = 16 << 20
UNIT = {"f32": 1e-4, "f16": 4e-3}
"""How far from 1 the length of a stored unit vector may be by rounding alone."""


def check(folder: Path) -> list[str]:
    """Everything in a library's folder that contradicts itself, a line each; empty if it is whole.

    Reads all vectors once; memory stays bounded but for 16 bytes a vector. Reads one consistent
    state, so a writer may be at work. `LibraryDamaged` if the catalogue cannot be read at all.
    """
    readers = Readers(folder, writable=writable(folder))
    connection = readers.connection()
    try:
        with translated(folder):
            connection.execute("BEGIN")
            found = [
                f"catalogue: {line}"
                for (line,) in connection.execute("PRAGMA integrity_check")
                if line != "ok"
            ]
            found += [
                f"catalogue: row {row[1]} of {row[0]} names a row of {row[2]} that is not there"
                for row in connection.execute("PRAGMA foreign_key_check")
            ]
            for space in space_rows(connection):
                found += [f"{space.key}: {line}" for line in _space(folder, connection, space)]
            (count,) = connection.execute(
                """SELECT count(*) FROM placements JOIN images ON images.id = image
                   WHERE outcome <> 'indexed'"""
            ).fetchone()
            if count:
                found.append(f"catalogue: images that failed have vectors ({count})")
    finally:
        readers.give_back(connection)
        readers.close()
    return found


def _space(folder: Path, connection: sqlite3.Connection, space: SpaceRow) -> Iterator[str]:
    dead = _numbers(connection, "SELECT row FROM dead WHERE space = ? ORDER BY row", space)
    if len(dead) != space.deleted or len(np.unique(dead)) != len(dead):
        yield f"{space.deleted} dead rows are counted, {len(np.unique(dead))} are listed"
    if len(dead) and not 0 <= dead[0] <= dead[-1] < space.rows:
        yield "a dead row lies outside the committed ones"
    try:
        matrix = map_vectors(folder, space, dead)
    except (LibraryError, FileNotFoundError):
        yield f"the vector files do not hold the {space.rows} committed rows"
        return
    images = _numbers(
        connection, "SELECT image FROM placements WHERE space = ? ORDER BY image", space
    )
    rows = _numbers(connection, "SELECT row FROM placements WHERE space = ? ORDER BY image", space)
    if len(rows) and not 0 <= rows.min() <= rows.max() < space.rows:
        yield "a vector is placed outside the committed rows"
        return
    if len(np.intersect1d(rows, dead)):
        yield "a placed row is dead"
    if len(np.unique(rows)) != len(rows):
        yield "two images share a row"
    if len(rows) + len(dead) != space.rows:
        yield f"{space.rows} rows, but {len(rows)} placed and {len(dead)} dead"
    if (wrong := int((matrix.ids[rows] != images).sum())) > 0:
        yield f"{wrong} rows name another image than the catalogue does"
    if not (np.diff(matrix.ids[: space.ordered]) > 0).all():
        yield f"the first {space.ordered} rows are not in the order of their images"
    yield from _numbers_in(matrix, space, rows)


def _numbers_in(matrix: MappedVectors, space: SpaceRow, rows: Rows) -> Iterator[str]:
    """What is wrong with the vectors themselves."""
    infinite = lengths = 0
    block = max(1, BLOCK_BYTES // row_bytes(space))
    rows = np.sort(rows)
    for start in range(0, len(rows), block):
        vectors = np.asarray(matrix.vectors[rows[start : start + block]], np.float32)
        squares = np.einsum("ij,ij->i", vectors, vectors)
        finite = np.isfinite(squares)
        infinite += int((~finite).sum())
        if space.normalised:
            off = np.abs(np.sqrt(squares) - 1.0) > UNIT[space.dtype]
            lengths += int((off & finite & (squares != 0.0)).sum())
    if infinite:
        yield f"NaN, infinity or far too large a number: {infinite} of {len(rows)} vectors"
    if lengths:
        yield f"a length other than 1: {lengths} of {len(rows)} vectors"


def _numbers(connection: sqlite3.Connection, statement: str, space: SpaceRow) -> Rows:
    cursor = connection.execute(statement, (space.id,))
    return np.fromiter((number for (number,) in cursor), np.int64)
