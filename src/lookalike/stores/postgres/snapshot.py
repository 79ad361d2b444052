"""One consistent state of the library, for reading."""

from __future__ import annotations

import io
import json
from collections.abc import Collection as Some
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from psycopg.rows import namedtuple_row

from lookalike.errors import LibraryDamaged, Outcome
from lookalike.stores.ann_index import Index
from lookalike.stores.postgres import images as rows
from lookalike.stores.postgres.database import Connection, read_method, statement, translate_errors
from lookalike.stores.postgres.encoding import decode, ids_from
from lookalike.stores.postgres.milvus import Collection, Milvus
from lookalike.stores.postgres.space_row import SpaceRow
from lookalike.stores.postgres.url import DatabaseURL
from lookalike.stores.postgres.vectors import MatrixCache, exact_search, fetch
from lookalike.stores.records import FileState, Ids, Image, Neighbours, Root, Space, unknown_space
from lookalike.stores.text_analysis import TextMatch
from lookalike.vectors.similarity import Similarity

if TYPE_CHECKING:
    from lookalike.stores.filters import FieldStats

Fitted = Mapping[str, NDArray[np.generic]]

ALL_IDS = 50_000
"""Vectors of a space up to which a sample is chosen from all ids; of more, by probing the index."""


@dataclass(frozen=True, slots=True, eq=False)
class LibraryState:
    """Data shared by all snapshots of one state of the library; read once."""

    version: UUID
    roots: Sequence[Root]
    spaces: Mapping[str, SpaceRow]

    @property
    def keys(self) -> dict[int, str]:
        """Keys of the spaces by id."""
        return {row.id: key for key, row in self.spaces.items()}


def read_roots(connection: Connection) -> list[Root]:
    """Return all roots."""
    rows = connection.execute("SELECT id, path, imported, identity, exclude FROM roots ORDER BY id")
    return [
        Root(
            id,
            Path(decode(path)),
            imported,
            decode(identity),
            tuple(map(decode, json.loads(exclude))),
        )
        for id, path, imported, identity, exclude in rows
    ]


def read_spaces(
    connection: Connection, known: dict[int, Fitted | None], milvus: Milvus | None
) -> dict[str, SpaceRow]:
    """Return all spaces by key. `known`: fitted arrays by id, which never change; new ones are added."""
    cursor = connection.cursor(row_factory=namedtuple_row)
    rows: list[Any] = cursor.execute(
        "SELECT id, changed, key, name, revision, dim, similarity, dtype, normalised, current, count, index, "
        "collection, newest_row, written FROM spaces ORDER BY id"
    ).fetchall()
    new = [row.id for row in rows if row.id not in known]
    if new:
        arrays: dict[int, dict[str, NDArray[np.generic]]] = {}
        for space, name, data in connection.execute(
            "SELECT space, name, data FROM fitted WHERE space = ANY(%s)", (new,)
        ):
            try:
                array = np.load(io.BytesIO(data), allow_pickle=False)
            except ValueError as error:
                raise LibraryDamaged(
                    f"the fitted arrays of space {space} cannot be read: {error}"
                ) from error
            arrays.setdefault(space, {})[decode(name)] = array
        known |= {id: arrays.get(id) for id in new}
    found: dict[str, SpaceRow] = {}
    for row in rows:
        size = row.dim * (2 if row.dtype == "f16" and milvus is None else 4) + 8
        space = Space(
            *(decode(row.key), decode(row.name), decode(row.revision)),
            *(row.dim, row.similarity, row.dtype, row.normalised, row.current),
            *(row.count, row.count * size, known[row.id]),
            Index(**json.loads(row.index)) if row.index else None,
        )
        held = None
        if milvus is not None:
            held = Collection(milvus, row.collection, row.newest_row, row.written)
        found[space.key] = SpaceRow(row.id, space, row.changed, held)
    return found


