"""Read images from the catalogue, within the transaction that the connection is in."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from lookalike.errors import Outcome
from lookalike.images.reading import InodeState
from lookalike.stores.local.database import chunks, placeholders
from lookalike.stores.local.path_encoding import (
    conditions_below,
    decode_image_path,
    decode_path,
    encode_path,
)
from lookalike.stores.metadata import OUTCOMES, image_of, merge
from lookalike.stores.metadata import metadata_sources as sources
from lookalike.stores.records import (
    SAME_CONTENT_LIMIT,
    FileState,
    HitFields,
    Image,
    MetadataSources,
    pages_of,
)

_JOIN_METADATA = """LEFT JOIN sidecars ON sidecars.image = images.id
    LEFT JOIN metadata ON metadata.image = images.id"""

IMAGE_COLUMNS = f"""images.id, root, path, size, mtime_ns, hash, outcome, reason, width, height,
    format, dominant_color, facts.json, sidecars.json, metadata.json
    FROM images LEFT JOIN facts ON facts.image = images.id {_JOIN_METADATA}"""

HIT_COLUMNS = f"""images.id, root, path, sidecars.json, metadata.json, width, height, dominant_color
    FROM images {_JOIN_METADATA}"""


def image_from(row: tuple[Any, ...]) -> Image:
    """Return the image of a row of IMAGE_COLUMNS."""
    return image_of(row[:11], decode_image_path(row[2]), row[7], *row[11:])


def images(connection: sqlite3.Connection, ids: Iterable[int]) -> dict[int, Image]:
    """See `Snapshot.images`."""
    return {row[0]: image_from(row) for row in _rows_of(connection, IMAGE_COLUMNS, ids)}


def hit_fields(connection: sqlite3.Connection, ids: Iterable[int]) -> dict[int, HitFields]:
    """See `Snapshot.hit_fields`. Takes half the time of `images`."""
    return {
        id: HitFields(
            root,
            decode_image_path(path),
            merge(sidecar, metadata) if sidecar or metadata else {},
            *shown,
        )
        for id, root, path, sidecar, metadata, *shown in _rows_of(connection, HIT_COLUMNS, ids)
    }


def paths(connection: sqlite3.Connection, ids: Iterable[int]) -> Iterator[tuple[int, str]]:
    """Yield id and path of each image."""
    for id, path in _rows_of(connection, "id, path FROM images", ids):
        yield id, decode_image_path(path)


def metadata_sources(
    connection: sqlite3.Connection, ids: Iterable[int]
) -> dict[int, MetadataSources]:
    """See `Snapshot.metadata_sources`."""
    columns = f"images.id, mark, sidecars.json, metadata.json FROM images {_JOIN_METADATA}"
    return {id: sources(*given) for id, *given in _rows_of(connection, columns, ids)}


def lookup(connection: sqlite3.Connection, root: int, path: str) -> Image | None:
    """See `Snapshot.lookup`."""
    row = connection.execute(
        f"SELECT {IMAGE_COLUMNS} WHERE root = ? AND path = ?", (root, encode_path(path))
    ).fetchone()
    return None if row is None else image_from(row)


def images_below(
    connection: sqlite3.Connection, root: int, folder: str, limit: int | None = None
) -> list[Image]:
    """See `Snapshot.images_below`."""
    itself = ("path = ?", [encode_path(folder)])
    found = [
        image_from(row)
        for condition, parameters in [itself, *conditions_below(folder)]
        for row in connection.execute(
            f"SELECT {IMAGE_COLUMNS} WHERE root = ? AND {condition} ORDER BY path LIMIT ?",
            [root, *parameters, -1 if limit is None else limit],
        )
    ]
    return found[:limit]


def pages(connection: sqlite3.Connection, root: int, path: str) -> list[Image]:
    """See `Snapshot.pages`. "$" is the character after "#"."""
    rows = connection.execute(
        f"SELECT {IMAGE_COLUMNS} WHERE root = ? AND path > ? AND path < ? ORDER BY path",
        [root, encode_path(f"{path}#"), encode_path(f"{path}$")],
    )
    return pages_of(map(image_from, rows), path)


def by_hash(connection: sqlite3.Connection, hash: bytes) -> list[Image]:
    """See `Snapshot.by_hash`."""
    rows = connection.execute(
        f"SELECT {IMAGE_COLUMNS} WHERE hash = ? ORDER BY images.id",
        (hash,),
    )
    return [image_from(row) for row in rows]


def exact_duplicates(connection: sqlite3.Connection) -> list[list[int]]:
    """See `Snapshot.exact_duplicates`."""
    rows = connection.execute(
        "SELECT group_concat(id) FROM images WHERE outcome = 'indexed' "
        "AND hash IS NOT NULL GROUP BY hash HAVING count(*) > 1"
    )
    return sorted(sorted(map(int, ids.split(","))) for (ids,) in rows)


def counts(connection: sqlite3.Connection) -> dict[Outcome, int]:
    """See `Snapshot.counts`."""
    total = connection.execute("SELECT count(*) FROM images").fetchone()[0]
    failed = {
        Outcome(name): count
        for name, count in connection.execute(
            "SELECT outcome, count(*) FROM images WHERE outcome <> 'indexed' GROUP BY outcome"
        )
    }
    indexed = total - sum(failed.values())
    return ({Outcome.INDEXED: indexed} if indexed else {}) | failed


def _rows_of(
    connection: sqlite3.Connection, columns: str, ids: Iterable[int]
) -> Iterator[tuple[Any, ...]]:
    for chunk in chunks(sorted(map(int, ids))):  # adjacent rows are read together
        yield from connection.execute(
            f"SELECT {columns} WHERE images.id IN ({placeholders(chunk)})", chunk
        )


# Queries used by indexing


def file_states(
    connection: sqlite3.Connection, root: int, paths: Sequence[str]
) -> dict[str, FileState]:
    """See `Writer.file_states`. Takes two statements for every 900 paths."""
    keys: dict[int, str] = dict(connection.execute("SELECT id, key FROM spaces"))
    sets: dict[frozenset[int], frozenset[str]] = {}  # one object for all files of the same spaces
    found: dict[str, FileState] = {}
    for chunk in chunks(paths):
        rows = connection.execute(
            "SELECT id, path, size, mtime_ns, hash, outcome, reason, ctime_ns, inode FROM images "  # noqa: S608
            f"WHERE root = ? AND path IN ({placeholders(chunk)})",
            [root, *map(encode_path, chunk)],
        ).fetchall()
        held: dict[int, list[int]] = {row[0]: [] for row in rows}
        for image, space in connection.execute(
            f"SELECT image, space FROM placements WHERE image IN ({placeholders(held)})",  # noqa: S608
            list(held),
        ):
            held[image].append(space)
        for id, path, size, mtime_ns, hash, outcome, reason, *inode in rows:
            ids = frozenset(held[id])
            spaces = sets.setdefault(ids, frozenset(keys[space] for space in ids))
            found[decode_path(path)] = FileState(
                id,
                size,
                mtime_ns,
                hash,
                OUTCOMES[outcome],
                spaces,
                reason,
                None if inode[0] is None else InodeState(*inode),
            )
    return found


def same_content(
    connection: sqlite3.Connection,
    size: int,
    *,
    hash: bytes | None = None,
    spaces: Collection[str] = (),
) -> list[Image]:
    """See `Writer.same_content`."""
    # The plus keeps SQLite from the index of sizes where the index of hashes is faster.
    same = "size = ? AND hash IS NOT NULL" if hash is None else "+size = ? AND hash = ?"
    rows = connection.execute(
        f"SELECT {IMAGE_COLUMNS} WHERE {same} AND {_has_vectors(spaces)} "
        f"ORDER BY images.id LIMIT {SAME_CONTENT_LIMIT}",
        [size, *([] if hash is None else [hash]), *spaces],
    )
    return [image_from(row) for row in rows]


def hashes_by_size(
    connection: sqlite3.Connection,
    sizes: Iterable[int],
    *,
    spaces: Collection[str] = (),
    failed: bool = True,
) -> dict[int, tuple[bytes, ...]]:
    """See `Writer.hashes_by_size`. One statement excludes the many sizes that no image has."""
    condition = _has_vectors(spaces)
    if not failed:
        condition = f"outcome = 'indexed' AND {condition}"
    found: dict[int, tuple[bytes, ...]] = {}
    for chunk in chunks(set(sizes)):
        known = connection.execute(
            f"SELECT DISTINCT size FROM images WHERE size IN ({placeholders(chunk)})",  # noqa: S608
            chunk,
        ).fetchall()
        for (size,) in known:
            rows = connection.execute(
                f"SELECT hash FROM images WHERE size = ? AND hash IS NOT NULL AND {condition} "  # noqa: S608
                f"ORDER BY id LIMIT {SAME_CONTENT_LIMIT}",
                [size, *spaces],
            )
            if same := dict.fromkeys(hash for (hash,) in rows):
                found[size] = tuple(same)
    return found


def _has_vectors(spaces: Collection[str]) -> str:
    """Return the SQL condition: failed, or with a vector in each space. Its parameters are the keys."""
    return f"""(outcome <> 'indexed' OR {len(spaces)} = (
        SELECT count(*) FROM placements JOIN spaces ON spaces.id = placements.space
        WHERE placements.image = images.id AND spaces.key IN ({placeholders(spaces)})))"""  # noqa: S608
