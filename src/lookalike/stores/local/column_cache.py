"""Columns of one state of the catalogue, in memory, shared by all views of that state."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lookalike.stores.filters import EMBEDDED_FIELDS, FILE_FIELDS, FieldStats
from lookalike.stores.interface import Ids
from lookalike.stores.local.column_assembly import Builder, Column, Texts
from lookalike.stores.local.columns import (
    BLOCK,
    SHIFT,
    Field,
    Part,
    field_ids,
    packed_parts,
    parts_of,
    unpack_codes,
    unpack_more,
    unpack_numbers,
)
from lookalike.stores.local.database import changes
from lookalike.stores.local.path_encoding import decode_path

KEPT_BYTES = 256 << 20
"""Of columns that stay in memory: about thirty of a million images."""

SCANNED = 64
"""Blocks of paths that are looked at together. Paths are not kept as a column: they would take a
hundred bytes an image."""


class Snapshot:
    """The columns of one state, loaded when they are first asked for."""

    def __init__(self, connection: sqlite3.Connection, state: int) -> None:
        self.state = state
        rows = connection.execute("SELECT block, stale FROM blocks ORDER BY block").fetchall()
        self.blocks = np.array([block for block, _ in rows], np.int64)
        self._stale = [block for block, stale in rows if stale]
        self._place = {int(block): place for place, block in enumerate(self.blocks)}
        self._ids = field_ids(connection)
        self._fresh: dict[int, dict[Field, Part]] | None = None
        self._columns: dict[Field, tuple[Column, int]] = {}
        self._indexed: NDArray[np.bool_] | None = None
        self.facts: dict[Field, FieldStats] = {}
        self._lock = threading.Lock()

    @property
    def count(self) -> int:
        """How many positions there are."""
        return len(self.blocks) * BLOCK

    def ids(self, mask: NDArray[np.bool_]) -> Ids:
        """Ids of the images at the positions that are set, rising."""
        positions = np.flatnonzero(mask)
        found: Ids = (self.blocks[positions >> SHIFT] << SHIFT) + (positions & (BLOCK - 1))
        return found

    def names(self, connection: sqlite3.Connection) -> dict[str, Field]:
        """What each name means: the metadata of that name before the file's own, which is then
        called "file.…". Those of the metadata come first."""
        given = {name for name, of_file in self._ids if not of_file}
        for parts in self._unpacked(connection).values():
            given |= {name for name, of_file in parts if not of_file}
        names = {
            name: (name, False) for name in [*sorted(given - {*EMBEDDED_FIELDS}), *EMBEDDED_FIELDS]
        }
        for name in FILE_FIELDS:
            names[f"file.{name}" if name in given else name] = (name, True)
        return names

    def column(self, connection: sqlite3.Connection, field: Field) -> Column:
        """The column of a field; empty if nothing has a value."""
        with self._lock:
            kept = self._columns.pop(field, None)
        column, size = kept or _with_bytes(self._load(connection, field))
        with self._lock:
            self._columns[field] = column, size  # at the end: the one used last
            while sum(size for _, size in self._columns.values()) > KEPT_BYTES:
                del self._columns[next(iter(self._columns))]
        return column

    def scanned(
        self, connection: sqlite3.Connection, name: str, *, ordered: bool
    ) -> Iterator[Texts]:
        """The paths or names of all images, in pieces; `ordered`: each with its texts sorted."""
        for start in range(0, len(self.blocks), SCANNED):
            blocks = self.blocks[start : start + SCANNED]
            rows = connection.execute(
                "SELECT id, path FROM images WHERE id >= ? AND id < ?",
                (int(blocks[0]) << SHIFT, (int(blocks[-1]) + 1) << SHIFT),
            ).fetchall()
            texts = [decode_path(path) for _, path in rows]
            if name == "name":
                texts = [path.rpartition("/")[2] for path in texts]
            ids = np.array([id for id, _ in rows], np.int64)
            at = np.searchsorted(self.blocks, ids >> SHIFT) * BLOCK + (ids & (BLOCK - 1))
            if ordered:
                order = sorted(range(len(texts)), key=texts.__getitem__)
                texts, at = [texts[i] for i in order], at[order]
            yield Texts(at, np.arange(len(texts)), texts)

    def indexed(self, connection: sqlite3.Connection) -> NDArray[np.bool_]:
        """(count,) where an indexed image is."""
        if self._indexed is None:
            found = np.zeros(self.count, np.bool_)
            for part in self.column(connection, ("outcome", True)).texts:
                if "indexed" in part.texts:
                    found[part.at] = part.codes == part.texts.index("indexed")
            self._indexed = found
        return self._indexed

    def _unpacked(self, connection: sqlite3.Connection) -> dict[int, dict[Field, Part]]:
        """The parts of the stale blocks."""
        if self._fresh is None:
            self._fresh = {block: parts_of(connection, block) for block in self._stale}
        return self._fresh

    def _load(self, connection: sqlite3.Connection, field: Field) -> Column:
        """A column of its parts: packed ones, and those of stale blocks."""
        fresh = self._unpacked(connection)
        builder = Builder(len(self.blocks))
        if field in self._ids:
            for block, numbers, codes, texts, more in packed_parts(connection, self._ids[field]):
                place = self._place.get(block)
                if place is None or block in fresh:
                    continue
                if numbers is not None:
                    builder.add_numbers(place, unpack_numbers(numbers))
                if codes is not None and texts is not None:
                    builder.add_texts(place, unpack_codes(codes), texts)
                if more is not None:
                    builder.add_more(place, unpack_more(more))
        for block, parts in fresh.items():
            if part := parts.get(field):
                place = self._place[block]
                if part.numbers is not None:
                    builder.add_numbers(place, part.numbers)
                if part.codes is not None:
                    builder.add_texts(place, part.codes, part.texts)
                builder.add_more(place, part.more)
        return builder.column()


def _with_bytes(column: Column) -> tuple[Column, int]:
    return column, column.bytes


class Columns:
    """The snapshot of the newest state that was asked for."""

    def __init__(self) -> None:
        self._snapshot: Snapshot | None = None
        self._lock = threading.Lock()

    def at(self, connection: sqlite3.Connection) -> Snapshot:
        """The snapshot of the state that this connection's transaction sees."""
        state = changes(connection)
        with self._lock:
            known = self._snapshot
        if known is not None and known.state == state:
            return known
        made = Snapshot(connection, state)
        with self._lock:
            if self._snapshot is None or self._snapshot.state < state:
                self._snapshot = made
        return made

    def clear(self) -> None:
        with self._lock:
            self._snapshot = None
