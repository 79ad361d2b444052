"""Building and checking the ANN indexes of a library, while others read and write it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import LibraryBusy, LibraryReadOnly, UsageError
from lookalike.stores.ann_index import Index, IndexBuildOptions, IndexCheck
from lookalike.stores.postgres.ann_search import MAX_EF, indexed_expression
from lookalike.stores.postgres.database import Connection, connect, statement, translate_errors
from lookalike.stores.postgres.migrations import BUILDER, release, take_lock
from lookalike.stores.postgres.milvus import LINKS
from lookalike.stores.postgres.snapshot import PostgresSnapshot
from lookalike.stores.postgres.space_row import SpaceRow
from lookalike.stores.postgres.url import DatabaseURL
from lookalike.stores.postgres.vchord import (
    build_options,
    has_vchord,
    lists_of,
    probes_to_try,
    recipe_for,
)
from lookalike.stores.records import Neighbours
from lookalike.vectors.similarity import normalise

if TYPE_CHECKING:
    from lookalike.ann.faiss_index import Progress

K = 10
"""Neighbours that recall is measured for."""

QUERIES = 200
"""Vectors of the space that serve as queries when an index is tuned."""

EXACT_TIMED = 5
"""Queries of a check that are also timed exactly."""

RECIPES = ("HNSW16", "HNSW32")
"""Links of each vector; the second is tried where the first misses the target."""

EF_STEPS = (40, 56, 80, 112, 160, 224, 320, 448, 640, MAX_EF)
"""ef_search that are tried, from pgvector's default on."""

MAX_BUILD_MEMORY = 1 << 30
"""Memory of the server for building, unless the options allow more. A larger graph is built slowly."""

MAX_DIM = {"halfvec": 4_000, "vector": 2_000}
"""Numbers of the longest vectors that pgvector indexes."""


class _HeldOut(NamedTuple):
    """Queries, and of each the similarity of its K-th (or last) true neighbour, and how many it has."""

    vectors: NDArray[np.float32]
    worst: NDArray[np.float32]
    known: NDArray[np.int64]


