"""Store a batch of entries, and delete images, inside the caller's transaction.

Vectors are appended to their files first, then the rows that name them are written: what a transaction
that is rolled back has appended belongs to no image, and the next batch overwrites it.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lookalike.stores.local.block_columns import mark_blocks_of_deleted_stale, mark_blocks_stale
from lookalike.stores.local.checksums import append_rows, verified_rows
from lookalike.stores.local.comparisons import forget_contents
from lookalike.stores.local.database import SpaceRow, chunks, newest_image, placeholders, space_rows
from lookalike.stores.local.full_text import delete_text_of_deleted, update_text
from lookalike.stores.local.path_encoding import decode_path, encode_path
from lookalike.stores.local.vector_file import last_id
from lookalike.stores.metadata import plain_text
from lookalike.stores.records import Entry
from lookalike.stores.write_plan import (
    FileFacts,
    Location,
    Plan,
    Step,
    StoredImage,
    plan,
    prepare_vectors,
    restored_metadata,
)


def apply_entries(
    folder: Path, connection: sqlite3.Connection, entries: Sequence[Entry]
) -> dict[Location, int]:
    """Store entries, no two of which have the same location; return their ids by location."""
    spaces = {row.key: row for row in space_rows(connection)}
    keys = {row.id: key for key, row in spaces.items()}

    def read(
        column: Literal["id", "hash", "location"], values: Collection[Any]
    ) -> list[StoredImage]:
        return _read_images(connection, keys, column, values)

    planned = plan(entries, read, next_id=newest_image(connection) + 1)
    if planned.stale:
        connection.execute("DELETE FROM temp.stale")
        connection.executemany(
            "INSERT INTO temp.stale VALUES (?, ?)",
            ((image, spaces[key].id) for image, key in planned.stale),
        )
        _delete_stale_vectors(connection)
    if planned.replaced:
        choose_deleted(connection, planned.replaced)
        _delete_images(connection)
    _write_images(connection, planned.steps)
    if planned.changed_contents:
        connection.execute("DELETE FROM temp.gone")
        connection.executemany(
            "INSERT INTO temp.gone VALUES (?)", ((hash,) for hash in planned.changed_contents)
        )
        forget_contents(connection)
    for space in spaces.values():
        _write_vectors(folder, connection, planned, space)
    return {(step.entry.root, step.entry.path): step.id for step in planned.steps}


# Reads before the batch


def _read_images(
    connection: sqlite3.Connection,
    keys: Mapping[int, str],
    column: Literal["id", "hash", "location"],
    values: Collection[Any],
) -> list[StoredImage]:
    """See `ReadImages`. `keys`: space keys by space id; the vectors are row numbers."""
    if column == "location":
        paths: defaultdict[int, list[str | bytes]] = defaultdict(list)
        for root, path in values:
            paths[root].append(encode_path(path))
        rows = [
            row
            for root, some in paths.items()
            for row in _select(connection, "path", some, root=root)
        ]
    else:
        rows = list(_select(connection, column, values))
    held: dict[int, dict[str, int]] = {row[0]: {} for row in rows}
    for chunk in chunks(held):
        for image, space, number in connection.execute(
            f"SELECT image, space, row FROM placements WHERE image IN ({placeholders(chunk)})",  # noqa: S608
            chunk,
        ):
            held[image][keys[space]] = number
    return [
        StoredImage(id_, (root, decode_path(path)), hash, tuple(facts), held[id_])
        for id_, root, path, hash, *facts in rows
    ]


def _select(
    connection: sqlite3.Connection,
    column: Literal["id", "hash", "path"],
    values: Iterable[object],
    *,
    root: int | None = None,
) -> Iterator[tuple[Any, ...]]:
    condition, first = ("", []) if root is None else ("root = ? AND", [root])
    for chunk in chunks(values):
        yield from connection.execute(
            "SELECT id, root, path, hash, width, height, format, dominant_color, json FROM images "  # noqa: S608
            "LEFT JOIN facts ON facts.image = images.id "
            f"WHERE {condition} {column} IN ({placeholders(chunk)}) ORDER BY id",
            [*first, *chunk],
        )


# Writes of the batch


def _write_images(connection: sqlite3.Connection, steps: Sequence[Step]) -> None:
    moved = [(step.id,) for step in steps if step.moved]
    if moved:
        # To unique names first: two files may have swapped theirs. No other path is such a BLOB.
        connection.executemany(
            "UPDATE images SET path = CAST('\xff moving ' || id AS BLOB) WHERE id = ?", moved
        )
    known = [(step, step.facts) for step in steps]
    connection.executemany(
        """UPDATE images SET root = ?, path = ?, size = ?, mtime_ns = ?, hash = ?, outcome = ?,
             reason = ?, ctime_ns = ?, inode = ?, width = ?, height = ?, format = ?, dominant_color = ?
             WHERE id = ?""",
        (_image_row(step, facts) for step, facts in known if step.before is not None),
    )
    connection.executemany(
        """INSERT INTO images (root, path, size, mtime_ns, hash, outcome, reason, ctime_ns, inode,
             width, height, format, dominant_color, id)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (_image_row(step, facts) for step, facts in known if step.before is None),
    )
    restored = _restore_metadata(connection, [step for step in steps if step.before is None])
    facts = {step.id: facts[-1] for step, facts in known if facts[-1]}
    _write_facts(connection, steps, facts, restored)


