"""What the readers of one open library share: connections, memory maps, fitted arrays."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import LibraryError, LibraryReadOnly
from lookalike.stores.local.ann.index_cache import Shelf
from lookalike.stores.local.database import (
    CATALOGUE,
    Access,
    SpaceRow,
    connect,
    is_full,
    space_rows,
    translated,
)
from lookalike.stores.local.snapshot import LocalSnapshot
from lookalike.stores.local.vector_file import MappedVectors, load_fitted, map_vectors
from lookalike.vectors.blocks import Rows

IDLE = 16
"""Connections kept for the next view. More threads than that get new ones, a millisecond each."""

if TYPE_CHECKING:
    from lookalike.stores.local.column_cache import Columns, Snapshot
    from lookalike.stores.local.gpu_cache import Cards

State = tuple[int, int, int]
Place = tuple[int, int]
"""Device and number of the catalogue's file: another one where a library was restored or made anew."""

Fitted = Mapping[str, NDArray[np.generic]]
NO_MATRIX: tuple[State, MappedVectors | None] = ((0, 0, 0), None)


class Readers:
    """Gives out views. Safe to use from many threads, and after a fork."""

    def __init__(self, folder: Path, *, writable: bool, device: str | None = None) -> None:
        self._folder = folder
        self._access: Access = "read" if writable else "read-only"
        self._lock = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._matrices: dict[int, tuple[State, MappedVectors]] = {}
        self._fitted: dict[int, Fitted] = {}
        self._columns: Columns | None = None
        self._place: Place | None = None
        self._places: dict[int, Place | None] = {}  # of the connections, by their identity
        self._shelf = Shelf(folder)
        self._cards = _cards(device)
        self._process = os.getpid()
        self._unchanged: tuple[int, int] | None = None
        self._closed = False

    def connection(self) -> sqlite3.Connection:
        """An idle connection, or a new one."""
        with self._lock:
            if self._closed:
                raise LibraryError(f"the library in {self._folder} was closed: open it again")
            if self._process != os.getpid():
                # SQLite connections must not be used, nor even closed, in a forked child.
                self._process, self._lost, self._idle = os.getpid(), self._idle, []
            if self._access == "immutable" and self._unchanged != self._fingerprint():
                self._drop()
                self._access = "read-only"
            self._follow()
            if self._idle:
                return self._idle.pop()
            place = self._place
        with translated(self._folder):
            connection = self._connect()
        self._places[id(connection)] = place
        return connection

    def _follow(self) -> None:
        """Where another library has taken the place of this one, nothing that is kept belongs to it. One
        that went away, or is moved just now, is read on as long as it is open."""
        place = _place(self._folder)
        if place is not None and place != self._place:
            self._drop()
            self._forget()
            self._place = place

    def give_back(self, connection: sqlite3.Connection) -> None:
        """Take a connection back; ends its transaction."""
        with suppress(sqlite3.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        with self._lock:
            if not self._closed and self._is_current(connection) and len(self._idle) < IDLE:
                self._idle.append(connection)
                return
            self._places.pop(id(connection), None)
        connection.close()

    def _is_current(self, connection: sqlite3.Connection) -> bool:
        """Whether what it reads is what the caches are of."""
        mine = self._process == os.getpid()
        return mine and self._places.get(id(connection)) == self._place

    def close(self) -> None:
        """Close what is idle now, and what is in use when it comes back."""
        with self._lock:
            self._closed = True
            self._drop()
            self._forget()

    def snapshot(self, connection: sqlite3.Connection) -> LocalSnapshot:
        """The state of this moment: one transaction, and the maps of all spaces.

        The maps are made at once. Later, a writer may have compacted the space and deleted the
        files that this transaction still names. That can even happen between its start and the
        mapping: then there is a newer state to be had, and we take that. If nothing newer is there,
        the files are really gone, and only searching this space fails.
        """
        before: list[SpaceRow] | None = None
        with translated(self._folder):
            while True:
                connection.execute("BEGIN")
                spaces = space_rows(connection)  # the first read fixes the state
                matrices, fitted, missing = self._load(connection, spaces)
                if not missing or spaces == before:
                    break
                before = spaces
                connection.execute("ROLLBACK")
        named = {row.key: row for row in spaces}
        return LocalSnapshot(
            self._folder,
            connection,
            named,
            matrices,
            fitted,
            self._snapshot,
            self._shelf,
            self._cards,
            self._places.get(id(connection)),
        )

    def _snapshot(self, connection: sqlite3.Connection) -> Snapshot:
        """The columns of the state that this connection sees, from the cache that all views share."""
        from lookalike.stores.local.column_cache import (
            Columns,  # for filters: most searches have none
        )

        with self._lock:
            if not self._is_current(connection):
                columns = Columns()
            else:
                columns = self._columns = self._columns or Columns()
        return columns.at(connection)

    def _load(
        self, connection: sqlite3.Connection, spaces: list[SpaceRow]
    ) -> tuple[dict[int, MappedVectors], dict[int, Fitted], bool]:
        matrices: dict[int, MappedVectors] = {}
        known = self._fitted if self._is_current(connection) else {}
        missing = False
        for row in spaces:
            try:
                matrices[row.id] = self._matrix(connection, row)
                if row.fitted and row.id not in known:
                    known[row.id] = load_fitted(self._folder, row)
            except FileNotFoundError:
                matrices.pop(row.id, None)
                missing = True
            except (LibraryError, PermissionError):
                # Said when somebody searches this space; the others are fine.
                matrices.pop(row.id, None)
        fitted = {row.id: known[row.id] for row in spaces if row.id in known}
        return matrices, fitted, missing

    def _matrix(self, connection: sqlite3.Connection, row: SpaceRow) -> MappedVectors:
        """The map of this state, from the cache if nothing changed since it was made."""
        state = (row.generation, row.rows, row.deleted)
        with self._lock:
            current = self._is_current(connection)
            cached_state, cached = (self._matrices if current else {}).get(row.id, NO_MATRIX)
        if cached is not None and cached_state == state:
            return cached
        known = np.empty(0, np.int64)
        if (
            cached is not None
            and cached_state[0] == row.generation
            and cached_state[2] <= row.deleted
        ):
            known = cached.deleted
        matrix = map_vectors(self._folder, row, _dead(connection, row, known))
        with self._lock:
            if current and state > self._matrices.get(row.id, NO_MATRIX)[0]:
                self._matrices[row.id] = (state, matrix)
        return matrix

    def _connect(self) -> sqlite3.Connection:
        try:
            return connect(self._folder, self._access)
        except sqlite3.OperationalError as error:
            shut = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
            full = is_full(error)
            if not full and (
                self._access != "read-only" or error.sqlite_errorcode & 0xFF not in shut
            ):
                raise
            # On a read-only medium, or a full disk, SQLite cannot make the log's shared memory. Without a
            # log the file is all there is, and may be read as one that never changes. With one, it may be
            # torn.
            log = self._folder / f"{CATALOGUE}-wal"
            logged = log.exists() and log.stat().st_size > 0
            if full and logged:
                raise
        if logged:
            raise LibraryReadOnly(
                f"the library in {self._folder} was not closed after its last change: "
                "run `lookalike info` once where it can be written"
            )
        with self._lock:
            self._access, self._unchanged = "immutable", self._fingerprint()
        return connect(self._folder, "immutable")

    def _fingerprint(self) -> tuple[int, int] | None:
        """Tells whether somebody with more rights has begun to write; None if so."""
        log = self._folder / f"{CATALOGUE}-wal"
        with suppress(OSError):
            if not (log.exists() and log.stat().st_size):
                status = (self._folder / CATALOGUE).stat()
                return status.st_mtime_ns, status.st_size
        return None

    def _drop(self) -> None:
        while self._idle:
            connection = self._idle.pop()
            self._places.pop(id(connection), None)
            connection.close()

    def _forget(self) -> None:
        """Everything that was read of the library."""
        self._matrices, self._fitted, self._columns = {}, {}, None
        self._shelf.clear()
        if self._cards is not None:
            self._cards.clear()


def _place(folder: Path) -> Place | None:
    try:
        status = os.stat(folder / CATALOGUE)  # noqa: PTH116 - for every view
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _cards(device: str | None) -> Cards | None:
    if device is None:
        return None
    from lookalike.stores.local.gpu_cache import Cards

    return Cards(device)


def _dead(connection: sqlite3.Connection, row: SpaceRow, known: Rows) -> Rows:
    """Sorted dead rows of this state, of which `known` are the first that died."""
    if len(known) == row.deleted:
        return known
    cursor = connection.execute(
        "SELECT row FROM dead WHERE space = ? AND number >= ?", (row.id, len(known))
    )
    new = np.fromiter((number for (number,) in cursor), np.int64)
    return np.sort(np.concatenate([known, new]))