class PostgresIndexes:
    """See `Indexes`. New vectors are indexed by the server as they are added, so none is ever unindexed."""

    def __init__(
        self,
        url: DatabaseURL,
        *,
        read_only: bool,
        snapshot: Callable[[], AbstractContextManager[PostgresSnapshot]],
    ) -> None:
        self._url = url
        self._read_only = read_only
        self._snapshot = snapshot

    def build(
        self,
        space: str,
        options: IndexBuildOptions | None = None,
        *,
        progress: Progress = lambda stage, done, total: None,
    ) -> Index:
        """See `Indexes`. A recipe is HNSW and the number of links (HNSW16, HNSW32 …) or, with the extension
        vchord, RaBitQ, with the number of inverted lists before it (IVF1000,RaBitQ)."""
        options = options or IndexBuildOptions()
        if not 0 < options.target <= 1:
            raise UsageError(f"a recall lies between 0 and 1, not {options.target}")
        with self._builder() as connection:
            progress("ask", 0, 1)
            with self._snapshot() as snapshot:
                row = snapshot.space_row(space)
                with translate_errors(self._url):
                    recipes = _recipes(row, options, vchord=has_vchord(connection))
                held_out = _hold_out(snapshot, row, QUERIES, seed=0)
            best: Index | None = None
            for recipe in recipes:
                started = time.monotonic()
                progress("train", 0, 1)
                self._create(connection, row, recipe, options)
                progress("fill", 1, 1)
                with self._snapshot() as snapshot:
                    found = _tuned(snapshot, row, recipe, held_out, options.target)
                best = replace(
                    found,
                    seconds=time.monotonic() - started,
                    bytes=self._size(connection, row),
                )
                if best.recall >= options.target:
                    break
            assert best is not None
            self._record(connection, row, best)
        return best

    def remove(self, space: str) -> bool:
        """See `Indexes`."""
        with self._builder() as connection:
            with self._snapshot() as snapshot:
                row = snapshot.space_row(space)
            if row.space.index is None:
                return False
            self._record(connection, row, None)
            if row.collection is None:
                with translate_errors(self._url):
                    self._drop_others(connection, row, keep="")
        return True

    def check(self, space: str, *, queries: int = 500) -> IndexCheck:
        """See `Indexes`."""
        with self._snapshot() as snapshot:
            row = snapshot.space_row(space)
            if row.space.index is None:
                raise UsageError(
                    f"the space {space} has no index to check: build one with `lookalike ann build`"
                )
            held_out = _hold_out(snapshot, row, queries, seed=time.time_ns() % 2**32)
            check = _measure(snapshot, row, held_out)
        if not self._read_only:
            with self._connection() as connection, translate_errors(self._url):
                connection.execute(
                    "INSERT INTO index_checks (space, measured) VALUES (%s, %s)",
                    (row.id, json.dumps(asdict(check))),
                )
        return check

    def compare(
        self,
        space: str,
        recipes: Sequence[str] = (),
        *,
        progress: Progress = lambda stage, done, total: None,
    ) -> NoReturn:
        """See `Indexes`: only libraries in folders compare recipes."""
        raise UsageError(
            "recipes are compared in a library in a folder: in PostgreSQL, build with `lookalike ann build "
            "--recipe HNSW32` and see `lookalike ann check`"
        )

    def history(self, space: str) -> list[IndexCheck]:
        """See `Indexes`."""
        with self._snapshot() as snapshot:
            return [IndexCheck(**measured) for measured in snapshot.index_checks(space)]

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        connection = connect(self._url, purpose="index builder")
        try:
            yield connection
        finally:
            release(connection)

    @contextmanager
    def _builder(self) -> Iterator[Connection]:
        """Hold the lock of builders. Writers have a lock of their own and are not blocked."""
        if self._read_only:
            raise LibraryReadOnly(f"the library in {self._url.shown} was opened for reading only")
        with self._connection() as connection:
            take_lock(connection, self._url, BUILDER, doing="building an index in")
            yield connection

    def _create(
        self, connection: Connection, row: SpaceRow, recipe: str, options: IndexBuildOptions
    ) -> None:
        """Build an index beside an older one, without blocking writers, and then drop the older one."""
        if row.collection is not None:
            row.collection.ready(row.space)
            row.collection.seal()
            return
        expression, operators, _ = indexed_expression(row.space)
        memory = options.memory or min(MAX_BUILD_MEMORY, (64 << 20) + 3 * _estimate(row, recipe))
        lists = lists_of(recipe)
        if lists is None:
            links = _links(recipe)
            end = f"WITH (m = {links}, ef_construction = {max(64, 2 * links)})"
            method = f"hnsw ({expression} {operators}) {end}"
        else:
            end = build_options(row.space, lists, options.threads)
            method = f"vchordrq ({expression} {operators}) {end}"
        name = f"ann_{row.id}_{time.time_ns():x}"
        with translate_errors(self._url):
            connection.execute(
                statement(f"SET maintenance_work_mem = '{max(1024, memory >> 10)}kB'")
            )
            if options.threads is not None:
                workers = max(0, options.threads - 1)
                connection.execute(
                    statement(f"SET max_parallel_maintenance_workers = {int(workers)}")
                )
            self._drop_others(
                connection, row, keep=_index_name(connection, row)
            )  # of a killed build
            connection.execute(
                statement(f"CREATE INDEX CONCURRENTLY {{}} ON {{}} USING {method}", name, row.table)
            )
            self._drop_others(connection, row, keep=name)

    def _drop_others(self, connection: Connection, row: SpaceRow, *, keep: str) -> None:
        names = connection.execute(
            "SELECT c.relname::text FROM pg_index JOIN pg_class c ON c.oid = indexrelid "
            "JOIN pg_class t ON t.oid = indrelid JOIN pg_namespace n ON n.oid = t.relnamespace "
            "WHERE nspname = %s AND t.relname = %s AND starts_with(c.relname::text, 'ann_')",
            (self._url.schema, row.table),
        ).fetchall()
        for (name,) in names:
            if name != keep:
                connection.execute(statement("DROP INDEX CONCURRENTLY IF EXISTS {}", name))

    def _size(self, connection: Connection, row: SpaceRow) -> int:
        if row.collection is not None:  # which Milvus does not tell
            return _estimate(row, f"HNSW{LINKS}")
        with translate_errors(self._url):
            found = connection.execute(
                "SELECT pg_relation_size(%s::regclass)", (f'"{_index_name(connection, row)}"',)
            ).fetchone()
        return int(found[0]) if found else 0

    def _record(self, connection: Connection, row: SpaceRow, index: Index | None) -> None:
        with translate_errors(self._url), connection.transaction():
            stored = None if index is None else json.dumps(asdict(index))
            done = connection.execute(
                "UPDATE spaces SET index = %s WHERE id = %s", (stored, row.id)
            ).rowcount
            connection.execute("UPDATE library SET version = gen_random_uuid()")
        if not done:
            raise LibraryBusy(
                f"the {row.space.name} vectors were replaced while their index was built: build it again"
            )