def _restore_metadata(connection: sqlite3.Connection, steps: Sequence[Step]) -> set[int]:
    """Give new images what tables said about their content before it was removed; return their ids."""
    if connection.execute("SELECT 1 FROM kept_metadata LIMIT 1").fetchone() is None:
        return set()
    kept: defaultdict[bytes, dict[Location, str]] = defaultdict(dict)
    for chunk in chunks({step.entry.hash for step in steps} - {None}):
        for hash, root, path, text in connection.execute(
            "SELECT hash, root, path, json FROM kept_metadata "  # noqa: S608
            f"WHERE hash IN ({placeholders(chunk)}) ORDER BY rowid",
            chunk,
        ):
            kept[hash][root, decode_path(path)] = text
    found, same_place = restored_metadata(kept, steps)
    connection.executemany("INSERT OR REPLACE INTO metadata VALUES (?, ?)", found.items())
    connection.executemany(
        "DELETE FROM kept_metadata WHERE (hash, root, path) = (?, ?, ?)",
        ((one.entry.hash, one.entry.root, encode_path(one.entry.path)) for one in same_place),
    )
    return set(found)


def _write_facts(
    connection: sqlite3.Connection,
    steps: Sequence[Step],
    facts: Mapping[int, str | None],
    restored: Collection[int],
) -> None:
    """Write what the files say about themselves, and update what is derived from it."""
    connection.executemany(
        "DELETE FROM facts WHERE image = ?",
        ((step.id,) for step in steps if step.before and step.before.facts[-1]),
    )
    connection.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", facts.items())
    # Other new images have no text.
    described = facts.keys() | restored
    update_text(connection, [step.id for step in steps if step.before or step.id in described])
    mark_blocks_stale(connection, (step.id for step in steps))


def _image_row(step: Step, facts: FileFacts) -> tuple[object, ...]:
    entry = step.entry
    return (
        entry.root,
        encode_path(entry.path),
        entry.size,
        entry.mtime_ns,
        entry.hash,
        entry.outcome.value,
        plain_text(entry.reason) if entry.reason else "",
        *(entry.inode or (None, None)),
        *facts[:-1],
        step.id,
    )


