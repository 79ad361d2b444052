"""Vectors of images in Milvus: which row is whose, writing so that a crash leaves no half, and searching.

The table of a space names the row of each image. A row of Milvus counts only while that table names it, so
that PostgreSQL's transactions decide, for snapshots as well:

1. numbers for the rows are reserved: `unused_rows` names them, in a transaction of its own (pending)
2. the rows are written to Milvus
3. images, their rows in the table, and that these are in use, are committed together (confirmed)

Rows whose image has gone, or has another vector, become unused in the transaction that decides so. Unused
rows are deleted when no snapshot is open that may read them (`clean`), by the next writer at the latest.
"""

from __future__ import annotations

from collections.abc import Collection as Some
from collections.abc import Generator, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import LibraryDamaged
from lookalike.stores.postgres.database import Connection, statement
from lookalike.stores.postgres.encoding import IdArray, ids_from
from lookalike.stores.postgres.milvus import IDS_AT_A_TIME, MESSAGE_BYTES, Collection, one_of
from lookalike.stores.postgres.space_row import Floats, Matrix, SpaceRow, by_rising_id, table_of
from lookalike.stores.records import Ids, Space

MAX_HITS = 16_384
"""Most neighbours of a query in one request to Milvus."""

MAX_OVER_FETCHED = 8_192
"""Neighbours that are asked for, without a filter, so that enough of them pass it."""

OVER_FETCHED = 2.0
"""As a multiple of those that would be enough if similar images passed a filter as often as others."""

SPARE = 16
"""Multiple of the neighbours that are asked for once more where too few of them belong to images."""

MAX_NAMED = 20_000
"""Rows that a search names one by one as those that pass a filter: reading them takes Milvus some time."""

GRAPH_SHARE = 0.05
"""Share of the rows below which Milvus compares all that pass, and does not search its graph."""

MAX_HELD = 1_000_000
"""Rows of a space up to which its table is held in memory: 16 MB."""

HITS_AT_A_TIME = 65_536
"""Neighbours, of all queries of a request together."""


def _collection(row: SpaceRow) -> Collection:
    assert row.collection is not None
    row.collection.ready(row.space)
    return row.collection


# Reading


