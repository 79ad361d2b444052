"""A Milvus server for the tests, from the package milvus (2.3.5), and libraries with their vectors in it."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
import warnings
import weakref
from collections import defaultdict
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tests.stores import postgres_server

from lookalike.errors import LibraryError
from lookalike.stores.interface import Space, Store
from lookalike.stores.postgres.milvus import Collection, metric_of

MILVUS = pytest.mark.xdist_group("milvus")
"""Keeps tests in one process, so that one server is started."""

SETTINGS = {
    "proxy.timeTickInterval": 100,
    "queryCoord.checkInterval": 200,
    "queryCoord.distPullInterval": 200,
}
"""Milliseconds, in place of 200 to 1,000, which is too long where every test makes collections."""


START_SECONDS = 90


def kill() -> None:
    """Kill the server with SIGKILL."""
    process = server().server_proc
    process.kill()
    process.wait()


def restart() -> None:
    """Start a killed server again, with the same data and at the same address."""
    started = server()
    folder = started.config.base_data_dir
    environment = {
        **os.environ,
        "DEPLOY_MODE": "STANDALONE",
        "METRICS_PORT": str(started.webservice_port),
        "LD_LIBRARY_PATH": f"{folder}/bin",
    }
    with Path(folder, "logs", "again.log").open("w") as log:
        started.server_proc = subprocess.Popen(
            [f"{folder}/bin/milvus", "run", "standalone"],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
        )
    _wait(started)


@cache
def _start() -> Any:
    """Start a server that ends with the process, or return why there is none."""
    folder = Path(tempfile.mkdtemp(prefix="milvus-"))
    started = None
    try:
        import pymilvus  # noqa: F401
        from milvus import MilvusServer, MilvusServerConfig

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about sockets that it forgets to close
            started = MilvusServer(MilvusServerConfig(), data_dir=str(folder))
            for name, value in SETTINGS.items():
                started.config.set(name, value)
            started.wait_for_started = (
                False  # it would wait for three minutes for a server that has ended
            )
            started.start()
            gc.collect()
        _wait(started)
    except Exception as error:
        if started is not None:
            started.stop()
        shutil.rmtree(folder, ignore_errors=True)
        return f"Milvus does not start here: {error}"
    atexit.register(stop, os.getpid())
    return started


def stop(owner: int | None = None) -> None:
    """End the server of this process, if there is one: it is never idle."""
    if owner not in {None, os.getpid()} or not _start.cache_info().currsize:
        return
    started = _start()
    if not isinstance(started, str):
        started.stop()
        shutil.rmtree(started.config.base_data_dir, ignore_errors=True)
    _start.cache_clear()
    _unused.clear()
    _made.clear()


def _wait(started: Any) -> None:
    """Wait until the server answers; an error if it ends, or takes too long."""
    url = f"http://127.0.0.1:{started.webservice_port}/healthz"
    for _ in range(START_SECONDS * 5):
        if started.server_proc.poll() is not None:
            raise RuntimeError("it has ended; is another one running on this machine?")
        with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
            if answer.read() == b"OK":
                return
        time.sleep(0.2)
    raise RuntimeError(f"it takes more than {START_SECONDS} s")


def server() -> Any:
    """Return the server of this process; skip the test where it cannot start."""
    started = _start()
    if isinstance(started, str):
        pytest.skip(started)
    return started


def milvus_url() -> str:
    """Return the server's URL as libraries name it; LOOKALIKE_TEST_MILVUS names one that runs already."""
    if given := os.environ.get("LOOKALIKE_TEST_MILVUS"):
        return given
    return f"milvus://127.0.0.1:{server().config.get('proxy_port')}"


def new_url() -> str:
    """Return the URL of a library that does not exist yet, with its vectors in Milvus."""
    postgres_server.server()
    return f"{postgres_server.new_url()}&vectors={milvus_url()}"


_unused: defaultdict[tuple[object, ...], list[str]] = defaultdict(list)
_made: dict[str, tuple[object, ...]] = {}
"""Loaded collections of libraries that are gone, and those of libraries in use, with what they can hold:
loading one takes a second, emptying it a few milliseconds."""


def _create_or_rename(self: Collection, space: Space) -> None:
    kind = (space.dim, metric_of(space), space.boxes is None)
    if _unused[kind]:
        self.milvus.call("rename_collection", _unused[kind].pop(), self.name)
        with suppress(LibraryError):  # it was never loaded, so it is empty
            self.milvus.call("delete", self.name, filter="id >= 0")
    else:
        _create(self, space)
    _made[self.name] = kind


_create = Collection.create


def _drop(self: Collection) -> None:
    _made.pop(self.name, None)
    _really_drop(self)


_really_drop = Collection.drop


def _release(schema: str) -> None:
    for name in [name for name in _made if name.startswith(f"{schema}_")]:
        _unused[_made.pop(name)].append(name)


def empty_store() -> Store:
    """Return an empty library. Its collections are used again when the store is garbage."""
    from lookalike.stores.postgres.store import PostgresStore

    Collection.create, Collection.drop = _create_or_rename, _drop  # type: ignore[method-assign]
    url = new_url()
    store = PostgresStore.create(url)
    weakref.finalize(store, _release, url.partition("schema=")[2].partition("&")[0])
    return store
