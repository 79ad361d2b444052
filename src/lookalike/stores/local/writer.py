"""The one process that changes the library."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import LibraryDamaged, UsageError
from lookalike.files import sync_folder
from lookalike.stores.interface import Decision, Entry, FileState, Image, Root, Space
from lookalike.stores.local import feedback as decided
from lookalike.stores.local import maintenance
from lookalike.stores.local.ann.delta_index import LateIndexer
from lookalike.stores.local.ann.index_files import stamp as index_stamp
from lookalike.stores.local.apply_plan import carry_out, count_gone, forget_gone, name_gone
from lookalike.stores.local.columns import mark_stale
from lookalike.stores.local.content_lookup import file_states, hashes_by_size, same_content
from lookalike.stores.local.database import (
    SpaceRow,
    chunks,
    marks,
    space_rows,
    transaction,
    translated,
)
from lookalike.stores.local.full_text import update_captions
from lookalike.stores.local.materialized import Derived
from lookalike.stores.local.metadata_merge import json_of
from lookalike.stores.local.path_encoding import below, imported_root, root_from, store_root
from lookalike.stores.local.sidecars import LocalSidecars
from lookalike.stores.local.vector_file import (
    directory_name,
    load_fitted,
    make_files,
    save_fitted,
    space_folder,
)
from lookalike.stores.local.write_plan import plan, refuse_nonsense, without_repeats


class LocalWriter:
    """See `Writer`. Lives while its store holds the lock.

    healed  vectors that were lost from damaged files, by space; indexing makes them again
    """

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self._folder = folder
        self._connection = connection
        # Marks live in temporary tables, in files: the library's size costs no memory.
        connection.execute("CREATE TEMP TABLE seen (id INTEGER PRIMARY KEY)")
        connection.execute("CREATE TEMP TABLE gone (id INTEGER PRIMARY KEY)")
        connection.execute("CREATE TEMP TABLE stale (image INTEGER, space INTEGER)")
        self.lost_vectors = maintenance.tidy(folder, connection)
        maintenance.tell_losses(self.lost_vectors)
        self._derived = Derived(connection)
        self._late = LateIndexer(folder)
        self._sidecars = LocalSidecars(folder, connection)

    # Roots and spaces

    def add_root(self, path: Path) -> Root:
        with translated(self._folder):
            known = self._root_at(path)
            if known is not None:
                return known
            stored, relative = store_root(path, self._folder.parent)
            with transaction(self._connection):
                id_ = self._connection.execute(
                    "INSERT INTO roots (path, relative) VALUES (?, ?)", (stored, relative)
                ).lastrowid
            return root_from((id_ or 0, stored, relative), self._folder)

    def add_imported_root(self) -> Root:
        """See `Writer`."""
        return self.add_root(imported_root(self._folder))

    def add_space(self, space: Space) -> None:
        with translated(self._folder):
            rows = space_rows(self._connection)
            for row in rows:
                if row.key == space.key:
                    if (row.dim, row.similarity) != (space.dim, space.similarity):
                        raise UsageError(
                            f"space {space.key!r} holds vectors of {row.dim} numbers for "
                            f"{row.similarity}, not {space.dim} for {space.similarity}: an "
                            "extractor whose numbers change needs a new revision"
                        )
                    if space.fitted is not None:
                        self._mend_fitted(row, space.fitted)
                    return
            with transaction(self._connection):
                self._insert_space(space, current=all(row.name != space.name for row in rows))

    def _insert_space(self, space: Space, *, current: bool) -> None:
        """The row and the empty files. If we die before the commit, the folder belongs to nobody,
        and the next writer removes it."""
        id_ = self._connection.execute(
            """INSERT INTO spaces (key, name, revision, dim, similarity, dtype, normalised, current,
                                   fitted, directory) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, '')""",
            (
                space.key,
                space.name,
                space.revision,
                space.dim,
                space.similarity,
                space.dtype,
                space.normalised,
                current,
                space.fitted is not None,
            ),
        ).lastrowid
        self._connection.execute(
            "UPDATE spaces SET directory = ? WHERE id = ?",
            (directory_name(space.name, id_ or 0), id_),
        )
        row = next(row for row in space_rows(self._connection) if row.id == id_)
        folder = space_folder(self._folder, row)
        folder.mkdir(parents=True, exist_ok=True)
        sync_folder(folder.parent)
        sync_folder(folder.parent.parent)
        make_files(self._folder, row)
        if space.fitted is not None:
            save_fitted(folder, space.fitted)

    def _mend_fitted(self, row: SpaceRow, fitted: Mapping[str, NDArray[np.generic]]) -> None:
        """The arrays of a space that is there, where they cannot be read any more: its key names their
        fingerprint, so these are the same."""
        try:
            load_fitted(self._folder, row)
        except (FileNotFoundError, LibraryDamaged):
            save_fitted(space_folder(self._folder, row), fitted)

    def promote(self, space: str) -> None:
        with translated(self._folder):
            spaces = {row.key: row for row in space_rows(self._connection)}
            if space not in spaces:
                raise UsageError(f"no space {space!r} in this library; it has: {', '.join(spaces)}")
            chosen = spaces[space]
            others = [row for row in spaces.values() if row.name == chosen.name and row != chosen]
            with transaction(self._connection):
                for row in others:
                    for table in ("placements WHERE space", "dead WHERE space", "spaces WHERE id"):
                        self._connection.execute(f"DELETE FROM {table} = ?", (row.id,))  # noqa: S608
                self._connection.execute("UPDATE spaces SET current = 1 WHERE id = ?", (chosen.id,))
            maintenance.remove_leftovers(self._folder, self._connection)

    # Images

    def file_states(self, root: int, paths: Sequence[str]) -> dict[str, FileState]:
        with translated(self._folder):
            return file_states(self._connection, root, paths)

    def same_content(
        self, size: int, *, hash: bytes | None = None, spaces: Collection[str] = ()
    ) -> list[Image]:
        with translated(self._folder):
            return same_content(self._connection, size, hash, spaces)

    def hashes_by_size(
        self, sizes: Iterable[int], *, spaces: Collection[str] = (), failed: bool = True
    ) -> dict[int, tuple[bytes, ...]]:
        with translated(self._folder):
            return hashes_by_size(self._connection, sizes, spaces, failed=failed)

    def put(self, entries: Sequence[Entry]) -> list[int]:
        with translated(self._folder):
            spaces = {row.key: row for row in space_rows(self._connection)}
            refuse_nonsense(entries, {key: row.dim for key, row in spaces.items()})
            ids: dict[tuple[int, str], int] = {}
            with transaction(self._connection):
                for part in without_repeats(entries):
                    spaces = {row.key: row for row in space_rows(self._connection)}
                    planned = plan(self._connection, part, {key: spaces[key].id for key in spaces})
                    carry_out(self._folder, self._connection, planned, spaces)
                    ids |= {(step.entry.root, step.entry.path): step.id for step in planned.steps}
                self._mark(ids.values())
            maintenance.compact_where_worth_it(self._folder, self._connection)
            self._derived.pack_when_worth_it()
            self._late.follow(self._indexed())
        return [ids[entry.root, entry.path] for entry in entries]

    def mark_seen(self, ids: Iterable[int]) -> None:
        # A plain BEGIN: only the temporary table is written, the catalogue stays untouched.
        with translated(self._folder), transaction(self._connection, "BEGIN"):
            self._mark(ids)

    def _mark(self, ids: Iterable[int]) -> None:
        self._connection.executemany(
            "INSERT OR IGNORE INTO temp.seen VALUES (?)", ((int(id_),) for id_ in ids)
        )

    def sweep(self, root: int, folder: str, *, dry_run: bool = False) -> int:
        with translated(self._folder):
            with transaction(self._connection):
                self._connection.execute("DELETE FROM temp.gone")
                for condition, parameters in below(folder):
                    self._connection.execute(
                        "INSERT INTO temp.gone SELECT id FROM images "  # noqa: S608
                        f"WHERE root = ? AND {condition} "
                        "AND id NOT IN (SELECT id FROM temp.seen)",
                        [root, *parameters],
                    )
                count = count_gone(self._connection)
                if not dry_run:
                    forget_gone(self._connection)
            maintenance.compact_where_worth_it(self._folder, self._connection)
        return count

    def remove(self, ids: Iterable[int]) -> int:
        with translated(self._folder):
            with transaction(self._connection):
                name_gone(self._connection, ids)
                count = count_gone(self._connection)
                forget_gone(self._connection)
            maintenance.compact_where_worth_it(self._folder, self._connection)
        return count

    def set_metadata(self, rows: Mapping[int, Mapping[str, Any]]) -> None:
        with translated(self._folder), transaction(self._connection):
            for chunk in chunks(int(id_) for id_ in rows):
                (found,) = self._connection.execute(
                    f"SELECT count(*) FROM images WHERE id IN ({marks(len(chunk))})",  # noqa: S608
                    chunk,
                ).fetchone()
                if found != len(chunk):
                    raise UsageError("metadata is given for an image that is not in the library")
            self._connection.executemany(
                "INSERT OR REPLACE INTO metadata VALUES (?, ?)",
                ((int(id_), json_of(values)) for id_, values in rows.items()),
            )
            update_captions(self._connection, map(int, rows))
            mark_stale(self._connection, map(int, rows))
        self._derived.pack_when_worth_it()

    def add_decisions(self, decisions: Iterable[Decision]) -> int:
        with translated(self._folder), transaction(self._connection):
            return decided.write(self._connection, decisions)

    def remove_decisions(self, decisions: Iterable[Decision]) -> int:
        with translated(self._folder), transaction(self._connection):
            return decided.forget(self._connection, decisions)

    @property
    def sidecars(self) -> LocalSidecars:
        """See `Writer`."""
        return self._sidecars

    def finish(self) -> None:
        """The last thing a writer does: bring what is derived up to date."""
        with translated(self._folder):
            self._derived.pack()
            self._late.follow(self._indexed(), to_the_end=True)

    def _indexed(self) -> list[SpaceRow]:
        """The spaces that have an index, as they are now."""
        return [row for row in space_rows(self._connection) if index_stamp(self._folder, row)]

    # Roots, again

    def _roots(self) -> list[Root]:
        rows = self._connection.execute("SELECT id, path, relative FROM roots ORDER BY id")
        return [root_from(row, self._folder) for row in rows]

    def _root_at(self, path: Path) -> Root | None:
        """The root that is this folder, however it is spelled."""
        place = path.resolve()
        return next((root for root in self._roots() if root.path.resolve() == place), None)
