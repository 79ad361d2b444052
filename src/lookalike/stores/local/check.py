"""Check that the files of a library are consistent with each other."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lookalike.errors import LibraryError
from lookalike.stores.local.database import SpaceRow, space_rows, translate_errors, writable
from lookalike.stores.local.reader_pool import ReaderPool
from lookalike.stores.local.vector_file import MappedVectors, map_vectors, row_bytes
from lookalike.vectors.blocks import Rows

BLOCK_BYTES = 16 << 20
"""Vectors that are checked at a time."""

UNIT_TOLERANCE = {"f32": 1e-4, "f16": 4e-3}
"""Difference from 1 that rounding alone may cause in the length of a stored unit vector."""


def check(folder: Path) -> list[str]:
    """Return everything in a library's folder that contradicts itself, a line each; empty if it is intact.

    Reads all vectors once, of one consistent state, so a writer may be at work. Takes 16 bytes of memory per
    vector. Raises `LibraryDamaged` if the catalogue cannot be read at all.
    """
    readers = ReaderPool(folder, writable=writable(folder))
    connection = readers.connection()
    try:
        with translate_errors(folder):
            connection.execute("BEGIN")
            found = [
                f"catalogue: {line}"
                for (line,) in connection.execute("PRAGMA integrity_check")
                if line != "ok"
            ]
            found += [
                f"catalogue: row {row[1]} of {row[0]} refers to a row of {row[2]} that is missing"
                for row in connection.execute("PRAGMA foreign_key_check")
            ]
            for space in space_rows(connection):
                found += [
                    f"{space.key}: {line}" for line in _check_space(folder, connection, space)
                ]
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


def _check_space(folder: Path, connection: sqlite3.Connection, space: SpaceRow) -> Iterator[str]:
    deleted = _row_numbers(connection, "SELECT row FROM dead WHERE space = ? ORDER BY row", space)
    if len(deleted) != space.deleted or len(np.unique(deleted)) != len(deleted):
        yield f"{space.deleted} deleted rows are counted, {len(np.unique(deleted))} are listed"
    if len(deleted) and not 0 <= deleted[0] <= deleted[-1] < space.rows:
        yield "a deleted row lies outside the committed ones"
    try:
        mapped = map_vectors(folder, space, deleted)
    except (LibraryError, FileNotFoundError):
        yield f"the vector files do not hold the {space.rows} committed rows"
        return
    images = _row_numbers(
        connection, "SELECT image FROM placements WHERE space = ? ORDER BY image", space
    )
    rows = _row_numbers(
        connection, "SELECT row FROM placements WHERE space = ? ORDER BY image", space
    )
    if len(rows) and not 0 <= rows.min() <= rows.max() < space.rows:
        yield "the row of an image lies outside the committed ones"
        return
    if len(np.intersect1d(rows, deleted)):
        yield "the row of an image is deleted"
    if len(np.unique(rows)) != len(rows):
        yield "two images share a row"
    if len(rows) + len(deleted) != space.rows:
        yield f"{space.rows} rows, but {len(rows)} in use and {len(deleted)} deleted"
    if (wrong := int((mapped.ids[rows] != images).sum())) > 0:
        yield f"{wrong} rows name another image than the catalogue does"
    if not (np.diff(mapped.ids[: space.ordered]) > 0).all():
        yield f"the first {space.ordered} rows are not in the order of their images"
    yield from _check_vectors(mapped, space, rows)


def _check_vectors(mapped: MappedVectors, space: SpaceRow, rows: Rows) -> Iterator[str]:
    """Yield what is wrong with the vectors themselves."""
    infinite = lengths = 0
    block = max(1, BLOCK_BYTES // row_bytes(space))
    rows = np.sort(rows)
    for start in range(0, len(rows), block):
        vectors = np.asarray(mapped.vectors[rows[start : start + block]], np.float32)
        squares = np.einsum("ij,ij->i", vectors, vectors)
        finite = np.isfinite(squares)
        infinite += int((~finite).sum())
        if space.normalised:
            off = np.abs(np.sqrt(squares) - 1.0) > UNIT_TOLERANCE[space.dtype]
            lengths += int((off & finite & (squares != 0.0)).sum())
    if infinite:
        yield f"NaN, infinity or far too large a number: {infinite} of {len(rows)} vectors"
    if lengths:
        yield f"a length other than 1: {lengths} of {len(rows)} vectors"


def _row_numbers(connection: sqlite3.Connection, statement: str, space: SpaceRow) -> Rows:
    cursor = connection.execute(statement, (space.id,))
    return np.fromiter((number for (number,) in cursor), np.int64)
