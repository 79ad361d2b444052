"""Requests that lie, as bytes on a socket: each gets an error of its own, and the next request its answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from tests.library.image_builders import album
from tests.server.live_server import exchange, running

from lookalike.library import Library
from lookalike.server.app import create_app
from lookalike.server.settings import Settings


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A writable server of four images."""
    folder = album(tmp_path_factory.mktemp("hostile") / "photos", 4)
    with Library.create(folder) as library:
        library.add([folder], extractors=["color"])
        with running(create_app(library, Settings(writable=True))) as number:
            yield number


def asked(port: int, line: str, *headers: str, body: bytes = b"") -> tuple[int, bytes]:
    """Send one request; return status and everything that came back (0 and b"": nothing)."""
    head = "\r\n".join(
        [
            f"{line} HTTP/1.1",
            f"Host: 127.0.0.1:{port}",
            "X-Lookalike: 1",
            "Connection: close",
            *headers,
        ]
    )
    try:
        answer = exchange(port, head.encode("latin-1") + b"\r\n\r\n" + body)
    except ConnectionResetError:
        return 0, b""
    return (int(answer.split(b" ", 2)[1]) if answer else 0), answer


def still_answers(port: int) -> bool:
    return asked(port, "GET /api/images/1")[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/page/%252e%252e/app.py",
        "/page/..%5capp.py",
        "/page/..\\app.py",
        "/page/%2e%2e%00.js",
        "/page/..;/app.py",
        "/page/....//app.py",
        "/page/%c0%ae%c0%ae/app.py",
        "/page/%uff0e%uff0e/app.py",
        "/../../../etc/passwd",
        "//127.0.0.1/etc/passwd",
        "/page/C:%5cWindows%5cwin.ini",
        "/page/app.js%00.html",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/api/uploads/%252e%252e%252fsaved.json/file",
        "/api/jobs/..%2f..%2fsaved",
        "/api/images/1%00/file",
        "/api/images/1/file/..%2f..",
        "/api/images/%EF%BC%91/../../file",
        "/page/" + "../" * 500 + "etc/passwd",
    ],
)
def test_no_spelling_of_a_path_leads_out(port: int, path: str) -> None:
    status, answer = asked(port, f"GET {path}")
    assert status in (400, 404, 422), answer[:300]
    assert b"root:" not in answer and b"import " not in answer
    assert still_answers(port)


JSON = "Content-Type: application/json"


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ((JSON, "Content-Length: -5"), b"{}"),
        ((JSON, "Content-Length: 2", "Content-Length: 40"), b"{}"),
        ((JSON, "Content-Length: 99999999999999999999"), b"{}"),
        ((JSON, "Content-Length: 0x2"), b"{}"),
        ((JSON, "Content-Length: 2", "Transfer-Encoding: chunked"), b"0\r\n\r\n"),
        ((JSON, "Transfer-Encoding: chunked"), b"FFFFFFFFFFFFFFFFF\r\n{}\r\n"),
        ((JSON, "Transfer-Encoding: chunked"), b"-2\r\n{}\r\n0\r\n\r\n"),
        (
            (JSON, "Transfer-Encoding: gzip, chunked", "Content-Encoding: gzip"),
            b"2\r\n{}\r\n0\r\n\r\n",
        ),
        ((JSON, "Content-Length: 40"), b"[" * 40),
        ((JSON, "Content-Length: 10"), b'{"k":\xed\xa0\x80}x'),
    ],
)
def test_no_length_that_lies_is_believed(port: int, headers: tuple[str, ...], body: bytes) -> None:
    status, answer = asked(port, "POST /api/search", *headers, body=body)
    assert status == 0 or 400 <= status < 500, answer[:300]
    assert answer.count(b"HTTP/1.1") <= 1  # what follows is not taken for a second request
    assert still_answers(port)


def parts(count: int, *, name: str = "image", filename: str = 'filename="a.jpg"') -> bytes:
    part = f'--x\r\nContent-Disposition: form-data; name="{name}"; {filename}\r\n\r\nabc\r\n'
    return part.encode() * count + b"--x--\r\n"


@pytest.mark.parametrize(
    "body",
    [
        parts(5000),
        parts(5000, filename="x=1"),
        parts(1, name="a" * 100_000),
        parts(1, filename='filename="../../a"'),
        b"--x\r\n" + b"A: b\r\n" * 20_000 + b"\r\n\r\n--x--\r\n",
        b"--x\r\n" * 20_000,
        b"",
        b"--x--",
        b"-" * 50_000,
        b"--x\r\nContent-Disposition: form-data; name=\xff\x00\r\n\r\n\r\n--x--\r\n",
        parts(1)[:40],
        b"--x\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n" * 1000,
    ],
)
def test_no_form_is_a_bomb(port: int, body: bytes) -> None:
    form = "Content-Type: multipart/form-data; boundary=x", f"Content-Length: {len(body)}"
    for path in ("/api/uploads", "/api/search"):
        status, answer = asked(port, f"POST {path}", *form, body=body)
        assert status == 0 or 400 <= status < 500, (path, answer[:300])
    assert still_answers(port)


@pytest.mark.parametrize(
    "ranges",
    [
        "bytes=0-0," * 3000 + "1-1",
        "bytes=-99999999999999999999",
        "bytes=5-1",
        "bytes=99999999999999999999-",
        "lines=1-2",
        "bytes=",
        "bytes=a-b",
        "bytes=0-,0-,0-,0-,0-,0-",
        "bytes=--1",
        "bytes=\xb2-\xb3",
    ],
)
def test_no_range_multiplies_a_file(port: int, ranges: str) -> None:
    whole = len(asked(port, "GET /api/images/1/file")[1])
    status, answer = asked(port, "GET /api/images/1/file", f"Range: {ranges}")
    assert status in (0, 200, 206, 400, 416, 431), answer[:300]
    assert len(answer) <= 2 * whole + 2000
    assert still_answers(port)


@pytest.mark.parametrize(
    "line",
    [
        "GET",
        "GET /\x00",
        "G\xcbT /",
        "GET http://127.0.0.1/api/info",
        "CONNECT a:1",
        "TRACE /",
        "GET /?" + "a=1&" * 20_000,
        "PRI *",
    ],
)
def test_no_request_line_breaks_the_server(port: int, line: str) -> None:
    status, answer = asked(port, line)
    assert status < 500, answer[:300]
    assert still_answers(port)


def test_many_bad_requests_at_once_leave_the_server_alone(port: int) -> None:
    bad = b"POST /api/search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n{"
    senders = [
        threading.Thread(target=exchange, args=(port, bad), kwargs={"close": True})
        for _ in range(30)
    ]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert still_answers(port)
