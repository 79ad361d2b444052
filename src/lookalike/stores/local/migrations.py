"""The tables of the catalogue, as numbered steps.

A step that was released is never edited: a change is a new step at the end. The number of steps
that a catalogue has seen is its format, kept in SQLite's `user_version`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import TypeAlias

from lookalike.errors import LibraryTooNew

Migration: TypeAlias = Callable[[sqlite3.Connection], None]

APPLICATION_ID = 0x4C6B416C
""""LkAl" in SQLite's header: tells our catalogue from any other SQLite file of that name."""


def m001_images_spaces_and_placements(connection: sqlite3.Connection) -> None:
    """roots       folders; `relative` ones are counted from the folder that holds `.lookalike`
    images      one row a file; a name that is not valid Unicode is a BLOB (see `names.py`)
    spaces      `rows` vectors of generation `generation` are committed, `dead` of them belong to
                nobody any more, and the first `ordered` of them stand in the order of their ids
    placements  which row holds the vector of an image
    dead        rows that belong to nobody, numbered as they died, so that a reader who knows the
                first n loads only what came after
    settings    whatever else must be remembered
    """
    for statement in (
        """CREATE TABLE roots (
             id INTEGER PRIMARY KEY AUTOINCREMENT,
             path NOT NULL,
             relative INTEGER NOT NULL,
             UNIQUE (path, relative))""",
        """CREATE TABLE images (
             id INTEGER PRIMARY KEY AUTOINCREMENT,
             root INTEGER NOT NULL REFERENCES roots (id),
             path NOT NULL,
             size INTEGER NOT NULL,
             mtime_ns INTEGER NOT NULL,
             hash BLOB,
             outcome TEXT NOT NULL,
             reason TEXT NOT NULL,
             width INTEGER,
             height INTEGER,
             format TEXT,
             UNIQUE (root, path))""",
        "CREATE INDEX images_by_hash ON images (hash) WHERE hash IS NOT NULL",
        "CREATE INDEX images_by_size ON images (size)",
        "CREATE INDEX images_that_failed ON images (outcome) WHERE outcome <> 'indexed'",
        """CREATE TABLE metadata (
             image INTEGER PRIMARY KEY REFERENCES images (id) ON DELETE CASCADE,
             json TEXT NOT NULL)""",
        """CREATE TABLE spaces (
             id INTEGER PRIMARY KEY AUTOINCREMENT,
             key TEXT NOT NULL UNIQUE,
             name TEXT NOT NULL,
             revision TEXT NOT NULL,
             dim INTEGER NOT NULL,
             similarity TEXT NOT NULL,
             dtype TEXT NOT NULL,
             normalised INTEGER NOT NULL,
             current INTEGER NOT NULL,
             fitted INTEGER NOT NULL,
             directory TEXT NOT NULL,
             generation INTEGER NOT NULL DEFAULT 1,
             rows INTEGER NOT NULL DEFAULT 0,
             dead INTEGER NOT NULL DEFAULT 0,
             ordered INTEGER NOT NULL DEFAULT 0)""",
        """CREATE TABLE placements (
             image INTEGER NOT NULL REFERENCES images (id),
             space INTEGER NOT NULL REFERENCES spaces (id),
             row INTEGER NOT NULL,
             PRIMARY KEY (image, space)) WITHOUT ROWID""",
        """CREATE TABLE dead (
             space INTEGER NOT NULL REFERENCES spaces (id),
             number INTEGER NOT NULL,
             row INTEGER NOT NULL,
             PRIMARY KEY (space, number)) WITHOUT ROWID""",
        "CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
        f"PRAGMA application_id = {APPLICATION_ID}",
    ):
        connection.execute(statement)


def m002_words_and_columns(connection: sqlite3.Connection) -> None:
    """facts     what a file says of itself beyond its size and format (see `descriptions.py`)
    sidecars  what files beside the picture say; `mark` tells whether those files have changed
    words     the texts of an image, for `captions.py`
    fields    names of what can be filtered; `of_file`: one of the file's own, not of the metadata
    columns   one field of 1,024 images, packed (`columns.py`); key = field << 40 | block
    blocks    the blocks that hold images; a stale one is not packed as it is now

    What was there before is stale: whoever opens the library packs it and fills `words`.
    """
    for statement in (
        """CREATE TABLE facts (
             image INTEGER PRIMARY KEY REFERENCES images (id) ON DELETE CASCADE,
             json TEXT NOT NULL)""",
        """CREATE TABLE sidecars (
             image INTEGER PRIMARY KEY REFERENCES images (id) ON DELETE CASCADE,
             mark TEXT NOT NULL,
             json TEXT NOT NULL)""",
        """CREATE VIRTUAL TABLE words USING fts5 (
             caption, keywords, fields, path, tokenize = 'unicode61 remove_diacritics 2')""",
        """CREATE TABLE fields (
             id INTEGER PRIMARY KEY,
             name TEXT NOT NULL,
             of_file INTEGER NOT NULL,
             UNIQUE (name, of_file))""",
        """CREATE TABLE columns (
             key INTEGER PRIMARY KEY, numbers BLOB, codes BLOB, texts BLOB, more BLOB)""",
        "CREATE TABLE blocks (block INTEGER PRIMARY KEY, stale INTEGER NOT NULL)",
        "INSERT INTO blocks SELECT DISTINCT id >> 10, 1 FROM images",
        "INSERT INTO settings VALUES ('changes', 0), ('words', 'stale')",
    ):
        connection.execute(statement)


def m003_decisions(connection: sqlite3.Connection) -> None:
    """decisions  what people decided on contents; `second` is empty where there is only one"""
    connection.execute(
        """CREATE TABLE decisions (
             kind TEXT NOT NULL,
             first BLOB NOT NULL,
             second BLOB NOT NULL,
             who TEXT NOT NULL,
             at TEXT NOT NULL,
             PRIMARY KEY (kind, first, second)) WITHOUT ROWID"""
    )


MIGRATIONS: tuple[Migration, ...] = (
    m001_images_spaces_and_placements,
    m002_words_and_columns,
    m003_decisions,
)


def version(connection: sqlite3.Connection) -> int:
    """The format of this catalogue: how many steps it has seen."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def refuse_newer(connection: sqlite3.Connection, migrations: Sequence[Migration]) -> int:
    """The format; `LibraryTooNew` if this program does not know it."""
    found = version(connection)
    if found > len(migrations):
        raise LibraryTooNew(
            f"the library has format {found}, this program knows formats up to {len(migrations)}: "
            "pip install --upgrade lookalike"
        )
    return found


def migrate(connection: sqlite3.Connection, migrations: Sequence[Migration]) -> None:
    """Take the steps that are missing, each whole or not at all."""
    for number in range(refuse_newer(connection, migrations), len(migrations)):
        connection.execute("BEGIN IMMEDIATE")
        try:
            migrations[number](connection)
            connection.execute(f"PRAGMA user_version = {number + 1}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # Ctrl-C may come right after the commit
                connection.execute("ROLLBACK")
            raise
