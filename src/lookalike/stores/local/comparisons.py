"""Results of comparing duplicates, stored by content: they outlive rows, paths and ids, not the content."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping


def read_comparisons(
    connection: sqlite3.Connection, pairs: Iterable[tuple[bytes, bytes]], revision: str
) -> dict[tuple[bytes, bytes], str]:
    """See `Snapshot.comparisons`."""
    found: dict[tuple[bytes, bytes], str] = {}
    for pair in pairs:
        row = connection.execute(
            "SELECT result FROM comparisons WHERE first = ? AND second = ? AND revision = ?",
            (*pair, revision),
        ).fetchone()
        if row:
            found[pair] = row[0]
    return found


def put_comparisons(
    connection: sqlite3.Connection, found: Mapping[tuple[bytes, bytes], str], revision: str
) -> None:
    """See `Writer.put_comparisons`; inside the caller's transaction."""
    connection.executemany(
        "INSERT OR REPLACE INTO comparisons (first, second, revision, result) VALUES (?, ?, ?, ?)",
        ((*pair, revision, result) for pair, result in found.items()),
    )


def forget_contents(connection: sqlite3.Connection) -> None:
    """Delete the comparisons with the contents in temp.gone, unless an image still has them.

    The contents that no image has are added to temp.thumbless: their thumbnails are deleted after the commit.
    """
    connection.execute(
        """DELETE FROM temp.gone
             WHERE EXISTS (SELECT 1 FROM images WHERE images.hash = gone.hash)"""
    )
    for column in ("first", "second"):
        connection.execute(
            f"DELETE FROM comparisons WHERE {column} IN (SELECT hash FROM temp.gone)"  # noqa: S608
        )
    connection.execute("INSERT OR IGNORE INTO temp.thumbless SELECT hash FROM temp.gone")


def take_thumbless(connection: sqlite3.Connection) -> list[bytes]:
    """Empty temp.thumbless, and return the contents in it that no image has. Outside a transaction."""
    found = connection.execute(
        """SELECT hash FROM temp.thumbless
             WHERE NOT EXISTS (SELECT 1 FROM images WHERE images.hash = thumbless.hash)"""
    ).fetchall()
    connection.execute("DELETE FROM temp.thumbless")
    return [hash for (hash,) in found]
