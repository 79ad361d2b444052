"""Check that the files of a library are consistent with each other."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lookalike.errors import LibraryError
from lookalike.stores.local.ann.index_files import damaged_index_files
from lookalike.stores.local.checksums import damaged_rows
from lookalike.stores.local.database import SpaceRow, space_rows, translate_errors, writable
from lookalike.stores.local.reader_pool import ReaderPool
from lookalike.stores.local.vector_file import MappedVectors, load_fitted, map_vectors, row_bytes
from lookalike.stores.write_plan import impossible_vectors
from lookalike.vectors.blocks import Rows

BLOCK_BYTES = 16 << 20
"""Vectors that are checked at a time."""


def check(folder: Path) -> list[str]:
    """Return everything in a library's folder that contradicts itself, a line each; empty if it is intact.

    Reads all vectors and ANN indexes, of one consistent state, so a writer may be at work. Takes 16 bytes of
    memory per vector. Raises `LibraryDamaged` if the catalogue cannot be read at all.
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
            found += check_text(connection)
            for space in space_rows(connection):
                lines = (*check_space(folder, connection, space), *check_derived(folder, space))
                found += [f"{space.key}: {line}" for line in lines]
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


def check_text(connection: sqlite3.Connection) -> list[str]:
    """Return what contradicts itself in the table of texts. FTS5 checks on writing only, so in a transaction
    that changes nothing; readers, which may not write, compare what can be read."""
    try:
        connection.execute("SELECT count(*), max(length(caption)) FROM words").fetchone()
        connection.execute("SELECT count(*) FROM words WHERE words MATCH 'a*'").fetchone()
    except sqlite3.DatabaseError as error:
        return [f"catalogue: the index of texts cannot be read: {error}"]
    return []


def check_derived(folder: Path, space: SpaceRow) -> Iterator[str]:
    """Yield what is wrong with the fitted arrays and the ANN index of a space."""
    if space.fitted:
        try:
            load_fitted(folder, space)  # a ZIP file, which has checksums
        except (LibraryError, OSError):
            yield "the arrays that its extractor was fitted with cannot be read"
    yield from damaged_index_files(folder, space)


def check_space(folder: Path, connection: sqlite3.Connection, space: SpaceRow) -> Iterator[str]:
    """Yield what is wrong with the rows and vectors of a space."""
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
    damaged = damaged_rows(folder, connection, space, below=space.rows)
    if len(damaged):
        yield f"{len(damaged)} vectors are in blocks that are not what was written, or cannot be read"
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
    rows = np.setdiff1d(rows, damaged)
    infinite, lengths = impossible_rows(mapped, space, rows)
    if len(infinite):
        yield f"NaN, infinity or far too large a number: {len(infinite)} of {len(rows)} vectors"
    if len(lengths):
        yield f"a length other than 1: {len(lengths)} of {len(rows)} vectors"


def impossible_rows(mapped: MappedVectors, space: SpaceRow, rows: Rows) -> tuple[Rows, Rows]:
    """Return those of the rows that hold a number no vector can have, and those with a wrong length."""
    infinite, lengths = [rows[:0]], [rows[:0]]
    block = max(1, BLOCK_BYTES // row_bytes(space))
    rows = np.sort(rows)
    for start in range(0, len(rows), block):
        some = rows[start : start + block]
        wrong = impossible_vectors(
            np.asarray(mapped.vectors[some], np.float32),
            normalised=bool(space.normalised),
            dtype=space.dtype,
        )
        infinite.append(some[wrong[0]])
        lengths.append(some[wrong[1]])
    return np.concatenate(infinite), np.concatenate(lengths)


def _row_numbers(connection: sqlite3.Connection, statement: str, space: SpaceRow) -> Rows:
    cursor = connection.execute(statement, (space.id,))
    return np.fromiter((number for (number,) in cursor), np.int64)
