"""What keeps the files of a library small and right: compaction, and tidying up after a kill."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from lookalike.stores.interface import Ids
from lookalike.stores.local.ann.index_files import abandoned
from lookalike.stores.local.database import SpaceRow, newest_image, space_rows, transaction
from lookalike.stores.local.vector_file import (
    GENERATION_FILE,
    ID,
    NUMBERS,
    OTHER_FILE,
    append,
    ids_are_whole,
    ids_file,
    make_files,
    row_bytes,
    rows_on_disk,
    space_folder,
    vectors_file,
)
from lookalike.stores.records import IMPORTED
from lookalike.vectors.blocks import Rows

log = logging.getLogger(__name__)

DEAD_SHARE = 0.3
DEAD_AT_LEAST = 4096
"""A space is compacted when so many of its rows are dead: each costs a search as much as a live
one, and compaction costs a copy of the rest."""

BLOCK_BYTES = 16 << 20
"""Of vectors that are copied at a time."""


def tidy(folder: Path, connection: sqlite3.Connection) -> dict[str, int]:
    """What the last writer may have left: rows past the committed count, files of other
    generations, folders of spaces that were never committed. Returns how many vectors were lost
    from damaged files, by space."""
    lost_vectors: dict[str, int] = {}
    for space in space_rows(connection):
        kept = rows_on_disk(folder, space)
        if kept < space.rows or not ids_are_whole(folder, space, newest_image(connection)):
            # The catalogue knows whose each row is: the ids are written anew from it.
            lost_vectors[space.key] = _compact(
                folder, connection, space, below=min(kept, space.rows)
            )
        else:
            _cut(folder, space)
    remove_leftovers(folder, connection)
    spaces = [space for space in space_rows(connection) if abandoned(folder, space)]
    if spaces:
        from lookalike.stores.local.ann.index_builder import remove_abandoned  # it imports much

        remove_abandoned(folder, spaces)
    return lost_vectors


def tell_losses(lost_vectors: Mapping[str, int]) -> None:
    """A warning for each space that has lost vectors: nobody else will hear of it."""
    for key, count in lost_vectors.items():
        name, _, revision = key.rpartition("@")
        if count:
            log.warning(
                "%s vectors of %s were lost from a damaged file: %s",
                f"{count:,}",
                name,
                "bring them in again with `lookalike import`"
                if revision == IMPORTED
                else "`lookalike index` makes them again from the pictures",
            )


def compact_where_worth_it(folder: Path, connection: sqlite3.Connection) -> None:
    """Compact each space with many dead rows; called after each change, cheap if there are few."""
    done = False
    for space in space_rows(connection):
        if space.deleted >= DEAD_AT_LEAST and space.deleted > DEAD_SHARE * space.rows:
            _compact(folder, connection, space, below=space.rows)
            done = True
    if done:
        remove_leftovers(folder, connection)


def _compact(folder: Path, connection: sqlite3.Connection, space: SpaceRow, *, below: int) -> int:
    """Copy the living rows below that number into a new generation, in the order of their images,
    and switch over in one commit. Readers of the old generation go on with their maps. Returns how
    many placements were lost because their row is not below."""
    new = replace(space, generation=space.generation + 1, rows=0, deleted=0, ordered=0)
    space_folder(folder, space).mkdir(parents=True, exist_ok=True)
    make_files(folder, new)
    with transaction(connection):
        lost = connection.execute(
            "DELETE FROM placements WHERE space = ? AND row >= ?", (space.id, below)
        ).rowcount
        connection.execute("DELETE FROM dead WHERE space = ?", (space.id,))
        for images, rows in _placed(connection, space):
            old = np.memmap(
                vectors_file(folder, space),
                NUMBERS[space.dtype],
                mode="r",
                shape=(below, space.dim),
            )
            append(folder, new, images, np.asarray(old)[rows])
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


def _placed(connection: sqlite3.Connection, space: SpaceRow) -> Iterator[tuple[Ids, Rows]]:
    """(images, rows) of a space by rising image, a block at a time. Each block is a query of its
    own: the rows are changed while we go."""
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


def _cut(folder: Path, space: SpaceRow) -> None:
    """Give back the disk behind the committed rows. Nobody reads it, so it may fail: Windows does
    not cut a file that somebody has mapped."""
    with suppress(OSError):
        for path, size in (
            (vectors_file(folder, space), space.rows * row_bytes(space)),
            (ids_file(folder, space), space.rows * ID.itemsize),
        ):
            if path.stat().st_size > size:
                os.truncate(path, size)


def _discard(place: Path) -> None:
    """Delete a folder, and in it what we named. `spaces` may be a link, by mistake or by malice to a folder
    full of "holiday-2024": whatever else lies there stays."""
    with suppress(OSError):
        for file in place.iterdir():
            if any(names.fullmatch(file.name) for names in (GENERATION_FILE, OTHER_FILE)):
                file.unlink()
        place.rmdir()


def remove_leftovers(folder: Path, connection: sqlite3.Connection) -> None:
    """Delete files of generations and spaces that the catalogue does not know. What is still mapped
    on Windows stays until the next time."""
    known = {space.directory: space for space in space_rows(connection)}
    spaces = folder / "spaces"
    for place in spaces.iterdir() if spaces.is_dir() else ():
        space = known.get(place.name)
        if space is None:
            if place.name.rpartition("-")[2].isdigit():  # only folders that we named
                _discard(place)
            continue
        for file in place.iterdir():
            match = GENERATION_FILE.fullmatch(file.name)
            if match and int(match[1]) != space.generation:
                with suppress(OSError):
                    file.unlink()
