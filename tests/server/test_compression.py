"""Compression of responses: what is compressed, for whom, and with which headers."""

from __future__ import annotations

import gzip

import pytest
from fastapi.testclient import TestClient

from lookalike.server.compression import accepts_gzip


def raw(client: TestClient, address: str, encoding: str) -> tuple[dict[str, str], bytes]:
    """Return headers and undecoded bytes of a response."""
    with client.stream("GET", address, headers={"Accept-Encoding": encoding}) as response:
        return dict(response.headers), b"".join(response.iter_raw())


@pytest.mark.parametrize("address", ["/page/style/theme.css", "/", "/api/openapi.json"])
def test_text_is_compressed_for_clients_that_accept_it(client: TestClient, address: str) -> None:
    plain_headers, plain = raw(client, address, "identity")
    headers, body = raw(client, address, "br;q=1, gzip;q=0.5")
    assert headers["content-encoding"] == "gzip" and "content-encoding" not in plain_headers
    assert gzip.decompress(body) == plain
    assert len(body) == int(headers["content-length"]) < 0.7 * len(plain)
    assert headers["vary"] == plain_headers["vary"] == "Accept-Encoding"


def test_a_compressed_file_is_not_sent_again(client: TestClient) -> None:
    headers, _ = raw(client, "/page/style/theme.css", "gzip")
    assert headers["etag"].startswith('W/"')
    again = client.get("/page/style/theme.css", headers={"If-None-Match": headers["etag"]})
    assert again.status_code == 304


def test_images_and_short_documents_stay_as_they_are(client: TestClient) -> None:
    for address in ("/api/images/1/thumbnail", "/health"):
        assert "content-encoding" not in raw(client, address, "gzip")[0], address


@pytest.mark.parametrize(
    ("header", "accepted"),
    [("gzip", True), ("GZIP;q=0.1", True), ("", False), ("gzip; q=0", False), ("br", False)],
)
def test_gzip_is_used_only_if_it_is_named(header: str, accepted: bool) -> None:
    assert accepts_gzip(header) is accepted
