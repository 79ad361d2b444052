"""Connections on which nothing is asked: a few bytes of a head, again and again (slowloris)."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from functools import partial

from tests.web.running import running, said

from lookalike.library import Library
from lookalike.web.app import create_app
from lookalike.web.connections import Connection
from lookalike.web.settings import Settings


def request(port: int, *more: str) -> bytes:
    head = [f"GET /health HTTP/1.1\r\nHost: 127.0.0.1:{port}", *more]
    return "\r\n".join([*head, "", ""]).encode()


def opened(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def ended(connection: socket.socket) -> bool:
    """Whether the server ends a connection without a word; waits for it."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_head_that_never_ends_is_given_up(library: Library) -> None:
    impatient = partial(Connection, seconds=0.3)
    with running(create_app(library, Settings()), http=impatient) as port, ExitStack() as stack:
        silent, begun, again = (stack.enter_context(opened(port)) for _ in range(3))
        begun.sendall(request(port)[:-2] + b"X-More: ")
        again.sendall(request(port))
        assert again.recv(12) == b"HTTP/1.1 200"
        while b"\r\n\r\n{" not in again.recv(65536):
            pass
        again.sendall(request(port)[:9])  # the second head on a connection that was good
        assert all(map(ended, (silent, begun, again)))
        assert b" 200 OK" in said(port, request(port, "Connection: close"))


def test_a_head_that_comes_byte_by_byte_gets_no_more_time(library: Library) -> None:
    impatient = partial(Connection, seconds=0.5)
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
            raise AssertionError("it is listened to for ever")


def test_connections_that_wait_make_room_for_visitors(library: Library) -> None:
    few = partial(Connection, most=5)
    with running(create_app(library, Settings()), http=few) as port, ExitStack() as stack:
        waiting = [stack.enter_context(opened(port)) for _ in range(5)]
        for one in waiting:
            one.sendall(request(port)[:20])
        for number in range(3):
            assert b" 200 OK" in said(port, request(port, "Connection: close"))
            assert number or ended(waiting[0])  # the one that waited longest
        waiting[4].sendall(request(port, "Connection: close")[20:])
        assert waiting[4].recv(12) == b"HTTP/1.1 200"
