"""A real server on the loopback interface, for tests that need sockets."""

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

from lookalike.server.run import listen, server_config


@contextmanager
def running(app: FastAPI, *, http: Any = None) -> Iterator[int]:
    """Serve an application and yield its port. `http` replaces the class of its connections."""
    sock = listen("127.0.0.1", free_port())
    config = server_config(app)
    config.http = http or config.http
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield sock.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(20)
        sock.close()


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def exchange(port: int, request: bytes, *, close: bool = False) -> bytes:
    """Send bytes and return what the server sends until it closes. `close`: disconnect at once."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(request)
        if close:
            return b""
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
        return b"".join(parts)


def run_async(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine in a thread of its own: the browser of the page's tests keeps a loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()
