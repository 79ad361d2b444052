"""Images are fetched from the public internet only, within limits. Nothing leaves the loopback."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lookalike.errors import UsageError
from lookalike.images.fetch import FetchLimits, fetch_url, is_elsewhere, is_public, own_address

ANYWHERE = FetchLimits(any_port=True, seconds=5)


@contextmanager
def site(respond: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[int]:
    """Run a site on the loopback and yield its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            respond(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def sends(
    data: bytes, status: int = 200, **headers: str
) -> Callable[[BaseHTTPRequestHandler], None]:
    def respond(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data)

    return respond


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254",
        "100.64.0.1", "224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "::", "::1", "fe80::1",
        "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8",
        "2002:7f00:1::", "2001:0:1::1", "64:ff9b::7f00:1", "2001:db8::1", "64:ff9b:1::7f00:1", "::7f00:1",
        "fec0::1", "3fff::1", "192.0.0.8", "nonsense", "", "192.31.196.1", "192.175.48.42", "192.52.193.1",
        "2001:4:112::1", "2620:4f:8000::1", "2001:3::1", "5f00::1", "100::1", "100:0:0:1::1", "168.63.129.16",
    ],
)  # fmt: skip
def test_private_and_special_addresses_are_not_public(address: str) -> None:
    assert not is_public(address)


def test_public_addresses_are_public() -> None:
    assert is_public("93.184.215.14") and is_public("2606:2800:21f:cb07:6820:80da:af6b:8b2c")


@pytest.mark.parametrize(
    ("address", "own", "elsewhere"),
    [
        (
            "2606:2800:21f:cb07::1",
            "2606:2800:21f:cb07:1:2:3:4",
            False,
        ),  # a neighbour behind the firewall
        ("2606:2800:21f:cb07:1:2:3:4", "2606:2800:21f:cb07:1:2:3:4", False),  # this machine
        ("2606:2800:21f:cb07::1", "2606:2800:21f:cb07:1:2:3:4%eth0", False),
        ("2606:2800:21f:cb08::1", "2606:2800:21f:cb07:1:2:3:4", True),
        ("93.184.215.14", "93.184.215.14", False),
        ("93.184.215.14", "93.184.215.200", False),
        ("93.184.215.14", "93.184.216.14", True),
        ("93.184.215.14", "192.168.1.5", True),
        ("93.184.215.14", None, True),  # no way there: connecting will say so
    ],
)
def test_neighbours_with_public_addresses_are_not_elsewhere(
    address: str, own: str | None, elsewhere: bool
) -> None:
    assert is_elsewhere(address, source=lambda _: own) is elsewhere


def test_the_own_address_is_the_one_that_connections_come_from() -> None:
    assert own_address("127.0.0.1") == "127.0.0.1"
    assert own_address("nonsense") is None


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/a.jpg", "http://localhost/a.jpg", "http://[::1]/a.jpg", "http://2130706433/",
        "http://0x7f.1/", "http://0/", "http://[::ffff:127.0.0.1]/", "http://169.254.169.254/latest/",
    ],
)  # fmt: skip
def test_this_machine_and_its_network_are_never_contacted(url: str) -> None:
    with pytest.raises(UsageError, match=r"public internet only|no host"):
        fetch_url(url, FetchLimits())


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "ftp://example.org/a.jpg", "gopher://x/", "//example.org/a.jpg", "a.jpg", "",
        "http://", "http://user:secret@example.org/", "http://example.org:22/", "http://example.org:99999/",
        "http://example.org/a b", "http://example.org/\r\nX: y",
    ],
)  # fmt: skip
def test_invalid_urls_are_refused_before_any_lookup(url: str) -> None:
    def never(host: str, port: int) -> list[str]:
        raise AssertionError(f"{host} was looked up")

    with pytest.raises(UsageError):
        fetch_url(url, FetchLimits(), resolve=never)


def test_a_name_is_refused_if_one_of_its_addresses_is_private() -> None:
    with pytest.raises(UsageError, match="public internet only"):
        fetch_url(
            "http://two.example/", FetchLimits(), resolve=lambda *_: ["93.184.215.14", "10.0.0.1"]
        )


def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    checked: list[str] = []

    def public(address: str) -> bool:
        checked.append(address)
        return True

    # The name does not exist: a second lookup would fail.
    with site(sends(b"image")) as port:
        url = f"http://pinned.invalid:{port}/a.jpg"
        found = fetch_url(url, ANYWHERE, resolve=lambda *_: ["127.0.0.1"], public=public)
    assert (found, checked) == (b"image", ["127.0.0.1"])


def test_a_redirect_into_the_network_is_not_followed() -> None:
    with (
        site(sends(b"secret")) as inside,
        site(sends(b"", 302, Location=f"http://inside.invalid:{inside}/")) as outside,
    ):
        names = {"outside.invalid": "127.0.0.1", "inside.invalid": "127.0.0.1"}
        resolved: list[str] = []

        def resolve(host: str, _: int) -> list[str]:
            resolved.append(host)
            return [names[host]]

        with pytest.raises(UsageError, match=r"public internet only, not from inside\.invalid"):
            fetch_url(
                f"http://outside.invalid:{outside}/",
                ANYWHERE,
                resolve=resolve,
                public=lambda _: resolved[-1] == "outside.invalid",
            )


def test_redirects_are_followed_a_few_times() -> None:
    def respond(handler: BaseHTTPRequestHandler) -> None:
        number = int(handler.path.strip("/") or 0)
        if number == 3:
            sends(b"image")(handler)
        else:
            sends(b"", 302, Location=f"/{number + 1}")(handler)

    with site(respond) as port:
        here = {"resolve": lambda *_: ["127.0.0.1"], "public": lambda _: True}
        assert fetch_url(f"http://x.invalid:{port}/0", ANYWHERE, **here) == b"image"  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="redirects"):
            fetch_url(f"http://x.invalid:{port}/-1", ANYWHERE, **here)  # type: ignore[arg-type]


@pytest.mark.parametrize("headers", [{"Content-Length": "5000"}, {}])
def test_too_many_bytes_are_not_read(headers: dict[str, str]) -> None:
    with (
        site(sends(bytes(5000), 200, **headers)) as port,
        pytest.raises(UsageError, match="larger than"),
    ):
        limits = FetchLimits(max_bytes=1000, any_port=True)
        url = f"http://x.invalid:{port}/"
        fetch_url(url, limits, resolve=lambda *_: ["127.0.0.1"], public=lambda _: True)


@pytest.mark.parametrize("before", ["", "HTTP/1.1 200 OK\r\nX: ", "HTTP/1.1 200 OK\r\n\r\n"])
def test_a_slow_response_is_given_up(before: str) -> None:
    def respond(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(before.encode())
        for _ in range(100):
            try:
                handler.wfile.write(b"x")
            except OSError:
                return
            time.sleep(0.05)

    with site(respond) as port, pytest.raises(UsageError, match="takes over"):
        limits = FetchLimits(seconds=0.3, any_port=True)
        url = f"http://x.invalid:{port}/"
        fetch_url(url, limits, resolve=lambda *_: ["127.0.0.1"], public=lambda _: True)


def test_other_status_codes_are_reported() -> None:
    with site(sends(b"", 404)) as port, pytest.raises(UsageError, match="answers with 404"):
        url = f"http://x.invalid:{port}/"
        fetch_url(url, ANYWHERE, resolve=lambda *_: ["127.0.0.1"], public=lambda _: True)
