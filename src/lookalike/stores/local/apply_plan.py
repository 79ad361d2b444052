"""A planned batch, carried out: vectors first, then the rows that name them. All of it inside the
caller's transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.stores.local.columns import mark_gone_stale, mark_stale
from lookalike.stores.local.database import SpaceRow, chunks, marks
from lookalike.stores.local.full_text import forget_captions_of_gone, update_captions
from lookalike.stores.local.path_encoding import encode_path, plain_text
from lookalike.stores.local.vector_file import append, last_id, map_vectors
from lookalike.stores.local.write_plan import FactsRow, Plan, Step
from lookalike.vectors.similarity import normalise

UNIT = 1e-6
"""Lengths this close to 1 are taken as they are: what float32 makes of a unit vector."""


def carry_out(
    folder: Path, connection: sqlite3.Connection, plan: Plan, spaces: Mapping[str, SpaceRow]
) -> None:
    """Write what the plan says."""
    if plan.stale:
        connection.execute("DELETE FROM temp.stale")
        connection.executemany("INSERT INTO temp.stale VALUES (?, ?)", plan.stale)
        _bury_stale(connection)
    if plan.replaced:
        name_gone(connection, plan.replaced)
        _delete_gone(connection)
    _write_images(connection, plan.steps)
    for space in spaces.values():
        _write_vectors(folder, connection, plan, space)


def _write_images(connection: sqlite3.Connection, steps: Sequence[Step]) -> None:
    moved = [(step.id,) for step in steps if step.moved]
    if moved:
        # Out of the way first: two files may have changed places. No path is a BLOB of this kind.
        connection.executemany(
            "UPDATE images SET path = CAST('\xff moving ' || id AS BLOB) WHERE id = ?", moved
        )
    told = [(step, step.facts) for step in steps]
    connection.executemany(
        """UPDATE images SET root = ?, path = ?, size = ?, mtime_ns = ?, hash = ?, outcome = ?,
             reason = ?, width = ?, height = ?, format = ? WHERE id = ?""",
        (_columns(step, facts) for step, facts in told if step.before is not None),
    )
    connection.executemany(
        """INSERT INTO images (root, path, size, mtime_ns, hash, outcome, reason, width, height,
             format, id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (_columns(step, facts) for step, facts in told if step.before is None),
    )
    _write_facts(connection, steps, {step.id: facts[3] for step, facts in told if facts[3]})


def _write_facts(
    connection: sqlite3.Connection, steps: Sequence[Step], said: Mapping[int, str | None]
) -> None:
    """What the files say of themselves, and what follows from a change: words and columns."""
    connection.executemany(
        "DELETE FROM facts WHERE image = ?",
        ((step.id,) for step in steps if step.before and step.before.facts[3]),
    )
    connection.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", said.items())
    # A new image of which nothing is said has no words.
    update_captions(connection, [step.id for step in steps if step.before or step.id in said])
    mark_stale(connection, (step.id for step in steps))


def _columns(step: Step, facts: FactsRow) -> tuple[object, ...]:
    entry = step.entry
    return (
        entry.root,
        encode_path(entry.path),
        entry.size,
        entry.mtime_ns,
        entry.hash,
        entry.outcome.value,
        plain_text(entry.reason) if entry.reason else "",
        *facts[:3],
        step.id,
    )


def _write_vectors(
    folder: Path, connection: sqlite3.Connection, plan: Plan, space: SpaceRow
) -> None:
    """Append the new vectors of one space, those of lower ids first, and place them."""
    given = [
        (step.id, step.entry.vectors[space.key])
        for step in plan.steps
        if space.key in step.entry.vectors
    ]
    copies = [(image, row) for image, of, row in plan.copies if of == space.id]
    if not given and not copies:
        return
    ids = np.array([image for image, _ in given] + [image for image, _ in copies], np.int64)
    vectors = np.empty((len(ids), space.dim), np.float32)
    if given:
        np.stack([vector for _, vector in given], out=vectors[: len(given)])
    if copies:
        matrix = map_vectors(folder, space, np.empty(0, np.int64))
        vectors[len(given) :] = matrix.vectors[[row for _, row in copies]]
    order = np.argsort(ids)
    ids = ids[order]
    append(folder, space, ids, storable(vectors[order], space))
    connection.executemany(
        "INSERT INTO placements (image, space, row) VALUES (?, ?, ?)",
        ((image, space.id, space.rows + number) for number, image in enumerate(ids.tolist())),
    )
    in_order = space.ordered == space.rows and last_id(folder, space) < ids[0]
    connection.execute(
        "UPDATE spaces SET rows = rows + ?, ordered = ordered + ? WHERE id = ?",
        (len(ids), len(ids) if in_order else 0, space.id),
    )


def storable(vectors: NDArray[np.float32], space: SpaceRow) -> NDArray[np.float32]:
    """The vectors as the space holds them: finite, and of unit length where it says so."""
    squares = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
    if np.isfinite(squares).all() and space.normalised:
        off = (squares > 0) & (np.abs(np.sqrt(squares) - 1.0) > UNIT)
        if off.any():
            vectors[off] = normalise(vectors[off])
    limit = np.finfo(np.float16 if space.dtype == "f16" else np.float32).max
    if not (np.abs(vectors) <= limit).all():
        raise UsageError(f"a vector for {space.key!r} holds NaN, or a number above {limit:g}")
    return vectors


# Images that go. Named in temp.gone, so that any number of them costs no memory.


def name_gone(connection: sqlite3.Connection, ids: Iterable[int]) -> None:
    """Those of the ids that exist."""
    connection.execute("DELETE FROM temp.gone")
    for chunk in chunks(ids):
        connection.execute(
            "INSERT OR IGNORE INTO temp.gone "  # noqa: S608
            f"SELECT id FROM images WHERE id IN ({marks(len(chunk))})",
            [int(id_) for id_ in chunk],
        )


def count_gone(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM temp.gone").fetchone()[0])


def forget_gone(connection: sqlite3.Connection) -> None:
    """Delete the images in temp.gone, with their vectors and metadata."""
    connection.execute("DELETE FROM temp.stale")
    connection.execute(
        """INSERT INTO temp.stale
             SELECT image, space FROM placements WHERE image IN (SELECT id FROM temp.gone)"""
    )
    _bury_stale(connection)
    _delete_gone(connection)


def _delete_gone(connection: sqlite3.Connection) -> None:
    forget_captions_of_gone(connection)
    mark_gone_stale(connection)
    connection.execute("DELETE FROM images WHERE id IN (SELECT id FROM temp.gone)")


def _bury_stale(connection: sqlite3.Connection) -> None:
    """The rows of temp.stale belong to nobody from now on; numbered on from the last dead one.

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