def _index_name(connection: Connection, row: SpaceRow) -> str:
    """Return the name of the space's usable index, "" if there is none."""
    found = connection.execute(
        "SELECT c.relname::text FROM pg_index JOIN pg_class c ON c.oid = indexrelid "
        "WHERE indrelid = to_regclass(%s) AND starts_with(c.relname::text, 'ann_') AND indisvalid "
        "ORDER BY c.oid DESC LIMIT 1",
        (row.table,),
    ).fetchone()
    return found[0] if found else ""


def _recipes(row: SpaceRow, options: IndexBuildOptions, *, vchord: bool) -> Sequence[str]:
    """Return the recipes to try; `UsageError` for a space that cannot be indexed, or not in that memory."""
    space = row.space
    if row.regions > 1:
        raise UsageError(
            f"{space.name} has vectors of image regions, which are always searched exactly"
        )
    if not space.count:
        raise UsageError(f"the space {space.key} has no vectors yet")
    recipes = [recipe_for(space.count)] if vchord else list(RECIPES)
    if options.recipe is not None:
        recipes = [options.recipe]
    if row.collection is not None:
        recipes = [f"HNSW{LINKS}"]
        if options.recipe not in (None, *recipes):
            raise UsageError(
                f"the recipe {options.recipe!r} does not work in Milvus, whose collections are made with "
                f"{recipes[0]}: leave it out, and only the effort of a search is tuned"
            )
    elif lists_of(recipes[0]) is None:
        _links(recipes[0])
        kind = indexed_expression(space)[1].split("_")[0]
        if space.dim > MAX_DIM[kind]:
            raise UsageError(
                f"the vectors of {space.name} have {space.dim:,} numbers, pgvector indexes at most "
                f"{MAX_DIM[kind]:,}: they are searched exactly"
            )
    elif not vchord:
        raise UsageError(
            f"the recipe {recipes[0]} needs the extension vchord, which this database lacks: name HNSW16, "
            "for example"
        )
    needed = _estimate(row, recipes[0])
    if options.memory is not None and needed > options.memory:
        raise UsageError(
            f"{recipes[0]} takes about {max(1, needed >> 20):,} MB for {space.count:,} vectors, the limit is "
            f"{options.memory >> 20:,} MB: allow more"
        )
    return [
        one for one in recipes if options.memory is None or _estimate(row, one) <= options.memory
    ]


def _links(recipe: str) -> int:
    found = re.fullmatch(r"HNSW(\d{1,3})", recipe)
    if found is None or not 2 <= int(found[1]) <= 100:
        raise UsageError(
            f"the recipe {recipe!r} does not work in PostgreSQL, which has HNSW with 2 to 100 links (HNSW16, "
            "for example) and, with the extension vchord, RaBitQ or IVF1000,RaBitQ"
        )
    return int(found[1])


def _estimate(row: SpaceRow, recipe: str) -> int:
    """Return about how many bytes an index takes: halves, links of 6 bytes, and two headers a vector; in
    Milvus float32 and links of 4 bytes; in vchord a bit a number instead of links."""
    count, dim = row.space.count, row.space.dim
    if row.collection is not None:
        return count * (dim * 4 + 2 * LINKS * 4 + 16)
    size = 2 if indexed_expression(row.space)[1].startswith("half") else 4
    beside = 2.2 * _links(recipe) * 6 if lists_of(recipe) is None else dim / 8
    return int(count * (dim * size + beside + 80) * 1.1)


