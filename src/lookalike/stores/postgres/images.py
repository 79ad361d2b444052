"""Read images, decisions and comparisons, within the transaction that the connection is in."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from lookalike.errors import Outcome
from lookalike.images.reading import InodeState
from lookalike.stores.metadata import OUTCOMES, image_of, merge
from lookalike.stores.metadata import metadata_sources as sources
from lookalike.stores.postgres.database import Connection, statement
from lookalike.stores.postgres.encoding import IdArray, decode, encode, ids_from
from lookalike.stores.postgres.migrations import PREFIX
from lookalike.stores.records import (
    SAME_CONTENT_LIMIT,
    Decision,
    DecisionKind,
    FileState,
    HitFields,
    Ids,
    Image,
    MetadataSources,
    pages_of,
)

IMAGE_COLUMNS = (
    "SELECT id, root, path, size, mtime_ns, hash, outcome, reason, width, height, format, dominant_color, "
    "facts, sidecar, metadata FROM images "
)

AT_PATH = f"root = %s AND left(path, {PREFIX}) = left(%s, {PREFIX}) AND path = %s"
AT_PATHS = f"root = %s AND left(path, {PREFIX}) = ANY(%s) AND path = ANY(%s)"

BATCH = 10_000
"""Rows that `iter_files` fetches at a time."""


def paths_parameters(root: int, paths: Iterable[str]) -> tuple[int, list[str], list[str]]:
    """Return the parameters of AT_PATHS."""
    stored = list(map(encode, paths))
    return root, [path[:PREFIX] for path in stored], stored


def below(folder: str) -> tuple[str, list[str]]:
    """Return an SQL condition on `path` that selects what is below a folder, and its parameters.

    "" and "." select everything. "0" is the character after "/".
    """
    folder = encode(folder.strip("/"))
    if folder in ("", "."):
        return "true", []
    start, end = f"{folder}/", f"{folder}0"
    indexed = (
        f"left(path, {PREFIX}) >= left(%s, {PREFIX}) AND left(path, {PREFIX}) <= left(%s, {PREFIX})"
    )
    return f"{indexed} AND path >= %s AND path < %s", [start, end, start, end]


def image_from(row: tuple[Any, ...]) -> Image:
    """Return the image of a row of IMAGE_COLUMNS."""
    return image_of(row[:11], decode(row[2]), decode(row[7]), *row[11:])


def images(connection: Connection, ids: Iterable[int]) -> dict[int, Image]:
    """See `Snapshot.images`."""
    rows = connection.execute(statement(IMAGE_COLUMNS + "WHERE id = ANY(%s)"), (IdArray(ids),))
    return {row[0]: image_from(row) for row in rows}


def hit_fields(connection: Connection, ids: Iterable[int]) -> dict[int, HitFields]:
    """See `Snapshot.hit_fields`."""
    rows = connection.execute(
        "SELECT id, root, path, sidecar, metadata, width, height, dominant_color FROM images "
        "WHERE id = ANY(%s)",
        (IdArray(ids),),
    )
    return {
        id: HitFields(
            root,
            decode(path),
            merge(sidecar, metadata) if sidecar or metadata else {},
            *shown,
        )
        for id, root, path, sidecar, metadata, *shown in rows
    }


def metadata_sources(connection: Connection, ids: Iterable[int]) -> dict[int, MetadataSources]:
    """See `Snapshot.metadata_sources`."""
    rows = connection.execute(
        "SELECT id, mark, sidecar, metadata FROM images WHERE id = ANY(%s)", (IdArray(ids),)
    )
    return {
        id: sources(decode(mark) if mark else mark, sidecar, table)
        for id, mark, sidecar, table in rows
    }


def lookup(connection: Connection, root: int, path: str) -> Image | None:
    """See `Snapshot.lookup`."""
    stored = encode(path)
    row = connection.execute(
        statement(IMAGE_COLUMNS + "WHERE " + AT_PATH), (root, stored, stored)
    ).fetchone()
    return None if row is None else image_from(row)


def images_below(
    connection: Connection, root: int, folder: str, limit: int | None = None
) -> list[Image]:
    """See `Snapshot.images_below`."""
    itself = lookup(connection, root, folder)
    condition, parameters = below(folder)
    rows = connection.execute(
        statement(IMAGE_COLUMNS + f"WHERE root = %s AND {condition} ORDER BY path LIMIT %s"),
        [root, *parameters, limit],
    )
    return [*([itself] if itself else []), *map(image_from, rows)][:limit]


def pages(connection: Connection, root: int, path: str) -> list[Image]:
    """See `Snapshot.pages`. "$" is the character after "#"."""
    start, end = encode(f"{path}#"), encode(f"{path}$")
    rows = connection.execute(
        statement(
            IMAGE_COLUMNS
            + f"WHERE root = %s AND left(path, {PREFIX}) >= left(%s, {PREFIX}) "
            + f"AND left(path, {PREFIX}) <= left(%s, {PREFIX}) AND path > %s AND path < %s ORDER BY path"
        ),
        [root, start, end, start, end],
    )
    return pages_of(map(image_from, rows), path)


def by_hash(connection: Connection, hash: bytes) -> list[Image]:
    """See `Snapshot.by_hash`."""
    rows = connection.execute(statement(IMAGE_COLUMNS + "WHERE hash = %s ORDER BY id"), (hash,))
    return [*map(image_from, rows)]


def exact_duplicates(connection: Connection) -> list[list[int]]:
    """See `Snapshot.exact_duplicates`."""
    rows = connection.execute(
        "SELECT array_agg(id ORDER BY id) FROM images WHERE outcome = 'indexed' AND hash IS NOT NULL "
        "GROUP BY hash HAVING count(*) > 1"
    )
    return sorted(ids for (ids,) in rows)


def counts(connection: Connection) -> dict[Outcome, int]:
    """See `Snapshot.counts`."""
    rows = connection.execute("SELECT outcome, count(*) FROM images GROUP BY outcome")
    return {OUTCOMES[name]: count for name, count in rows}


def iter_files(connection: Connection, outcomes: Iterable[Outcome] | None) -> Iterator[Image]:
    """See `Snapshot.iter_files`. Reads some thousands at a time."""
    chosen = [str(outcome) for outcome in (Outcome if outcomes is None else outcomes)]
    last = (-1, "")
    while True:
        rows = connection.execute(
            statement(
                IMAGE_COLUMNS + "WHERE outcome = ANY(%s) AND (root, path) > (%s, %s) "
                f"AND (root, left(path, {PREFIX})) >= (%s, left(%s, {PREFIX})) "
                f"ORDER BY root, left(path, {PREFIX}), path LIMIT %s"
            ),
            (chosen, *last, *last, BATCH),
        ).fetchall()
        yield from map(image_from, rows)
        if len(rows) < BATCH:
            return
        last = rows[-1][1:3]


def file_states(
    connection: Connection, spaces: Mapping[int, str], root: int, paths: Sequence[str]
) -> dict[str, FileState]:
    """See `Writer.file_states`. `spaces`: keys by id."""
    rows = connection.execute(
        statement(
            "SELECT id, path, size, mtime_ns, hash, outcome, reason, spaces, ctime_ns, inode FROM images "
            "WHERE " + AT_PATHS
        ),
        paths_parameters(root, paths),
    )
    return {
        decode(path): FileState(
            id,
            size,
            mtime_ns,
            hash,
            OUTCOMES[outcome],
            frozenset(spaces[number] for number in held if number in spaces),
            decode(reason),
            None if inode[0] is None else InodeState(*inode),
        )
        for id, path, size, mtime_ns, hash, outcome, reason, held, *inode in rows
    }


def same_content(
    connection: Connection,
    spaces: Mapping[int, str],
    size: int,
    hash: bytes | None,
    needed: Collection[str],
) -> list[Image]:
    """See `Writer.same_content`."""
    same = "size = %s AND hash IS NOT NULL" if hash is None else "size = %s AND hash = %s"
    held = _held(spaces, needed)
    if held is None:
        usable, parameters = "outcome <> 'indexed'", []
    else:
        usable, parameters = "(outcome <> 'indexed' OR spaces @> %s::int4[])", [held]
    rows = connection.execute(
        statement(
            IMAGE_COLUMNS + f"WHERE {same} AND {usable} ORDER BY id LIMIT {SAME_CONTENT_LIMIT}"
        ),
        [size, *([] if hash is None else [hash]), *parameters],
    )
    return [*map(image_from, rows)]


def hashes_by_size(
    connection: Connection,
    spaces: Mapping[int, str],
    sizes: Iterable[int],
    needed: Collection[str],
    *,
    failed: bool,
) -> dict[int, tuple[bytes, ...]]:
    """See `Writer.hashes_by_size`."""
    held = _held(spaces, needed)
    rows = connection.execute(
        f"""SELECT size, hash FROM unnest(%s) AS wanted (size) CROSS JOIN LATERAL (
              SELECT id, hash FROM images WHERE images.size = wanted.size AND hash IS NOT NULL
              AND CASE WHEN outcome <> 'indexed' THEN %s ELSE %s AND spaces @> %s::int4[] END
              ORDER BY id LIMIT {SAME_CONTENT_LIMIT}) AS found ORDER BY size, id""",
        (IdArray(set(sizes)), failed, held is not None, held or []),
    )
    found: dict[int, dict[bytes, None]] = {}
    for size, hash in rows:
        found.setdefault(size, {})[hash] = None
    return {size: tuple(hashes) for size, hashes in found.items()}


def _held(spaces: Mapping[int, str], needed: Collection[str]) -> list[int] | None:
    """Return the ids of the spaces of these keys; None if one of them does not exist."""
    ids = {key: id for id, key in spaces.items()}
    return [ids[key] for key in needed] if all(key in ids for key in needed) else None


def select_ids(connection: Connection, condition: str, parameters: Sequence[Any]) -> Ids:
    """Return the rising ids of the images that satisfy a condition, which the code wrote."""
    row = connection.execute(
        statement(
            f"SELECT string_agg(int8send(i.id), ''::bytea ORDER BY i.id) FROM images i WHERE {condition}"
        ),
        parameters,
        prepare=False,
        binary=True,
    ).fetchone()
    return ids_from(row[0] if row else None)


def read_decisions(
    connection: Connection,
    kinds: Iterable[DecisionKind] | None = None,
    *,
    about: bytes | None = None,
) -> list[Decision]:
    """See `Snapshot.decisions`."""
    condition = "true" if about is None else "%s IN (first, second)"
    rows = connection.execute(
        statement(
            f"SELECT kind, first, second, who, at FROM decisions WHERE {condition} "
            'ORDER BY kind COLLATE "C", first, second'
        ),
        [] if about is None else [about],
    )
    wanted = None if kinds is None else set(kinds)
    return [
        Decision(kind, first, second or None, decode(who), decode(at))
        for kind, first, second, who, at in rows
        if wanted is None or kind in wanted
    ]


def read_comparisons(
    connection: Connection, pairs: Iterable[tuple[bytes, bytes]], revision: str
) -> dict[tuple[bytes, bytes], str]:
    """See `Snapshot.comparisons`."""
    wanted = list(pairs)
    rows = connection.execute(
        "SELECT first, second, result FROM comparisons JOIN unnest(%s::bytea[], %s::bytea[]) "
        "AS wanted (first, second) USING (first, second) WHERE revision = %s",
        ([first for first, _ in wanted], [second for _, second in wanted], encode(revision)),
    )
    return {(first, second): decode(result) for first, second, result in rows}
