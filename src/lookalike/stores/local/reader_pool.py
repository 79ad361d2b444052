"""The readers of one open library share connections, memory maps, fitted arrays and columns."""

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
from lookalike.stores.local import bus_errors
from lookalike.stores.local.ann.index_cache import IndexCache
from lookalike.stores.local.database import (
    CATALOGUE,
    Access,
    SpaceRow,
    changes,
    connect,
    is_full,
    reading,
    space_rows,
)
from lookalike.stores.local.feedback import decision_changes
from lookalike.stores.local.path_encoding import SELECT_ROOTS, quoted_home, root_from
from lookalike.stores.local.snapshot import CatalogueState, LocalSnapshot
from lookalike.stores.local.vector_file import MappedVectors, load_fitted, map_vectors
from lookalike.vectors.blocks import Rows

MAX_IDLE = 16
"""Connections kept for the next snapshots. More threads than that open new ones, a millisecond each."""

if TYPE_CHECKING:
    from lookalike.stores.local.column_cache import ColumnCache, StateColumns
    from lookalike.stores.local.gpu_cache import GpuCache

SpaceState = tuple[int, int, int]
"""Generation, rows and tombstones of a space."""

FileId = tuple[int, int]
"""Device and inode of the catalogue; others where a library was restored or made again."""

Fitted = Mapping[str, NDArray[np.generic]]
NOTHING_MAPPED: tuple[SpaceState, MappedVectors | None] = ((0, 0, 0), None)


