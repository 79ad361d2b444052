"""The store in a PostgreSQL database."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Self

import psycopg

from lookalike.errors import (
    LibraryBusy,
    LibraryDamaged,
    LibraryError,
    LibraryReadOnly,
    NoLibrary,
    Outcome,
    UsageError,
)
from lookalike.stores.postgres.database import (
    Connection,
    ConnectionPool,
    connect,
    statement,
    transaction,
    translate_errors,
)
from lookalike.stores.postgres.encoding import IdArray, IdArrayDumper
from lookalike.stores.postgres.migrations import (
    LOCK_CLASS,
    MIGRATIONS,
    READERS,
    WRITER,
    collections_of,
    create,
    format_of,
    kept_in,
    migrate,
    release,
    take_lock,
)
from lookalike.stores.postgres.milvus import Collection, Milvus
from lookalike.stores.postgres.milvus_vectors import clean, repair
from lookalike.stores.postgres.snapshot import (
    Fitted,
    LibraryState,
    PostgresSnapshot,
    read_roots,
    read_spaces,
)
from lookalike.stores.postgres.space_row import table_of
from lookalike.stores.postgres.thumbnails import PostgresThumbnails
from lookalike.stores.postgres.url import DatabaseURL, parse_url
from lookalike.stores.postgres.vectors import MatrixCache

if TYPE_CHECKING:
    from lookalike.stores.postgres.indexes import PostgresIndexes
    from lookalike.stores.postgres.writer import PostgresWriter

psycopg.adapters.register_dumper(IdArray, IdArrayDumper)


class PostgresStore:
    """See `Store`. One object serves all threads of a process."""

    def __init__(self, url: DatabaseURL, *, read_only: bool) -> None:
        self._url = url
        self._read_only = read_only
        self._readers = ConnectionPool(url)
        self._milvus: Milvus | None = None
        self._cache = MatrixCache()
        self._fitted: dict[int, Fitted | None] = {}
        self._state: LibraryState | None = None

    @classmethod
    def create(cls, location: str) -> Self:
        """Make an empty library at a URL; open one that is there."""
        url = parse_url(location)
        connection = connect(url, purpose="creating")
        try:
            with suppress(NoLibrary):
                format_of(connection, url)
                return cls.open(location)
            take_lock(connection, url, WRITER, doing="making the library in")
            if url.vectors:
                Milvus(url.vectors).call("list_collections")  # before anything is made
            create(connection, url)
        finally:
            release(connection)
        return cls.open(location)

    @classmethod
    def drop_if_empty(cls, location: str) -> None:
        """Drop the schema of a library that knows no file, unless somebody writes to it."""
        url = parse_url(location)
        with cls.open(location) as store, store.snapshot() as snapshot:
            if snapshot.counts().keys() - {Outcome.SKIPPED}:
                return
        connection = connect(url, purpose="writer")
        try:
            with suppress(LibraryBusy), translate_errors(url):
                take_lock(connection, url, WRITER, doing="writing to")
                if store._milvus is not None:
                    for name in collections_of(connection):
                        Collection(store._milvus, name, 0, 0).drop()
                connection.execute(statement("DROP SCHEMA {} CASCADE", url.schema))
        finally:
            release(connection)

    @classmethod
    def open(cls, location: str, *, read_only: bool = False) -> Self:
        """Open the library at a URL.

        Raises `NoLibrary`, `LibraryTooNew`, `LibraryDamaged`, and `LibraryError` for a server that is away,
        refuses the login, or is too old. A library of an older format is migrated, which needs the writer's
        lock (`LibraryBusy`).
        """
        url = parse_url(location)
        store = cls(url, read_only=read_only)
        try:
            connection, _ = store._readers.take()
            try:
                found = format_of(connection, url)
                if found < len(MIGRATIONS):
                    store._migrate(found)
                with translate_errors(url):
                    store._milvus = _milvus(url, kept_in(connection))
            finally:
                store._readers.give_back(connection)
        except BaseException:
            store.close()
            raise
        return store

    def _migrate(self, found: int) -> None:
        if self._read_only:
            raise LibraryReadOnly(
                f"the library in {self.location} has an older format: run `lookalike index` on it once"
            )
        connection = connect(self._url, purpose="migrating")
        try:
            take_lock(connection, self._url, WRITER, doing="writing to")
            with translate_errors(self._url):
                migrate(connection, found, MIGRATIONS)
        finally:
            release(connection)

    @property
    def location(self) -> str:
        """See `Store`: the URL, without a password."""
        return self._url.shown

    @property
    def folder(self) -> Path:
        """See `Store`: in this machine's cache, and made when something is kept there."""
        from lookalike.models.files import cache_folder

        name = hashlib.sha256(self.location.encode()).hexdigest()[:16]
        return cache_folder() / "libraries" / name

    @property
    def thumbnails(self) -> PostgresThumbnails:
        """See `Store`: they are in a table."""
        return PostgresThumbnails(self._url, self._readers)

    @property
    def read_only(self) -> bool:
        """See `Store`."""
        return self._read_only

    def reachable(self) -> dict[str, bool]:
        """See `Store`."""
        found = {"database": True}
        try:
            with self.snapshot() as snapshot:
                snapshot.roots()
        except LibraryError:
            found["database"] = False
        if self._milvus is not None:
            found["vectors"] = self._milvus.answers()
        return found

    def disk_bytes(self) -> int:
        """See `Store`. All tables of the schema with their indexes, and vectors in Milvus, without those."""
        in_milvus = 0
        if self._milvus is not None:
            with self.snapshot() as snapshot:
                in_milvus = sum(space.bytes for space in snapshot.spaces())
        with self._reader() as connection:
            row = connection.execute(
                "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c "
                "JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = %s AND relkind = 'r'",
                (self._url.schema,),
            ).fetchone()
        return in_milvus + (int(row[0] or 0) if row else 0)

    @contextmanager
    def snapshot(self) -> Iterator[PostgresSnapshot]:
        """See `Store`. Takes one message to the server and back where nothing has changed."""
        with self._reader() as connection:
            state = self._read_state(connection)
            yield PostgresSnapshot(self._url, connection, state, self._cache)

    @contextmanager
    def _reader(self) -> Iterator[Connection]:
        """Lend a connection in a read-only transaction."""
        connection = self._begin()
        try:
            yield connection
            with suppress(psycopg.Error):
                connection.execute("COMMIT")  # how indexes are searched stays set
        except BaseException:
            with suppress(psycopg.Error):
                connection.close()
            raise
        finally:
            self._readers.give_back(connection)

    def _begin(self) -> Connection:
        # The shared lock tells writers that tables of dropped spaces may still be read (`drop_tables`).
        begin = statement(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; "
            f"SELECT pg_advisory_xact_lock_shared({LOCK_CLASS}, hashtext('{READERS} {self._url.schema}'))"
        )
        while True:
            connection, new = self._readers.take()
            try:
                with translate_errors(self._url):
                    connection.execute(begin)
            except LibraryError:
                with suppress(psycopg.Error):
                    connection.close()
                if new:
                    raise
                self._readers.discard_idle()  # the server was restarted since
            else:
                return connection

    def _read_state(self, connection: Connection) -> LibraryState:
        with translate_errors(self._url):
            row = connection.execute("SELECT version FROM library").fetchone()
            if row is None:
                raise LibraryDamaged(
                    f"{self.location} has lost its table `library`: restore a backup"
                )
            state = self._state
            if state is None or state.version != row[0]:
                spaces = read_spaces(connection, self._fitted, self._milvus)
                self._state = state = LibraryState(row[0], read_roots(connection), spaces)
        return state

    @contextmanager
    def writer(self) -> Iterator[PostgresWriter]:
        """See `Store`."""
        from lookalike.stores.postgres.writer import PostgresWriter

        if self._read_only:
            raise LibraryReadOnly(f"the library in {self.location} was opened for reading only")
        connection = connect(self._url, purpose="writer")
        try:
            take_lock(connection, self._url, WRITER, doing="writing to")
            format_of(connection, self._url)
            drop_tables(connection, self._url)
            self._clean(connection)
            damage = self._repair(connection)
            yield PostgresWriter(self._url, connection, self._milvus, damage)
            drop_tables(connection, self._url)
            self._clean(connection)
        finally:
            release(connection)

    def _clean(self, connection: Connection) -> None:
        """Delete from Milvus what is unused, unless a snapshot is open or Milvus is away: then later."""
        if self._milvus is None:
            return
        with suppress(psycopg.Error, LibraryError), transaction(connection):
            names = connection.execute("SELECT name FROM unused_collections").fetchall()
            used = connection.execute("SELECT DISTINCT space FROM unused_rows").fetchall()
            if (names or used) and no_readers(connection, self._url):
                spaces = read_spaces(connection, self._fitted, self._milvus).values()
                clean(
                    connection,
                    [row for row in spaces if (row.id,) in used],
                    [Collection(self._milvus, name, 0, 0) for (name,) in names],
                )

    def _repair(self, connection: Connection) -> LibraryDamaged | None:
        """Make PostgreSQL and Milvus agree on the rows of all spaces; return what cannot be repaired."""
        if self._milvus is None:
            return None
        damage = None
        for row in read_spaces(connection, self._fitted, self._milvus).values():
            try:
                with translate_errors(self._url), transaction(connection):
                    if row.space.count and repair(connection, row):
                        connection.execute("UPDATE library SET version = gen_random_uuid()")
            except LibraryDamaged as error:
                damage = error
        return damage

    @property
    def indexes(self) -> PostgresIndexes:
        """See `Store`."""
        from lookalike.stores.postgres.indexes import PostgresIndexes

        return PostgresIndexes(self._url, read_only=self._read_only, snapshot=self.snapshot)

    def check(self) -> list[str]:
        """See `Store`."""
        from lookalike.stores.postgres.check import check

        with self._reader() as connection, translate_errors(self._url):
            return check(connection, self._read_state(connection))

    def repair(self) -> NoReturn:
        """See `Store`: PostgreSQL has checksums, logs and tools of its own."""
        vectors = " (vectors that Milvus has lost are computed again by `lookalike index`)"
        raise UsageError(
            f"{self._url.shown} is a database, which Lookalike does not repair: restore it from a backup, or "
            f"drop the schema and index again{vectors if self._milvus is not None else ''}"
        )

    def close(self) -> None:
        """See `Store`."""
        self._readers.close()
        if self._milvus is not None:
            self._milvus.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def no_readers(connection: Connection, url: DatabaseURL) -> bool:
    """Return whether no snapshot is open, and keep new ones waiting until the transaction ends."""
    free = connection.execute(
        "SELECT pg_try_advisory_xact_lock(%s, hashtext(%s))",
        (LOCK_CLASS, f"{READERS} {url.schema}"),
    ).fetchone()
    return free is not None and bool(free[0])


def _milvus(url: DatabaseURL, made_with: str) -> Milvus | None:
    """Return the Milvus server of a library, if it has one: the one in the URL, or that it was made with."""
    if not made_with:
        if url.vectors:
            raise UsageError(
                f"{url.shown.partition('?')[0]} keeps its vectors in PostgreSQL: leave out vectors=…, or "
                "`lookalike copy` it to a URL with another ?schema= and vectors=…"
            )
        return None
    return Milvus(url.vectors or made_with)


def drop_tables(connection: Connection, url: DatabaseURL) -> None:
    """Drop the tables of spaces that are gone, unless a snapshot is open, which may still read them."""
    with suppress(psycopg.Error), transaction(connection):
        rows = connection.execute("SELECT space FROM dropped").fetchall()
        if not rows:
            return
        if not no_readers(connection, url):
            return
        for (space,) in rows:
            connection.execute(statement("DROP TABLE IF EXISTS {}", table_of(space)))
        connection.execute("DELETE FROM dropped")
