"""Exact search: all vectors of a space, or some of them, compared in NumPy as in every store."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from lookalike.stores.postgres.database import Connection, statement
from lookalike.stores.postgres.encoding import (
    COPY_HEADER,
    COPY_TRAILER,
    IdArray,
    row_bytes,
    rows_from_copy,
    vector_literal,
    vectors_from,
)
from lookalike.stores.postgres.milvus_vectors import milvus_blocks, milvus_fetch
from lookalike.stores.postgres.space_row import Matrix, SpaceRow, by_rising_id
from lookalike.stores.records import Ids, Neighbours, Space
from lookalike.vectors.multi_vector import nearest
from lookalike.vectors.similarity import Similarity

CACHE_BYTES = 1 << 30
"""Memory of a process for the vectors of spaces that are searched exactly."""

CHEAP_BYTES = 32 << 20
"""Vectors of a space that are fetched, about 0.1 s, rather than compared by the server."""

BLOCK_BYTES = 32 << 20
"""Vectors of a larger space that are in memory at a time."""

FEW_IDS = 4096
"""Chosen images whose vectors are fetched one by one."""

MARGIN = 32
"""Candidates more than asked for: the server computes in float32; the last one shows that none is missed."""


class MatrixCache:
    """The vectors of spaces that were searched last. Thread-safe; one for all threads of a process."""

    def __init__(self, max_bytes: int = CACHE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._held: OrderedDict[int, tuple[UUID, Matrix]] = OrderedDict()
        self._asked: dict[int, UUID] = {}
        self._lock = threading.Lock()

    def get(self, row: SpaceRow) -> Matrix | None:
        """Return the vectors of this state of the space, if they are in memory."""
        with self._lock:
            held = self._held.get(row.id)
            if held is None or held[0] != row.changed:
                return None
            self._held.move_to_end(row.id)
            return held[1]

    def worthwhile(self, row: SpaceRow, queries: int) -> bool:
        """Return whether to fetch all vectors: there are few, or many queries, or it was searched before."""
        size = row.space.bytes
        with self._lock:
            again = self._asked.get(row.id) == row.changed
            self._asked[row.id] = row.changed
        return size <= CHEAP_BYTES or queries > 1 or (again and size <= self._max_bytes)

    def fits(self, row: SpaceRow) -> bool:
        """Return whether the vectors of a space may be held."""
        return row.space.bytes <= self._max_bytes

    def put(self, row: SpaceRow, matrix: Matrix) -> None:
        """Hold the vectors of a space, in place of those of an older state."""
        with self._lock:
            self._held[row.id] = row.changed, matrix
            self._held.move_to_end(row.id)
            while sum(m.nbytes + i.nbytes for _, (i, m) in self._held.values()) > self._max_bytes:
                self._held.popitem(last=False)


def exact_search(
    connection: Connection,
    row: SpaceRow,
    cache: MatrixCache,
    queries: NDArray[np.float32],
    k: int,
    *,
    similarity: Similarity,
    among: Ids | None,
) -> Neighbours:
    """See `Snapshot.search`, exact."""
    if among is not None:
        among = np.unique(np.asarray(among, np.int64))
    empty = np.empty((0, row.space.dim), np.float32)
    if not row.space.count or (among is not None and not len(among)):
        return nearest_rows(row, (np.empty(0, np.int64), empty), queries, k, similarity)
    matrix = cache.get(row)
    if matrix is None and among is not None and len(among) <= FEW_IDS:
        return nearest_rows(row, fetch(connection, row, among), queries, k, similarity)
    if matrix is None and row.collection is None and not cache.worthwhile(row, len(queries)):
        # Invalid queries are left to NumPy, which says what is wrong.
        candidates = _server_candidates(connection, row, queries, k, similarity, among)
        if candidates is not None:
            return nearest_rows(row, candidates, queries, k, similarity)
    if matrix is None and cache.fits(row):
        matrix = _joined(list(blocks(connection, row)), row.space)
        cache.put(row, matrix)
    if matrix is not None:
        return nearest_rows(row, _among(matrix, among), queries, k, similarity)
    parts = [
        nearest_rows(row, _among(block, among), queries, k, similarity)
        for block in blocks(connection, row)
    ]
    return merge_neighbours(parts, k)


def blocks(connection: Connection, row: SpaceRow) -> Iterator[Matrix]:
    """Yield all vectors of a space, some tens of MB at a time."""
    if row.collection is not None:
        yield from milvus_blocks(connection, row)
        return
    space, size = row.space, row_bytes(row.space.dim, row.space.dtype)
    limit = max(1, BLOCK_BYTES // size) * size
    skipped = len(COPY_HEADER)
    held, length = [], 0
    command = statement("COPY {} (image, vector) TO STDOUT (FORMAT BINARY)", row.table)
    with connection.cursor().copy(command) as copy:
        for piece in copy:
            data = bytes(piece)
            if skipped:
                data, skipped = data[skipped:], max(0, skipped - len(data))
            held.append(data)
            length += len(data)
            if length > limit + len(COPY_TRAILER):
                whole = b"".join(held)
                yield by_rising_id(rows_from_copy(whole[:limit], space.dim, space.dtype))
                held, length = [whole[limit:]], len(whole) - limit
    whole = b"".join(held)
    rows = len(whole) // size * size
    if rows:
        yield by_rising_id(rows_from_copy(whole[:rows], space.dim, space.dtype))


def fetch(connection: Connection, row: SpaceRow, ids: Ids) -> Matrix:
    """Return the vectors of those of the ids that have one."""
    if row.collection is not None:
        return milvus_fetch(connection, row, ids)
    rows = connection.execute(
        statement("SELECT image, vector FROM {} WHERE image = ANY(%s) ORDER BY image", row.table),
        (IdArray(ids),),
        binary=True,
        prepare=False,
    ).fetchall()
    return matrix_from(rows, row.space)


def matrix_from(rows: Sequence[tuple[int, bytes]], space: Space) -> Matrix:
    """Return ids and vectors of rows that were fetched in binary form, by rising id."""
    ids = np.array([id for id, _ in rows], np.int64)
    return by_rising_id((ids, vectors_from([vector for _, vector in rows], space.dim, space.dtype)))


def _joined(parts: list[Matrix], space: Space) -> Matrix:
    if not parts:
        return np.empty(0, np.int64), np.empty((0, space.dim), np.float32)
    ids, vectors = zip(*parts, strict=True)
    return by_rising_id((np.concatenate(ids), np.concatenate(vectors)))


def _among(matrix: Matrix, among: Ids | None) -> Matrix:
    """Return the rows of the images that were chosen."""
    if among is None:
        return matrix
    ids, vectors = matrix
    rows = np.flatnonzero(np.isin(ids, among, assume_unique=True))
    return ids[rows], vectors[rows]


def nearest_rows(
    row: SpaceRow, matrix: Matrix, queries: NDArray[np.float32], k: int, similarity: Similarity
) -> Neighbours:
    """Return the nearest of these rows."""
    ids, vectors = matrix
    rows, similarities, regions = nearest(
        vectors,
        queries,
        k,
        similarity=similarity,
        rows=None,
        exclude=None,
        normalised=row.space.normalised,
        regions=row.regions,
    )
    near = np.append(ids, -1)[rows]  # row -1 is the -1 at the end
    return Neighbours(near, similarities, True, None if row.space.boxes is None else regions)


def merge_neighbours(parts: Sequence[Neighbours], k: int) -> Neighbours:
    """Return the k nearest of the neighbours that were found in parts of a space."""
    ids = np.concatenate([part.ids for part in parts], axis=1)
    similarities = np.concatenate([part.similarities for part in parts], axis=1)
    order = np.lexsort((ids, ids < 0, -similarities), axis=1)[:, :k]
    regions = [part.regions for part in parts if part.regions is not None]
    return Neighbours(
        np.take_along_axis(ids, order, axis=1),
        np.take_along_axis(similarities, order, axis=1),
        True,
        np.take_along_axis(np.concatenate(regions, axis=1), order, axis=1) if regions else None,
    )


def _server_candidates(
    connection: Connection,
    row: SpaceRow,
    queries: NDArray[np.float32],
    k: int,
    similarity: Similarity,
    among: Ids | None,
) -> Matrix | None:
    """Return vectors among which are the k nearest of one query; None where the server cannot tell."""
    space = row.space
    usable = space.normalised and similarity == "cosine" and row.regions == 1 and k >= 1
    if not usable or queries.shape != (1, space.width) or not np.isfinite(queries).all():
        return None
    length = float(np.sqrt((queries.astype(np.float64) ** 2).sum()))
    if not length:
        return None
    unit = (queries[0] / length).astype(np.float32)
    wide = "vector" if space.dtype == "f32" else f"vector::vector({space.dim})"
    chosen = "WHERE image = ANY(%(among)s)" if among is not None else ""
    rows = connection.execute(
        # Adding 0 keeps PostgreSQL from an index of neighbours, which is approximate.
        statement(
            f"SELECT image, vector, ({wide} <#> %(query)s::vector) + 0 AS distance FROM {{}} {chosen} "
            "ORDER BY distance, image LIMIT %(limit)s",
            row.table,
        ),
        {
            "query": vector_literal(unit),
            "among": IdArray(among) if among is not None else None,
            "limit": k + MARGIN,
        },
        binary=True,
        prepare=False,
    ).fetchall()
    if len(rows) == k + MARGIN:
        # Float32 sums are off by less than this (Higham, Accuracy and Stability, 2002, 3.1).
        error = (space.dim + 32) * 2.0**-23 + (1e-3 if space.dtype == "f16" else 1e-6)
        if rows[-1][2] - rows[k - 1][2] < 2 * error:
            return None
    return matrix_from([found[:2] for found in rows], space)
