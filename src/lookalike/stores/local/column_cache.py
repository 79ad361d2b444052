"""Columns in memory: one array per field, loaded on use and shared by all snapshots of one state.

    ColumnCache    the columns of the newest state that was asked for
    StateColumns   all columns of one state of the catalogue
    Column         the values of one field, put together by `ColumnBuilder` from the parts of all blocks

A position is a slot in a block, whether or not it holds an image: block index * 1,024 + id % 1,024.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.files import compose
from lookalike.stores.filters import Field, FieldStats, Value, field_names
from lookalike.stores.local.block_columns import (
    BLOCK,
    BLOCK_BITS,
    Numbers,
    Part,
    field_ids,
    packed_parts,
    parts_of,
    unpack_texts,
)
from lookalike.stores.local.database import changes
from lookalike.stores.local.path_encoding import decode_path
from lookalike.stores.records import Ids

CACHE_BYTES = 256 << 20
"""Memory of the cached columns: about thirty columns of a million images."""

BLOCKS_PER_SCAN = 64
"""Blocks whose paths are read together. Paths are not cached as a column: they take 100 bytes an image."""

FEW_TEXTS = 10_000
"""Up to this many distinct texts are sorted into one order, whether or not the blocks share them."""


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts at some positions.

    at      the positions: a range, or an array
    codes   index into `texts` for each position, -1 where there is none
    texts   sorted, unless only patterns are to be compared with them
    """

    at: slice | NDArray[np.int64]
    codes: NDArray[np.integer]
    texts: Sequence[str]


@dataclass(frozen=True, slots=True)
class BlockTexts:
    """Texts of all blocks, each block in an order of its own.

    codes  (blocks, BLOCK) int16 index into the texts of the block, -1 where there is none
    texts  sorted, block by block
    """

    codes: NDArray[np.int16]
    texts: Sequence[Sequence[str]]

    def parts(self) -> Iterator[Texts]:
        """Yield the texts block by block."""
        for block, texts in enumerate(self.texts):
            if texts:
                yield Texts(slice(block * BLOCK, (block + 1) * BLOCK), self.codes[block], texts)


@dataclass(frozen=True, slots=True)
class Column:
    """The values of one field at n positions.

    numbers       (n,) float64, NaN where there is none; None where no position has one
    more_at       (m,) positions of further numbers, and more_numbers (m,) these
    exact_at      (n,) positions of integers that a float cannot hold, and exact (n,) these: int64, or
                  Python objects if any is larger
    texts         texts sorted over all blocks, if the blocks share their values; and further texts
    block_texts   otherwise the texts block by block, because sorting a million of them takes seconds
    """

    numbers: Numbers | None = None
    more_at: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    more_numbers: Numbers = field(default_factory=lambda: np.empty(0))
    exact_at: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    exact: NDArray[Any] = field(default_factory=lambda: np.empty(0, np.int64))
    texts: Sequence[Texts] = ()
    block_texts: BlockTexts | None = None

    def parts(self) -> Iterator[Texts]:
        """Yield all texts."""
        yield from self.texts
        if self.block_texts is not None:
            yield from self.block_texts.parts()

    @property
    def bytes(self) -> int:
        """Memory that the column takes; a text counts as 80 bytes."""
        numbers = 0 if self.numbers is None else self.numbers.nbytes
        texts = sum(part.codes.nbytes + 80 * len(part.texts) for part in self.parts())
        return numbers + 2 * (self.more_at.nbytes + self.exact_at.nbytes) + texts

    def present(self, count: int) -> NDArray[np.bool_]:
        """Return (count,) which positions have a value."""
        found = np.zeros(count, np.bool_) if self.numbers is None else ~np.isnan(self.numbers)
        found[self.exact_at] = True
        for part in self.texts:
            found[part.at] |= part.codes >= 0
        if self.block_texts is not None:
            found |= self.block_texts.codes.ravel() >= 0
        return found