class ReaderPool:
    """Hands out connections and snapshots. Thread-safe, and usable after a fork."""

    def __init__(self, folder: Path, *, writable: bool, device: str | None = None) -> None:
        self._folder = folder
        self._access: Access = "read" if writable else "read-only"
        self._lock = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._mapped: dict[int, tuple[SpaceState, MappedVectors]] = {}
        self._fitted: dict[int, Fitted] = {}
        self._columns: ColumnCache | None = None
        self._file_id: FileId | None = None
        # Both by id(connection); a state with the `data_version` at which it was read.
        self._file_ids: dict[int, FileId | None] = {}
        self._states: dict[int, tuple[int, CatalogueState]] = {}
        self._indexes = IndexCache(folder)
        self._gpu = _gpu_cache(device)
        self._process = os.getpid()
        self._unchanged: tuple[int, int] | None = None
        self._faults = bus_errors.faults()
        self._closed = False

    def connection(self) -> sqlite3.Connection:
        """Return an idle connection, or a new one."""
        with self._lock:
            if self._closed:
                raise LibraryError(f"the library in {self._folder} was closed: open it again")
            if self._process != os.getpid():
                # In a forked child the parent's connections must not be used, not even closed: kept for ever.
                self._process, self._inherited, self._idle = os.getpid(), self._idle, []
            if self._access == "immutable" and self._unchanged != self._fingerprint():
                self._close_idle()
                self._access = "read-only"
            self._check_replaced()
            if self._idle:
                return self._idle.pop()
            file_id = self._file_id
        with reading(self._folder):
            connection = self._connect()
        self._file_ids[id(connection)] = file_id
        return connection

    def _check_replaced(self) -> None:
        """Drop all caches if another library has replaced this one on the disk. A library that was deleted or
        moved away is still read as long as it is open."""
        file_id = _file_id(self._folder)
        if file_id is not None and file_id != self._file_id:
            self._close_idle()
            self._clear_caches()
            self._file_id = file_id
        if self._faults != bus_errors.faults():  # some maps end in zeros: map what is there now
            faults = bus_errors.faults()
            self._clear_caches()
            self._faults = faults  # last: who reads it first sees no older caches

    def give_back(self, connection: sqlite3.Connection) -> None:
        """Take a connection back, and end its transaction."""
        with suppress(sqlite3.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        with self._lock:
            if not self._closed and self._is_current(connection) and len(self._idle) < MAX_IDLE:
                self._idle.append(connection)
                return
            self._forget(connection)
        connection.close()

    def _is_current(self, connection: sqlite3.Connection) -> bool:
        """Return whether a connection reads the catalogue that the caches belong to."""
        own = self._process == os.getpid()
        return own and self._file_ids.get(id(connection)) == self._file_id

    def close(self) -> None:
        """Close the idle connections now, and the others when they come back."""
        with self._lock:
            self._closed = True
            self._close_idle()
            self._clear_caches()

    def snapshot(self, connection: sqlite3.Connection) -> LocalSnapshot:
        """Return a snapshot of the present state: one transaction, and the maps of all spaces.

        The files are mapped at once. Later, a writer may have compacted the space and deleted the files that
        this transaction still names. That can even happen between its start and the mapping: then there is a
        newer state, which is read instead. If there is none, the files are really gone, and only searching
        this space fails.
        """
        before: list[SpaceRow] | None = None
        with reading(self._folder):
            while True:
                connection.execute("BEGIN")
                # The first read determines the state; this number changes with every commit of others.
                (number,) = connection.execute("PRAGMA data_version").fetchone()
                faults = self._faults
                known = self._states.get(id(connection))
                if known is not None and known[0] == number:
                    state = known[1]
                    break
                spaces = space_rows(connection)
                state, missing = self._read_state(connection, spaces)
                if not missing or spaces == before:
                    self._keep(connection, number, state, faults)
                    break
                before = spaces
                connection.execute("ROLLBACK")
        return LocalSnapshot(
            self._folder, connection, state, self._state_columns, self._indexes, self._gpu, faults
        )

    def _read_state(
        self, connection: sqlite3.Connection, spaces: list[SpaceRow]
    ) -> tuple[CatalogueState, bool]:
        """Return the state that the connection's transaction sees, and whether files of it are missing."""
        mapped, fitted, missing = self._load(connection, spaces)
        roots = connection.execute(SELECT_ROOTS).fetchall()
        counters = changes(connection), decision_changes(connection)
        state = CatalogueState(
            (self._file_ids.get(id(connection)), counters, tuple(roots), tuple(spaces)),
            {row.key: row for row in spaces},
            mapped,
            fitted,
            [root_from(row, self._folder) for row in roots],
        )
        return state, missing

    def _keep(
        self, connection: sqlite3.Connection, number: int, state: CatalogueState, faults: int
    ) -> None:
        """Keep a state for the next snapshots of this connection, and drop the older ones with their maps.
        One with spaces that cannot be read is read again each time: somebody may repair them."""
        with self._lock:
            for other, (_, kept) in list(self._states.items()):
                if kept.version != state.version:
                    del self._states[other]
            complete = len(state.mapped) == len(state.spaces)
            if self._is_current(connection) and complete and faults == self._faults:
                self._states[id(connection)] = number, state

    def _state_columns(self, connection: sqlite3.Connection) -> StateColumns:
        """Return the columns of the state that a connection sees, from the cache that all snapshots share."""
        from lookalike.stores.local.column_cache import ColumnCache  # most searches have no filter

        with self._lock:
            if not self._is_current(connection):
                columns = ColumnCache()
            else:
                columns = self._columns = self._columns or ColumnCache()
        return columns.at(connection)

    def _load(
        self, connection: sqlite3.Connection, spaces: list[SpaceRow]
    ) -> tuple[dict[int, MappedVectors], dict[int, Fitted], bool]:
        mapped: dict[int, MappedVectors] = {}
        known = self._fitted if self._is_current(connection) else {}
        missing = False
        for row in spaces:
            try:
                mapped[row.id] = self._map(connection, row)
                if row.fitted and row.id not in known:
                    known[row.id] = load_fitted(self._folder, row)
            except FileNotFoundError:
                mapped.pop(row.id, None)
                missing = True
            except (LibraryError, PermissionError):
                # Raised when somebody searches this space; the others can be used.
                mapped.pop(row.id, None)
        fitted = {row.id: known[row.id] for row in spaces if row.id in known}
        return mapped, fitted, missing

    def _map(self, connection: sqlite3.Connection, row: SpaceRow) -> MappedVectors:
        """Return the mapped vectors of this state, from the cache if nothing has changed."""
        state = (row.generation, row.rows, row.deleted)
        with self._lock:
            current = self._is_current(connection)
            cached_state, cached = (self._mapped if current else {}).get(row.id, NOTHING_MAPPED)
        if cached is not None and cached_state == state:
            return cached
        known = np.empty(0, np.int64)
        if (
            cached is not None
            and cached_state[0] == row.generation
            and cached_state[2] <= row.deleted
        ):
            known = cached.deleted
        mapped = map_vectors(self._folder, row, _tombstones(connection, row, known))
        with self._lock:
            if current and state > self._mapped.get(row.id, NOTHING_MAPPED)[0]:
                self._mapped[row.id] = (state, mapped)
        return mapped

    def _connect(self) -> sqlite3.Connection:
        try:
            return connect(self._folder, self._access)
        except sqlite3.OperationalError as error:
            refused = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
            full = is_full(error)
            if not full and (
                self._access != "read-only" or error.sqlite_errorcode & 0xFF not in refused
            ):
                raise
            # On a read-only medium or a full disk SQLite cannot create the log's shared memory. Without a
            # log the catalogue is complete and may be read as a file that never changes; with one it may
            # be inconsistent.
            log = self._folder / f"{CATALOGUE}-wal"
            logged = log.exists() and log.stat().st_size > 0
            if full and logged:
                raise
        if logged:
            raise LibraryReadOnly(
                f"the library in {self._folder} was not closed after its last change: run `lookalike "
                f"info --library {quoted_home(self._folder)}` once where it can be written"
            )
        with self._lock:
            self._access, self._unchanged = "immutable", self._fingerprint()
        return connect(self._folder, "immutable")

    def _fingerprint(self) -> tuple[int, int] | None:
        """Return what tells one state of the file from another; None if a process with more rights writes."""
        log = self._folder / f"{CATALOGUE}-wal"
        with suppress(OSError):
            if not (log.exists() and log.stat().st_size):
                status = (self._folder / CATALOGUE).stat()
                return status.st_mtime_ns, status.st_size
        return None

    def _close_idle(self) -> None:
        while self._idle:
            connection = self._idle.pop()
            self._forget(connection)
            connection.close()

    def _forget(self, connection: sqlite3.Connection) -> None:
        self._file_ids.pop(id(connection), None)
        self._states.pop(id(connection), None)

    def _clear_caches(self) -> None:
        self._mapped, self._fitted, self._states, self._columns = {}, {}, {}, None
        self._indexes.clear()
        if self._gpu is not None:
            self._gpu.clear()


def _file_id(folder: Path) -> FileId | None:
    try:
        status = os.stat(f"{folder}/{CATALOGUE}")  # noqa: PTH116 - for every snapshot, so as text
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _gpu_cache(device: str | None) -> GpuCache | None:
    if device is None:
        return None
    from lookalike.stores.local.gpu_cache import GpuCache

    return GpuCache(device)


def _tombstones(connection: sqlite3.Connection, row: SpaceRow, known: Rows) -> Rows:
    """Return the sorted tombstones of this state; `known` are the oldest of them."""
    if len(known) == row.deleted:
        return known
    cursor = connection.execute(
        "SELECT row FROM dead WHERE space = ? AND number >= ?", (row.id, len(known))
    )
    new = np.fromiter((number for (number,) in cursor), np.int64)
    return np.sort(np.concatenate([known, new]))
