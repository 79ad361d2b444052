"""Metadata from sidecars: files beside the images."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lookalike.errors import UsageError
from lookalike.stores.local.block_columns import mark_blocks_stale
from lookalike.stores.local.database import chunks, placeholders, transaction, translate_errors
from lookalike.stores.local.full_text import update_text
from lookalike.stores.local.images import images
from lookalike.stores.local.path_encoding import conditions_below, decode_path, encode_path
from lookalike.stores.metadata import metadata_json


class LocalSidecars:
    """See `Sidecars`. Lives as long as its writer."""

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self._folder = folder
        self._connection = connection
        connection.execute("CREATE TEMP TABLE seen_sidecars (image INTEGER PRIMARY KEY)")

    def marks(self, root: int, paths: Sequence[str]) -> dict[str, tuple[int, str]]:
        """See `Sidecars`."""
        found: dict[str, tuple[int, str]] = {}
        with translate_errors(self._folder):
            for chunk in chunks(paths):
                found |= {
                    decode_path(path): (id, mark)
                    for id, path, mark in self._connection.execute(
                        "SELECT id, path, coalesce(mark, '') FROM images "  # noqa: S608
                        "LEFT JOIN sidecars ON image = id "
                        f"WHERE root = ? AND path IN ({placeholders(chunk)})",
                        [root, *map(encode_path, chunk)],
                    )
                }
        return found

    def facts(self, ids: Iterable[int]) -> dict[int, Mapping[str, Any]]:
        """See `Sidecars`."""
        with translate_errors(self._folder):
            found = images(self._connection, ids)
        return {id: image.facts for id, image in found.items()}

    def put(self, rows: Mapping[int, tuple[str, Mapping[str, Any]]]) -> None:
        """See `Sidecars`."""
        with translate_errors(self._folder), transaction(self._connection):
            try:
                self._connection.executemany(
                    "INSERT OR REPLACE INTO sidecars VALUES (?, ?, ?)",
                    ((id, mark, metadata_json(values)) for id, (mark, values) in rows.items()),
                )
            except sqlite3.IntegrityError as error:
                raise UsageError("sidecars are given for an image that is not known") from error
            self._update_derived(list(rows))
            self._mark_seen(rows)

    def mark_seen(self, ids: Iterable[int]) -> None:
        """See `Sidecars`."""
        with translate_errors(self._folder), transaction(self._connection):
            self._mark_seen(ids)

    def sweep(self, root: int, folder: str) -> int:
        """See `Sidecars`."""
        with translate_errors(self._folder), transaction(self._connection):
            unseen = [
                image
                for condition, parameters in conditions_below(folder)
                for (image,) in self._connection.execute(
                    "SELECT image FROM sidecars JOIN images ON images.id = image "  # noqa: S608
                    f"WHERE root = ? AND {condition} "
                    "AND image NOT IN (SELECT image FROM temp.seen_sidecars)",
                    [root, *parameters],
                )
            ]
            self._connection.executemany(
                "DELETE FROM sidecars WHERE image = ?", ((image,) for image in unseen)
            )
            if unseen:
                self._update_derived(unseen)
        return len(unseen)

    def _mark_seen(self, ids: Iterable[int]) -> None:
        self._connection.executemany(
            "INSERT OR IGNORE INTO temp.seen_sidecars VALUES (?)", ((int(id),) for id in ids)
        )

    def _update_derived(self, ids: Sequence[int]) -> None:
        update_text(self._connection, ids)
        mark_blocks_stale(self._connection, ids)
