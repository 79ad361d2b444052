"""A library in a folder: SQLite for what is known, memory-mapped files for the vectors."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from lookalike.errors import (
    LibraryDamaged,
    LibraryReadOnly,
    LookalikeError,
    NoLibrary,
    UsageError,
)
from lookalike.stores.local.database import (
    CATALOGUE,
    connect,
    read_only,
    translated,
    writable,
)
from lookalike.stores.local.migrations import (
    APPLICATION_ID,
    MIGRATIONS,
    Migration,
    migrate,
    refuse_newer,
)
from lookalike.stores.local.reader_pool import Readers
from lookalike.stores.local.snapshot import LocalSnapshot

if TYPE_CHECKING:
    from lookalike.stores.local.ann.index_builder import LocalIndexes
    from lookalike.stores.local.writer import LocalWriter


class LocalStore:
    """See `Store`. One object serves all threads of a process, which take views and writers."""

    def __init__(
        self,
        folder: Path,
        *,
        read_only: bool,
        migrations: Sequence[Migration],
        device: str | None = None,
    ) -> None:
        # The caller may change its working directory; and its pictures are named without links, so the
        # folder beside them is too. `.lookalike` itself may be a link to a faster disk.
        named = folder.name not in ("", "..")
        folder = folder.parent.resolve() / folder.name if named else folder.resolve()
        self._folder = folder
        self._read_only = read_only or not writable(folder)
        self._migrations = migrations
        self._readers = Readers(folder, writable=not self._read_only, device=device)

    @classmethod
    def create(cls, folder: Path, *, migrations: Sequence[Migration] = MIGRATIONS) -> Self:
        """A new, empty library in `folder`, which is made; one that is there is opened."""
        from lookalike.stores.local.lock import write_lock

        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{folder} is a file: name a folder for the library")
        with translated(folder):
            folder.mkdir(parents=True, exist_ok=True)
            if not (folder / CATALOGUE).exists():
                _refuse_orphans(folder)
                with write_lock(folder):
                    connect(folder, "create").close()
        return cls.open(folder, migrations=migrations)

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        read_only: bool = False,
        device: str | None = None,
        migrations: Sequence[Migration] = MIGRATIONS,
    ) -> Self:
        """The library in `folder`. Opens for reading where it cannot be written to. `device`: what PyTorch
        calls the graphics card that searches ("cuda").

        `NoLibrary`, `LibraryTooNew`, `LibraryDamaged`. A library of an older version is brought up
        to date, which needs the writer's lock (`LibraryBusy`) and the right to write.
        """
        if not (folder / CATALOGUE).is_file():
            raise NoLibrary(f"no library in {folder}: make one with `lookalike index`")
        store = cls(folder, read_only=read_only, migrations=migrations, device=device)
        try:
            found = store.format
            if not found:
                _refuse_orphans(folder)
            if found < len(migrations):
                store._bring_up_to_date()
        except BaseException:
            store.close()
            raise
        return store

    @property
    def location(self) -> str:
        """See `Store`."""
        return str(self._folder)

    @property
    def folder(self) -> Path:
        """See `Store`: the folder of the catalogue and the vectors, which is never missing."""
        return self._folder

    @property
    def read_only(self) -> bool:
        return self._read_only

    @property
    def format(self) -> int:
        """Version of the catalogue's tables; `LibraryTooNew`, `LibraryDamaged` if not ours."""
        connection = self._readers.connection()
        try:
            with translated(self._folder):
                found = refuse_newer(connection, self._migrations)
                (application,) = connection.execute("PRAGMA application_id").fetchone()
                tables, programs = connection.execute(
                    "SELECT count(*), count(*) FILTER (WHERE type IN ('trigger', 'view')) "
                    "FROM sqlite_master"
                ).fetchone()
        finally:
            self._readers.give_back(connection)
        if application != APPLICATION_ID and (found or tables):
            raise LibraryDamaged(
                f"{self._folder / CATALOGUE} is not a catalogue of Lookalike: "
                "keep the library in another folder with --library"
            )
        if programs:
            raise LibraryDamaged(
                f"{self._folder / CATALOGUE} holds triggers or views, which Lookalike never makes: do not "
                "trust it; index its pictures anew"
            )
        return found

    def disk_bytes(self) -> int:
        """See `Store`. Files that a writer deletes meanwhile do not count."""
        total = 0
        for parent, _, names in os.walk(self._folder):
            for name in names:
                with suppress(OSError):
                    total += os.stat(os.path.join(parent, name)).st_size  # noqa: PTH116, PTH118
        return total

    @contextmanager
    def snapshot(self) -> Iterator[LocalSnapshot]:
        """See `Store`. A warm one costs about 0.1 ms."""
        connection = self._readers.connection()
        try:
            snapshot = self._readers.snapshot(connection)
            try:
                yield snapshot
            finally:
                snapshot.close()
        finally:
            self._readers.give_back(connection)

    @contextmanager
    def writer(self) -> Iterator[LocalWriter]:
        """See `Store`. Also tidies up what a killed writer left."""
        from lookalike.stores.local.lock import write_lock  # a search must not pay for these
        from lookalike.stores.local.writer import LocalWriter

        if self._read_only:
            raise read_only(self._folder)
        with write_lock(self._folder):
            with translated(self._folder):
                connection = connect(self._folder, "write")
            try:
                with translated(self._folder):
                    refuse_newer(connection, self._migrations)
                    writer = LocalWriter(self._folder, connection)
                yield writer
                with suppress(LookalikeError, sqlite3.Error):  # all of it can be made again
                    writer.finish()
            finally:
                with suppress(sqlite3.Error):  # a courtesy: must not hide why the writing ended
                    # Moves the log into the catalogue, so that a copy of the folder needs no log.
                    # Does not wait for readers: the last of them does it then.
                    connection.execute("PRAGMA busy_timeout = 0")
                    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                connection.close()

    @property
    def indexes(self) -> LocalIndexes:
        """See `Store`."""
        from lookalike.stores.local.ann.index_builder import LocalIndexes

        return LocalIndexes(self._folder, read_only=self._read_only, snapshot=self.snapshot)

    def check(self) -> list[str]:
        """See `Store`."""
        from lookalike.stores.local.check import check

        return check(self._folder)

    def close(self) -> None:
        self._readers.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _bring_up_to_date(self) -> None:
        from lookalike.stores.local.lock import write_lock
        from lookalike.stores.local.materialized import Derived

        if self._read_only:
            raise LibraryReadOnly(
                f"the library in {self._folder} is of an older version: "
                "run `lookalike info` once where it can be written"
            )
        with translated(self._folder), write_lock(self._folder):
            connection = connect(self._folder, "create")
            try:
                migrate(connection, self._migrations)
                Derived(connection).pack()
            finally:
                connection.close()


def _refuse_orphans(folder: Path) -> None:
    """`LibraryDamaged` where vectors are there without a word on whose they are: the next writer would
    take a new catalogue's word that they are nobody's, and delete them."""
    if any(file.stat().st_size for file in folder.glob("spaces/*/vectors-*")):
        raise LibraryDamaged(
            f"{folder / CATALOGUE} is empty or gone, but its vectors are there: bring it back from a "
            "backup, or delete that folder and index again"
        )
