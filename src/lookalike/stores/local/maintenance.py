"""Maintenance by the writer: recovery after a kill, compaction, and derived tables."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from lookalike.files import make_folder
from lookalike.stores.local.ann.index_files import has_leftovers
from lookalike.stores.local.block_columns import pack_stale
from lookalike.stores.local.checksums import append_rows, damaged_rows
from lookalike.stores.local.database import SpaceRow, newest_image, space_rows, transaction
from lookalike.stores.local.full_text import update_text
from lookalike.stores.local.thumbnails import delete_unused
from lookalike.stores.local.vector_file import (
    DTYPES,
    GENERATION_FILE,
    ID,
    OTHER_FILE,
    ids_are_intact,
    ids_file,
    make_files,
    remedy_for_lost_vectors,
    row_bytes,
    rows_on_disk,
    space_folder,
    vectors_file,
)
from lookalike.stores.records import Ids
from lookalike.vectors.blocks import Rows

log = logging.getLogger(__name__)

COMPACT_SHARE = 0.3
"""Share of tombstones above which a space is compacted: a tombstone costs a search as much as a live row, and
compaction costs a copy of the live rows."""

BLOCK_BYTES = 16 << 20
"""Vectors that are copied at a time."""

PACK_SHARE = 20
"""Packing takes at most a 20th of a long run. Readers unpack each stale block themselves in 15 ms, so there
must not be many; but a block that changes again is packed again."""

PACK_INTERVAL = 10.0
"""Seconds between two packings, at least."""

# Recovery


def recover(folder: Path, connection: sqlite3.Connection) -> dict[str, int]:
    """Clean up what a killed writer has left, and rebuild damaged ids.

    That is: rows past the committed count, files of other generations, directories of spaces that were never
    committed. Returns how many vectors were lost from damaged files, by space; for undamaged spaces nothing.
    """
    lost: dict[str, int] = {}
    for space in space_rows(connection):
        intact = rows_on_disk(folder, space)
        if intact < space.rows or not ids_are_intact(folder, space, newest_image(connection)):
            # The catalogue knows the image of each row, so compaction writes the ids again.
            lost[space.key] = compact(folder, connection, space, below=min(intact, space.rows))
        else:
            _truncate(folder, space)
    remove_leftovers(folder, connection)
    spaces = [space for space in space_rows(connection) if has_leftovers(folder, space)]
    if spaces:
        from lookalike.stores.local.ann import index_builder  # it imports FAISS

        index_builder.remove_leftovers(folder, spaces)
    return lost


def warn_of_losses(lost: Mapping[str, int]) -> None:
    """Log a warning for each space that has lost vectors; nothing else would report it."""
    for key, count in lost.items():
        name, _, revision = key.rpartition("@")
        if count:
            log.warning(
                "%s vectors of %s were lost from a damaged file: %s",
                f"{count:,}",
                name,
                remedy_for_lost_vectors(revision),
            )


def _truncate(folder: Path, space: SpaceRow) -> None:
    """Free the disk space behind the committed rows. Nobody reads it, so this may fail: Windows does not
    truncate a file that is mapped."""
    with suppress(OSError):
        for path, size in (
            (vectors_file(folder, space), space.rows * row_bytes(space)),
            (ids_file(folder, space), space.rows * ID.itemsize),
        ):
            if path.stat().st_size > size:
                os.truncate(path, size)


def remove_leftovers(folder: Path, connection: sqlite3.Connection) -> None:
    """Delete files of generations and spaces that are not in the catalogue. Files that are mapped on Windows
    stay until the next time."""
    known = {space.directory: space for space in space_rows(connection)}
    spaces = folder / "spaces"
    for place in spaces.iterdir() if spaces.is_dir() else ():
        space = known.get(place.name)
        if space is None:
            if place.name.rpartition("-")[2].isdigit():  # only directories that we named
                _remove_directory(place)
            continue
        for file in place.iterdir():
            match = GENERATION_FILE.fullmatch(file.name)
            if match and int(match[1]) != space.generation:
                with suppress(OSError):
                    file.unlink()


def _remove_directory(directory: Path) -> None:
    """Delete a directory and the files in it that we named. `spaces` may be a link to a folder full of
    "holiday-2024", by mistake or by malice: everything else in there stays."""
    with suppress(OSError):
        for file in directory.iterdir():
            if any(names.fullmatch(file.name) for names in (GENERATION_FILE, OTHER_FILE)):
                file.unlink()
        directory.rmdir()


# Compaction


def compact_if_due(folder: Path, connection: sqlite3.Connection, *, at_least: int) -> None:
    """Compact each space with many tombstones, `at_least` of them; called after each change."""
    lost: dict[str, int] = {}
    for space in space_rows(connection):
        if space.deleted >= at_least and space.deleted > COMPACT_SHARE * space.rows:
            lost[space.key] = compact(folder, connection, space, below=space.rows)
    warn_of_losses(lost)
    if lost:
        remove_leftovers(folder, connection)
        delete_unused(folder, connection)


def compact(
    folder: Path,
    connection: sqlite3.Connection,
    space: SpaceRow,
    *,
    below: int,
    without: Rows | None = None,
) -> int:
    """Copy the live rows with a number below `below` into a new generation, by rising image.

    Switches to it in one commit; readers of the old generation go on with their maps. Returns the number of
    vectors that were lost: rows not below, rows of damaged blocks, and those in `without`.
    """
    damaged = damaged_rows(folder, connection, space, below=below)
    unusable = damaged if without is None else np.union1d(damaged, without)
    new = replace(space, generation=space.generation + 1, rows=0, deleted=0, ordered=0)
    make_folder(space_folder(folder, space))
    make_files(folder, new)
    with transaction(connection):
        connection.execute("CREATE TEMP TABLE IF NOT EXISTS unusable (row INTEGER PRIMARY KEY)")
        connection.execute("DELETE FROM temp.unusable")
        connection.executemany(
            "INSERT INTO temp.unusable VALUES (?)", ((row,) for row in unusable.tolist())
        )
        lost = connection.execute(
            "DELETE FROM placements WHERE space = ? AND (row >= ? OR row IN (SELECT row FROM temp.unusable))",
            (space.id, below),
        ).rowcount
        connection.execute("DELETE FROM dead WHERE space = ?", (space.id,))
        connection.execute("DELETE FROM checksums WHERE space = ?", (space.id,))
        for images, rows in _live_rows(connection, space):
            old = np.memmap(
                vectors_file(folder, space),
                DTYPES[space.dtype],
                mode="r",
                shape=(below, space.dim),
            )
            append_rows(folder, connection, new, images, np.asarray(old)[rows])
            connection.executemany(
                "UPDATE placements SET row = ? WHERE image = ? AND space = ?",
                (
                    (new.rows + number, image, space.id)
                    for number, image in enumerate(images.tolist())
                ),
            )
            new = replace(new, rows=new.rows + len(images))
        connection.execute(
            "UPDATE spaces SET generation = ?, rows = ?, dead = 0, ordered = ? WHERE id = ?",
            (new.generation, new.rows, new.rows, space.id),
        )
    return lost


def _live_rows(connection: sqlite3.Connection, space: SpaceRow) -> Iterator[tuple[Ids, Rows]]:
    """Yield (images, rows) of a space by rising image, block by block. Each block is a query of its own,
    because the caller changes the rows between them."""
    block = max(1, BLOCK_BYTES // row_bytes(space))
    last = 0
    while True:
        placed = connection.execute(
            """SELECT image, row FROM placements WHERE image > ? AND space = ?
               ORDER BY image LIMIT ?""",
            (last, space.id, block),
        ).fetchall()
        if not placed:
            return
        array = np.array(placed, np.int64)
        yield array[:, 0], array[:, 1]
        last = int(array[-1, 0])


# Derived tables


class DerivedTables:
    """Keeps the packed columns and the text index current, without spending much of a long run on it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._due = time.monotonic() + PACK_INTERVAL

    def update(self) -> None:
        """Bring all derived tables up to date."""
        self._index_old_texts()
        pack_stale(self._connection)

    def update_if_due(self) -> None:
        """Do the same if enough time has passed since the last time."""
        started = time.monotonic()
        if started >= self._due:
            self.update()
            now = time.monotonic()
            self._due = now + max(PACK_INTERVAL, PACK_SHARE * (now - started))

    def _index_old_texts(self) -> None:
        """Index the texts of images that are older than the table of texts (migrations 2 and 5)."""
        stale = "SELECT 1 FROM settings WHERE key = 'words' AND value = 'stale'"
        if self._connection.execute(stale).fetchone() is None:
            return
        with transaction(self._connection):
            described = self._connection.execute(
                "SELECT image FROM metadata UNION SELECT image FROM facts UNION SELECT image FROM sidecars"
            ).fetchall()
            update_text(self._connection, (image for (image,) in described))
            self._connection.execute("DELETE FROM settings WHERE key = 'words'")
