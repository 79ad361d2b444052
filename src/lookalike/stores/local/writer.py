"""The object that changes the library; there is one at a time."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import LibraryDamaged, LookalikeError, UsageError
from lookalike.files import make_folder, sync_folder
from lookalike.images.reading import InodeState
from lookalike.object_storage import resolve
from lookalike.stores.local import comparisons, feedback, maintenance
from lookalike.stores.local import images as rows
from lookalike.stores.local.ann.delta_index import DeltaIndexWriter
from lookalike.stores.local.ann.index_files import stamp as index_stamp
from lookalike.stores.local.apply_entries import (
    apply_entries,
    choose_deleted,
    count_deleted,
    delete_chosen,
)
from lookalike.stores.local.block_columns import mark_blocks_stale
from lookalike.stores.local.database import (
    SpaceRow,
    chunks,
    newest_image,
    placeholders,
    read_method,
    space_rows,
    transaction,
    translate_errors,
    write_method,
)
from lookalike.stores.local.full_text import update_text
from lookalike.stores.local.path_encoding import (
    SELECT_ROOTS,
    conditions_below,
    imported_root,
    root_from,
    store_root,
)
from lookalike.stores.local.sidecars import LocalSidecars
from lookalike.stores.local.thumbnails import delete_thumbnails, delete_unused
from lookalike.stores.local.vector_file import (
    directory_name,
    load_fitted,
    make_files,
    save_fitted,
    space_folder,
)
from lookalike.stores.metadata import update_json
from lookalike.stores.records import Entry, Root, Space, missing_vectors, unknown_space
from lookalike.stores.write_plan import Location, check_entries, without_repeats

UNFINISHED = "unfinished"
"""Setting while a block of `all_or_nothing` runs: the newest image and the newest space before it."""


class LocalWriter:
    """See `Writer`. Lives while its store holds the lock.

    lost_vectors  number of vectors that were lost from damaged files, by space; indexing makes them again
    """

    def __init__(
        self,
        folder: Path,
        connection: sqlite3.Connection,
        *,
        compact_at_least: int,
        after_kill: bool,
    ) -> None:
        self._folder = folder
        self._connection = connection
        self._compact_at_least = compact_at_least
        # In temporary tables, which SQLite keeps in files, so that a large library costs no memory.
        connection.execute("CREATE TEMP TABLE seen (id INTEGER PRIMARY KEY)")
        connection.execute("CREATE TEMP TABLE deleted (id INTEGER PRIMARY KEY)")
        connection.execute("CREATE TEMP TABLE stale (image INTEGER, space INTEGER)")
        connection.execute("CREATE TEMP TABLE gone (hash BLOB PRIMARY KEY)")
        connection.execute("CREATE TEMP TABLE thumbless (hash BLOB PRIMARY KEY)")
        self.lost_vectors = maintenance.recover(folder, connection)
        if after_kill:
            delete_unused(folder, connection)
        maintenance.warn_of_losses(self.lost_vectors)
        self._derived = maintenance.DerivedTables(connection)
        self._delta = DeltaIndexWriter(folder)
        self._sidecars = LocalSidecars(folder, connection)
        self._undo_unfinished()

    # Roots and spaces

    def add_root(self, path: Path) -> Root:
        """See `Writer`."""
        with translate_errors(self._folder):
            resolved = resolve(path)
            rows = self._connection.execute(SELECT_ROOTS)
            roots = [root_from(row, self._folder) for row in rows]
            for root in roots:
                if resolve(root.path) == resolved:
                    return root
            stored, relative = store_root(path, self._folder.parent)
            with transaction(self._connection):
                id_ = self._connection.execute(
                    "INSERT INTO roots (path, relative) VALUES (?, ?)", (stored, relative)
                ).lastrowid
            return root_from((id_ or 0, stored, relative, "", "[]"), self._folder)

    def add_imported_root(self) -> Root:
        """See `Writer`."""
        return self.add_root(imported_root(self._folder))

    def add_space(self, space: Space) -> None:
        """See `Writer`. Also repairs the fitted arrays of a space that is there."""
        with translate_errors(self._folder):
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
                        self._repair_fitted(row, space.fitted)
                    return
            with transaction(self._connection):
                self._insert_space(space, current=all(row.name != space.name for row in rows))

    def _insert_space(self, space: Space, *, current: bool) -> None:
        """Insert the row and make the empty files. If the process dies before the commit, the next writer
        removes the directory."""
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
        make_folder(folder)
        sync_folder(folder.parent)
        sync_folder(folder.parent.parent)
        make_files(self._folder, row)
        if space.fitted is not None:
            save_fitted(self._folder, row, space.fitted)

    def _repair_fitted(self, row: SpaceRow, fitted: Mapping[str, NDArray[np.generic]]) -> None:
        """Save fitted arrays again that cannot be read any more. The key of a space holds their fingerprint,
        so these are the same."""
        try:
            load_fitted(self._folder, row)
        except (FileNotFoundError, LibraryDamaged):
            save_fitted(self._folder, row, fitted)

    def promote(self, space: str) -> None:
        """See `Writer`."""
        with translate_errors(self._folder):
            spaces = {row.key: row for row in space_rows(self._connection)}
            if space not in spaces:
                raise unknown_space(space, spaces)
            chosen = spaces[space]
            others = [row for row in spaces.values() if row.name == chosen.name and row != chosen]
            with transaction(self._connection):
                self._delete_spaces(others)
                self._connection.execute("UPDATE spaces SET current = 1 WHERE id = ?", (chosen.id,))
            maintenance.remove_leftovers(self._folder, self._connection)

    def drop_space(self, name: str) -> int:
        """See `Writer`."""
        with translate_errors(self._folder):
            rows = space_rows(self._connection)
            dropped = [row for row in rows if row.name == name]
            if not dropped:
                raise missing_vectors(name, dict.fromkeys(row.name for row in rows))
            roots = [root_from(row, self._folder) for row in self._connection.execute(SELECT_ROOTS)]
            imported = [root.id for root in roots if root.imported]
            with transaction(self._connection):
                self._delete_spaces(dropped)
                self._connection.execute("DELETE FROM temp.deleted")
                self._connection.executemany(
                    "INSERT INTO temp.deleted SELECT id FROM images WHERE root = ? "
                    "AND id NOT IN (SELECT image FROM placements)",
                    ((id_,) for id_ in imported),
                )
                count = count_deleted(self._connection)
                delete_chosen(self._connection)
            maintenance.remove_leftovers(self._folder, self._connection)
        return count

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """See `Writer`."""
        with translate_errors(self._folder), transaction(self._connection):
            spaces = max((row.id for row in space_rows(self._connection)), default=0)
            self._connection.execute(
                "INSERT OR REPLACE INTO settings VALUES (?, ?)",
                (UNFINISHED, json.dumps([newest_image(self._connection), spaces])),
            )
        try:
            yield
        except BaseException:
            with suppress(LookalikeError):  # the next writer tries again
                self._undo_unfinished()
            raise
        with translate_errors(self._folder), transaction(self._connection):
            self._connection.execute("DELETE FROM settings WHERE key = ?", (UNFINISHED,))

    def _undo_unfinished(self) -> None:
        """Delete what a block of `all_or_nothing` has added that did not come to its end."""
        with translate_errors(self._folder):
            found = self._connection.execute(
                "SELECT value FROM settings WHERE key = ?", (UNFINISHED,)
            ).fetchone()
            if found is None:
                return
            newest, spaces = map(int, json.loads(found[0]))
            with transaction(self._connection):
                self._connection.execute("DELETE FROM temp.deleted")
                self._connection.execute(
                    "INSERT INTO temp.deleted SELECT id FROM images WHERE id > ?", (newest,)
                )
                delete_chosen(self._connection)
                self._delete_spaces(row for row in space_rows(self._connection) if row.id > spaces)
                self._connection.execute("DELETE FROM settings WHERE key = ?", (UNFINISHED,))
            maintenance.remove_leftovers(self._folder, self._connection)

    def _delete_spaces(self, rows: Iterable[SpaceRow]) -> None:
        for row in rows:
            for table in (
                "placements WHERE space",
                "dead WHERE space",
                "checksums WHERE space",
                "spaces WHERE id",
            ):
                self._connection.execute(f"DELETE FROM {table} = ?", (row.id,))  # noqa: S608

    # Images

    file_states = read_method(rows.file_states)
    pages = read_method(rows.pages)
    same_content = read_method(rows.same_content)
    hashes_by_size = read_method(rows.hashes_by_size)

    def put(self, entries: Sequence[Entry]) -> list[int]:
        """See `Writer`. Vectors are on the disk before the rows that name them are committed."""
        with translate_errors(self._folder):
            dims = {row.key: row.dim for row in space_rows(self._connection)}
            check_entries(entries, dims)
            ids: dict[Location, int] = {}
            with transaction(self._connection):
                for part in without_repeats(entries):
                    ids |= apply_entries(self._folder, self._connection, part)
                self._mark_seen(ids.values())
            self._compact_if_due()
            self._delete_thumbnails()
            self._derived.update_if_due()
            self._delta.update(self._indexed_spaces())
        return [ids[entry.root, entry.path] for entry in entries]

    def set_inodes(self, inodes: Mapping[int, InodeState]) -> None:
        """See `Writer`."""
        with translate_errors(self._folder), transaction(self._connection):
            self._connection.executemany(
                "UPDATE images SET ctime_ns = ?, inode = ? WHERE id = ?",
                ((*inode, int(id_)) for id_, inode in inodes.items()),
            )

    def set_root_identity(self, root: int, identity: str) -> None:
        """See `Writer`."""
        with translate_errors(self._folder), transaction(self._connection):
            self._connection.execute(
                "UPDATE roots SET identity = ? WHERE id = ?", (identity, int(root))
            )

    def set_exclude(self, root: int, globs: Sequence[str]) -> None:
        """See `Writer`."""
        with translate_errors(self._folder), transaction(self._connection):
            self._connection.execute(
                "UPDATE roots SET exclude = ? WHERE id = ?", (json.dumps(list(globs)), int(root))
            )

    def mark_seen(self, ids: Iterable[int]) -> None:
        """See `Writer`."""
        # A plain BEGIN: only the temporary table is written, so no lock of the catalogue is needed.
        with translate_errors(self._folder), transaction(self._connection, "BEGIN"):
            self._mark_seen(ids)

    def _mark_seen(self, ids: Iterable[int]) -> None:
        self._connection.executemany(
            "INSERT OR IGNORE INTO temp.seen VALUES (?)", ((int(id_),) for id_ in ids)
        )

    def sweep(self, root: int, folder: str, *, dry_run: bool = False) -> int:
        """See `Writer`."""
        with translate_errors(self._folder):
            with transaction(self._connection):
                self._connection.execute("DELETE FROM temp.deleted")
                for condition, parameters in conditions_below(folder):
                    self._connection.execute(
                        "INSERT INTO temp.deleted SELECT id FROM images "  # noqa: S608
                        f"WHERE root = ? AND {condition} "
                        "AND id NOT IN (SELECT id FROM temp.seen)",
                        [root, *parameters],
                    )
                count = count_deleted(self._connection, indexed=dry_run)
                if not dry_run:
                    delete_chosen(self._connection)
            self._compact_if_due()
            self._delete_thumbnails()
        return count

    def remove(self, ids: Iterable[int]) -> int:
        """See `Writer`."""
        with translate_errors(self._folder):
            with transaction(self._connection):
                choose_deleted(self._connection, ids)
                count = count_deleted(self._connection)
                delete_chosen(self._connection)
            self._compact_if_due()
            self._delete_thumbnails()
        return count

    def set_metadata(self, rows: Mapping[int, Mapping[str, Any]], *, merge: bool = False) -> None:
        """See `Writer`."""
        with translate_errors(self._folder), transaction(self._connection):
            before: dict[int, str] = {}
            for chunk in chunks(int(id_) for id_ in rows):
                if merge:
                    before |= self._connection.execute(
                        f"SELECT image, json FROM metadata WHERE image IN ({placeholders(chunk)})",  # noqa: S608
                        chunk,
                    )
                (found,) = self._connection.execute(
                    f"SELECT count(*) FROM images WHERE id IN ({placeholders(chunk)})",  # noqa: S608
                    chunk,
                ).fetchone()
                if found != len(chunk):
                    raise UsageError("metadata is given for an image that is not in the library")
            self._connection.executemany(
                "INSERT OR REPLACE INTO metadata VALUES (?, ?)",
                ((int(id_), update_json(before.get(id_), values)) for id_, values in rows.items()),
            )
            update_text(self._connection, map(int, rows))
            mark_blocks_stale(self._connection, map(int, rows))
        self._derived.update_if_due()

    @property
    def sidecars(self) -> LocalSidecars:
        """See `Writer`."""
        return self._sidecars

    add_decisions = write_method(feedback.add_decisions)
    remove_decisions = write_method(feedback.remove_decisions)
    put_comparisons = write_method(comparisons.put_comparisons)

    def repair(self) -> list[str]:
        """Do the part of `Store.repair` that a writer does; return what was done, a line each."""
        from lookalike.stores.local.repair import repair_spaces

        lost = [
            f"{key}: {count} vectors were lost from a damaged file"
            for key, count in self.lost_vectors.items()
        ]
        with translate_errors(self._folder):
            return lost + list(repair_spaces(self._folder, self._connection))

    def finish(self) -> None:
        """Bring everything derived up to date. The store calls this last."""
        with translate_errors(self._folder):
            self._derived.update()
            self._delta.update(self._indexed_spaces(), complete=True)

    def _indexed_spaces(self) -> list[SpaceRow]:
        """Return the spaces that have an ANN index."""
        return [row for row in space_rows(self._connection) if index_stamp(self._folder, row)]

    def _compact_if_due(self) -> None:
        maintenance.compact_if_due(self._folder, self._connection, at_least=self._compact_at_least)

    def _delete_thumbnails(self) -> None:
        """Delete the thumbnails of contents that have lost their last image, now that this is committed."""
        contents = comparisons.take_thumbless(self._connection)
        if contents:
            delete_thumbnails(self._folder, contents)
