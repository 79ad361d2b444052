"""Connections to the database: opening, checking, pooling, transactions, and errors in plain words."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar

import psycopg
from psycopg import errors, sql
from psycopg.types.string import TextLoader

from lookalike.errors import (
    LibraryDamaged,
    LibraryError,
    LibraryReadOnly,
    LookalikeError,
    NoLibrary,
    StorageFull,
    UsageError,
)
from lookalike.stores.postgres.url import DatabaseURL

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]
P = ParamSpec("P")
T = TypeVar("T")

OLDEST_SERVER = 14
OLDEST_VECTOR = (0, 7)
CONNECT_SECONDS = 10
"""Time to wait for a server, unless the URL or PGCONNECT_TIMEOUT says otherwise."""

STARTING_SECONDS = 10
"""Time to wait for a server that says that it is starting."""

_STARTING = (
    *("the database system is starting", "in recovery mode", "not yet accepting connections"),
    "server closed the connection unexpectedly",
)
"""What a server says, or does, that is just starting or recovering from a crash."""

IDLE_CONNECTIONS = 4
"""Connections of readers that are kept for the next snapshots."""


def connect(url: DatabaseURL, *, purpose: str) -> Connection:
    """Return a connection in autocommit mode, in the library's schema; transactions are begun explicitly.

    purpose  shown to administrators in pg_stat_activity, after the program's name
    """
    try:
        given = psycopg.conninfo.conninfo_to_dict(url.conninfo)
    except psycopg.Error:
        # libpq quotes what it cannot read, which may be the password.
        raise UsageError(
            f"{url.shown} is not a URL that libpq reads: postgresql://USER@HOST:PORT/DATABASE?schema=NAME, "
            "with special characters as %XX"
        ) from None
    options: dict[str, Any] = {
        "connect_timeout": CONNECT_SECONDS,
        "application_name": f"lookalike {purpose}",
        "fallback_application_name": None,
    } | {name: value for name, value in given.items() if name == "connect_timeout"}
    connection = _connect(url, options)
    try:
        with translate_errors(url):
            check_server(connection, url)
            _use_schema(connection, url)
            connection.adapters.register_loader("json", TextLoader)
    except BaseException:
        connection.close()
        raise
    return connection


def _connect(url: DatabaseURL, options: dict[str, Any]) -> Connection:
    """Connect; a server that is just starting, or recovering from a crash, is waited for."""
    deadline = time.monotonic() + STARTING_SECONDS
    while True:
        try:
            return psycopg.connect(url.conninfo, autocommit=True, **options)
        except psycopg.Error as error:
            starting = any(words in str(error) for words in _STARTING)
            if not starting or time.monotonic() > deadline:
                raise _connection_error(error, url) from error
        time.sleep(0.2)


def check_server(connection: Connection, url: DatabaseURL) -> None:
    """Raise `LibraryError` for a server that is too old, or a database in another encoding.

    Servers newer than those that were tested are taken: PostgreSQL keeps what a library needs.
    """
    version = connection.info.server_version // 10_000
    if version < OLDEST_SERVER:
        raise LibraryError(
            f"{url.shown} is PostgreSQL {version}: a library needs PostgreSQL {OLDEST_SERVER} or newer"
        )
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise LibraryError(
            f"the database {connection.info.dbname} is encoded in {encoding}: make one with "
            "CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
        )


def vector_version(connection: Connection, url: DatabaseURL) -> tuple[int, ...]:
    """Return the version of pgvector in this database, () without; `LibraryError` for one too old."""
    row = connection.execute(
        "SELECT extversion FROM pg_extension WHERE extname = 'vector'"
    ).fetchone()
    if row is None:
        return ()
    found = tuple(int(part) for part in row[0].split(".") if part.isdecimal())
    if found < OLDEST_VECTOR:
        needed = ".".join(map(str, OLDEST_VECTOR))
        raise LibraryError(
            f"{url.shown} has pgvector {row[0]}: a library needs {needed} or newer; install it on the "
            "server, then run ALTER EXTENSION vector UPDATE"
        )
    return found


def _use_schema(connection: Connection, url: DatabaseURL) -> None:
    """Look for names in the library's schema, and for types and operators of pgvector and vchord where they
    are installed."""
    found = connection.execute(
        "SELECT nspname::text FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace "
        "WHERE extname IN ('vector', 'vchord') ORDER BY extname = 'vchord'"
    ).fetchall()
    schemas = dict.fromkeys((url.schema, *(name for (name,) in found or [("public",)])))
    path = sql.SQL(", ").join(map(sql.Identifier, schemas))
    # Plans that compile expressions cost more than they save here.
    connection.execute(sql.SQL("SET search_path TO {}; SET jit = off").format(path))


@contextmanager
def translate_errors(url: DatabaseURL) -> Iterator[None]:
    """Raise errors of the database as errors of the library; none shows a password."""
    try:
        yield
    except psycopg.Error as error:
        raise _library_error(error, url) from error


def _library_error(error: psycopg.Error, url: DatabaseURL) -> LookalikeError:
    said = _first_line(error)
    match error:
        case errors.DiskFull() | errors.OutOfMemory():
            return StorageFull(
                f"the server of {url.shown} has no space left ({said}): what was committed before is safe; "
                "make room and run the same again"
            )
        case errors.ReadOnlySqlTransaction():
            return LibraryReadOnly(f"{url.shown} is a read-only replica: name the primary server")
        case errors.InsufficientPrivilege():
            return LibraryReadOnly(
                f"{url.shown}: {said}: ask the owner of the schema for the right to it"
            )
        case errors.UndefinedTable() | errors.UndefinedColumn() | errors.InvalidSchemaName():
            return LibraryDamaged(f"{url.shown} is not a library, or was dropped meanwhile: {said}")
        case errors.AdminShutdown() | errors.CrashShutdown() | errors.CannotConnectNow():
            return _lost(url, said)
        case errors.DataCorrupted() | errors.IndexCorrupted():
            return LibraryDamaged(
                f"{url.shown} is damaged ({said}): restore a backup of the database"
            )
        case errors.QueryCanceled() | errors.LockNotAvailable():
            return LibraryError(f"{url.shown}: {said}: try again")
        case psycopg.OperationalError() | psycopg.InterfaceError():
            return _lost(url, said)
        case _:
            return LibraryError(f"{url.shown}: {said}")


def _connection_error(error: psycopg.Error, url: DatabaseURL) -> LibraryError:
    """Return why no connection could be opened."""
    said, whole = _first_line(error), str(error)
    logins = ("password authentication failed", "no password supplied", "no pg_hba.conf entry")
    if any(words in whole for words in logins) or ('role "' in whole and "not exist" in whole):
        return _refused(url, said)
    if 'database "' in whole and "does not exist" in whole:
        return NoLibrary(f"{url.shown}: {said}: make it with `createdb`")
    remedies = {
        "does not support SSL": "turn on TLS on the server (ssl = on), or leave out sslmode",
        "certificate": "sslrootcert=FILE names the authority that signed the server's certificate, which "
        "must be for the host in the URL; sslmode=require checks neither",
        "no encryption": "the server wants TLS (sslmode=require), or does not let this user in from here",
        "sslmode value": "write sslmode=verify-full, for example",
    }
    for words, remedy in remedies.items():
        if words in whole:
            return LibraryError(f"no connection to {url.shown} ({said}): {remedy}")
    return LibraryError(
        f"no connection to {url.shown} ({said}): is the server running, and the host right?"
    )


def _refused(url: DatabaseURL, said: str) -> LibraryError:
    return LibraryError(
        f"{url.shown} refuses the login ({said}): give user and password in the URL, in PGPASSWORD or in "
        "~/.pgpass"
    )


def _lost(url: DatabaseURL, said: str) -> LibraryError:
    return LibraryError(
        f"the connection to {url.shown} was lost ({said}): what was committed before is safe; run the same "
        "again when the server is back"
    )


def _first_line(error: psycopg.Error) -> str:
    """Return what the server said in one line, without what psycopg puts before it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = (error.diag.message_primary or (lines[0] if lines else type(error).__name__)).strip()
    for start in ("connection failed: ", "connection is bad: ", "consuming input failed: "):
        text = text.removeprefix(start)
    return text.rpartition("FATAL:")[2].strip().rstrip(".")


