"""Connections to the catalogue (SQLite), its errors as errors of the library, and its rows of spaces."""

from __future__ import annotations

import errno
import os
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from itertools import islice
from pathlib import Path
from typing import Any, Concatenate, Literal, ParamSpec, TypeAlias, TypeVar, get_args

from lookalike.errors import (
    PARSE_ERRORS,
    LibraryBusy,
    LibraryDamaged,
    LibraryError,
    LibraryReadOnly,
    NoLibrary,
    StorageFull,
)
from lookalike.stores.records import DType
from lookalike.vectors.similarity import Similarity

CATALOGUE = "catalogue.sqlite"
Access: TypeAlias = Literal["create", "write", "read", "read-only", "immutable"]

CHUNK = 900
"""Values in one IN (...): SQLite before 3.32 allows 999 variables per statement."""

BUSY_SECONDS = 10.0
"""How long SQLite waits for another connection; only checkpoints and recovery ever block."""

MAX_DIM = 1 << 24
"""Limit of a vector's dimension, far above any real one."""

DIRECTORY = re.compile(r"[a-z0-9-]+")

T = TypeVar("T")
P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class SpaceRow:
    """A row of the table `spaces`, whose columns `migrations` explains. Booleans are 1 or 0.

    `deleted` is the column `dead`: the number of tombstones.
    """

    id: int
    key: str
    name: str
    revision: str
    dim: int
    similarity: Similarity
    dtype: DType
    normalised: int
    current: int
    fitted: int
    directory: str
    generation: int
    rows: int
    deleted: int
    ordered: int

    def __post_init__(self) -> None:
        """Raise `LibraryDamaged` for a row that no writer of ours has made: directory names that lead
        elsewhere, and numbers that would cause a traceback far from here."""
        numbers = (self.id, self.dim, self.generation, self.rows, self.deleted, self.ordered)
        texts = (self.key, self.name, self.revision, self.directory)
        if not (
            all(isinstance(number, int) and number >= 0 for number in numbers)
            and all(isinstance(text, str) for text in texts)
            and 0 < self.dim <= MAX_DIM
            and max(self.deleted, self.ordered) <= self.rows
            and self.dtype in get_args(DType)
            and self.similarity in get_args(Similarity)
            and DIRECTORY.fullmatch(self.directory)
        ):
            raise LibraryDamaged(
                f"the catalogue has impossible values for the vectors of {str(self.name)[:80]!r}: restore "
                "the library from a backup, or index its images again"
            )