def milvus_blocks(
    connection: Connection, row: SpaceRow, *, lost: list[int] | None = None
) -> Iterator[Matrix]:
    """Yield all vectors of a space, some MB at a time, by rising row.

    lost  ids of images whose row is missing in Milvus are added here; None: `LibraryDamaged` for such
    """
    collection, step = (
        _collection(row),
        max(1, min(MAX_HITS // 2, MESSAGE_BYTES // (4 * row.space.dim))),
    )
    for first in range(1, collection.newest + 1, step):
        rows, images = _named(connection, row, "row BETWEEN %s AND %s", (first, first + step - 1))
        if len(rows):
            condition = f"id >= {first} and id < {first + step}"
            found = collection.vectors(condition, row.space.dim)
            yield _joined(row, rows, images, found, lost)


def milvus_fetch(connection: Connection, row: SpaceRow, ids: Ids) -> Matrix:
    """Return the vectors of those of the ids that have one."""
    collection = _collection(row)
    rows, images = _of_images(connection, row, ids)
    step = max(1, min(IDS_AT_A_TIME, MESSAGE_BYTES // (4 * row.space.dim)))
    parts = [
        collection.vectors(one_of(rows[start : start + step]), row.space.dim)
        for start in range(0, len(rows), step)
    ]
    numbers = np.concatenate([part[0] for part in parts]) if parts else np.empty(0, np.int64)
    vectors = (
        np.concatenate([p[1] for p in parts]) if parts else np.empty((0, row.space.dim), np.float32)
    )
    return by_rising_id(_joined(row, rows, images, (numbers, vectors), None))


def _named(
    connection: Connection, row: SpaceRow, condition: str, parameters: tuple[object, ...]
) -> tuple[Ids, Ids]:
    """Return the rows that the table names, rising, and their images."""
    found = connection.execute(
        statement(
            "SELECT string_agg(int8send(row), ''::bytea ORDER BY row), "
            f"string_agg(int8send(image), ''::bytea ORDER BY row) FROM {{}} WHERE {condition}",
            row.table,
        ),
        parameters,
        binary=True,
        prepare=False,
    ).fetchone()
    assert found is not None
    return ids_from(found[0]), ids_from(found[1])


def _whole_table(connection: Connection, row: SpaceRow) -> tuple[Ids, Ids] | None:
    """Return all rows of a space, rising, and their images, from memory.

    None for a large space, and where nobody has asked before since the space has changed.
    """
    known = _collection(row).milvus.tables
    changed, table = known.get(row.table, (None, None))
    if row.space.count > MAX_HELD:
        return None
    if changed != row.changed:
        known[row.table] = row.changed, None
        return None
    if table is None:
        table = _named(connection, row, "true", ())
        known[row.table] = row.changed, table
    return table


def _of_images(connection: Connection, row: SpaceRow, ids: Ids) -> tuple[Ids, Ids]:
    """Return the rows of these images, rising, and the images in their order."""
    table = _whole_table(connection, row)
    if table is None:
        return _named(connection, row, "image = ANY(%s)", (IdArray(ids),))
    at = np.flatnonzero(np.isin(table[1], ids))
    return table[0][at], table[1][at]


def _joined(
    row: SpaceRow,
    rows: Ids,
    images: Ids,
    found: tuple[Ids, NDArray[np.float32]],
    lost: list[int] | None,
) -> Matrix:
    """Return images and vectors of the rows that the table names."""
    numbers, vectors = found
    known = np.isin(numbers, rows, assume_unique=True)
    missing = ~np.isin(rows, numbers, assume_unique=True)
    if missing.any():
        if lost is None:
            raise LibraryDamaged(
                f"{int(missing.sum())} vectors of {row.space.name} are missing in Milvus: restore a backup "
                "of it, or run `lookalike index` to compute them again"
            )
        lost += images[missing].tolist()
    return images[~missing], _as_stored(vectors[known], row.space)


def _as_stored(vectors: NDArray[np.float32], space: Space) -> Floats:
    """Return vectors in the type of the space: Milvus 2.3 has float32 only, which holds halves exactly."""
    return vectors.astype(np.float16) if space.dtype == "f16" else vectors


# Writing


def reserve(connection: Connection, spaces: Iterable[SpaceRow], count: int) -> None:
    """Give `count` rows of each space to a batch that is about to be written (step 1)."""
    connection.execute(
        """WITH given AS (UPDATE spaces SET newest_row = newest_row + %(count)s
                          WHERE id = ANY(%(spaces)s) RETURNING id, newest_row)
           INSERT INTO unused_rows SELECT id, newest_row - %(count)s + 1, newest_row FROM given""",
        {"count": count, "spaces": [row.id for row in spaces if row.collection is not None]},
    )


def write_rows(
    connection: Connection, row: SpaceRow, ids: Ids, vectors: NDArray[np.float32]
) -> None:
    """Write the vectors of these images (steps 2 and 3, which the caller commits)."""
    found = connection.execute(
        "SELECT first, last FROM unused_rows WHERE space = %s ORDER BY last DESC LIMIT 1", (row.id,)
    ).fetchone()
    assert found is not None and found[1] - found[0] + 1 >= len(ids), "rows were not reserved"
    first, last = found
    collection = _collection(row)
    written = collection.insert(np.arange(first, first + len(ids)), vectors)
    with connection.cursor().copy(
        statement("COPY {} (image, row) FROM STDIN (FORMAT BINARY)", row.table)
    ) as copy:
        copy.set_types(("int8", "int8"))
        for at, id in enumerate(ids.tolist()):
            copy.write_row((id, first + at))
    connection.execute(
        "UPDATE unused_rows SET first = %s WHERE space = %s AND last = %s",
        (first + len(ids), row.id, last),
    )
    connection.execute("UPDATE spaces SET written = %s WHERE id = %s", (written, row.id))


def give_back(connection: Connection, spaces: Iterable[SpaceRow]) -> None:
    """Forget what is left of a reservation: nothing was written there (with step 3)."""
    connection.execute(
        "DELETE FROM unused_rows u USING spaces s WHERE s.id = u.space AND u.last = s.newest_row "
        "AND s.id = ANY(%s)",
        ([row.id for row in spaces if row.collection is not None],),
    )


def forget_rows(connection: Connection, row: SpaceRow, images: Iterable[int] | Ids) -> int:
    """Make the rows of these images unused; return how many there were."""
    found = connection.execute(
        statement(
            "WITH gone AS (DELETE FROM {} WHERE image = ANY(%s) RETURNING row) "
            "SELECT string_agg(int8send(row), ''::bytea ORDER BY row) FROM gone",
            row.table,
        ),
        (IdArray(images),),
        binary=True,
    ).fetchone()
    rows = ids_from(found[0] if found else None)
    if len(rows):
        starts = np.flatnonzero(np.diff(rows, prepend=rows[0] - 2) != 1)
        ends = np.append(starts[1:], len(rows)) - 1
        connection.execute(
            "INSERT INTO unused_rows SELECT %s, unnest(%s), unnest(%s)",
            (row.id, IdArray(rows[starts]), IdArray(rows[ends])),
        )
    return len(rows)


# Keeping both sides equal


def clean(
    connection: Connection, spaces: Some[SpaceRow], collections: Iterable[Collection]
) -> None:
    """Delete unused rows and collections from Milvus. No snapshot may be open; the caller commits."""
    for collection in collections:
        collection.drop()
        connection.execute("DELETE FROM unused_collections WHERE name = %s", (collection.name,))
    for row in spaces:
        ranges = connection.execute(
            "DELETE FROM unused_rows WHERE space = %s RETURNING first, last", (row.id,)
        ).fetchall()
        if ranges:
            rows = np.concatenate([np.arange(first, last + 1) for first, last in ranges])
            _collection(row).delete(rows)


def repair(connection: Connection, row: SpaceRow) -> int:
    """Make both sides of a space equal, if they have not as many rows; the caller commits.

    Rows that no table names are deleted, of a writer that lost the database for example. Images whose row is
    missing, because Milvus was restored from an older backup for example, lose their vector, so that
    `lookalike index` computes it again. Returns how many these are.
    """
    collection = _collection(row)
    unused = _unused(connection, row)
    if collection.count() - _count_of(collection, unused) == row.space.count:
        return 0
    gone: list[Ids] = []
    strangers: list[Ids] = []
    for first in range(1, collection.newest + 1, MAX_HITS // 2):
        last = first + MAX_HITS // 2 - 1
        there = collection.numbers(first, last)
        rows, images = _named(connection, row, "row BETWEEN %s AND %s", (first, last))
        gone.append(images[~np.isin(rows, there, assume_unique=True)])
        strangers.append(there[~np.isin(there, rows, assume_unique=True)])
    unknown = (
        np.setdiff1d(np.concatenate(strangers), unused) if strangers else np.empty(0, np.int64)
    )
    if len(unknown):
        collection.delete(unknown)
    # Numbers that are not given yet: the database was restored from an older backup.
    collection.milvus.call("delete", collection.name, filter=f"id > {collection.newest}")
    lost = np.concatenate(gone) if gone else np.empty(0, np.int64)
    if len(lost):
        forget_rows(connection, row, lost)
        connection.execute(
            "UPDATE images SET spaces = array_remove(spaces, %s) WHERE id = ANY(%s)",
            (row.id, IdArray(lost)),
        )
        connection.execute(
            "UPDATE spaces SET count = count - %s, changed = gen_random_uuid() WHERE id = %s",
            (len(lost), row.id),
        )
    return len(lost)


def contradictions(connection: Connection, row: SpaceRow, found: int, lost: int) -> Iterator[str]:
    """Yield what PostgreSQL and Milvus disagree about in a space, a line each.

    found, lost  vectors that the table names: in Milvus, and missing there
    """
    collection, unused = _collection(row), _unused(connection, row)
    if lost:
        yield f"{lost} vectors are missing in Milvus: `lookalike index` computes them again"
    strangers = collection.count() - _count_of(collection, unused) - found
    if strangers > 0:
        yield f"{strangers} vectors in Milvus belong to no image: `lookalike index` deletes them"


def _unused(connection: Connection, row: SpaceRow) -> Ids:
    ranges = connection.execute(
        "SELECT first, last FROM unused_rows WHERE space = %s", (row.id,)
    ).fetchall()
    return np.concatenate([np.empty(0, np.int64), *(np.arange(a, b + 1) for a, b in ranges)])


def _count_of(collection: Collection, rows: Ids) -> int:
    """Return how many of these rows exist."""
    parts = range(0, len(rows), IDS_AT_A_TIME)
    return sum(collection.count(one_of(rows[start : start + IDS_AT_A_TIME])) for start in parts)


def add_table(connection: Connection, space: int) -> None:
    """Make the table that names the rows of a space."""
    connection.execute(
        statement(
            "CREATE TABLE {} (image bigint PRIMARY KEY, row bigint NOT NULL UNIQUE)",
            table_of(space),
        )
    )


# Searching


def milvus_candidates(
    connection: Connection,
    row: SpaceRow,
    queries: NDArray[np.float32],
    effort: tuple[int, int],
    enough: int,
    among: Ids | None,
) -> Generator[Matrix]:
    """Yield for each query the images nearest to it, with their vectors.

    queries  (n, dim) as the index compares them
    effort   ef and the number of candidates, at most `MAX_HITS`
    enough   images that must be found
    among    rising ids of images that pass a filter

    Few images that pass are named in the search; of many, as many neighbours are asked for as will contain
    enough of them, and where similar images pass the filter too seldom, they are named after all.
    """
    if among is None:
        for number, found in enumerate(_search(connection, row, queries, effort, None)):
            if len(found[0]) >= enough:
                yield found
            else:  # there are rows of images that have gone, but a snapshot may still read them
                more = effort[0], min(MAX_HITS, SPARE * effort[1])
                yield from _search(connection, row, queries[number : number + 1], more, None)
        return
    passing = _of_images(connection, row, among)
    share = max(len(passing[0]), 1) / row.space.count
    limit = int(OVER_FETCHED * effort[1] / share)
    if limit > MAX_OVER_FETCHED or share < GRAPH_SHARE:
        yield from _search(connection, row, queries, effort, passing)
        return
    for number, chosen in enumerate(
        _over_fetched(connection, row, queries, effort, limit, passing)
    ):
        if len(chosen[0]) >= enough:
            yield chosen
        else:
            yield from _search(connection, row, queries[number : number + 1], effort, passing)


def _search(
    connection: Connection,
    row: SpaceRow,
    queries: NDArray[np.float32],
    effort: tuple[int, int],
    passing: tuple[Ids, Ids] | None,
) -> Iterator[Matrix]:
    """Search all rows of a space, or those that pass a filter, given with their images."""
    collection, (ef, candidates) = _collection(row), effort
    named = [""]
    if passing is not None:
        # So many vectors that do not pass are met on the way to one that does.
        ef = min(MAX_HITS, int(ef * row.space.count / max(min(len(passing[0]), MAX_NAMED), 1)))
        starts = range(0, len(passing[0]), MAX_NAMED)
        named = [one_of(passing[0][start : start + MAX_NAMED]) for start in starts]
    size = candidates * len(named) * row.space.dim * 4
    step = max(1, min(HITS_AT_A_TIME // candidates, MESSAGE_BYTES // size))
    for start in range(0, len(queries), step):
        some = queries[start : start + step]
        parts = [
            list(collection.search(some, candidates, ef, condition=condition, with_vectors=True))
            for condition in named
        ]
        found = [
            tuple(map(np.concatenate, zip(*own, strict=True))) for own in zip(*parts, strict=True)
        ]
        known = passing or _whole_table(connection, row)
        if known is None:
            rows = np.unique(np.concatenate([numbers for numbers, _ in found]))
            known = _named(connection, row, "row = ANY(%s)", (IdArray(rows),))
        for numbers, vectors in found:
            there, ids = _images_of(numbers, *known)
            yield by_rising_id((ids, _as_stored(vectors[there], row.space)))


def _over_fetched(
    connection: Connection,
    row: SpaceRow,
    queries: NDArray[np.float32],
    effort: tuple[int, int],
    limit: int,
    passing: tuple[Ids, Ids],
) -> Iterator[Matrix]:
    """Search all rows of a space, and keep those that pass a filter."""
    collection, (ef, candidates) = _collection(row), effort
    step = max(1, min(HITS_AT_A_TIME // limit, MESSAGE_BYTES // (candidates * row.space.dim * 4)))
    for start in range(0, len(queries), step):
        found = collection.search(queries[start : start + step], limit, max(ef, limit + limit // 2))
        chosen = [_images_of(numbers, *passing)[1][:candidates] for numbers, _ in found]
        ids, vectors = milvus_fetch(connection, row, np.unique(np.concatenate(chosen)))
        for one in chosen:
            at = np.searchsorted(ids, np.sort(one))
            yield ids[at], vectors[at]


def _images_of(numbers: Ids, rows: Ids, images: Ids) -> tuple[NDArray[np.bool_], Ids]:
    """Return which of these numbers are among the rising rows, and the images of those."""
    if not len(rows):
        return np.zeros(len(numbers), bool), np.empty(0, np.int64)
    at = np.minimum(np.searchsorted(rows, numbers), len(rows) - 1)
    known = rows[at] == numbers
    return known, images[at[known]]