class ColumnBuilder:
    """Puts a column together from the parts of its blocks. `index` is the index of a block."""

    def __init__(self, blocks: int) -> None:
        self._blocks = blocks
        self._numbers: NDArray[np.float64] | None = None
        self._codes: list[tuple[int, NDArray[np.integer], Sequence[str] | bytes]] = []
        self._texts: dict[Sequence[str] | bytes, Sequence[str]] = {}
        self._more: list[tuple[int, Value]] = []

    def add(self, index: int, part: Part) -> None:
        """Set the values of a block. Texts that many blocks share are unpacked once."""
        if part.numbers is not None:
            if self._numbers is None:
                self._numbers = np.full((self._blocks, BLOCK), np.nan)
            self._numbers[index] = part.numbers
        if part.codes is not None:
            key = part.texts if isinstance(part.texts, bytes) else tuple(part.texts)
            if key not in self._texts:
                self._texts[key] = unpack_texts(key) if isinstance(key, bytes) else key
            self._codes.append((index, part.codes, key))
        self._more += [(index * BLOCK + position, value) for position, value in part.more]

    def column(self) -> Column:
        """Return the finished column."""
        numbers = [(at, value) for at, value in self._more if isinstance(value, float)]
        exact = [(at, value) for at, value in self._more if isinstance(value, int)]
        shared = self._blocks_share_texts()
        return Column(
            None if self._numbers is None else self._numbers.ravel(),
            np.array([at for at, _ in numbers], np.int64),
            np.array([value for _, value in numbers], np.float64),
            np.array([at for at, _ in exact], np.int64),
            _integers([value for _, value in exact]),
            [*(self._sorted_texts() if shared else ()), *self._more_texts()],
            None if shared else self._block_texts(),
        )

    def _blocks_share_texts(self) -> bool:
        """Whether the blocks share their values, judged by a few blocks."""
        several = list(self._texts.values())
        few = several[:: len(several) // 8 + 1]
        total = sum(map(len, few))
        return sum(map(len, several)) < FEW_TEXTS or 2 * len(set().union(*few)) < total

    def _sorted_texts(self) -> Iterator[Texts]:
        texts = sorted(set[str]().union(*self._texts.values()))
        code_of = {text: code for code, text in enumerate(texts)}
        # One more for the code that means "none".
        new_codes = {
            key: np.array([*map(code_of.__getitem__, own), -1], np.int32)
            for key, own in self._texts.items()
        }
        if self._codes:
            codes = np.full((self._blocks, BLOCK), -1, np.int32)
            for index, own_codes, key in self._codes:
                np.take(new_codes[key], own_codes, out=codes[index])
            yield Texts(slice(0, self._blocks * BLOCK), codes.ravel(), texts)

    def _block_texts(self) -> BlockTexts:
        codes = np.full((self._blocks, BLOCK), -1, np.int16)
        texts: list[Sequence[str]] = [()] * self._blocks
        for index, own_codes, key in self._codes:
            texts[index] = self._texts[key]
            codes[index] = own_codes
            codes[index][own_codes == len(texts[index])] = -1
        return BlockTexts(codes, texts)

    def _more_texts(self) -> Iterator[Texts]:
        more = sorted((value, at) for at, value in self._more if isinstance(value, str))
        if more:
            at = np.array([at for _, at in more], np.int64)
            yield Texts(at, np.arange(len(more)), [text for text, _ in more])


def _integers(values: Sequence[int]) -> NDArray[Any]:
    """Return integers of any size as an array."""
    fit = all(-(1 << 63) <= value < 1 << 63 for value in values)
    return np.array(values, np.int64 if fit else object)


class StateColumns:
    """The columns of one state of the catalogue, each loaded when it is first asked for. Thread-safe.

    state  what `database.changes` returned: equal numbers mean equal columns
    stats  filled by `field_stats`
    """

    def __init__(self, connection: sqlite3.Connection, state: int) -> None:
        self.state = state
        rows = connection.execute("SELECT block, stale FROM blocks ORDER BY block").fetchall()
        self.blocks = np.array([block for block, _ in rows], np.int64)
        self._stale = [block for block, stale in rows if stale]
        self._index_of = {int(block): index for index, block in enumerate(self.blocks)}
        self._field_ids = field_ids(connection)
        self._stale_parts: dict[int, dict[Field, Part]] | None = None
        self._columns: dict[Field, tuple[Column, int]] = {}
        self._indexed: NDArray[np.bool_] | None = None
        self.stats: dict[Field, FieldStats] = {}
        self._lock = threading.Lock()

    @property
    def count(self) -> int:
        """Number of positions."""
        return len(self.blocks) * BLOCK

    def ids(self, mask: NDArray[np.bool_]) -> Ids:
        """Return the rising ids of the images at the positions (count,) that are set."""
        positions = np.flatnonzero(mask)
        found: Ids = (self.blocks[positions >> BLOCK_BITS] << BLOCK_BITS) + (
            positions & (BLOCK - 1)
        )
        return found

    def positions(self, ids: Ids) -> tuple[NDArray[np.int64], Ids]:
        """Return the rising positions of these images, and their ids in that order; unknown ones are left
        out."""
        rising = np.unique(ids)
        blocks = rising >> BLOCK_BITS
        index = np.searchsorted(self.blocks, blocks)
        known = index < len(self.blocks)
        known[known] = self.blocks[index[known]] == blocks[known]
        rising = rising[known]
        return index[known] * BLOCK + (rising & (BLOCK - 1)), rising

    def names(self, connection: sqlite3.Connection) -> dict[str, Field]:
        """Return all names that a filter may use (`filters.field_names`)."""
        given = {name for name, of_file in self._field_ids if not of_file}
        for parts in self._load_stale(connection).values():
            given |= {name for name, of_file in parts if not of_file}
        return field_names(given)

    def column(self, connection: sqlite3.Connection, field: Field) -> Column:
        """Return the column of a field; an empty one if nothing has a value."""
        with self._lock:
            cached = self._columns.pop(field, None)
        if cached is None:
            column = self._load(connection, field)
            cached = column, column.bytes
        with self._lock:
            self._columns[field] = cached  # at the end: the most recently used
            while sum(size for _, size in self._columns.values()) > CACHE_BYTES:
                del self._columns[next(iter(self._columns))]
        return cached[0]

    def scan_paths(
        self, connection: sqlite3.Connection, name: str, *, ordered: bool
    ) -> Iterator[Texts]:
        """Yield all values of the field "path" or "name" piece by piece; `ordered`: each piece sorted."""
        for start in range(0, len(self.blocks), BLOCKS_PER_SCAN):
            blocks = self.blocks[start : start + BLOCKS_PER_SCAN]
            rows = connection.execute(
                "SELECT id, path FROM images WHERE id >= ? AND id < ?",
                (int(blocks[0]) << BLOCK_BITS, (int(blocks[-1]) + 1) << BLOCK_BITS),
            ).fetchall()
            texts = [compose(decode_path(path)) for _, path in rows]
            if name == "name":
                texts = [path.rpartition("/")[2] for path in texts]
            ids = np.array([id for id, _ in rows], np.int64)
            at = np.searchsorted(self.blocks, ids >> BLOCK_BITS) * BLOCK + (ids & (BLOCK - 1))
            if ordered:
                order = sorted(range(len(texts)), key=texts.__getitem__)
                texts, at = [texts[i] for i in order], at[order]
            yield Texts(at, np.arange(len(texts)), texts)

    def indexed(self, connection: sqlite3.Connection) -> NDArray[np.bool_]:
        """Return (count,) which positions hold an indexed image."""
        if self._indexed is None:
            found = np.zeros(self.count, np.bool_)
            for part in self.column(connection, ("outcome", True)).texts:
                if "indexed" in part.texts:
                    found[part.at] = part.codes == part.texts.index("indexed")
            self._indexed = found
        return self._indexed

    def _load_stale(self, connection: sqlite3.Connection) -> dict[int, dict[Field, Part]]:
        """Return the parts of the stale blocks, computed once."""
        if self._stale_parts is None:
            self._stale_parts = {block: parts_of(connection, block) for block in self._stale}
        return self._stale_parts

    def _load(self, connection: sqlite3.Connection, field: Field) -> Column:
        stale = self._load_stale(connection)
        builder = ColumnBuilder(len(self.blocks))
        if field in self._field_ids:
            for block, part in packed_parts(connection, self._field_ids[field]):
                if block in self._index_of and block not in stale:
                    builder.add(self._index_of[block], part)
        for block, parts in stale.items():
            if field in parts:
                builder.add(self._index_of[block], parts[field])
        return builder.column()


class ColumnCache:
    """The columns of the newest state that was asked for. Thread-safe."""

    def __init__(self) -> None:
        self._newest: StateColumns | None = None
        self._lock = threading.Lock()

    def at(self, connection: sqlite3.Connection) -> StateColumns:
        """Return the columns of the state that this connection's transaction sees."""
        state = changes(connection)
        with self._lock:
            cached = self._newest
        if cached is not None and cached.state == state:
            return cached
        made = StateColumns(connection, state)
        with self._lock:
            if self._newest is None or self._newest.state < state:
                self._newest = made
        return made
