"""A real server on the loopback, for tests that need sockets."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI

from lookalike.server.run import configured, listening


@contextmanager
def running(app: FastAPI, *, http: Any = None) -> Iterator[int]:
    """The port on which the application answers meanwhile. `http`: makes connections instead of ours."""
    bound = listening("127.0.0.1", free_port())
    config = configured(app)
    config.http = http or config.http
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield bound.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(20)
        bound.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def said(port: int, request: bytes, *, close: bool = False) -> bytes:
    """What the server says to bytes, up to the end of the connection; `close`: cut it at once."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(request)
        if close:
            return b""
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
        return b"".join(parts)


def in_a_loop(work: Coroutine[Any, Any, None]) -> None:
    """Runs it in a thread of its own: where tests of the page ran before, their browser has a loop in this
    one."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()
