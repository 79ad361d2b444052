"""The object that changes the library; there is one at a time."""

from __future__ import annotations

import io
import json
import re
import secrets
from collections.abc import Collection as Some
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.errors import LibraryDamaged, LookalikeError, UsageError
from lookalike.images.reading import InodeState
from lookalike.object_storage import resolve
from lookalike.stores.metadata import update_json
from lookalike.stores.postgres import feedback, images
from lookalike.stores.postgres.apply_entries import apply_entries, delete_images, update_derived
from lookalike.stores.postgres.database import (
    Connection,
    read_method,
    statement,
    transaction,
    translate_errors,
)
from lookalike.stores.postgres.encoding import IdArray, column_type, encode, ids_from
from lookalike.stores.postgres.milvus import MAX_DIM as MILVUS_MAX_DIM
from lookalike.stores.postgres.milvus import Collection, Milvus
from lookalike.stores.postgres.milvus_vectors import add_table, give_back, reserve
from lookalike.stores.postgres.sidecars import PostgresSidecars
from lookalike.stores.postgres.snapshot import Fitted, read_roots, read_spaces
from lookalike.stores.postgres.space_row import SpaceRow, table_of
from lookalike.stores.postgres.url import DatabaseURL
from lookalike.stores.records import (
    IMPORTED,
    Decision,
    Entry,
    FileState,
    Ids,
    Image,
    Root,
    Space,
    missing_vectors,
    unknown_space,
)
from lookalike.stores.write_plan import Location, check_entries, without_repeats

IMPORTED_ROOT = Path("/", ".lookalike", IMPORTED)
"""Path of the root of images without a file, which exists on no machine."""

MAX_DIM = 16_000
"""Numbers of the longest vector that pgvector holds."""

PLAIN_BYTES = 7_000
"""Vectors up to this size are kept in the rows themselves, which are read faster: a page has 8,192 bytes."""


