"""One consistent state of the library, for reading."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import Outcome, UsageError
from lookalike.extractors.interface import BOXES
from lookalike.stores.interface import (
    Decision,
    DecisionKind,
    FileState,
    HitFields,
    Ids,
    Image,
    Neighbours,
    Root,
    Space,
)
from lookalike.stores.local import feedback, images
from lookalike.stores.local.ann.index_cache import Shelf
from lookalike.stores.local.content_lookup import file_states, same_content
from lookalike.stores.local.database import SpaceRow, changes, marks, translated
from lookalike.stores.local.images import IMAGE_COLUMNS, image_from
from lookalike.stores.local.path_encoding import root_from
from lookalike.stores.local.vector_file import MappedVectors, damaged, row_bytes
from lookalike.vectors.blocks import Rows
from lookalike.vectors.multi_vector import nearest
from lookalike.vectors.similarity import Similarity

if TYPE_CHECKING:
    from lookalike.stores.filters import FieldStats
    from lookalike.stores.local.column_cache import Snapshot
    from lookalike.stores.local.full_text import Scores
    from lookalike.stores.local.gpu_cache import Cards


class LocalSnapshot:
    """See `View`. Holds one read transaction, and the maps of the state it saw, so that a writer
    who commits, compacts or promotes meanwhile changes nothing here."""

    def __init__(
        self,
        folder: Path,
        connection: sqlite3.Connection,
        spaces: Mapping[str, SpaceRow],
        matrices: Mapping[int, MappedVectors],
        fitted: Mapping[int, Mapping[str, NDArray[np.generic]]],
        snapshot: Callable[[sqlite3.Connection], Snapshot],
        shelf: Shelf,
        cards: Cards | None,
        place: Hashable,
    ) -> None:
        self._folder = folder
        self._connection = connection
        self._spaces = spaces
        self._matrices = matrices
        self._fitted = fitted
        self._snapshot = snapshot
        self._shelf = shelf
        self._cards = cards
        self._place = place
        self._cursors: list[sqlite3.Cursor] = []

    @property
    def version(self) -> Hashable:
        with translated(self._folder):
            changed = changes(self._connection), feedback.times(self._connection)
            roots = self._connection.execute("SELECT id, path FROM roots ORDER BY id").fetchall()
        spaces = tuple(self._spaces.values())
        return self._place, changed, tuple(roots), spaces, tuple(map(self._shelf.stamp, spaces))

    def roots(self) -> list[Root]:
        with translated(self._folder):
            rows = self._connection.execute("SELECT id, path, relative FROM roots ORDER BY id")
            return [root_from(row, self._folder) for row in rows]

    def spaces(self) -> list[Space]:
        return [
            Space(
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
                fitted=self._fitted.get(row.id),
                index=self._shelf.facts(row),
            )
            for row in self._spaces.values()
        ]

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
        """See `View`. Equal similarities come by rising id; where the last place falls among equal
        ones, those stored first get it, which are the lower ids unless an image changed."""
        row, matrix = self.open_space(space)
        rows = None
        if among is not None:
            # Not np.unique, which imports numpy.ma at its first call: 50 ms of a cold search.
            rows = np.sort(matrix.rows_of(np.sort(np.asarray(among, np.int64))))
            rows = rows[(rows >= 0) & (np.diff(rows, prepend=-1) > 0)]
        similarity = similarity or row.similarity
        index = None if exact else self._shelf.ready(row, matrix)
        if self._cards is not None and self.region_count(row) == 1:
            best = self._cards.nearest(
                row, matrix, queries, k, similarity=similarity, rows=rows, ready=index
            )
            if best is not None:
                return self._neighbours(matrix, *best[:2], parts=None, exact=best[2])
        if index is not None:
            from lookalike.stores.local.ann import ann_search

            some = ann_search.nearest(
                index,
                matrix,
                queries,
                k,
                similarity=similarity,
                rows=rows,
                normalised=bool(row.normalised),
            )
            if some is not None:
                return self._neighbours(matrix, *some, parts=None, exact=False)
        found, similarities, parts = nearest(
            matrix.vectors,
            queries,
            k,
            similarity=similarity,
            rows=rows,
            exclude=matrix.deleted if rows is None else None,  # rows_of left them out
            normalised=bool(row.normalised),
            parts=self.region_count(row),
        )
        named = None if self._boxes(row) is None else parts
        return self._neighbours(matrix, found, similarities, parts=named, exact=True)

    def _neighbours(
        self,
        matrix: MappedVectors,
        found: Rows,
        similarities: NDArray[np.float32],
        *,
        parts: NDArray[np.int64] | None,
        exact: bool,
    ) -> Neighbours:
        """Rows as images; equal ones by rising id."""
        ids = np.full(found.shape, -1, np.int64)
        ids[found >= 0] = matrix.ids[found[found >= 0]]
        if matrix.ordered < len(matrix.ids):
            order = np.lexsort((ids, -similarities), axis=-1)
            ids = np.take_along_axis(ids, order, axis=-1)
            similarities = np.take_along_axis(similarities, order, axis=-1)
            parts = None if parts is None else np.take_along_axis(parts, order, axis=-1)
        return Neighbours(ids, similarities, exact, parts)

    def vectors(self, space: str, ids: Ids) -> NDArray[np.float32]:
        row, matrix = self.open_space(space)
        rows = matrix.rows_of(np.asarray(ids, np.int64))
        boxes = self._boxes(row)
        width = row.dim if boxes is None else row.dim // len(boxes)
        found = np.full((len(rows), width), np.nan, np.float32)
        found[rows >= 0] = matrix.vectors[rows[rows >= 0], :width]
        return found

    def select(self, where: str) -> Ids:
        from lookalike.stores.local.filter_eval import (
            select,  # a search without a filter need not wait
        )

        with translated(self._folder):
            return select(self._connection, self._snapshot(self._connection), where)

    def fields(self) -> dict[str, FieldStats]:
        from lookalike.stores.local.field_stats import field_facts

        with translated(self._folder):
            return field_facts(self._snapshot(self._connection), self._connection)

    def search_text(self, words: str, k: int, *, among: Ids | None = None) -> tuple[Ids, Scores]:
        from lookalike.stores.local.full_text import search_text

        with translated(self._folder):
            return search_text(self._connection, words, k, among)

    def has_text(self) -> bool:
        from lookalike.stores.local.full_text import has_text

        with translated(self._folder):
            return has_text(self._connection)

    def sample(self, space: str, count: int) -> Ids:
        _, matrix = self.open_space(space)
        # Twice as many rows as wanted, so that dead ones hardly make the sample smaller.
        places = np.linspace(0, len(matrix.ids) - 1, 2 * count).astype(np.int64)
        rows = places[np.diff(places, prepend=-1) > 0] if len(matrix.ids) else places[:0]
        alive = rows[~np.isin(rows, matrix.deleted)]
        wanted = np.linspace(0, len(alive) - 1, min(count, len(alive))).astype(np.int64)
        return np.sort(np.asarray(matrix.ids[alive[wanted]]))

    def images(self, ids: Iterable[int]) -> dict[int, Image]:
        with translated(self._folder):
            return images.images(self._connection, ids)

    def hit_fields(self, ids: Iterable[int]) -> dict[int, HitFields]:
        with translated(self._folder):
            return images.hit_fields(self._connection, ids)

    def lookup(self, root: int, path: str) -> Image | None:
        with translated(self._folder):
            return images.lookup(self._connection, root, path)

    def file_states(self, root: int, paths: Sequence[str]) -> dict[str, FileState]:
        with translated(self._folder):
            return file_states(self._connection, root, paths)

    def images_below(self, root: int, folder: str) -> list[Image]:
        with translated(self._folder):
            return images.in_folder(self._connection, root, folder)

    def same_content(
        self, size: int, *, hash: bytes | None = None, spaces: Collection[str] = ()
    ) -> list[Image]:
        with translated(self._folder):
            return same_content(self._connection, size, hash, spaces)

    def by_hash(self, hash: bytes) -> list[Image]:
        with translated(self._folder):
            return images.by_hash(self._connection, hash)

    def exact_duplicates(self) -> list[list[int]]:
        with translated(self._folder):
            return images.exact_duplicates(self._connection)

    def decisions(
        self, kinds: Iterable[DecisionKind] | None = None, *, about: bytes | None = None
    ) -> list[Decision]:
        with translated(self._folder):
            return feedback.read(self._connection, kinds, about)

    def iter_files(self, *, outcomes: Iterable[Outcome] | None = None) -> Iterator[Image]:
        chosen = [str(outcome) for outcome in (Outcome if outcomes is None else outcomes)]
        # Said in so many words, SQLite takes the small index of failures and not the whole table.
        only_failed = "" if Outcome.INDEXED in chosen else "AND outcome <> 'indexed'"
        with translated(self._folder):
            cursor = self._connection.execute(
                f"SELECT {IMAGE_COLUMNS} WHERE outcome IN ({marks(len(chosen))}) {only_failed} "
                "ORDER BY root, path",
                chosen,
            )
            self._cursors.append(cursor)
            for row in cursor:
                yield image_from(row)

    def counts(self) -> dict[Outcome, int]:
        with translated(self._folder):
            return images.counts(self._connection)

    def _boxes(self, row: SpaceRow) -> NDArray[np.generic] | None:
        return self._fitted.get(row.id, {}).get(BOXES)

    def region_count(self, row: SpaceRow) -> int:
        """How many vectors stand in a row of the space."""
        boxes = self._boxes(row)
        return 1 if boxes is None else len(boxes)

    def open_space(self, key: str) -> tuple[SpaceRow, MappedVectors]:
        """A space and its rows as they are stored, for those who build on them."""
        row = self._spaces.get(key)
        if row is None:
            known = ", ".join(self._spaces) or "none yet"
            raise UsageError(f"no space {key!r} in this library; it has: {known}")
        matrix = self._matrices.get(row.id)
        if matrix is None:
            raise damaged(self._folder, row)
        return row, matrix

    def close(self) -> None:
        """End the cursors of ledgers that were left half read: they would keep the old state alive
        in a connection that another view takes over."""
        for cursor in self._cursors:
            cursor.close()
