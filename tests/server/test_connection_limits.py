"""Connections that are kept open without use: slow heads (slowloris), and responses that nobody reads."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial

import pytest
from tests.library.image_builders import album
from tests.server.live_server import exchange, running

from lookalike.library import Library
from lookalike.server.app import create_app
from lookalike.server.security.connection_limits import LimitedConnection
from lookalike.server.settings import Settings


def request(port: int, *more: str) -> bytes:
    head = [f"GET /health HTTP/1.1\r\nHost: 127.0.0.1:{port}", *more]
    return "\r\n".join([*head, "", ""]).encode()


def opened(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def ended(connection: socket.socket) -> bool:
    """Wait until the server closes a connection; return whether it sent nothing."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_an_incomplete_head_times_out(library: Library) -> None:
    impatient = partial(LimitedConnection, head_timeout=1.0)
    with running(create_app(library, Settings()), http=impatient) as port, ExitStack() as stack:
        again = stack.enter_context(opened(port))
        again.sendall(request(port))
        received = b""
        while b'"status"' not in received:
            received += (part := again.recv(65536))
            assert part, "closed before the response"
        silent, begun = (stack.enter_context(opened(port)) for _ in range(2))
        begun.sendall(request(port)[:-2] + b"X-More: ")
        again.sendall(request(port)[:9])  # a second head on a connection that has worked
        assert all(map(ended, (silent, begun, again)))
        assert b" 200 OK" in exchange(port, request(port, "Connection: close"))


def test_a_head_sent_byte_by_byte_times_out_too(library: Library) -> None:
    impatient = partial(LimitedConnection, head_timeout=0.5)
    with running(create_app(library, Settings()), http=impatient) as port, opened(port) as dripping:
        dripping.sendall(request(port)[:-2])
        dripping.settimeout(0.05)
        for _ in range(1000):
            try:
                dripping.sendall(b"X-A: b\r\n")
                if dripping.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except (ConnectionResetError, BrokenPipeError):
                break
        else:
            raise AssertionError("the connection stays open")


CHUNKED = "POST /api/uploads HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "start", ["GET /", "GET / HTTP/1.1\r\nX-A: ", CHUNKED + "1\r\nx\r\n0\r\nX-A: "]
)
@pytest.mark.parametrize("more", ["x" * 1000, "x\r\nX-B: " * 100])
def test_a_head_has_a_limit(library: Library, start: str, more: str) -> None:
    """Addresses, headers and trailers, long ones and many."""
    with running(create_app(library, Settings())) as port, opened(port) as client:
        client.sendall(start.format(port).encode())
        sent = 0
        with suppress(ConnectionError):
            for _ in range(200):
                client.sendall(more.encode())
                sent += len(more)
                time.sleep(0.001)
                client.setblocking(False)
                with suppress(BlockingIOError):
                    answer = client.recv(4096)
                    assert not answer or b" 400 " in answer
                    break
                client.setblocking(True)
        assert sent < 150_000


def test_idle_connections_are_closed_for_new_ones(library: Library) -> None:
    few = partial(LimitedConnection, max_connections=5)
    with running(create_app(library, Settings()), http=few) as port, ExitStack() as stack:
        waiting = [stack.enter_context(opened(port)) for _ in range(5)]
        for one in waiting:
            one.sendall(request(port)[:20])
        for number in range(3):
            assert b" 200 OK" in exchange(port, request(port, "Connection: close"))
            assert number or ended(waiting[0])  # the one that waited longest
        waiting[4].sendall(request(port, "Connection: close")[20:])
        assert waiting[4].recv(12) == b"HTTP/1.1 200"


LARGE = 64_000_000


@pytest.fixture(scope="module")
def heavy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """A library whose first image is a large file: more than the system buffers."""
    folder = album(tmp_path_factory.mktemp("heavy") / "photos", 3)
    with Library.create(folder) as library:
        library.add([folder], extractors=["color"])
        os.truncate(folder / "000.jpg", LARGE)
        yield library


def unwilling(port: int) -> socket.socket:
    """Request the large file and read only its beginning."""
    visitor = socket.socket()
    visitor.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    visitor.settimeout(20)
    visitor.connect(("127.0.0.1", port))
    head = f"GET /api/images/1/file HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"
    visitor.sendall(head.encode())
    assert visitor.recv(12) == b"HTTP/1.1 200"
    return visitor


def comes(true: Callable[[], bool]) -> bool:
    """Return whether a condition becomes true soon."""
    until = time.monotonic() + 20
    while not true():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def test_connections_whose_client_reads_nothing_are_closed_for_new_ones(heavy: Library) -> None:
    few = partial(LimitedConnection, max_connections=3)
    with running(create_app(heavy, Settings()), http=few) as port, ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(unwilling(port))

        def answered() -> bool:
            try:
                return b" 200 OK" in exchange(port, request(port, "Connection: close"))
            except ConnectionResetError:
                return False

        assert comes(answered)


def test_a_response_that_is_not_read_times_out(
    heavy: Library, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "lookalike.server")
    impatient = partial(LimitedConnection, write_timeout=0.3)

    def ended() -> bool:
        return any("/file 200" in record.getMessage() for record in caplog.records)

    with running(create_app(heavy, Settings()), http=impatient) as port, unwilling(port):
        assert comes(ended)  # the log has a line for each finished request
