"""Thumbnails in a table, so that all machines have them, also those that cannot read the images."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import psycopg

from lookalike.errors import LibraryError
from lookalike.stores.postgres.database import ConnectionPool
from lookalike.stores.postgres.url import DatabaseURL


class PostgresThumbnails:
    """See `ThumbnailCache`. Needs no writer's lock: two machines that make one thumbnail make the same."""

    def __init__(self, url: DatabaseURL, connections: ConnectionPool) -> None:
        self._url = url
        self._connections = connections

    def get(self, key: tuple[bytes, int]) -> bytes | None:
        """See `ThumbnailCache`."""
        rows = self._run("SELECT jpeg FROM thumbnails WHERE hash = %s AND side = %s", key)
        return rows[0][0] if rows else None

    def put(self, key: tuple[bytes, int], data: bytes) -> None:
        """See `ThumbnailCache`."""
        self._run("INSERT INTO thumbnails VALUES (%s, %s, %s) ON CONFLICT DO NOTHING", (*key, data))

    def _run(self, query: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        with suppress(LibraryError, psycopg.Error):  # derived data: not worth an error
            connection, _ = self._connections.take()
            try:
                cursor = connection.execute(query, parameters)
                return cursor.fetchall() if cursor.description else []
            finally:
                self._connections.give_back(connection)
        return []