def read_method(
    function: Callable[Concatenate[Connection, P], T],
) -> Callable[Concatenate[Any, P], T]:
    """Return a function that reads from a connection as a method of a snapshot or writer."""

    @wraps(function)
    def method(self: Any, /, *arguments: P.args, **options: P.kwargs) -> T:
        with translate_errors(self._url):
            return function(self._connection, *arguments, **options)

    return method


@contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """Commit what the block does, or nothing of it."""
    with connection.transaction():
        yield


class ConnectionPool:
    """Connections of readers, which are used again. Thread-safe."""

    def __init__(self, url: DatabaseURL) -> None:
        self._url = url
        self._idle: list[Connection] = []
        self._lock = threading.Lock()
        self._closed = False

    def take(self) -> tuple[Connection, bool]:
        """Return a connection, and whether it is new; an old one may have been lost meanwhile."""
        with self._lock:
            while self._idle:
                connection = self._idle.pop()
                if not connection.closed:
                    return connection, False
        return connect(self._url, purpose="reader"), True

    def give_back(self, connection: Connection) -> None:
        """Keep a connection for the next reader, or close it."""
        idle = psycopg.pq.TransactionStatus.IDLE
        with self._lock:
            wanted = not self._closed and len(self._idle) < IDLE_CONNECTIONS
            if wanted and not connection.closed and connection.info.transaction_status == idle:
                self._idle.append(connection)
                return
        with suppress(psycopg.Error):
            connection.close()

    def discard_idle(self) -> None:
        """Close the connections that nobody uses: the server may have been restarted."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            with suppress(psycopg.Error):
                connection.close()

    def close(self) -> None:
        """Close idle connections now, and the others when they come back."""
        self._closed = True
        self.discard_idle()


def statement(text: str, *names: str) -> sql.Composed:
    """Return a statement with {} for names of tables and indexes; values are never part of it."""
    return sql.SQL(text).format(*map(sql.Identifier, names))