class PostgresSnapshot:
    """See `Snapshot`. Lives in one transaction (REPEATABLE READ), which commits do not change."""

    def __init__(
        self, url: DatabaseURL, connection: Connection, state: LibraryState, cache: MatrixCache
    ) -> None:
        self._url = url
        self._connection = connection
        self._state = state
        self._cache = cache

    @property
    def version(self) -> Hashable:
        """See `Snapshot`. Drawn at random by every commit, so a restored backup has another one."""
        return self._state.version

    def roots(self) -> list[Root]:
        """See `Snapshot`."""
        return list(self._state.roots)

    def spaces(self) -> list[Space]:
        """See `Snapshot`."""
        return [row.space for row in self._state.spaces.values()]

    # Vectors

    def search(
        self,
        space: str,
        queries: NDArray[np.float32],
        k: int,
        *,
        similarity: Similarity | None = None,
        among: Ids | None = None,
        exact: bool = False,
    ) -> Neighbours:
        """See `Snapshot`."""
        row = self.space_row(space)
        chosen = similarity or row.space.similarity
        with translate_errors(self._url):
            if not exact and row.space.index is not None:
                from lookalike.stores.postgres.ann_search import approximate_search

                found = approximate_search(
                    self._connection,
                    row,
                    row.space.index,
                    queries,
                    k,
                    similarity=chosen,
                    among=among,
                )
                if found is not None:
                    return found
            return exact_search(
                self._connection, row, self._cache, queries, k, similarity=chosen, among=among
            )

    def search_with(
        self, index: Index, row: SpaceRow, queries: NDArray[np.float32], k: int
    ) -> Neighbours:
        """Search as if these were the facts of the space's index, to find out which are best."""
        from lookalike.stores.postgres.ann_search import approximate_search

        similarity = row.space.similarity
        with translate_errors(self._url):
            return approximate_search(
                self._connection, row, index, queries, k, similarity=similarity, among=None
            ) or exact_search(
                self._connection, row, self._cache, queries, k, similarity=similarity, among=None
            )

    def index_checks(self, space: str) -> list[dict[str, Any]]:
        """Return the stored measurements of a space's index, oldest first."""
        row = self.space_row(space)
        with translate_errors(self._url):
            rows = self._connection.execute(
                "SELECT measured FROM index_checks WHERE space = %s ORDER BY number", (row.id,)
            )
            return [json.loads(measured) for (measured,) in rows]

    def vectors(self, space: str, ids: Ids, *, whole_rows: bool = False) -> NDArray[np.float32]:
        """See `Snapshot`."""
        row, wanted = self.space_row(space), np.asarray(ids, np.int64)
        width = row.space.dim if whole_rows else row.space.width
        found = np.full((len(wanted), width), np.nan, np.float32)
        with translate_errors(self._url):
            held = self._cache.get(row)
            there, vectors = held or fetch(self._connection, row, np.unique(wanted))
        if len(there):
            at = np.minimum(np.searchsorted(there, wanted), len(there) - 1)
            known = there[at] == wanted
            found[known] = vectors[at[known], :width]
        return found

    def sample(self, space: str, count: int) -> Ids:
        """See `Snapshot`."""
        row = self.space_row(space)
        total = row.space.count
        held = self._cache.get(row)
        with translate_errors(self._url):
            if held is not None or total <= ALL_IDS or count > total // 8:
                ids = held[0] if held else self._all_ids(row)
                return ids[np.linspace(0, len(ids) - 1, min(count, len(ids))).astype(np.int64)]
            rows = self._connection.execute(
                statement(
                    "SELECT DISTINCT found.image "
                    "FROM (SELECT min(image) AS low, max(image) AS high FROM {0}) AS ends "
                    "CROSS JOIN generate_series(0, %s::bigint) AS step CROSS JOIN LATERAL "
                    "(SELECT image FROM {0} WHERE image >= low + (high - low) * step / %s "
                    "ORDER BY image LIMIT 1) AS found ORDER BY 1",
                    row.table,
                ),
                (count - 1, max(count - 1, 1)),
            )
            return np.array([id for (id,) in rows], np.int64)

    def _all_ids(self, row: SpaceRow) -> Ids:
        found = self._connection.execute(
            statement(
                "SELECT string_agg(int8send(image), ''::bytea ORDER BY image) FROM {}", row.table
            ),
            binary=True,
        ).fetchone()
        return ids_from(found[0] if found else None)

    def space_row(self, key: str) -> SpaceRow:
        """Return a space by key; `UsageError` for an unknown one."""
        row = self._state.spaces.get(key)
        if row is None:
            raise unknown_space(key, self._state.spaces)
        return row

    # Filters and texts. Their modules are imported on use: most searches need neither.

    def select(self, where: str) -> Ids:
        """See `Snapshot`."""
        from lookalike.stores.postgres.filter_sql import select

        with translate_errors(self._url):
            return select(self._connection, where)

    def sort(self, ids: Ids, field: str, *, reverse: bool = False) -> Ids:
        """See `Snapshot`."""
        from lookalike.stores.postgres.filter_sql import sort

        with translate_errors(self._url):
            return sort(self._connection, ids, field, reverse=reverse)

    def fields(self) -> Mapping[str, FieldStats]:
        """See `Snapshot`."""
        from lookalike.stores.postgres.field_stats import field_stats

        with translate_errors(self._url):
            return field_stats(self._connection)

    def search_text(
        self, text: str, k: int, *, among: Ids | None = None, match: TextMatch = "words"
    ) -> tuple[Ids, NDArray[np.float32]]:
        """See `Snapshot`."""
        from lookalike.stores.postgres.full_text import search_text

        with translate_errors(self._url):
            return search_text(self._connection, text, k, among, match)

    def has_text(self) -> bool:
        """See `Snapshot`."""
        from lookalike.stores.postgres.full_text import has_text

        with translate_errors(self._url):
            return has_text(self._connection)

    # Images

    images = read_method(rows.images)
    metadata_sources = read_method(rows.metadata_sources)
    hit_fields = read_method(rows.hit_fields)
    lookup = read_method(rows.lookup)
    images_below = read_method(rows.images_below)
    pages = read_method(rows.pages)
    by_hash = read_method(rows.by_hash)
    exact_duplicates = read_method(rows.exact_duplicates)
    counts = read_method(rows.counts)
    decisions = read_method(rows.read_decisions)
    comparisons = read_method(rows.read_comparisons)

    def file_states(self, root: int, paths: Sequence[str]) -> dict[str, FileState]:
        """See `Snapshot`."""
        with translate_errors(self._url):
            return rows.file_states(self._connection, self._state.keys, root, paths)

    def same_content(
        self, size: int, *, hash: bytes | None = None, spaces: Some[str] = ()
    ) -> list[Image]:
        """See `Snapshot`."""
        with translate_errors(self._url):
            return rows.same_content(self._connection, self._state.keys, size, hash, spaces)

    def iter_files(self, *, outcomes: Iterable[Outcome] | None = None) -> Iterator[Image]:
        """See `Snapshot`."""
        with translate_errors(self._url):
            yield from rows.iter_files(self._connection, outcomes)
