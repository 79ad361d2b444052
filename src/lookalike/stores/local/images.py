"""The images of the catalogue, as rows and as objects. All in the transaction that the connection is in."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

from lookalike.errors import Outcome
from lookalike.stores.interface import HitFields, Image
from lookalike.stores.local.database import chunks, marks
from lookalike.stores.local.metadata_merge import merged
from lookalike.stores.local.path_encoding import below, decode_path, encode_path

DESCRIBED = """LEFT JOIN sidecars ON sidecars.image = images.id
    LEFT JOIN metadata ON metadata.image = images.id"""

IMAGE_COLUMNS = f"""images.id, root, path, size, mtime_ns, hash, outcome, reason, width, height,
    format, facts.json, sidecars.json, metadata.json
    FROM images LEFT JOIN facts ON facts.image = images.id {DESCRIBED}"""

HIT_COLUMNS = f"""images.id, root, path, sidecars.json, metadata.json
    FROM images {DESCRIBED}"""

OUTCOMES = {outcome.value: outcome for outcome in Outcome}
"""A third of the time that Enum's own look-up takes, for every image that is read."""


def image_from(row: tuple[Any, ...]) -> Image:
    """An image from a row of IMAGE_COLUMNS."""
    id, root, path, size, mtime_ns, hash, outcome, reason, width, height, form, facts, *given = row
    return Image(
        id,
        root,
        decode_path(path),
        size,
        mtime_ns,
        hash,
        OUTCOMES[outcome],
        reason,
        width,
        height,
        form,
        merged(*given),
        {} if facts is None else json.loads(facts),
    )


def images(connection: sqlite3.Connection, ids: Iterable[int]) -> dict[int, Image]:
    """Those of the ids that exist."""
    return {row[0]: image_from(row) for row in _of_ids(connection, IMAGE_COLUMNS, ids)}


def hit_fields(connection: sqlite3.Connection, ids: Iterable[int]) -> dict[int, HitFields]:
    """The same, of each only what a hit shows: in half the time."""
    return {
        id: HitFields(
            root, decode_path(path), merged(sidecar, metadata) if sidecar or metadata else {}
        )
        for id, root, path, sidecar, metadata in _of_ids(connection, HIT_COLUMNS, ids)
    }


def lookup(connection: sqlite3.Connection, root: int, path: str) -> Image | None:
    row = connection.execute(
        f"SELECT {IMAGE_COLUMNS} WHERE root = ? AND path = ?", (root, encode_path(path))
    ).fetchone()
    return None if row is None else image_from(row)


def in_folder(connection: sqlite3.Connection, root: int, folder: str) -> list[Image]:
    """All images below a folder, or the one with that path; "" is the root."""
    itself = ("path = ?", [encode_path(folder)])
    return [
        image_from(row)
        for condition, parameters in [itself, *below(folder)]
        for row in connection.execute(
            f"SELECT {IMAGE_COLUMNS} WHERE root = ? AND {condition} ORDER BY path",
            [root, *parameters],
        )
    ]


def by_hash(connection: sqlite3.Connection, hash: bytes) -> list[Image]:
    rows = connection.execute(
        f"SELECT {IMAGE_COLUMNS} WHERE hash = ? ORDER BY images.id",
        (hash,),
    )
    return [image_from(row) for row in rows]


def exact_duplicates(connection: sqlite3.Connection) -> list[list[int]]:
    """The indexed images that have the same content, in groups of rising ids."""
    rows = connection.execute(
        "SELECT group_concat(id) FROM images WHERE outcome = 'indexed' "
        "AND hash IS NOT NULL GROUP BY hash HAVING count(*) > 1"
    )
    return sorted(sorted(map(int, ids.split(","))) for (ids,) in rows)


def counts(connection: sqlite3.Connection) -> dict[Outcome, int]:
    """How many images ended in each outcome."""
    total = connection.execute("SELECT count(*) FROM images").fetchone()[0]
    failed = {
        Outcome(name): count
        for name, count in connection.execute(
            "SELECT outcome, count(*) FROM images WHERE outcome <> 'indexed' GROUP BY outcome"
        )
    }
    indexed = total - sum(failed.values())
    return ({Outcome.INDEXED: indexed} if indexed else {}) | failed


def _of_ids(
    connection: sqlite3.Connection, columns: str, ids: Iterable[int]
) -> Iterator[tuple[Any, ...]]:
    for chunk in chunks(sorted(map(int, ids))):  # rows that lie together are read together
        yield from connection.execute(
            f"SELECT {columns} WHERE images.id IN ({marks(len(chunk))})", chunk
        )
