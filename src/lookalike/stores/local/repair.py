"""Repair of a damaged library: what is derived is made again, what is damaged is dropped.

Whoever indexes next makes the vectors again of images that still exist (`Library.repair`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from lookalike.errors import LibraryDamaged
from lookalike.stores.local import checksums
from lookalike.stores.local.ann import index_files
from lookalike.stores.local.apply_entries import count_deleted, delete_chosen
from lookalike.stores.local.check import check_derived, check_space, impossible_rows
from lookalike.stores.local.database import (
    CATALOGUE,
    SpaceRow,
    connect,
    space_rows,
    transaction,
    translate_errors,
)
from lookalike.stores.local.lock import write_lock
from lookalike.stores.local.maintenance import compact, remove_leftovers
from lookalike.stores.local.migrations import m005_words_of_all_scripts
from lookalike.stores.local.thumbnails import delete_unused
from lookalike.stores.local.vector_file import map_vectors, rows_on_disk
from lookalike.stores.records import Ids
from lookalike.vectors.blocks import Rows


def repair_catalogue(folder: Path) -> list[str]:
    """Make again what the catalogue derives from its own tables.

    Returns what was mended, a line each. `LibraryDamaged` if SQLite cannot read the rest, `LibraryBusy`.
    """
    with (
        translate_errors(folder),
        write_lock(folder),
        closing(connect(folder, "write")) as connection,
    ):
        broken = [line for (line,) in connection.execute("PRAGMA integrity_check") if line != "ok"]
        if broken:
            connection.execute("REINDEX")
        _empty_text_table(connection)
        with transaction(connection):
            connection.execute("DELETE FROM columns")
            connection.execute(
                "INSERT OR REPLACE INTO blocks SELECT DISTINCT id >> 10, 1 FROM images"
            )
        rest = [line for (line,) in connection.execute("PRAGMA integrity_check") if line != "ok"]
        if rest:
            raise LibraryDamaged(
                f"{folder / CATALOGUE} cannot be repaired ({rest[0]}): restore it from a backup, or delete "
                "that folder and index again"
            )
    lines = ["catalogue: the index of texts and the columns of filters are made again"]
    if broken:
        lines.append(f"catalogue: its indexes were damaged ({broken[0]}) and are made again")
    return lines


def _empty_text_table(connection: sqlite3.Connection) -> None:
    """Make the table of texts anew; the writer fills it."""
    try:
        with transaction(connection):
            m005_words_of_all_scripts(connection)
    except sqlite3.DatabaseError:  # FTS5 does not even drop a table that it cannot read
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("DELETE FROM sqlite_master WHERE name = 'words'")
        connection.execute("PRAGMA writable_schema = RESET")
        with transaction(connection):
            for part in ("data", "idx", "content", "docsize", "config"):
                connection.execute(f"DROP TABLE IF EXISTS words_{part}")
            m005_words_of_all_scripts(connection)


def _drop_contradictions(connection: sqlite3.Connection) -> int:
    """Delete rows that name what is not there, or one vector for two images."""
    with transaction(connection):
        connection.execute("DELETE FROM temp.deleted")
        connection.execute(
            "INSERT INTO temp.deleted SELECT id FROM images WHERE root NOT IN (SELECT id FROM roots)"
        )
        before = connection.total_changes
        for statement in (
            """DELETE FROM placements WHERE space NOT IN (SELECT id FROM spaces)
                 OR image NOT IN (SELECT id FROM images WHERE outcome = 'indexed')""",
            "DELETE FROM dead WHERE space NOT IN (SELECT id FROM spaces)",
            "DELETE FROM checksums WHERE space NOT IN (SELECT id FROM spaces)",
            "DELETE FROM metadata WHERE image NOT IN (SELECT id FROM images)",
            "DELETE FROM facts WHERE image NOT IN (SELECT id FROM images)",
            "DELETE FROM sidecars WHERE image NOT IN (SELECT id FROM images)",
            """DELETE FROM placements WHERE row < 0
                 OR row >= (SELECT rows FROM spaces WHERE id = space)
                 OR (space, row) IN (SELECT space, row FROM dead)
                 OR (space, row) IN
                      (SELECT space, row FROM placements GROUP BY space, row HAVING count(*) > 1)""",
        ):
            connection.execute(statement)
        dropped = connection.total_changes - before
        if connection.execute("SELECT 1 FROM temp.deleted").fetchone():
            dropped += count_deleted(connection)
            delete_chosen(connection)
    return dropped


def repair_spaces(folder: Path, connection: sqlite3.Connection) -> Iterator[str]:
    """Drop contradictions and damaged vectors, write ids again, add missing checksums, and disable
    damaged ANN indexes.

    Yields what was done, a line each. Needs the writer's connection.
    """
    if dropped := _drop_contradictions(connection):
        yield f"catalogue: {dropped} rows that contradict others are dropped"
    for space in space_rows(connection):
        if list(check_space(folder, connection, space)):
            below = min(rows_on_disk(folder, space), space.rows)
            without = _impossible_rows(folder, space) if below == space.rows else None
            lost = compact(folder, connection, space, below=below, without=without)
            yield f"{space.key}: its files are written again, without {lost} damaged vectors"
        else:
            with transaction(connection):
                added = checksums.add_missing(folder, connection, space)
            if added:
                yield f"{space.key}: {added} blocks of vectors had no checksum, and have one now"
    remove_leftovers(folder, connection)
    if unused := delete_unused(folder, connection):
        yield f"thumbnails: {unused} of images that are gone are deleted"
    for space in space_rows(connection):
        for line in list(check_derived(folder, space)):
            _disable_index(folder, space)
            yield f"{space.key}: {line}"


def placed_images(connection: sqlite3.Connection) -> dict[str, Ids]:
    """Return the images that have a vector, sorted, by space."""
    return {
        space.key: np.fromiter(
            (
                image
                for (image,) in connection.execute(
                    "SELECT image FROM placements WHERE space = ? ORDER BY image", (space.id,)
                )
            ),
            np.int64,
        )
        for space in space_rows(connection)
    }


def _impossible_rows(folder: Path, space: SpaceRow) -> Rows:
    mapped = map_vectors(folder, space, np.empty(0, np.int64))
    found = impossible_rows(mapped, space, np.arange(space.rows, dtype=np.int64))
    return np.concatenate(found)


def _disable_index(folder: Path, space: SpaceRow) -> None:
    """Make sure that no search uses the space's index; its recipe stays, by which it is built again."""
    manifest = index_files.read_manifest(folder, space)
    if manifest is not None and not manifest.index.disabled_reason:
        index_files.write_manifest(folder, space, replace(manifest, fingerprint="damaged"))
    (index_files.manifest_file(folder, space).parent / index_files.DELTA_MANIFEST).unlink(
        missing_ok=True
    )
