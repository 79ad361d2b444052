"""Columns of one state of the catalogue, in memory, shared by all views of that state."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lookalike.stores.contract import Ids
from lookalike.stores.filters import OF_THE_FILE, OF_THE_PICTURE, FieldFacts, Value
from lookalike.stores.local.columns import (
    BLOCK,
    SHIFT,
    Field,
    Numbers,
    Part,
    changes,
    field_ids,
    packed_parts,
    parts_of,
    unpack_codes,
    unpack_more,
    unpack_numbers,
    unpack_texts,
)
from lookalike.stores.local.names import decode_path

FEW_TEXTS = 10_000
"""So few are brought into one order, whether or not the blocks share them."""

KEPT_BYTES = 256 << 20
"""Of columns that stay in memory: about thirty of a million images."""

SCANNED = 64
"""Blocks of paths that are looked at together. Paths are not kept as a column: they would take a
hundred bytes an image."""


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts at some positions.

    at      a run of positions, or any positions one by one
    codes   as many places in `texts`, -1 where there is none
    texts   sorted, unless only patterns are to be compared with them
    """

    at: slice | NDArray[np.int64]
    codes: NDArray[np.integer]
    texts: Sequence[str]


@dataclass(frozen=True, slots=True)
class Apart:
    """Texts of every block in an order of their own.

    codes  (blocks, BLOCK) int16 place among the texts of the block, -1 where there is none
    texts  sorted, block by block
    """

    codes: NDArray[np.int16]
    texts: Sequence[Sequence[str]]

    def parts(self) -> Iterator[Texts]:
        """Block by block."""
        for block, texts in enumerate(self.texts):
            if texts:
                yield Texts(slice(block * BLOCK, (block + 1) * BLOCK), self.codes[block], texts)


@dataclass(frozen=True, slots=True)
class Column:
    """One field of n positions; a position is a place in a block, whether or not it holds an image.

    numbers       (n,) float64, NaN where there is none; None where no position has one
    more_at       positions of further numbers, and more_numbers these
    texts         texts in one order for all blocks, where these share their values, and further ones
    apart         else: texts block by block, because to sort a million of them takes seconds
    """

    numbers: Numbers | None = None
    more_at: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    more_numbers: Numbers = field(default_factory=lambda: np.empty(0))
    texts: Sequence[Texts] = ()
    apart: Apart | None = None

    def parts(self) -> Iterator[Texts]:
        """All texts."""
        yield from self.texts
        if self.apart is not None:
            yield from self.apart.parts()

    @property
    def bytes(self) -> int:
        """Memory it takes; a text is taken for 80."""
        numbers = 0 if self.numbers is None else self.numbers.nbytes
        texts = sum(part.codes.nbytes + 80 * len(part.texts) for part in self.parts())
        return numbers + 2 * self.more_at.nbytes + texts

    def present(self, count: int) -> NDArray[np.bool_]:
        """(count,) which positions have a value."""
        found = np.zeros(count, np.bool_) if self.numbers is None else ~np.isnan(self.numbers)
        for part in self.texts:
            found[part.at] |= part.codes >= 0
        if self.apart is not None:
            found |= self.apart.codes.ravel() >= 0
        return found


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
        self.facts: dict[Field, FieldFacts] = {}
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
            name: (name, False) for name in [*sorted(given - {*OF_THE_PICTURE}), *OF_THE_PICTURE]
        }
        for name in OF_THE_FILE:
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
        builder = _Builder(len(self.blocks))
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


class _Builder:
    """A column that grows by parts."""

    def __init__(self, blocks: int) -> None:
        self._blocks = blocks
        self._numbers: NDArray[np.float64] | None = None
        self._codes: list[tuple[int, NDArray[np.integer], Sequence[str] | bytes]] = []
        self._texts: dict[Sequence[str] | bytes, Sequence[str]] = {}
        self._more: list[tuple[int, Value]] = []

    def add_numbers(self, place: int, numbers: NDArray[np.floating]) -> None:
        if self._numbers is None:
            self._numbers = np.full((self._blocks, BLOCK), np.nan)
        self._numbers[place] = numbers

    def add_texts(
        self, place: int, codes: NDArray[np.integer], texts: Sequence[str] | bytes
    ) -> None:
        """`texts` packed or not: many blocks have the same ones, which are unpacked once."""
        key = texts if isinstance(texts, bytes) else tuple(texts)
        if key not in self._texts:
            self._texts[key] = unpack_texts(key) if isinstance(key, bytes) else key
        self._codes.append((place, codes, key))

    def add_more(self, place: int, more: Sequence[tuple[int, Value]]) -> None:
        self._more += [(place * BLOCK + position, value) for position, value in more]

    def column(self) -> Column:
        numbers = [(at, value) for at, value in self._more if not isinstance(value, str)]
        alike = self._alike()
        return Column(
            None if self._numbers is None else self._numbers.ravel(),
            np.array([at for at, _ in numbers], np.int64),
            np.array([value for _, value in numbers], np.float64),
            [*(self._together() if alike else ()), *self._further()],
            None if alike else self._apart(),
        )

    def _alike(self) -> bool:
        """Whether the blocks share their values, by a few of them."""
        several = list(self._texts.values())
        few = several[:: len(several) // 8 + 1]
        total = sum(map(len, few))
        return sum(map(len, several)) < FEW_TEXTS or 2 * len(set().union(*few)) < total

    def _together(self) -> Iterator[Texts]:
        texts = sorted(set[str]().union(*self._texts.values()))
        place_of = {text: number for number, text in enumerate(texts)}
        # One more for the code that means "none".
        remaps = {
            key: np.array([*map(place_of.__getitem__, own), -1], np.int32)
            for key, own in self._texts.items()
        }
        if self._codes:
            codes = np.full((self._blocks, BLOCK), -1, np.int32)
            for place, own_codes, key in self._codes:
                np.take(remaps[key], own_codes, out=codes[place])
            yield Texts(slice(0, self._blocks * BLOCK), codes.ravel(), texts)

    def _apart(self) -> Apart:
        codes = np.full((self._blocks, BLOCK), -1, np.int16)
        texts: list[Sequence[str]] = [()] * self._blocks
        for place, own_codes, key in self._codes:
            texts[place] = self._texts[key]
            codes[place] = own_codes
            codes[place][own_codes == len(texts[place])] = -1
        return Apart(codes, texts)

    def _further(self) -> Iterator[Texts]:
        more = sorted((value, at) for at, value in self._more if isinstance(value, str))
        if more:
            at = np.array([at for _, at in more], np.int64)
            yield Texts(at, np.arange(len(more)), [text for text, _ in more])