def connect(folder: Path, access: Access) -> sqlite3.Connection:
    """Return a connection in autocommit mode; transactions are begun explicitly.

    create, write  the writer's. synchronous=FULL: a commit survives a power cut, and files of an
                   old generation may be deleted right after the commit that replaced them
    read           a reader's, where the library is writable: SQLite needs the shared-memory file beside
                   the catalogue, and the last connection to close checkpoints the write-ahead log
    read-only      a reader's, where it is not: works if the files of the log exist or can be created
    immutable      a reader's, on a medium where nothing can be created; only correct if there is no log
                   and nobody writes (see `ReaderPool`)
    """
    mode = {"create": "rwc", "write": "rw", "read": "rw"}.get(access, "ro")
    uri = f"{(folder.absolute() / CATALOGUE).as_uri()}?mode={mode}"
    if access == "immutable":
        uri += "&immutable=1"
    connection = sqlite3.connect(
        uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA foreign_keys = ON")
        if access == "create":
            connection.execute("PRAGMA journal_mode = WAL")
        if access in ("create", "write"):
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA temp_store = FILE")
            # 32 MiB of page cache: new hashes are inserted all over their index.
            connection.execute("PRAGMA cache_size = -32768")
            connection.execute("PRAGMA journal_size_limit = 67108864")
        else:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


class translate_errors:
    """Context that raises errors of SQLite and the operating system as errors of the library in `folder`.

    Errors that say nothing about the library, and our own, pass through. Every search enters some of these,
    so this is cheaper than a generator.
    """

    __slots__ = ("_folder", "_parsing")

    def __init__(self, folder: Path, *, parsing: bool = False) -> None:
        self._folder, self._parsing = folder, parsing

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            return
        found = _translated(error, self._folder)
        if found is None and self._parsing and isinstance(error, PARSE_ERRORS):
            found = _unreadable(error, self._folder)
        if found is not None and found is not error:
            raise found from error


def reading(folder: Path) -> translate_errors:
    """Like `translate_errors`, for reading: values that no version has written, as those of a stranger's
    catalogue may be, raise `LibraryDamaged`."""
    return translate_errors(folder, parsing=True)


def _translated(error: BaseException, folder: Path) -> Exception | None:
    """Return the error that a user should see; None if it says nothing about the library."""
    if isinstance(error, sqlite3.Error):
        return _library_error(error, folder)
    if isinstance(error, UnicodeDecodeError):  # SQLite's message quotes the catalogue
        return _unreadable(error, folder)
    if not isinstance(error, OSError):
        return None
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StorageFull(
            f"no space left in {folder}: what was committed before is safe; "
            "free some space and run the same again"
        )
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return read_only_error(folder)
    if error.errno in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
        return _no_locks_error(folder)
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return _too_many_open_error(folder)
    if error.errno == errno.ENOMEM:  # of mmap
        return MemoryError(f"not enough memory to read the library in {folder}")
    if error.errno in (errno.EIO, errno.ESTALE):
        return _failing_disk_error(folder, error)
    return None


def _unreadable(error: Exception, folder: Path) -> LibraryDamaged:
    return LibraryDamaged(
        f"the catalogue in {folder} holds values that cannot be read"
        f" ({type(error).__name__}: {error}): see `lookalike check`, or index again"
    )


def _no_locks_error(folder: Path) -> LibraryError:
    return LibraryError(
        f"the file system of {folder} supports no locks, and two writers at once would damage the "
        "library: keep it on a disk of this machine with --library"
    )


def _too_many_open_error(folder: Path) -> LibraryError:
    return LibraryError(
        f"the files in {folder} cannot be opened: too many may be open already (`ulimit -n` shows the "
        "limit); end some programs and try again"
    )


def _failing_disk_error(folder: Path, error: Exception) -> LibraryError:
    return LibraryError(
        f"the disk of {folder} fails ({error}): check it; what can be read may be copied elsewhere"
    )


def read_only_error(folder: Path) -> LibraryReadOnly:
    """Return the error for a library that cannot be written to."""
    return LibraryReadOnly(
        f"the library in {folder} cannot be written to: change its permissions, "
        "or keep a library elsewhere with --library"
    )


def is_full(error: sqlite3.Error) -> bool:
    """Return whether the disk was full. SQLite reports FULL for ENOSPC only; an exceeded quota or limit of
    the file size is a failed write."""
    code = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF == sqlite3.SQLITE_FULL or code in (
        sqlite3.SQLITE_IOERR_WRITE,
        sqlite3.SQLITE_IOERR_TRUNCATE,
        sqlite3.SQLITE_IOERR_SHMSIZE,
    )


def _library_error(error: sqlite3.Error, folder: Path) -> Exception:
    """Return the error that a user should see; `error` itself if it says nothing about the library."""
    code = getattr(error, "sqlite_errorcode", 0)
    primary = code & 0xFF
    if is_full(error):
        return StorageFull(
            f"cannot write in {folder}: the disk is full, over quota or failing; what was "
            "committed before is safe; free some space and run the same again"
        )
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return LibraryBusy(f"the catalogue in {folder} is locked by another program: try again")
    if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return read_only_error(folder)
    if primary == sqlite3.SQLITE_CANTOPEN and not (folder / CATALOGUE).exists():
        return NoLibrary(f"no library in {folder}: make one with `lookalike index`")
    if primary == sqlite3.SQLITE_PROTOCOL or code == sqlite3.SQLITE_IOERR_LOCK:
        return _no_locks_error(folder)
    if primary == sqlite3.SQLITE_IOERR:
        return _failing_disk_error(folder, error)
    if primary == sqlite3.SQLITE_CANTOPEN and not os.access(folder / CATALOGUE, os.R_OK):
        return LibraryReadOnly(
            f"no permission to read the library in {folder}: change the permissions of that folder"
        )
    if primary == sqlite3.SQLITE_CANTOPEN:
        return _too_many_open_error(folder)
    is_text = str(error).startswith("Could not decode to UTF-8")
    # A changed bit in the names that the catalogue states for its columns.
    is_schema = str(error).startswith(("no such column", "no such table"))
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or is_text or is_schema:
        return LibraryDamaged(
            f"the catalogue in {folder} cannot be read ({error}): restore it from a backup, "
            "or delete that folder and index again"
        )
    return error


@contextmanager
def transaction(
    connection: sqlite3.Connection, begin: Literal["BEGIN", "BEGIN IMMEDIATE"] = "BEGIN IMMEDIATE"
) -> Iterator[None]:
    """Commit everything inside together, or nothing of it."""
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # after a full disk SQLite may have rolled back already
            connection.execute("ROLLBACK")
        raise


def read_method(
    function: Callable[Concatenate[sqlite3.Connection, P], T],
) -> Callable[Concatenate[Any, P], T]:
    """Return a function that reads from a connection as a method of a snapshot or writer."""

    @wraps(function)
    def method(self: Any, /, *arguments: P.args, **options: P.kwargs) -> T:
        with reading(self._folder):
            return function(self._connection, *arguments, **options)

    return method


def write_method(
    function: Callable[Concatenate[sqlite3.Connection, P], T],
) -> Callable[Concatenate[Any, P], T]:
    """Return a function that changes the catalogue as a method of a writer, in a transaction of its own."""

    @wraps(function)
    def method(self: Any, /, *arguments: P.args, **options: P.kwargs) -> T:
        with translate_errors(self._folder), transaction(self._connection):
            return function(self._connection, *arguments, **options)

    return method


def chunks(values: Iterable[T], size: int = CHUNK) -> Iterator[list[T]]:
    """Yield lists of at most `size` values."""
    rest = iter(values)
    while chunk := list(islice(rest, size)):
        yield chunk


def placeholders(values: Sized) -> str:
    """Return the question marks of an IN (...) for these values."""
    return ",".join("?" * len(values))


def space_rows(connection: sqlite3.Connection) -> list[SpaceRow]:
    """Return all spaces, oldest first."""
    return [
        SpaceRow(*row)
        for row in connection.execute(
            """SELECT id, key, name, revision, dim, similarity, dtype, normalised, current, fitted,
                      directory, generation, rows, dead, ordered FROM spaces ORDER BY id"""
        )
    ]


def newest_image(connection: sqlite3.Connection) -> int:
    """Return the highest id that an image ever had, 0 without any: AUTOINCREMENT never reuses an id."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'images'").fetchone()
    return 0 if row is None else int(row[0])


def changes(connection: sqlite3.Connection) -> int:
    """Return a counter of changes to the images: equal numbers mean equal columns."""
    row = connection.execute("SELECT value FROM settings WHERE key = 'changes'").fetchone()
    return int(row[0])


def writable(folder: Path) -> bool:
    """Return whether this process may change the library, as far as can be told without trying."""
    return os.access(folder, os.W_OK) and os.access(folder / CATALOGUE, os.W_OK)
