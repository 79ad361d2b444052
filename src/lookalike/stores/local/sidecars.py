"""What files beside the pictures say of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lookalike.errors import UsageError
from lookalike.stores.local.columns import mark_stale
from lookalike.stores.local.database import chunks, marks, transaction, translated
from lookalike.stores.local.full_text import update_captions
from lookalike.stores.local.metadata_merge import json_of
from lookalike.stores.local.path_encoding import below, decode_path, encode_path


class LocalSidecars:
    """See `Sidecars`. Lives as long as its writer."""

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self._folder = folder
        self._connection = connection
        connection.execute("CREATE TEMP TABLE beside (image INTEGER PRIMARY KEY)")

    def marks(self, root: int, paths: Sequence[str]) -> dict[str, tuple[int, str]]:
        found: dict[str, tuple[int, str]] = {}
        with translated(self._folder):
            for chunk in chunks(paths):
                found |= {
                    decode_path(path): (id, mark)
                    for id, path, mark in self._connection.execute(
                        "SELECT id, path, coalesce(mark, '') FROM images "  # noqa: S608
                        "LEFT JOIN sidecars ON image = id "
                        f"WHERE root = ? AND path IN ({marks(len(chunk))})",
                        [root, *map(encode_path, chunk)],
                    )
                }
        return found

    def put(self, rows: Mapping[int, tuple[str, Mapping[str, Any]]]) -> None:
        with translated(self._folder), transaction(self._connection):
            try:
                self._connection.executemany(
                    "INSERT OR REPLACE INTO sidecars VALUES (?, ?, ?)",
                    ((id, mark, json_of(values)) for id, (mark, values) in rows.items()),
                )
            except sqlite3.IntegrityError as error:
                raise UsageError("sidecars are given for an image that is not known") from error
            self._changed(list(rows))
            self._keep(rows)

    def mark_seen(self, ids: Iterable[int]) -> None:
        with translated(self._folder), transaction(self._connection):
            self._keep(ids)

    def sweep(self, root: int, folder: str) -> int:
        with translated(self._folder), transaction(self._connection):
            gone = [
                image
                for condition, parameters in below(folder)
                for (image,) in self._connection.execute(
                    "SELECT image FROM sidecars JOIN images ON images.id = image "  # noqa: S608
                    f"WHERE root = ? AND {condition} "
                    "AND image NOT IN (SELECT image FROM temp.beside)",
                    [root, *parameters],
                )
            ]
            self._connection.executemany(
                "DELETE FROM sidecars WHERE image = ?", ((image,) for image in gone)
            )
            if gone:
                self._changed(gone)
        return len(gone)

    def _keep(self, ids: Iterable[int]) -> None:
        self._connection.executemany(
            "INSERT OR IGNORE INTO temp.beside VALUES (?)", ((int(id),) for id in ids)
        )

    def _changed(self, ids: Sequence[int]) -> None:
        update_captions(self._connection, ids)
        mark_stale(self._connection, ids)
