"""Approximate search with an index of pgvector, vchord or Milvus; the candidates are re-ranked in NumPy.

Malkov & Yashunin, Efficient and robust approximate nearest neighbor search using Hierarchical Navigable Small
World graphs, 2018.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext, suppress
from math import ceil, sqrt

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from lookalike.ann.rerank import scaled
from lookalike.stores.ann_index import Index
from lookalike.stores.postgres.database import Connection, statement
from lookalike.stores.postgres.encoding import IdArray, vector_literal
from lookalike.stores.postgres.milvus_vectors import MAX_HITS, milvus_candidates
from lookalike.stores.postgres.space_row import Matrix, SpaceRow
from lookalike.stores.postgres.vchord import lists_of, search_settings
from lookalike.stores.postgres.vectors import matrix_from
from lookalike.stores.records import Ids, Neighbours, Space
from lookalike.vectors.exact import exact_similarities
from lookalike.vectors.similarity import Similarity

MAX_EF = 1000
"""Largest ef_search of pgvector."""

MAX_SHARE = 0.1
"""Largest share of the vectors that are asked for as candidates; beyond, exact search costs less."""

MAX_SCANNED = 200_000
"""Vectors that a scan visits until enough of them pass a filter."""

FETCH_COST = 2.0
"""Vectors that an index scan visits in the time in which one chosen vector is fetched and compared."""

ITERATIVE_VECTOR = (0, 8)
"""pgvector from which index scans go on until a filter has let enough vectors through."""

_PLANS = ("enable_seqscan", "enable_bitmapscan", "enable_sort")


def indexed_expression(space: Space) -> tuple[str, str, str]:
    """Return what is indexed: an SQL expression, the operator class, and the distance operator.

    Halves take half the memory and are exact enough to choose candidates; only numbers that are not of unit
    vectors may be too large for them.
    """
    half = space.dtype == "f16" or space.normalised
    kind = "halfvec" if half else "vector"
    expression = "vector" if (space.dtype == "f16") == half else f"(vector::halfvec({space.dim}))"
    if space.similarity == "euclidean":
        return expression, f"{kind}_l2_ops", "<->"
    # For unit vectors the order is that of the cosine, and vectors that are zero are found, too.
    return (
        (expression, f"{kind}_ip_ops", "<#>")
        if space.normalised
        else (expression, f"{kind}_cosine_ops", "<=>")
    )


def search_effort(index: Index, k: int) -> tuple[int, int]:
    """Return ef_search, or the number of lists to search, and the number of candidates for k neighbours, from
    those measured for ten."""
    candidates = max(k, ceil(index.candidates * k / 10))
    lists = lists_of(index.recipe)
    most = MAX_EF if lists is None else lists
    return min(most, ceil(index.nprobe * max(1.0, sqrt(k / 10)))), candidates


def approximate_search(
    connection: Connection,
    row: SpaceRow,
    index: Index,
    queries: NDArray[np.float32],
    k: int,
    *,
    similarity: Similarity,
    among: Ids | None,
) -> Neighbours | None:
    """Return what `Snapshot.search` does; None where exact search must be used: it costs less, the index is
    for another similarity, the query is zero or invalid, or fewer than k images were found.
    """
    space = row.space
    if space.similarity != similarity and not space.normalised:  # for unit vectors the order is one
        return None
    fits = queries.ndim == 2 and queries.shape[1] == space.width and k >= 1 and row.regions == 1
    if not fits or not len(queries) or not np.isfinite(queries).all():
        return None
    units = queries.astype(np.float64)
    lengths = np.sqrt((units**2).sum(axis=1, keepdims=True))
    if not (lengths > 0).all():
        return None
    if space.normalised and similarity == "cosine":
        units /= lengths
    among = None if among is None else np.unique(np.asarray(among, np.int64))
    passing = space.count if among is None else min(len(among), space.count)
    ef, candidates = search_effort(index, k)
    if not passing or candidates > MAX_SHARE * passing:
        return None
    compared = units.astype(np.float32)
    if row.collection is not None:
        if candidates > MAX_HITS:
            return None
        near = milvus_candidates(
            connection, row, compared, (ef, candidates), min(k, passing), among
        )
    else:
        if among is not None and passing * FETCH_COST < candidates * space.count / passing + ef:
            return None
        if not _configure(connection, index, ef, candidates, filtered=among is not None):
            return None
        near = _pgvector_candidates(connection, row, compared, candidates, among)
    ids = np.full((len(queries), k), -1, np.int64)
    similarities = np.full((len(queries), k), -np.inf, np.float32)
    wide = scaled(queries, similarity)
    with closing(near):
        for number, (found, vectors) in enumerate(near):
            if len(found) < min(k, passing):
                return None
            exact = exact_similarities(
                wide[number][None], vectors.astype(np.float64), cosine=similarity == "cosine"
            )
            best = np.lexsort((found, -exact))[:k]
            ids[number, : len(best)], similarities[number, : len(best)] = found[best], exact[best]
    return Neighbours(ids, similarities, False)


def _configure(
    connection: Connection, index: Index, ef: int, candidates: int, *, filtered: bool
) -> bool:
    """Set how this connection searches indexes, unless it is set already. Return whether the server can."""
    if lists_of(index.recipe) is not None:
        values = search_settings(ef)
    else:
        iterative = _is_iterative(connection)
        if not iterative and (filtered or candidates > MAX_EF):
            return False
        values = {"hnsw.ef_search": str(min(MAX_EF, max(ef, candidates)))}
        if iterative:
            values["hnsw.iterative_scan"] = "relaxed_order"
            values["hnsw.max_scan_tuples"] = str(MAX_SCANNED)
    if getattr(connection, "_lookalike_settings", None) != values:
        _set(connection, "SET", values)
        connection._lookalike_settings = values  # type: ignore[attr-defined]
    return True


@contextmanager
def _index_only(connection: Connection) -> Iterator[None]:
    """Keep the server from other plans: it does not know how many vectors a filter lets through."""
    _set(connection, "SET LOCAL", dict.fromkeys(_PLANS, "off"))
    try:
        yield
    finally:
        with suppress(psycopg.Error):
            _set(connection, "SET LOCAL", dict.fromkeys(_PLANS, "on"))


def _set(connection: Connection, how: str, values: Mapping[str, str]) -> None:
    commands = [
        sql.SQL("{} {} = {}").format(
            sql.SQL(how), sql.Identifier(*name.split(".")), sql.Literal(value)
        )
        for name, value in values.items()
    ]
    connection.execute(sql.SQL("; ").join(commands))


def _is_iterative(connection: Connection) -> bool:
    """Return whether the server's pgvector has iterative scans."""
    known: bool | None = getattr(connection, "_lookalike_iterative", None)
    if known is None:
        row = connection.execute(
            "SELECT extversion FROM pg_extension WHERE extname = 'vector'"
        ).fetchone()
        parts = (row[0] if row else "0").split(".")
        known = tuple(int(part) for part in parts if part.isdecimal()) >= ITERATIVE_VECTOR
        connection._lookalike_iterative = known  # type: ignore[attr-defined]
    return known


def _pgvector_candidates(
    connection: Connection,
    row: SpaceRow,
    queries: NDArray[np.float32],
    count: int,
    among: Ids | None,
) -> Generator[Matrix]:
    """Yield for each query the nearest images and their vectors."""
    with _index_only(connection) if among is not None else nullcontext():
        for query in queries:
            rows = _candidates(connection, row, query, count, among)
            yield matrix_from(rows, row.space)


def _candidates(
    connection: Connection,
    row: SpaceRow,
    query: NDArray[np.float32],
    count: int,
    among: Ids | None,
) -> list[tuple[int, bytes]]:
    expression, operators, distance = indexed_expression(row.space)
    kind = operators.split("_")[0]
    chosen = "WHERE image = ANY(%(among)s)" if among is not None else ""
    # The limit is part of the statement: with a parameter the server would plan for a tenth of all rows.
    return connection.execute(
        statement(
            f"SELECT image, vector FROM {{}} {chosen} ORDER BY {expression} {distance} %(query)s::{kind} "
            f"LIMIT {int(count)}",
            row.table,
        ),
        {
            "query": vector_literal(query),
            "among": None if among is None else IdArray(among),
        },
        binary=True,
        prepare=among is None,
    ).fetchall()
