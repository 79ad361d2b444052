"""Metadata from sidecars: files beside the images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from lookalike.errors import UsageError
from lookalike.stores.metadata import metadata_json
from lookalike.stores.postgres import images
from lookalike.stores.postgres.apply_entries import update_derived
from lookalike.stores.postgres.database import Connection, statement, translate_errors
from lookalike.stores.postgres.encoding import IdArray, decode, encode
from lookalike.stores.postgres.url import DatabaseURL


class PostgresSidecars:
    """See `Sidecars`. Lives as long as its writer, whose transactions it uses."""

    def __init__(
        self,
        url: DatabaseURL,
        connection: Connection,
        commit: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._url = url
        self._connection = connection
        self._commit = commit

    def marks(self, root: int, paths: Sequence[str]) -> dict[str, tuple[int, str]]:
        """See `Sidecars`."""
        with translate_errors(self._url):
            rows = self._connection.execute(
                statement(
                    f"SELECT path, id, coalesce(mark, '') FROM images WHERE {images.AT_PATHS}"
                ),
                images.paths_parameters(root, paths),
            )
            return {decode(path): (id, decode(mark)) for path, id, mark in rows}

    def facts(self, ids: Iterable[int]) -> dict[int, Mapping[str, Any]]:
        """See `Sidecars`."""
        with translate_errors(self._url):
            found = images.images(self._connection, ids)
        return {id: image.facts for id, image in found.items()}

    def put(self, rows: Mapping[int, tuple[str, Mapping[str, Any]]]) -> None:
        """See `Sidecars`."""
        stored = [
            (encode(mark), metadata_json(values), int(id)) for id, (mark, values) in rows.items()
        ]
        with self._commit():
            known = self._connection.execute(
                "SELECT count(*) FROM images WHERE id = ANY(%s)", (IdArray(rows),)
            ).fetchone()
            if known is None or known[0] != len(rows):
                raise UsageError("sidecars are given for an image that is not known")
            self._connection.cursor().executemany(
                "UPDATE images SET mark = %s, sidecar = %s WHERE id = %s", stored
            )
            update_derived(self._connection, list(map(int, rows)))
            self._mark_seen(rows)

    def mark_seen(self, ids: Iterable[int]) -> None:
        """See `Sidecars`."""
        with translate_errors(self._url):
            self._mark_seen(ids)

    def _mark_seen(self, ids: Iterable[int]) -> None:
        self._connection.execute(
            "INSERT INTO pg_temp.seen_sidecars SELECT DISTINCT unnest(%s) ON CONFLICT DO NOTHING",
            (IdArray(ids),),
        )

    def sweep(self, root: int, folder: str) -> int:
        """See `Sidecars`."""
        condition, parameters = images.below(folder)
        with self._commit():
            rows = self._connection.execute(
                statement(
                    f"UPDATE images SET mark = NULL, sidecar = NULL WHERE root = %s AND {condition} "
                    "AND mark IS NOT NULL AND NOT EXISTS "
                    "(SELECT FROM pg_temp.seen_sidecars s WHERE s.id = images.id) RETURNING id"
                ),
                [root, *parameters],
            )
            unseen = [id for (id,) in rows]
            update_derived(self._connection, unseen)
        return len(unseen)