def _write_vectors(
    folder: Path, connection: sqlite3.Connection, planned: Plan, space: SpaceRow
) -> None:
    """Append the new vectors of one space by rising id, and record their rows."""
    given = [
        (step.id, step.entry.vectors[space.key])
        for step in planned.steps
        if space.key in step.entry.vectors
    ]
    copies = [(image, row) for image, key, row in planned.copies if key == space.key]
    if not given and not copies:
        return
    ids = np.array([image for image, _ in given] + [image for image, _ in copies], np.int64)
    vectors = np.empty((len(ids), space.dim), np.float32)
    if given:
        np.stack([vector for _, vector in given], out=vectors[: len(given)])
    if copies:
        rows = np.array([row for _, row in copies], np.int64)
        vectors[len(given) :] = verified_rows(folder, connection, space, rows)
    order = np.argsort(ids)
    ids, vectors = ids[order], vectors[order]
    prepared = prepare_vectors(
        vectors, key=space.key, normalised=bool(space.normalised), dtype=space.dtype
    )
    append_rows(folder, connection, space, ids, prepared)
    connection.executemany(
        "INSERT INTO placements (image, space, row) VALUES (?, ?, ?)",
        ((image, space.id, space.rows + number) for number, image in enumerate(ids.tolist())),
    )
    in_order = space.ordered == space.rows and last_id(folder, space) < ids[0]
    connection.execute(
        "UPDATE spaces SET rows = rows + ?, ordered = ordered + ? WHERE id = ?",
        (len(ids), len(ids) if in_order else 0, space.id),
    )


# Deleting images. Their ids are in temp.deleted, so that any number of them costs no memory.


def choose_deleted(connection: sqlite3.Connection, ids: Iterable[int]) -> None:
    """Put those of the ids that exist into temp.deleted, and nothing else."""
    connection.execute("DELETE FROM temp.deleted")
    for chunk in chunks(int(id_) for id_ in ids):
        connection.execute(
            "INSERT OR IGNORE INTO temp.deleted "  # noqa: S608
            f"SELECT id FROM images WHERE id IN ({placeholders(chunk)})",
            chunk,
        )


def count_deleted(connection: sqlite3.Connection, *, indexed: bool = False) -> int:
    """Return how many ids are in temp.deleted; `indexed`: only of indexed images."""
    indexed_only = "JOIN images USING (id) WHERE outcome = 'indexed'" if indexed else ""
    row = connection.execute(f"SELECT count(*) FROM temp.deleted {indexed_only}").fetchone()  # noqa: S608
    return int(row[0])


def delete_chosen(connection: sqlite3.Connection) -> None:
    """Delete the images in temp.deleted, with their vectors and metadata."""
    connection.execute("DELETE FROM temp.stale")
    connection.execute(
        """INSERT INTO temp.stale
             SELECT image, space FROM placements WHERE image IN (SELECT id FROM temp.deleted)"""
    )
    _delete_stale_vectors(connection)
    _delete_images(connection)


def _delete_images(connection: sqlite3.Connection) -> None:
    delete_text_of_deleted(connection)
    connection.execute(
        """INSERT OR REPLACE INTO kept_metadata
             SELECT hash, root, path, metadata.json FROM temp.deleted JOIN images USING (id)
             JOIN metadata ON metadata.image = images.id WHERE hash IS NOT NULL"""
    )
    mark_blocks_of_deleted_stale(connection)
    connection.execute("DELETE FROM temp.gone")
    connection.execute(
        """INSERT OR IGNORE INTO temp.gone
             SELECT hash FROM temp.deleted JOIN images USING (id) WHERE hash IS NOT NULL"""
    )
    connection.execute("DELETE FROM images WHERE id IN (SELECT id FROM temp.deleted)")
    forget_contents(connection)


def _delete_stale_vectors(connection: sqlite3.Connection) -> None:
    """Make tombstones of the vectors in temp.stale, numbered on from the last one of their space.

    CROSS JOIN and the doubled IN keep SQLite from reading all placements to find a few.
    """
    connection.execute(
        """INSERT INTO dead (space, row, number)
             SELECT spaces.id, row,
                    spaces.dead - 1 + row_number() OVER (PARTITION BY spaces.id ORDER BY row)
             FROM temp.stale CROSS JOIN placements USING (image, space)
             CROSS JOIN spaces ON spaces.id = stale.space"""
    )
    connection.execute(
        """DELETE FROM placements WHERE image IN (SELECT image FROM temp.stale)
             AND (image, space) IN (SELECT image, space FROM temp.stale)"""
    )
    connection.execute(
        """UPDATE spaces
             SET dead = dead + (SELECT count(*) FROM temp.stale WHERE space = spaces.id)"""
    )
