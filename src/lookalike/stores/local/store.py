"""The store in a folder: a catalogue in SQLite, and vectors in memory-mapped files."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from lookalike.errors import (
    LibraryDamaged,
    LibraryError,
    LibraryReadOnly,
    LookalikeError,
    NoLibrary,
    UsageError,
)
from lookalike.files import keep_private, sync_folder
from lookalike.stores.local.database import (
    CATALOGUE,
    connect,
    read_only_error,
    translate_errors,
    writable,
)
from lookalike.stores.local.migrations import (
    APPLICATION_ID,
    MIGRATIONS,
    Migration,
    migrate,
    refuse_newer,
)
from lookalike.stores.local.path_encoding import quoted_home
from lookalike.stores.local.reader_pool import ReaderPool
from lookalike.stores.local.snapshot import LocalSnapshot
from lookalike.stores.records import Repair

if TYPE_CHECKING:
    from lookalike.stores.local.ann.index_builder import LocalIndexes
    from lookalike.stores.local.writer import LocalWriter

COMPACT_AT_LEAST = 1024
"""Tombstones below which compacting a space is never worth the copy."""


PRIVATE = 0o700
"""Permissions of the folder of a new library: thumbnails and texts tell of private images."""


class LocalStore:
    """See `Store`. One object serves all threads of a process.

    compact_at_least  tombstones from which a writer may compact a space
    """

    def __init__(
        self,
        folder: Path,
        *,
        read_only: bool,
        migrations: Sequence[Migration],
        device: str | None = None,
    ) -> None:
        self.compact_at_least = COMPACT_AT_LEAST
        # Resolved, because the caller may change its working directory, and because the roots are stored
        # without links, too. But `.lookalike` itself may be a link to a faster disk.
        has_name = folder.name not in ("", "..")
        folder = folder.parent.resolve() / folder.name if has_name else folder.resolve()
        self._folder = folder
        self._read_only = read_only or not writable(folder)
        self._migrations = migrations
        self._readers = ReaderPool(folder, writable=not self._read_only, device=device)

    @classmethod
    def create(cls, folder: Path, *, migrations: Sequence[Migration] = MIGRATIONS) -> Self:
        """Make an empty library in `folder`, which is created; open one that is there."""
        from lookalike.stores.local.lock import write_lock

        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{folder} is a file: name a folder for the library")
        with translate_errors(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            if not folder.is_dir():
                folder.mkdir(mode=PRIVATE, exist_ok=True)
                with suppress(PermissionError):  # of a folder that may be entered, not listed
                    sync_folder(folder.parent)
            if not (folder / CATALOGUE).exists():
                _refuse_orphans(folder)
                with write_lock(folder):
                    # SQLite gives the files of its log the permissions of this one.
                    (folder / CATALOGUE).touch()
                    keep_private(folder / CATALOGUE)
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
        """Open the library in `folder`; read-only where it cannot be written to.

        device  PyTorch's name of the GPU that searches ("cuda"); None: the CPU

        Raises `NoLibrary`, `LibraryTooNew`, `LibraryDamaged`. A library of an older format is migrated, which
        needs the writer's lock (`LibraryBusy`) and write permission (`LibraryReadOnly`).
        """
        if not (folder / CATALOGUE).is_file():
            raise NoLibrary(f"no library in {folder}: make one with `lookalike index`")
        store = cls(folder, read_only=read_only, migrations=migrations, device=device)
        try:
            found = store.format
            if not found:
                _refuse_orphans(folder)
            if found < len(migrations):
                store._migrate()
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
    def thumbnails(self) -> None:
        """See `Store`: they are files in its folder."""
        return

    @property
    def read_only(self) -> bool:
        """See `Store`."""
        return self._read_only

    @property
    def format(self) -> int:
        """Version of the catalogue's tables; `LibraryTooNew`, or `LibraryDamaged` for a file not ours."""
        connection = self._readers.connection()
        try:
            with translate_errors(self._folder):
                found = refuse_newer(connection, self._migrations)
                (application,) = connection.execute("PRAGMA application_id").fetchone()
                tables, triggers = connection.execute(
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
        if triggers:
            raise LibraryDamaged(
                f"{self._folder / CATALOGUE} holds triggers or views, which Lookalike never makes: do not "
                "trust it; index its images again"
            )
        return found

    def reachable(self) -> dict[str, bool]:
        """See `Store`."""
        try:
            with self.snapshot() as snapshot:
                snapshot.roots()
        except LibraryError:
            return {"library": False}
        return {"library": True}

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
        """See `Store`. Takes about 0.1 ms when the caches are warm."""
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
        """See `Store`. Also cleans up what a killed writer has left."""
        from lookalike.stores.local.lock import (
            write_lock,  # searches need not wait for these imports
        )
        from lookalike.stores.local.writer import LocalWriter

        if self._read_only:
            raise read_only_error(self._folder)
        with write_lock(self._folder) as after_kill:
            with translate_errors(self._folder):
                connection = connect(self._folder, "write")
            try:
                with translate_errors(self._folder):
                    refuse_newer(connection, self._migrations)
                    writer = LocalWriter(
                        self._folder,
                        connection,
                        compact_at_least=self.compact_at_least,
                        after_kill=after_kill,
                    )
                yield writer
                with suppress(LookalikeError, sqlite3.Error):  # all of this is derived data
                    writer.finish()
            finally:
                with suppress(sqlite3.Error):  # optional: it must not hide why writing ended
                    # Checkpoint, so that a copy of the folder needs no log. Does not wait for readers: the
                    # last of them does it then.
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

    def repair(self) -> Repair:
        """See `Store`."""
        from lookalike.stores.local import repair

        if self._read_only:
            raise read_only_error(self._folder)
        lines = repair.repair_catalogue(self._folder)
        with translate_errors(self._folder), closing(connect(self._folder, "write")) as connection:
            before = repair.placed_images(connection)
            with self.writer() as writer:
                lines += writer.repair()
            after = repair.placed_images(connection)
        lost = {key: np.setdiff1d(images, after[key]) for key, images in before.items()}
        return Repair(lines, {key: images for key, images in lost.items() if len(images)})

    def close(self) -> None:
        """See `Store`."""
        self._readers.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _migrate(self) -> None:
        from lookalike.stores.local.lock import write_lock
        from lookalike.stores.local.maintenance import DerivedTables

        if self._read_only:
            if self._is_unfinished():
                raise NoLibrary(
                    f"the library in {self._folder} was not finished: making it was interrupted before an "
                    f"image was stored; `lookalike index {quoted_home(self._folder)}` starts again"
                )
            raise LibraryReadOnly(
                f"the library in {self._folder} has an older format: run `lookalike info --library "
                f"{quoted_home(self._folder)}` once where it can be written"
            )
        with translate_errors(self._folder), write_lock(self._folder):
            connection = connect(self._folder, "create")
            try:
                migrate(connection, self._migrations)
                DerivedTables(connection).update()
            finally:
                connection.close()

    def _is_unfinished(self) -> bool:
        """Return whether the catalogue has no folder of images yet, or not even the table for them."""
        connection = self._readers.connection()
        try:
            with translate_errors(self._folder):
                tables = "SELECT 1 FROM sqlite_master WHERE name = 'roots'"
                return (
                    connection.execute(tables).fetchone() is None
                    or connection.execute("SELECT 1 FROM roots").fetchone() is None
                )
        finally:
            self._readers.give_back(connection)


def _refuse_orphans(folder: Path) -> None:
    """Raise `LibraryDamaged` for vectors without a catalogue: the first writer with a new, empty catalogue
    would delete them as leftovers."""
    if any(file.stat().st_size for file in folder.glob("spaces/*/vectors-*")):
        raise LibraryDamaged(
            f"{folder / CATALOGUE} is empty or missing, but its vectors are there: restore it from a "
            "backup, or delete that folder and index again"
        )
