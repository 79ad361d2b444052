"""Tables of the catalogue, as numbered migrations.

A migration that was released is never edited: a change is a new migration at the end. The number of applied
migrations is the format of a catalogue, stored in SQLite's `user_version`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import TypeAlias

from lookalike.errors import LibraryTooNew

Migration: TypeAlias = Callable[[sqlite3.Connection], None]

APPLICATION_ID = 0x4C6B416C
""""LkAl" in SQLite's header: distinguishes our catalogue from other SQLite files of that name."""


def m001_images_spaces_and_placements(connection: sqlite3.Connection) -> None:
    """Create the tables of images, spaces and the vectors of images.

    roots       folders; `relative` ones are relative to the folder that holds `.lookalike`
    images      one row per file; a path that is not valid Unicode is a BLOB (see `path_encoding`)
    spaces      `rows` vectors of generation `generation` are committed, `dead` of them are tombstones,
                and the first `ordered` of them are in the order of their ids
    placements  the row that holds the vector of an image
    dead        tombstones: rows that belong to no image any more, numbered in the order of their
                deletion, so that a reader who knows the first n loads only the later ones
    settings    counters and flags
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
    """Create the tables of metadata, texts and packed columns.

    facts     metadata in the image file itself (see `stores.metadata`)
    sidecars  metadata in files beside the image; `mark` tells whether those files have changed
    words     the texts of an image, for `full_text`
    fields    names that filters may use; `of_file`: a field of the file itself, not of the metadata
    columns   one field of 1,024 images, packed (`block_columns`); key = field << 40 | block
    blocks    the blocks that hold images; the packed columns of a stale block are out of date

    Everything that is there already is stale: opening the library packs it and fills `words`.
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
    """Create the table of feedback.

    decisions  judgements by people about contents; `second` is empty where there is only one"""
    connection.execute(
        """CREATE TABLE decisions (
             kind TEXT NOT NULL,
             first BLOB NOT NULL,
             second BLOB NOT NULL,
             who TEXT NOT NULL,
             at TEXT NOT NULL,
             PRIMARY KEY (kind, first, second)) WITHOUT ROWID"""
    )


def m004_reason_of_other_files(connection: sqlite3.Connection) -> None:
    """Reword the reason of files that are not images, by which reports recognise them."""
    connection.execute(
        """UPDATE images SET reason = 'not an image' || substr(reason, length('not a picture') + 1)
           WHERE outcome = 'unsupported' AND reason LIKE 'not a picture%'"""
    )


def m005_words_of_all_scripts(connection: sqlite3.Connection) -> None:
    """Make the table of texts anew: it holds tokens of `stores.text_analysis`, and texts in filters are in
    composed form. Opening the library fills it and packs all columns again."""
    for statement in (
        "DROP TABLE IF EXISTS words",
        """CREATE VIRTUAL TABLE words USING fts5 (
             caption, keywords, fields, path, tokenize = 'ascii')""",
        "UPDATE blocks SET stale = 1",
        "INSERT OR REPLACE INTO settings VALUES ('words', 'stale')",
    ):
        connection.execute(statement)


def m006_inodes(connection: sqlite3.Connection) -> None:
    """Add the states of inodes, which tell replaced files, and what identifies the folder of a root."""
    for statement in (
        "ALTER TABLE images ADD COLUMN ctime_ns INTEGER",
        "ALTER TABLE images ADD COLUMN inode INTEGER",
        "ALTER TABLE roots ADD COLUMN identity TEXT NOT NULL DEFAULT ''",
    ):
        connection.execute(statement)


def m007_skipped_files_and_exclusions(connection: sqlite3.Connection) -> None:
    """Give files that are not images the outcome "skipped", and roots the patterns of `Root.exclude`."""
    for statement in (
        """UPDATE images SET outcome = 'skipped'
           WHERE outcome = 'unsupported' AND reason LIKE 'not an image%'""",
        """UPDATE blocks SET stale = 1 WHERE block IN
             (SELECT id >> 10 FROM images WHERE outcome <> 'indexed' AND outcome = 'skipped')""",
        "ALTER TABLE roots ADD COLUMN exclude TEXT NOT NULL DEFAULT '[]'",
    ):
        connection.execute(statement)


def m008_metadata_by_content(connection: sqlite3.Connection) -> None:
    """Create the table of what tables said about images that were removed, by content."""
    connection.execute(
        """CREATE TABLE kept_metadata (
             hash BLOB NOT NULL,
             root INTEGER NOT NULL,
             path NOT NULL,
             json TEXT NOT NULL,
             PRIMARY KEY (hash, root, path))"""
    )


def m009_comparisons(connection: sqlite3.Connection) -> None:
    """Create the table of comparisons of duplicates.

    comparisons  results by the hashes of two contents, the smaller one first; `revision` says how they were
                 made"""
    connection.execute(
        """CREATE TABLE comparisons (
             first BLOB NOT NULL,
             second BLOB NOT NULL,
             revision TEXT NOT NULL,
             result TEXT NOT NULL,
             PRIMARY KEY (first, second)) WITHOUT ROWID"""
    )


def m010_checksums(connection: sqlite3.Connection) -> None:
    """Create the table of the checksums of stored vectors; blocks that are there already have none yet.

    checksums  CRC-32 of the committed rows of a block of 64 (`stores.local.checksums`)"""
    connection.execute(
        """CREATE TABLE checksums (
             space INTEGER NOT NULL REFERENCES spaces (id),
             block INTEGER NOT NULL,
             crc INTEGER NOT NULL,
             PRIMARY KEY (space, block)) WITHOUT ROWID"""
    )


def m011_comparisons_of_deleted_contents(connection: sqlite3.Connection) -> None:
    """Find comparisons by their second content; delete those that lack an image."""
    connection.execute("CREATE INDEX comparisons_by_second ON comparisons (second)")
    connection.execute(
        """DELETE FROM comparisons WHERE NOT EXISTS (SELECT 1 FROM images WHERE hash = first)
             OR NOT EXISTS (SELECT 1 FROM images WHERE hash = second)"""
    )


def m012_dominant_colors(connection: sqlite3.Connection) -> None:
    """Add the dominant colours of images, "#rrggbb"; images that are there get theirs when they are read
    again."""
    connection.execute("ALTER TABLE images ADD COLUMN dominant_color TEXT")


MIGRATIONS: tuple[Migration, ...] = (
    m001_images_spaces_and_placements,
    m002_words_and_columns,
    m003_decisions,
    m004_reason_of_other_files,
    m005_words_of_all_scripts,
    m006_inodes,
    m007_skipped_files_and_exclusions,
    m008_metadata_by_content,
    m009_comparisons,
    m010_checksums,
    m011_comparisons_of_deleted_contents,
    m012_dominant_colors,
)


def version(connection: sqlite3.Connection) -> int:
    """Return the format of this catalogue: the number of migrations that were applied."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def refuse_newer(connection: sqlite3.Connection, migrations: Sequence[Migration]) -> int:
    """Return the format; raises `LibraryTooNew` if this program does not know it."""
    found = version(connection)
    if found > len(migrations):
        raise LibraryTooNew(
            f"the library has format {found}, this program knows formats up to {len(migrations)}: "
            "pip install --upgrade lookalike"
        )
    return found


def migrate(connection: sqlite3.Connection, migrations: Sequence[Migration]) -> None:
    """Apply the missing migrations, each one completely or not at all."""
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