def _hold_out(snapshot: PostgresSnapshot, row: SpaceRow, count: int, *, seed: int) -> _HeldOut:
    """Draw queries that are in no index, and find their neighbours by exact search.

    A query is made of an image and three of its neighbours so that it lies as far from the centre of its
    surroundings as they do: a graph finds a vector that it holds more easily than another one.
    """
    key = row.space.key
    drawn = snapshot.sample(key, 4 * count)
    random = np.random.default_rng(seed)
    vectors = snapshot.vectors(key, random.permutation(drawn)[:count])
    vectors = vectors[vectors.any(axis=1)]
    if not len(vectors):
        raise UsageError("all these vectors are zero: there is nothing that an index could find")
    near = snapshot.search(key, vectors, K + 1, exact=True).ids
    known = np.maximum((near >= 0).sum(axis=1), 1)
    first, second, third = (
        snapshot.vectors(key, near[np.arange(len(near)), random.integers(known)]) for _ in range(3)
    )
    mixed = (
        vectors + first + second - third
    ) / 2  # of four points of a cloud: its mean and its spread
    mixed = mixed[mixed.any(axis=1)].astype(np.float32)
    queries: NDArray[np.float32] = normalise(mixed) if row.space.normalised else mixed  # type: ignore[assignment]
    found = snapshot.search(key, queries, K, exact=True).similarities
    there = np.isfinite(found)
    return _HeldOut(queries, np.where(there, found, np.inf).min(axis=1), there.sum(axis=1))


def _measured(
    search: Callable[[NDArray[np.float32]], Neighbours], held_out: _HeldOut
) -> tuple[float, float]:
    """Return recall and milliseconds a query of a search for K neighbours."""
    shares: list[float] = []
    times: list[float] = []
    for number, vector in enumerate(held_out.vectors):
        started = time.perf_counter()
        found = search(vector[None])
        times.append(time.perf_counter() - started)
        correct = int((found.similarities[0] >= held_out.worst[number]).sum())
        shares.append(correct / max(int(held_out.known[number]), 1))
    return float(np.mean(shares)), float(np.median(times)) * 1e3


def _tuned(
    snapshot: PostgresSnapshot, row: SpaceRow, recipe: str, held_out: _HeldOut, target: float
) -> Index:
    """Return the index with the least effort that reaches the target recall, or with the largest."""
    # Milvus compares the vectors themselves, the others often halves of them.
    candidates = K if row.collection is not None else 2 * K
    index = Index(recipe, 0.0, target, 0.0, 0, 0.0, row.space.count, 0, candidates, "")
    lists = lists_of(recipe)
    for effort in EF_STEPS if lists is None else probes_to_try(lists):
        tried = replace(index, nprobe=effort)
        recall, milliseconds = _measured(
            lambda vector, tried=tried: snapshot.search_with(tried, row, vector, K),  # type: ignore[misc]
            held_out,
        )
        index = replace(tried, recall=recall, milliseconds=milliseconds, built=_now())
        if index.recall >= target:
            break
    return index


def _measure(snapshot: PostgresSnapshot, row: SpaceRow, held_out: _HeldOut) -> IndexCheck:
    """Measure recall and time of the store's own search."""
    key = row.space.key
    vectors, worst, known = held_out
    some = _HeldOut(vectors[:EXACT_TIMED], worst[:EXACT_TIMED], known[:EXACT_TIMED])
    recall, milliseconds = _measured(lambda vector: snapshot.search(key, vector, K), held_out)
    _, exact = _measured(lambda vector: snapshot.search(key, vector, K, exact=True), some)
    return IndexCheck(
        recall=recall,
        milliseconds=milliseconds,
        exact_milliseconds=exact,
        queries=len(held_out.vectors),
        rows=row.space.count,
        unindexed=0,
        when=_now(),
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