class PostgresWriter:
    """See `Writer`. Lives while its connection holds the lock.

    damage  why spaces in Milvus cannot be written, and must not be taken for complete
    """

    def __init__(
        self,
        url: DatabaseURL,
        connection: Connection,
        milvus: Milvus | None,
        damage: LibraryDamaged | None,
    ) -> None:
        self._url = url
        self._damage = damage
        self._connection = connection
        self._milvus = milvus
        self._fitted: dict[int, Fitted | None] = {}
        with translate_errors(url):
            for table in ("seen", "seen_sidecars"):
                connection.execute(statement("CREATE TEMP TABLE {} (id bigint PRIMARY KEY)", table))
        self._sidecars = PostgresSidecars(url, connection, self._commit)
        self._undo_unfinished()

    @contextmanager
    def _commit(self, *, changed: bool = True) -> Iterator[None]:
        """Commit what the block does as a whole, as a new state unless snapshots show none of it."""
        with translate_errors(self._url), transaction(self._connection):
            yield
            if changed:
                self._mark_changed()

    def _mark_changed(self) -> None:
        self._connection.execute("UPDATE library SET version = gen_random_uuid()")

    def _spaces(self) -> dict[str, SpaceRow]:
        return read_spaces(self._connection, self._fitted, self._milvus)

    # Roots and spaces

    def add_root(self, path: Path) -> Root:
        """See `Writer`."""
        return self._add_root(resolve(path), imported=False)

    def add_imported_root(self) -> Root:
        """See `Writer`."""
        return self._add_root(IMPORTED_ROOT, imported=True)

    def _add_root(self, path: Path, *, imported: bool) -> Root:
        with self._commit():
            for root in read_roots(self._connection):
                if (root.path, root.imported) == (path, imported):
                    return root
            row = self._connection.execute(
                "INSERT INTO roots (path, imported) VALUES (%s, %s) RETURNING id",
                (encode(str(path)), imported),
            ).fetchone()
        assert row is not None
        return Root(row[0], path, imported)

    def add_space(self, space: Space) -> None:
        """See `Writer`. `UsageError` for vectors longer than pgvector or Milvus holds."""
        where, most = ("Milvus", MILVUS_MAX_DIM) if self._milvus else ("pgvector", MAX_DIM)
        if space.dim > most:
            raise UsageError(
                f"the vectors of {space.name} have {space.dim:,} numbers, {where} holds at most "
                f"{most:,}: use a shorter extractor, or shorten it with PCA"
            )
        collection = self._new_collection(space)
        with self._commit():
            rows = self._spaces()
            known = rows.get(space.key)
            if known is None:
                self._insert_space(
                    space,
                    current=all(r.space.name != space.name for r in rows.values()),
                    collection=collection,
                )
            elif (known.space.dim, known.space.similarity) != (space.dim, space.similarity):
                raise UsageError(
                    f"space {space.key!r} holds vectors of {known.space.dim} numbers for "
                    f"{known.space.similarity}, not {space.dim} for {space.similarity}: an extractor whose "
                    "numbers change needs a new revision"
                )

    def _new_collection(self, space: Space) -> Collection | None:
        """Return a collection that does not exist yet; its name is stored, so that none is ever forgotten."""
        with translate_errors(self._url):
            if self._milvus is None or space.key in self._spaces():
                return None
            parts = re.sub(r"\W", "_", f"{self._url.schema}_{space.name}", flags=re.ASCII)[:150]
            name = f"{parts}_{secrets.token_hex(4)}"
            self._connection.execute("INSERT INTO unused_collections VALUES (%s)", (name,))
        return Collection(self._milvus, name, 0, 0)

    def _insert_space(self, space: Space, *, current: bool, collection: Collection | None) -> None:
        row = self._connection.execute(
            "INSERT INTO spaces (key, name, revision, dim, similarity, dtype, normalised, current, "
            "collection) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id",
            (
                encode(space.key),
                encode(space.name),
                encode(space.revision),
                space.dim,
                space.similarity,
                space.dtype,
                space.normalised,
                current,
                collection and collection.name,
            ),
        ).fetchone()
        assert row is not None
        if collection is None:
            self._add_vectors(row[0], space)
        else:
            add_table(self._connection, row[0])
            collection.create(space)
            self._connection.execute(
                "DELETE FROM unused_collections WHERE name = %s", (collection.name,)
            )
        for name, array in (space.fitted or {}).items():
            data = io.BytesIO()
            np.save(data, array, allow_pickle=False)
            self._connection.execute(
                "INSERT INTO fitted VALUES (%s, %s, %s)", (row[0], encode(name), data.getvalue())
            )

    def _add_vectors(self, id: int, space: Space) -> None:
        """Make the table of a space's vectors."""
        table = table_of(id)
        kind = f"{column_type(space.dtype)}({int(space.dim)})"
        plain = space.dim * (2 if space.dtype == "f16" else 4) <= PLAIN_BYTES
        self._connection.execute(
            statement(
                f"CREATE TABLE {{}} (image bigint PRIMARY KEY, vector {kind} NOT NULL)", table
            )
        )
        self._connection.execute(
            statement(
                f"ALTER TABLE {{}} ALTER vector SET STORAGE {'PLAIN' if plain else 'EXTERNAL'}",
                table,
            )
        )

    def promote(self, space: str) -> None:
        """See `Writer`."""
        with self._commit():
            rows = self._spaces()
            if space not in rows:
                raise unknown_space(space, rows)
            chosen = rows[space]
            same = [row for row in rows.values() if row.space.name == chosen.space.name]
            self._delete_spaces(row for row in same if row != chosen)
            self._connection.execute("UPDATE spaces SET current = true WHERE id = %s", (chosen.id,))

    def drop_space(self, name: str) -> int:
        """See `Writer`."""
        with self._commit():
            rows = self._spaces()
            dropped = [row for row in rows.values() if row.space.name == name]
            if not dropped:
                raise missing_vectors(name, dict.fromkeys(row.space.name for row in rows.values()))
            self._delete_spaces(dropped)
            left = {key: row for key, row in rows.items() if row not in dropped}
            bare = self._ids(
                "SELECT string_agg(int8send(images.id), ''::bytea) FROM images "
                "JOIN roots ON roots.id = root WHERE imported AND NOT spaces && %s::int4[]",
                ([row.id for row in left.values()],),
            )
            return delete_images(self._connection, left, bare)

    def _delete_spaces(self, rows: Iterable[SpaceRow]) -> None:
        """Forget spaces. Their tables are dropped when no snapshot is open (`store.drop_tables`)."""
        for row in rows:
            tables = (
                ("spaces", "id"),
                *((name, "space") for name in ("fitted", "index_checks", "unused_rows")),
            )
            for table, column in tables:
                self._connection.execute(
                    statement("DELETE FROM {} WHERE {} = %s", table, column), (row.id,)
                )
            self._connection.execute("INSERT INTO dropped VALUES (%s)", (row.id,))
            if row.collection is not None:
                self._connection.execute(
                    "INSERT INTO unused_collections VALUES (%s)", (row.collection.name,)
                )

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """See `Writer`."""
        with self._commit(changed=False):
            self._connection.execute(
                "UPDATE library SET unfinished = ARRAY[newest_image, "
                "(SELECT coalesce(max(id), 0) FROM spaces)]"
            )
        try:
            yield
        except BaseException:
            with suppress(LookalikeError):  # the next writer tries again
                self._undo_unfinished()
            raise
        with self._commit(changed=False):
            self._connection.execute("UPDATE library SET unfinished = NULL")

    def _undo_unfinished(self) -> None:
        """Delete what a block of `all_or_nothing` has added that did not come to its end."""
        with translate_errors(self._url):
            row = self._connection.execute(
                "SELECT unfinished FROM library WHERE unfinished IS NOT NULL"
            ).fetchone()
        if row is None:
            return
        newest, space = row[0]
        with self._commit():
            rows = self._spaces()
            delete_images(
                self._connection,
                rows,
                self._ids(
                    "SELECT string_agg(int8send(id), ''::bytea) FROM images WHERE id > %s",
                    (newest,),
                ),
            )
            self._delete_spaces(one for one in rows.values() if one.id > space)
            self._connection.execute("UPDATE library SET unfinished = NULL")

    def _ids(self, query: str, parameters: Sequence[Any]) -> Ids:
        row = self._connection.execute(statement(query), parameters, binary=True).fetchone()
        return ids_from(row[0] if row else None)

    # Images

    pages = read_method(images.pages)

    def file_states(self, root: int, paths: Sequence[str]) -> dict[str, FileState]:
        """See `Writer`."""
        if self._damage is not None:
            raise self._damage
        with translate_errors(self._url):
            return images.file_states(self._connection, self._keys(), root, paths)

    def _keys(self) -> dict[int, str]:
        return {row.id: key for key, row in self._spaces().items()}

    def same_content(
        self, size: int, *, hash: bytes | None = None, spaces: Some[str] = ()
    ) -> list[Image]:
        """See `Writer`."""
        with translate_errors(self._url):
            return images.same_content(self._connection, self._keys(), size, hash, spaces)

    def hashes_by_size(
        self, sizes: Iterable[int], *, spaces: Some[str] = (), failed: bool = True
    ) -> dict[int, tuple[bytes, ...]]:
        """See `Writer`."""
        with translate_errors(self._url):
            return images.hashes_by_size(
                self._connection, self._keys(), sizes, spaces, failed=failed
            )

    def put(self, entries: Sequence[Entry]) -> list[int]:
        """See `Writer`."""
        ids: dict[Location, int] = {}
        if self._milvus is not None:
            with self._commit(changed=False):
                reserve(self._connection, self._spaces().values(), len(entries))
        with self._commit():
            spaces = self._spaces()
            check_entries(entries, {key: row.space.dim for key, row in spaces.items()})
            for part in without_repeats(entries):
                ids |= apply_entries(self._connection, spaces, part)
            if self._milvus is not None:
                give_back(self._connection, spaces.values())
            self._mark_seen(ids.values())
        return [ids[entry.root, entry.path] for entry in entries]

    def set_inodes(self, inodes: Mapping[int, InodeState]) -> None:
        """See `Writer`."""
        with self._commit(changed=False):
            self._connection.cursor().executemany(
                "UPDATE images SET ctime_ns = %s, inode = %s WHERE id = %s",
                [(*inode, int(id)) for id, inode in inodes.items()],
            )

    def set_root_identity(self, root: int, identity: str) -> None:
        """See `Writer`."""
        with self._commit():
            self._connection.execute(
                "UPDATE roots SET identity = %s WHERE id = %s", (encode(identity), int(root))
            )

    def set_exclude(self, root: int, globs: Sequence[str]) -> None:
        """See `Writer`."""
        with self._commit():
            self._connection.execute(
                "UPDATE roots SET exclude = %s WHERE id = %s", (json.dumps(list(globs)), int(root))
            )

    def mark_seen(self, ids: Iterable[int]) -> None:
        """See `Writer`."""
        with translate_errors(self._url):
            self._mark_seen(ids)

    def _mark_seen(self, ids: Iterable[int]) -> None:
        self._connection.execute(
            "INSERT INTO pg_temp.seen SELECT DISTINCT unnest(%s) ON CONFLICT DO NOTHING",
            (IdArray(ids),),
        )

    def sweep(self, root: int, folder: str, *, dry_run: bool = False) -> int:
        """See `Writer`."""
        condition, parameters = images.below(folder)
        unseen = (
            f"FROM images WHERE root = %s AND {condition} "
            "AND NOT EXISTS (SELECT FROM pg_temp.seen WHERE seen.id = images.id)"
        )
        if dry_run:
            with translate_errors(self._url):
                row = self._connection.execute(
                    statement(f"SELECT count(*) {unseen} AND outcome = 'indexed'"),
                    [root, *parameters],
                ).fetchone()
            return int(row[0]) if row else 0
        with translate_errors(self._url):
            ids = self._ids(
                f"SELECT string_agg(int8send(id), ''::bytea) {unseen}", [root, *parameters]
            )
        return self.remove(ids.tolist())

    def remove(self, ids: Iterable[int]) -> int:
        """See `Writer`."""
        wanted = IdArray(ids)
        if not len(wanted.ids):
            return 0
        with self._commit():
            return delete_images(self._connection, self._spaces(), wanted.ids)

    def set_metadata(self, rows: Mapping[int, Mapping[str, Any]], *, merge: bool = False) -> None:
        """See `Writer`."""
        with self._commit():
            before: dict[int, str | None] = dict(
                self._connection.execute(
                    "SELECT id, metadata FROM images WHERE id = ANY(%s)", (IdArray(rows),)
                ).fetchall()
            )
            if len(before) != len(rows):
                raise UsageError("metadata is given for an image that is not in the library")
            self._connection.cursor().executemany(
                "UPDATE images SET metadata = %s WHERE id = %s",
                [
                    (update_json(before[int(id)] if merge else None, values), int(id))
                    for id, values in rows.items()
                ],
            )
            update_derived(self._connection, list(map(int, rows)))

    @property
    def sidecars(self) -> PostgresSidecars:
        """See `Writer`."""
        return self._sidecars

    # Feedback

    def add_decisions(self, decisions: Iterable[Decision]) -> int:
        """See `Writer`."""
        with self._commit(changed=False):
            changed = feedback.add_decisions(self._connection, decisions)
            if changed:
                self._mark_changed()
        return changed

    def remove_decisions(self, decisions: Iterable[Decision]) -> int:
        """See `Writer`."""
        with self._commit(changed=False):
            changed = feedback.remove_decisions(self._connection, decisions)
            if changed:
                self._mark_changed()
        return changed

    def put_comparisons(self, found: Mapping[tuple[bytes, bytes], str], revision: str) -> None:
        """See `Writer`."""
        with self._commit(changed=False):
            feedback.put_comparisons(self._connection, found, revision)
