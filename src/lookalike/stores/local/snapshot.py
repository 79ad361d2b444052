"""One consistent state of the library, for reading."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import Outcome
from lookalike.extractors.interface import BOXES
from lookalike.stores.local import bus_errors
from lookalike.stores.local import images as rows
from lookalike.stores.local.ann.index_cache import IndexCache
from lookalike.stores.local.ann.index_files import Stamp
from lookalike.stores.local.comparisons import read_comparisons
from lookalike.stores.local.database import SpaceRow, placeholders, read_method, reading
from lookalike.stores.local.feedback import read_decisions
from lookalike.stores.local.search import search_space
from lookalike.stores.local.vector_file import MappedVectors, damaged_error, row_bytes
from lookalike.stores.records import Ids, Image, Neighbours, Root, Space, unknown_space
from lookalike.stores.text_analysis import TextMatch
from lookalike.vectors.blocks import as_float32
from lookalike.vectors.similarity import Similarity

if TYPE_CHECKING:
    from lookalike.stores.filters import FieldStats
    from lookalike.stores.local.column_cache import StateColumns
    from lookalike.stores.local.gpu_cache import GpuCache


@dataclass(frozen=True, slots=True, eq=False)
class CatalogueState:
    """Data shared by all snapshots of one state of the catalogue; read once.

    version  equal for two states without a difference
    spaces   by key
    mapped   vectors by space id; those that cannot be read are missing
    fitted   arrays by space id
    described  spaces by id, as they were last described
    """

    version: Hashable
    spaces: Mapping[str, SpaceRow]
    mapped: Mapping[int, MappedVectors]
    fitted: Mapping[int, Mapping[str, NDArray[np.generic]]]
    roots: Sequence[Root]
    described: dict[int, Space] = field(default_factory=dict)


class LocalSnapshot:
    """See `Snapshot`. Holds one read transaction and the mapped files of the state that it saw, so that
    commits, compactions and promotions of a writer change nothing here."""

    def __init__(
        self,
        folder: Path,
        connection: sqlite3.Connection,
        state: CatalogueState,
        columns: Callable[[sqlite3.Connection], StateColumns],
        indexes: IndexCache,
        gpu: GpuCache | None,
        faults: int,
    ) -> None:
        self._folder = folder
        self._connection = connection
        self._state = state
        self._columns = columns
        self._indexes = indexes
        self._gpu = gpu
        self._stamps: dict[int, Stamp | None] = {}
        self._cursors: list[sqlite3.Cursor] = []
        self._faults = faults  # before the files were mapped

    @property
    def version(self) -> Hashable:
        """See `Snapshot`."""
        return self._state.version, tuple(map(self._stamp, self._state.spaces.values()))

    def roots(self) -> list[Root]:
        """See `Snapshot`."""
        return list(self._state.roots)

    def spaces(self) -> list[Space]:
        """See `Snapshot`."""
        return list(map(self._space, self._state.spaces.values()))

    def _space(self, row: SpaceRow) -> Space:
        index = self._indexes.info(row, self._stamp(row))
        space = self._state.described.get(row.id)
        if space is None or space.index is not index:
            space = self._state.described[row.id] = Space(
                key=row.key,
                name=row.name,
                revision=row.revision,
                dim=row.dim,
                similarity=row.similarity,
                dtype=row.dtype,
                normalised=bool(row.normalised),
                current=bool(row.current),
                count=row.rows - row.deleted,
                bytes=row.rows * (row_bytes(row) + 8),
                fitted=self._state.fitted.get(row.id),
                index=index,
            )
        return space

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
        """See `Snapshot`. Where equal similarities compete for the last place, the vectors that were stored
        first win, which are the lower ids unless an image changed."""
        row, mapped = self.open_space(space)
        boxes = self._boxes(row)
        found = search_space(
            row,
            mapped,
            queries,
            k,
            similarity=similarity or row.similarity,
            among=among,
            regions=1 if boxes is None else len(boxes),
            has_regions=boxes is not None,
            index=None if exact else self._indexes.get(row, mapped, self._stamp(row)),
            gpu=self._gpu,
        )
        self._refuse_cut(row, mapped)
        return found

    def vectors(self, space: str, ids: Ids, *, whole_rows: bool = False) -> NDArray[np.float32]:
        """See `Snapshot`."""
        row, mapped = self.open_space(space)
        rows = mapped.rows_of(np.asarray(ids, np.int64))
        width = row.dim if whole_rows else row.dim // self.region_count(row)
        known = rows >= 0
        if known.all():
            found = as_float32(mapped.vectors.take(rows, axis=0)[:, :width])
        else:
            found = np.full((len(rows), width), np.nan, np.float32)
            found[known] = mapped.vectors[rows[known], :width]
        self._refuse_cut(row, mapped)
        return found

    def sample(self, space: str, count: int) -> Ids:
        """See `Snapshot`."""
        row, mapped = self.open_space(space)
        # Twice as many rows as hold so many vectors on average: tombstones may lie in a row.
        stored = len(mapped.ids)
        wanted = 2 * count * stored // max(stored - len(mapped.deleted), 1)
        spread = np.linspace(0, stored - 1, min(wanted, stored)).astype(np.int64)
        rows = spread[np.diff(spread, prepend=-1) > 0] if len(mapped.ids) else spread[:0]
        live = rows[~np.isin(rows, mapped.deleted)]
        chosen = np.linspace(0, len(live) - 1, min(count, len(live))).astype(np.int64)
        found = np.sort(np.asarray(mapped.ids[live[chosen]]))
        self._refuse_cut(row, mapped)
        return found

    def open_space(self, key: str) -> tuple[SpaceRow, MappedVectors]:
        """Return a space and its mapped vectors; `UsageError`, `LibraryDamaged`, `LibraryReadOnly`."""
        row = self._state.spaces.get(key)
        if row is None:
            raise unknown_space(key, self._state.spaces)
        mapped = self._state.mapped.get(row.id)
        if mapped is None:
            raise damaged_error(self._folder, row)
        return row, mapped

    def _refuse_cut(self, row: SpaceRow, mapped: MappedVectors) -> None:
        """Raise `LibraryDamaged` if what was just read may be zeros: a file was cut, or not readable."""
        if self._faults != bus_errors.faults() or mapped.is_cut():
            raise damaged_error(self._folder, row)

    def region_count(self, row: SpaceRow) -> int:
        """Return how many vectors each row of the space holds side by side."""
        boxes = self._boxes(row)
        return 1 if boxes is None else len(boxes)

    def _boxes(self, row: SpaceRow) -> NDArray[np.generic] | None:
        return self._state.fitted.get(row.id, {}).get(BOXES)

    def _stamp(self, row: SpaceRow) -> Stamp | None:
        """Return the stamp of the space's index when this snapshot first asked for it."""
        if row.id not in self._stamps:
            self._stamps[row.id] = self._indexes.stamp(row)
        return self._stamps[row.id]

    # Filters and texts. Their modules are imported on use: most searches need neither.

    def select(self, where: str) -> Ids:
        """See `Snapshot`."""
        from lookalike.stores.local.filter_eval import select

        with reading(self._folder):
            return select(self._connection, self._columns(self._connection), where)

    def sort(self, ids: Ids, field: str, *, reverse: bool = False) -> Ids:
        """See `Snapshot`."""
        from lookalike.stores.local.filter_eval import sort

        with reading(self._folder):
            return sort(
                self._connection, self._columns(self._connection), ids, field, reverse=reverse
            )

    def fields(self) -> dict[str, FieldStats]:
        """See `Snapshot`."""
        from lookalike.stores.local.field_stats import field_stats

        with reading(self._folder):
            return field_stats(self._columns(self._connection), self._connection)

    def search_text(
        self, text: str, k: int, *, among: Ids | None = None, match: TextMatch = "words"
    ) -> tuple[Ids, NDArray[np.float32]]:
        """See `Snapshot`."""
        from lookalike.stores.local.full_text import search_text

        with reading(self._folder):
            return search_text(self._connection, text, k, among, match)

    def has_text(self) -> bool:
        """See `Snapshot`."""
        from lookalike.stores.local.full_text import has_text

        with reading(self._folder):
            return has_text(self._connection)

    # Images

    images = read_method(rows.images)
    metadata_sources = read_method(rows.metadata_sources)
    hit_fields = read_method(rows.hit_fields)
    lookup = read_method(rows.lookup)
    file_states = read_method(rows.file_states)
    images_below = read_method(rows.images_below)
    pages = read_method(rows.pages)
    same_content = read_method(rows.same_content)
    by_hash = read_method(rows.by_hash)
    exact_duplicates = read_method(rows.exact_duplicates)
    counts = read_method(rows.counts)
    decisions = read_method(read_decisions)
    comparisons = read_method(read_comparisons)

    def iter_files(self, *, outcomes: Iterable[Outcome] | None = None) -> Iterator[Image]:
        """See `Snapshot`."""
        chosen = [str(outcome) for outcome in (Outcome if outcomes is None else outcomes)]
        # This condition makes SQLite use the small index of failures, not the whole table.
        only_failed = "" if Outcome.INDEXED in chosen else "AND outcome <> 'indexed'"
        with reading(self._folder):
            cursor = self._connection.execute(
                f"SELECT {rows.IMAGE_COLUMNS} WHERE outcome IN ({placeholders(chosen)}) "
                f"{only_failed} ORDER BY root, path",
                chosen,
            )
            self._cursors.append(cursor)
            for row in cursor:
                yield rows.image_from(row)

    def close(self) -> None:
        """Close the cursors of `iter_files` that were not read to the end: they would keep the old state
        alive in a connection that the next snapshot takes over."""
        for cursor in self._cursors:
            cursor.close()
