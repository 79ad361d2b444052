"""Attacks on each of the protections that docs/serving.md lists."""

from __future__ import annotations

import json
import logging
import os
import re
import sqlite3
import struct
import sys
import threading
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient
from starlette.types import Message, Receive
from tests.library.image_builders import album, draw
from tests.server.conftest import ADDRESS, CSRF_HEADERS
from tests.server.live_server import exchange, run_async, running

from lookalike.cli.program import program
from lookalike.errors import LookalikeError, UsageError
from lookalike.library import Library
from lookalike.models import files
from lookalike.server.app import create_app
from lookalike.server.json_log import JSONFormatter
from lookalike.server.query_params import SearchParams
from lookalike.server.responses import HTTPError, to_json
from lookalike.server.routes.search import query_of_params
from lookalike.server.security.limits import BodyLimiter, RateLimiter, TokenBuckets
from lookalike.server.security.redaction import Redactor, public_names
from lookalike.server.settings import Settings
from lookalike.workers.limits import Limits

pytestmark = pytest.mark.usefixtures("jobs_in_threads")

TOKEN = "correct-horse-battery"
EXPOSED = Settings(token=TOKEN, exposed=True, hosts=("pictures.example",))


@pytest.fixture(scope="module")
def exposed_client(library: Library) -> Iterator[TestClient]:
    """A client of an exposed server."""
    with TestClient(create_app(library, EXPOSED), base_url="http://192.0.2.7:8484") as client:
        yield client


# ---- Host and origin ----


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:8484",
        "192.0.2.7",
        "",
        "[::2]",
        "[::1]evil",
        "[::1]:evil",
        "[::1]:80:80",
        "[localhost]",
        "[::1",
        "::1",
        "::1]",
        "127.0.0.1:80:80",
        "127.0.0.1:",
        "127.0.0.1:8484evil",
        "user@localhost",
        "localhost/x",
        "localhost evil",
        "localhost, evil.example",
        "evil.localhost",
        ".localhost",
        "lo\u017fthost",
    ],
)
def test_foreign_host_names_are_refused(client: TestClient, host: str) -> None:
    response = client.get("/api/info", headers=[(b"Host", host.encode())])
    assert response.status_code == 421
    assert "--allow-host" in response.json()["error"]


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1:8484", "[::1]:8484", "LOCALHOST:1", "localhost."]
)
def test_local_host_names_are_accepted(client: TestClient, host: str) -> None:
    assert client.get("/api/info", headers={"Host": host}).status_code == 200


def test_an_exposed_server_accepts_its_names_and_addresses_only(exposed_client: TestClient) -> None:
    def status(host: str) -> int:
        headers = {"Host": host, "Authorization": f"Bearer {TOKEN}"}
        return exposed_client.get("/api/info", headers=headers).status_code

    assert (
        status("pictures.example:8484") == status("198.51.100.4") == status("[2001:db8::1]") == 200
    )
    assert status("pictures.example.evil.example") == 421


def test_no_response_has_cors_headers(client: TestClient) -> None:
    preflight = {"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"}
    for response in (
        client.get("/api/info", headers={"Origin": "https://evil.example"}),
        client.options("/api/info", headers=preflight),
        client.get("/api/images/1/file"),
        client.get("/nothing"),
    ):
        assert not [name for name in response.headers if name.startswith("access-control")]
        assert response.headers["cross-origin-resource-policy"] == "same-origin"


def test_requests_begun_by_other_sites_are_refused(client: TestClient) -> None:
    image = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    assert client.get("/api/images/1/file", headers=image).status_code == 403
    # To a browser, another port of this machine is the same site; to the server it is foreign.
    neighbour = {**image, "Sec-Fetch-Site": "same-site"}
    assert client.get("/api/search?image=1", headers=neighbour).status_code == 403
    for origin in (
        "https://evil.example",
        "null",
        "http://127.0.0.1:9999",
        "http://localhost:8484",
    ):
        response = client.post("/api/batch", json={}, headers={"Origin": origin})
        assert response.status_code == 403, origin
    own = client.post(
        "/api/batch", json={"queries": [{"image": ["1"]}]}, headers={"Origin": ADDRESS}
    )
    assert own.status_code == 200


def test_a_link_from_another_site_to_the_page_works(client: TestClient) -> None:
    link = {
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "document",
    }
    assert client.get("/?image=1", headers=link).status_code != 403
    # Opening a window on the API shows nothing to the opener, but makes the server work.
    assert client.get("/api/duplicates", headers=link).status_code == 403


@pytest.mark.parametrize(
    "name",
    ["~", "~/models/x", "~root/x", "/etc", "./x", "../x", "trained:~/x", "color,~/x", "onnx:~/x"],
)
def test_no_name_of_an_extractor_is_taken_for_a_path(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def never(place: object) -> Path:
        raise AssertionError(f"{place} was looked at")

    monkeypatch.setattr(files, "is_trained", never)
    monkeypatch.setattr(os.path, "expanduser", never)
    monkeypatch.setattr(Path, "expanduser", never)
    for response in (
        client.get("/api/search", params={"image": "1", "extractor": name}),
        client.post("/api/search", json={"image": ["1"], "extractor": [name]}),
        client.get("/api/images/1/neighbours", params={"extractor": name}),
        client.get("/api/explain", params={"query": "1", "hit": 2, "extractor": name}),
        client.get("/api/ann/history", params={"extractor": name}),
    ):
        assert response.status_code == 400, response.text
        assert "no vectors of" in response.json()["error"]
        assert os.environ["HOME"] not in response.text
    batch = client.post("/api/batch", json={"queries": [{"image": ["1"], "extractor": [name]}]})
    assert "no vectors of" in batch.json()["results"][0]["failure"]


def test_a_form_on_another_site_changes_nothing(tmp_path: Path) -> None:
    folder = album(tmp_path / "photos", 3)
    with Library.create(folder) as library:
        library.add([folder], extractors=["color"])
        with TestClient(create_app(library, Settings(writable=True)), base_url=ADDRESS) as client:
            plain = {"Content-Type": "text/plain"}  # what a form can send without a preflight
            for headers in (plain, {**plain, "Origin": "https://evil.example", **CSRF_HEADERS}):
                assert client.delete("/api/images/1", headers=headers).status_code == 403
            assert client.get("/api/images/1").status_code == 200
            assert client.delete("/api/images/1", headers=CSRF_HEADERS).json() == {"removed": 1}
            assert client.get("/api/images/1").status_code == 404


def test_a_read_only_server_changes_nothing(client: TestClient) -> None:
    feedback = {"kind": "keep", "image": 1}
    for response in (
        client.delete("/api/images/1", headers=CSRF_HEADERS),
        client.post("/api/feedback", json=feedback, headers=CSRF_HEADERS),
        client.request("DELETE", "/api/feedback", json=feedback, headers=CSRF_HEADERS),
        client.post("/api/feedback/lines", content=b"", headers=CSRF_HEADERS),
        client.post("/api/images", json={}, headers=CSRF_HEADERS),
        client.get("/api/estimate"),
    ):
        assert response.status_code == 403
        assert "--writable" in response.json()["error"]


# ---- the token ----


def test_without_the_token_nothing_is_served(exposed_client: TestClient) -> None:
    closed = [
        "/api/info",
        "/api/search?image=1",
        "/api/images/1/file",
        "/api/openapi.json",
        "/metrics",
    ]
    for address in closed:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
            assert exposed_client.get(address, headers=headers).status_code == 401, address
    assert exposed_client.get("/health").status_code == 200


def test_the_token_is_accepted_as_header_and_as_cookie(library: Library) -> None:
    app = create_app(library, EXPOSED)
    with TestClient(
        app, base_url="http://192.0.2.7:8484", follow_redirects=False
    ) as exposed_client:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert exposed_client.get("/api/info", headers=headers).status_code == 200
        assert exposed_client.get("/api/info").status_code == 401
        entered = exposed_client.get(f"/?token={TOKEN}&image=3")
        assert (entered.status_code, entered.headers["location"]) == (303, "/?image=3")
        cookie = entered.headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and "Path=/" in cookie
        assert exposed_client.get("/api/info").status_code == 200


def test_the_page_exchanges_the_token_for_a_cookie(library: Library) -> None:
    with TestClient(
        create_app(library, EXPOSED), base_url="http://192.0.2.7:8484"
    ) as exposed_client:
        assert exposed_client.post("/api/session", json={"token": "wrong"}).status_code == 401
        assert exposed_client.get("/api/info").status_code == 401
        assert exposed_client.post("/api/session", json={"token": TOKEN}).json() == {
            "authenticated": True
        }
        assert exposed_client.get("/api/info").status_code == 200


def test_guessing_tokens_is_rate_limited_and_locks_nobody_out(library: Library) -> None:
    app = create_app(library, EXPOSED)
    right = {"Authorization": f"Bearer {TOKEN}"}
    with TestClient(app, base_url="http://192.0.2.7:8484", follow_redirects=False) as visitor:
        guesses = [
            visitor.get("/api/info", headers={"Authorization": f"Bearer {n}"}).status_code
            for n in range(40)
        ]
        assert guesses[:10] == [401] * 10 and set(guesses[10:]) == {429}
        assert visitor.post("/api/session", json={"token": "wrong"}).status_code == 429
        assert visitor.get("/?token=wrong").status_code == 429
        assert visitor.get("/api/info", headers=right).status_code == 200
        assert visitor.post("/api/session", json={"token": TOKEN}).status_code == 200
        assert visitor.get(f"/?token={TOKEN}").status_code == 303


def test_links_on_other_sites_and_old_cookies_are_no_guesses(library: Library) -> None:
    app = create_app(library, EXPOSED)
    link = {
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "document",
    }
    with TestClient(app, base_url="http://192.0.2.7:8484", follow_redirects=False) as visitor:
        for number in range(40):
            entered = visitor.get(f"/?token={number}", headers=link)
            assert (entered.status_code, "set-cookie" in entered.headers) == (303, False)
            old = {"Cookie": f"lookalike-8484={number:032x}.{number:064x}"}
            assert visitor.get("/api/info", headers=old).status_code == 401
        wrong = {"Authorization": "Bearer wrong"}
        assert visitor.get("/api/info", headers=wrong).status_code == 401  # not yet 429
        assert "set-cookie" in visitor.get(f"/?token={TOKEN}", headers=link).headers


@pytest.mark.parametrize("token", ["", "a", "correct-horse", "x" * 15])
def test_tokens_that_can_be_guessed_are_refused(token: str) -> None:
    with pytest.raises(UsageError, match="guessed: choose a longer one"):
        Settings(token=token)
    with pytest.raises(UsageError, match="guessed"):
        replace(EXPOSED, token=token)


def test_the_cookie_is_a_random_session_that_ends_with_the_server(library: Library) -> None:
    def session(settings: Settings, base_url: str = "http://192.0.2.7:8484") -> tuple[str, str]:
        app = create_app(library, settings)
        with TestClient(app, base_url=base_url, follow_redirects=False) as visitor:
            header = visitor.get(f"/?token={TOKEN}").headers["set-cookie"]
            assert (
                header == visitor.post("/api/session", json={"token": TOKEN}).headers["set-cookie"]
                or TOKEN not in header
            )
        return header.partition(";")[0], header

    first, header = session(EXPOSED)
    second, _ = session(EXPOSED)
    assert first != second and TOKEN not in header and "Secure" not in header
    name, _, value = first.partition("=")
    nonce, _, signature = value.partition(".")
    other = first.replace(nonce, nonce[::-1])
    restarted = replace(EXPOSED, session_key="another")
    with TestClient(create_app(library, EXPOSED), base_url="http://192.0.2.7:8484") as visitor:

        def status(cookie: str) -> int:
            return visitor.get("/api/info", headers={"Cookie": cookie}).status_code

        assert status(first) == status(second) == status(f'theme="dark; x={{}}; {first}') == 200
        for forged in (
            other, f"{name}={nonce}.", f"{name}={nonce}", f"{name}=.{signature}", f"{name}={TOKEN}",
            f"{name}=.", f"{name}=", f"lookalike-1={value}", f"{name}={value}0", f"{name}={value.upper()}",
        ):  # fmt: skip
            assert status(forged) == 401, forged
    with TestClient(create_app(library, restarted), base_url="http://192.0.2.7:8484") as visitor:
        assert visitor.get("/api/info", headers={"Cookie": first}).status_code == 401


def test_behind_tls_cookies_are_sent_over_tls_only(library: Library) -> None:
    settings = replace(EXPOSED, exposed=False, https=True)
    app = create_app(library, settings)
    # The proxy speaks plain HTTP to the server, whatever visitors speak to the proxy.
    with TestClient(app, base_url="http://pictures.example", follow_redirects=False) as visitor:
        for entered in (
            visitor.get(f"/?token={TOKEN}"),
            visitor.post("/api/session", json={"token": TOKEN}),
        ):
            cookie = entered.headers["set-cookie"]
            assert cookie.startswith("__Host-lookalike-") and "; Secure" in cookie
            assert "Domain" not in cookie and "Path=/;" in cookie
        sent = {"Cookie": cookie.partition(";")[0]}
        assert visitor.get("/api/info", headers=sent).status_code == 200
        plain = {"Cookie": sent["Cookie"].removeprefix("__Host-")}
        assert visitor.get("/api/info", headers=plain).status_code == 401


def test_a_server_has_a_local_name_of_its_own(library: Library) -> None:
    app = create_app(library, Settings(token=TOKEN, local_name="lookalike-12ab.localhost"))
    right = {"Authorization": f"Bearer {TOKEN}"}
    with TestClient(app, base_url="http://lookalike-12ab.localhost:8484") as visitor:
        document = visitor.get("/api/images/1", headers=right).json()
        assert document["file"] is not None  # still a server for this machine only
        for host in ("lookalike-12ab.localhost.evil.example", "x.lookalike-12ab.localhost"):
            assert visitor.get("/api/info", headers={**right, "Host": host}).status_code == 421


def test_an_ipv6_network_is_one_client() -> None:
    limiter = RateLimiter(0.1, clock=lambda: 0.0)
    limiter.check_request("2001:db8:1:2::1")
    with pytest.raises(HTTPError, match="too many requests"):
        limiter.check_request("2001:db8:1:2:ffff:eeee:dddd:cccc")
    # A socket for IPv6 and IPv4 writes the latter as ::ffff:192.0.2.3.
    for other in (
        "2001:db8:1:3::1",
        "192.0.2.1",
        "192.0.2.2",
        "::ffff:192.0.2.3",
        "::ffff:192.0.2.4",
    ):
        limiter.check_request(other)


def test_an_exposed_server_hides_paths(
    exposed_client: TestClient, client: TestClient, photos: Path
) -> None:
    document = exposed_client.get(
        "/api/images/1", headers={"Authorization": f"Bearer {TOKEN}"}
    ).json()
    assert document["file"] is None
    assert str(photos.parent) not in str(document)
    assert client.get("/api/images/1").json()["file"].startswith(str(photos))


def test_a_server_behind_a_proxy_hides_paths(library: Library, photos: Path) -> None:
    app = create_app(library, Settings(hosts=("pictures.example",)))
    with TestClient(app, base_url="https://pictures.example") as visitor:
        document = visitor.get("/api/images/1").json()
    assert document["file"] is None
    assert str(photos.parent) not in str(document)


def test_an_exposed_server_hides_paths_in_errors(exposed_client: TestClient, photos: Path) -> None:
    with Library.open(photos) as library:
        settings = replace(EXPOSED, writable=True)
        with TestClient(create_app(library, settings), base_url="http://192.0.2.7:8484") as client:
            client.headers.update({"Authorization": f"Bearer {TOKEN}"})
            same = {"kind": "not-duplicate", "image": 1, "others": [1]}
            response = client.post("/api/feedback", json=same)
    path = library_path(response.json()["error"])
    assert response.status_code == 400 and str(photos.parent) not in response.text
    assert (photos / path).is_file()


def library_path(sentence: str) -> str:
    return sentence.partition(" ")[0]


def test_places_are_redacted_in_texts(library: Library, photos: Path, tmp_path: Path) -> None:
    redactor = Redactor(library, tmp_path / "state")
    home, python = Path.home(), sys.prefix

    def redacted(value: object) -> object:
        return json.loads(redactor.redact(to_json(value)))

    assert redacted(
        {
            "message": f"{photos}/odd/1.jpg is broken; {photos}\n{photos}/schön/2.jpg",
            "added": [f"{library.folder}: is busy", 7, [f"{photos}", None]],
            "quoted": f"cannot read '{home}/models/net.onnx' (\"{home}/x y\"): see {python}/lib/a.py",
            "kept": f"trip{photos}/1.jpg; {photos}2 and a{home}",
            "scratch": f"{tmp_path}/state/imports/12/vectors.npy: not an array",
        }
    ) == {
        "message": "odd/1.jpg is broken; the library\nschön/2.jpg",
        "added": ["the library: is busy", 7, ["the library", None]],
        "quoted": "cannot read 'net.onnx' (\"x y\"): see a.py",
        "kept": f"trip{photos}/1.jpg; {photos}2 and a{home}".replace(
            f" {photos}2", f" {photos.name}2"
        ),
        "scratch": "vectors.npy: not an array",
    }


def test_the_folder_of_a_model_is_redacted_also_without_the_name_of_its_space(
    tmp_path: Path,
) -> None:
    folder = album(tmp_path / "photos", 1)
    with Library.create(folder) as library:
        library.add([folder], extractors=["color"])
        with closing(sqlite3.connect(library.folder / "catalogue.sqlite")) as catalogue:
            catalogue.execute("UPDATE spaces SET name = 'trained:/srv/secret/nets/shoes+pca8'")
            catalogue.commit()
        text = to_json("no folder /srv/secret/nets/shoes, nor trained:/srv/secret/nets/shoes+pca8")
        redacted = json.loads(Redactor(library, tmp_path / "state").redact(text))
    assert redacted == "no folder shoes, nor trained:shoes+pca8"


def test_spaces_of_models_in_folders_are_named_without_the_path() -> None:
    assert public_names(
        (
            "color", "trained:/home/me/shoes", "trained:/srv/shoes+pca64", "trained:/srv/x/shoes",
            "onnx:resnet50", "onnx:owner/name", "clip:C:\\models\\mine", "trained:~/bags/",
        )
    ) == {
        "trained:/home/me/shoes": "trained:shoes",
        "trained:/srv/shoes+pca64": "trained:shoes+pca64",
        "trained:/srv/x/shoes": "trained:shoes-2",
        "clip:C:\\models\\mine": "clip:mine",
        "trained:~/bags/": "trained:bags",
    }  # fmt: skip


def test_visitors_see_no_path_in_any_response(tmp_path: Path) -> None:
    """One that tells everything it can: a broken image, a model in a folder, failures and a job."""
    folder = album(tmp_path / "private" / "photos", 12)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(400))
    with Library.create(folder) as library:
        library.add([folder], extractors=["color"])
        rename_space(library, f"trained:{tmp_path}/private/model")
    (folder / "000.jpg").unlink()
    settings = Settings(hosts=("pictures.example",), writable=True, job_wait=60.0)
    with (
        Library.open(folder) as library,
        TestClient(create_app(library, settings), base_url="https://pictures.example") as visitor,
    ):
        visitor.headers.update(CSRF_HEADERS)
        named = {"extractor": "trained:model"}
        queries = [
            {"image": ["2"], **named},
            {"upload": ["0" * 64]},
            {"image": ["99"]},
            {"text": ["a"]},
        ]
        responses = [
            visitor.get("/api/info"),
            visitor.get("/api/search", params={"image": "2", **named}),
            visitor.get("/api/search", params={"image": "2", "extractor": "x"}),
            visitor.get("/api/images/1/neighbours", params=named),
            visitor.post("/api/batch", json={"queries": queries}),
            visitor.post("/api/uploads", content=draw(tmp_path / "n.png", 1).read_bytes()),
            visitor.get("/api/explain", params={"query": "1", "hit": 2, **named}),
            visitor.get("/api/failures"),
            visitor.get("/api/duplicates"),
            visitor.get("/api/similar-groups", params=named),
            visitor.get("/api/estimate"),
            visitor.get("/api/images/1/file"),
            visitor.get("/api/images/1/thumbnail"),
            visitor.get("/api/vectors", params={**named, "format": "paths"}),
            visitor.get("/api/ann/history", params=named),
            visitor.post("/api/images", json={"paths": ["../elsewhere"]}),
            visitor.post("/api/images"),
        ]
        job = responses[-1].json()["id"]
        events = {"Accept": "text/event-stream"}
        responses += [
            visitor.get(f"/api/jobs/{job}", headers=events),
            visitor.get(f"/api/jobs/{job}"),
        ]
    assert responses[1].json()["hits"] and responses[3].json()["hits"]
    assert responses[0].json()["spaces"][0]["name"] == "trained:model"
    for response in responses:
        place = response.text.find("private")
        assert place < 0, (response.url, response.text[max(0, place - 300) : place + 100])
        assert str(tmp_path) not in response.text, response.url
    assert responses[-1].json()["state"] == "failed"  # there is no such model here


def foreign_library(tmp_path: Path, private: Path, *, root: str | None, path: str = "") -> Path:
    """A library from a stranger, with one image: its root or its path is altered to lead to `private`."""
    folder = album(tmp_path / "downloads" / "photos", 1)
    with Library.create(folder) as library:
        library.add([folder], extractors=["color"])
        assert library.folder is not None
        catalogue = library.folder / "catalogue.sqlite"
    with closing(sqlite3.connect(catalogue)) as connection, connection:
        if root is not None:
            relative = not Path(root).is_absolute()
            connection.execute("UPDATE roots SET path = ?, relative = ?", (root, relative))
        connection.execute("UPDATE images SET path = ?", (path or private.name,))
    return folder


@pytest.mark.parametrize("how", ["absolute", "relative", "link", "imported", "everything"])
def test_a_library_from_a_stranger_does_not_open_other_folders(tmp_path: Path, how: str) -> None:
    private = draw(tmp_path / "private" / "secret.jpg", 7)
    place = ".lookalike/imported" if how == "imported" else "link"
    link = tmp_path / "downloads" / "photos" / place
    root = {
        "absolute": str(private.parent),
        "relative": "../../private",
        "link": "link",
        "imported": ".lookalike/imported",  # where images without a file are said to be
        "everything": "/",
    }[how]
    path = str(private).lstrip("/") if how == "everything" else "secret.jpg"
    folder = foreign_library(tmp_path, private, root=root, path=path)
    link.symlink_to(private.parent)
    settings = Settings(writable=True, job_wait=60.0)
    with (
        Library.open(folder) as library,
        TestClient(create_app(library, settings), base_url=ADDRESS) as client,
    ):
        client.headers.update(CSRF_HEADERS)
        image = draw(tmp_path / "n.png", 1).read_bytes()
        for response in (
            client.get("/api/images/1/file"),
            client.get("/api/images/1/thumbnail"),
            client.get("/api/explain", params={"query": "1", "hit": 1}),
            client.get("/api/search", params={"image": "1", "verify": "sift"}),
            client.get("/api/duplicates"),
            client.get("/api/estimate"),
            client.post("/api/images"),
            client.post("/api/images/files", files={"image": ("a.png", image)}),
            client.delete("/api/images/1"),
        ):
            assert response.status_code == 403, response.url
            assert "--allow-root" in response.json()["error"]
    assert [file.name for file in private.parent.iterdir()] == ["secret.jpg"]
    for command in (["serve", str(folder)], ["mcp", "--library", str(folder)]):
        result = CliRunner().invoke(program, command)
        assert result.exit_code == 2 and "--allow-root" in result.stderr
    allowed = Settings(allow_roots=("/" if how == "everything" else str(private.parent),))
    with (
        Library.open(folder) as library,
        TestClient(create_app(library, allowed), base_url=ADDRESS) as client,
    ):
        assert client.get("/api/images/1/file").content == private.read_bytes()


@pytest.mark.parametrize(
    "path",
    ["../../private/secret.jpg", "a/../../../private/secret.jpg", "{absolute}", "x\0y.jpg", ".."],
)
def test_no_path_of_a_library_leaves_its_root(tmp_path: Path, path: str) -> None:
    private = draw(tmp_path / "private" / "secret.jpg", 7)
    path = path.format(absolute=private)
    folder = foreign_library(tmp_path, private, root=None, path=path)
    with Library.open(folder) as library:
        with library.snapshot() as snapshot:
            [root] = snapshot.roots()
            [image] = snapshot.images([1]).values()
        assert (root.path / image.path).resolve().is_relative_to(folder)
        with TestClient(create_app(library, Settings()), base_url=ADDRESS) as client:
            for what in ("file", "thumbnail"):
                assert client.get(f"/api/images/1/{what}").status_code == 404
        with pytest.raises(LookalikeError):
            library.thumbnails.get(1)


def rename_space(library: Library, name: str) -> None:
    """Give the first space another name, as an extractor of that name would have."""
    assert library.folder is not None
    with closing(sqlite3.connect(library.folder / "catalogue.sqlite")) as connection, connection:
        connection.execute("UPDATE spaces SET name = ?, key = ? || '@1'", (name, name))


def test_requests_of_one_address_are_rate_limited(library: Library) -> None:
    with TestClient(create_app(library, Settings(rate=0.01)), base_url=ADDRESS) as client:
        assert client.get("/health").status_code == 200  # the bucket holds one
        refused = client.get("/health")
        assert refused.status_code == 429
        assert 90 <= int(refused.headers["retry-after"]) <= 101


def test_token_buckets_fill_with_time() -> None:
    now = 0.0
    buckets = TokenBuckets(2.0, 3.0, lambda: now)
    assert [buckets.delay("a") for _ in range(4)] == [0, 0, 0, 0.5]
    assert buckets.delay("b") == 0
    now = 0.5
    assert [buckets.delay("a") for _ in range(2)] == [0, 0.5]
    now = 100.0
    assert [buckets.delay("a") for _ in range(4)] == [0, 0, 0, 0.5]


# ---- bodies and parameters ----


def test_large_bodies_are_refused_before_they_are_read(library: Library) -> None:
    settings = Settings(max_upload_bytes=100_000)
    with running(create_app(library, settings)) as port:
        head = f"POST /api/uploads HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        announced = exchange(port, f"{head}Content-Length: 200000000\r\n\r\n".encode())
        assert announced.startswith(b"HTTP/1.1 413 ")
        chunk = b"8000\r\n" + bytes(0x8000) + b"\r\n"
        endless = f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunk * 4
        assert exchange(port, endless).startswith(b"HTTP/1.1 413 ")
        assert b" 200 OK" in exchange(port, get("/health", port))


def test_bodies_of_parameters_are_small(client: TestClient) -> None:
    many = {f"{number}": 1 for number in range(20_000)}
    for method, address in (
        ("POST", "/api/session"),
        ("POST", "/api/feedback"),
        ("DELETE", "/api/feedback"),
        ("POST", "/api/ann"),
    ):
        response = client.request(method, address, json=many, headers=CSRF_HEADERS)
        assert response.status_code == 413
        assert "at most 66 KB here" in response.json()["error"]


@pytest.mark.parametrize("address", ["uploads", "batch", "search", "images", "feedback", "ann"])
@pytest.mark.parametrize(
    "media_type", ["application/json", "Application/JSON; charset=utf-8", "text/json"]
)
def test_json_has_limits_of_its_own(client: TestClient, address: str, media_type: str) -> None:
    headers = {**CSRF_HEADERS, "Content-Type": media_type}
    many = b'{"url": [' + b"0," * 3_000_000 + b"0]}"
    response = client.post(f"/api/{address}", content=many, headers=headers)
    assert response.status_code == 413 and "too large" in response.json()["error"]


@pytest.mark.parametrize("value", [b"0", b"[]", b"{}", b'"a"', b'{"a":0}'])
def test_the_values_of_json_are_counted_before_they_are_read(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, value: bytes
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("it was parsed")

    monkeypatch.setattr(json, "loads", never)
    many = b'{"queries": [' + (value + b",") * 60_000 + value + b"]}"
    for response in (
        client.post("/api/batch", content=many),
        client.post("/api/search", files={"query": (None, many)}),
    ):
        assert response.status_code == 413 and b"at most 50,000 values" in response.content


def test_json_is_parsed_and_checked_in_another_thread(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[str] = []
    validate = SearchParams.model_validate

    def noted(document: object) -> SearchParams:
        threads.append(threading.current_thread().name)
        return validate(document)

    monkeypatch.setattr(SearchParams, "model_validate", noted)
    client.post("/api/search", json={"image": ["1"]})
    client.post("/api/search", files={"query": (None, '{"image": ["1"]}')})
    assert len(threads) == 2 and all(name.startswith("lookalike-quick") for name in threads)


def test_json_that_is_no_utf8_is_refused_undecoded(client: TestClient) -> None:
    for address in ("search", "batch", "embed"):
        response = client.post(f"/api/{address}", content=b'{"image": ["\xff"]}')
        assert response.status_code == 422 and "not valid JSON" in response.json()["error"]


def test_an_unknown_parameter_with_a_long_name_is_refused_at_once(client: TestClient) -> None:
    response = client.post("/api/search", content=b'{"' + b"k" * 1_000_000 + b'": 1}')
    assert response.status_code == 422 and len(response.content) < 1000


def test_an_object_with_too_many_keys_is_refused_unread(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(_: object) -> None:
        raise AssertionError("the keys were validated")

    monkeypatch.setattr(SearchParams, "model_validate", never)
    many = {f"{number}": 1 for number in range(101)}
    for response in (
        client.post("/api/batch", json={"queries": [many]}),
        client.post("/api/batch", json=many),
        client.post("/api/search", files={"query": (None, json.dumps(many))}),
    ):
        assert response.status_code == 413
        assert "101 keys in one object" in response.json()["error"]


def test_the_memory_of_all_bodies_is_limited() -> None:
    piece = bytes(100_000)
    held = BodyLimiter(Settings(max_upload_bytes=100_000))

    async def sent() -> Message:
        return {"type": "http.request", "body": piece, "more_body": False}

    async def send(stack: ExitStack, receive: Receive = sent) -> None:
        await stack.enter_context(held.limit(receive, 100_000))()

    async def small() -> Message:
        return {"type": "http.request", "body": bytes(100), "more_body": False}

    async def visitors() -> None:
        with ExitStack() as stack:
            for _ in range(10):
                await send(stack)
            with (
                pytest.raises(HTTPError, match="too much is being uploaded") as refused,
                ExitStack() as one,
            ):
                await send(one)
            assert refused.value.status == 503
            await send(stack, small)  # small bodies are always accepted
            assert held.held == 10 * len(piece) + 100
        assert held.held == 0
        with ExitStack() as stack:
            await send(stack)

    run_async(visitors())


def test_an_incomplete_body_times_out(library: Library) -> None:
    with running(create_app(library, Settings(body_seconds=0.3))) as port:
        begun = f"POST /api/uploads HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 5000\r\n\r\nabc"
        assert exchange(port, begun.encode()).startswith(b"HTTP/1.1 408 ")
        assert b" 200 OK" in exchange(port, get("/health", port))


def test_aborted_requests_do_no_harm(library: Library, caplog: pytest.LogCaptureFixture) -> None:
    with running(create_app(library, Settings())) as port:
        head = f"POST /api/search HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 9999\r\n"
        form = (
            "Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\nContent-Disposition: form-"
        )
        for _ in range(5):
            exchange(port, (head + form).encode(), close=True)
        assert b" 200 OK" in exchange(port, get("/api/search?image=1", port))
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def bomb() -> bytes:
    """Return a PNG of a few hundred bytes whose header says 40,000 × 40,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(100_000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\xff\xd8\xff\xe0" + bytes(500), 422),
        (bomb(), 413),
        (
            b"<svg xmlns='http://www.w3.org/2000/svg'><image href='http://10.0.0.1/'/></svg>",
            415,
        ),
        (b"<!doctype html><script>alert(1)</script>" + b" " * 99, 415),
        (b"GIF", 415),
        (b"", 422),
    ],
    ids=["broken", "bomb", "svg", "html", "tiny", "nothing"],
)
def test_invalid_images_get_the_right_status(client: TestClient, data: bytes, status: int) -> None:
    for response in (
        client.post("/api/uploads", content=data),
        client.post("/api/uploads", files={"image": ("cat.jpg", data)}),
        client.post("/api/search", files={"image": ("cat.jpg", data)}, data={"query": '{"k": 1}'}),
    ):
        if data or "search" not in str(response.url):
            assert response.status_code == status, response.text
            assert list(response.json()) == ["error"]
    assert client.get("/health").status_code == 200


def test_an_svg_file_is_never_opened_by_the_browser(tmp_path: Path) -> None:
    pytest.importorskip("resvg_py", reason="needs resvg-py (the extra svg)")
    size = "width='200' height='100'"
    scripted = f"<svg xmlns='http://www.w3.org/2000/svg' {size}><script>alert(1)</script></svg>"
    (tmp_path / "a.svg").write_text(scripted, encoding="utf-8")
    with Library.create(tmp_path) as library:
        library.add([tmp_path], extractors=["color"])
        with TestClient(create_app(library, Settings()), base_url=ADDRESS) as client:
            sent = client.get("/api/images/1/file")
            assert sent.headers["content-type"] == "application/octet-stream"
            assert sent.headers["content-disposition"].startswith("attachment")


def test_the_pixels_of_an_upload_are_limited(photos: Path, image_bytes: bytes) -> None:
    with (
        Library.open(photos, limits=replace(Limits(), max_pixels=1000)) as strict,
        TestClient(create_app(strict, Settings()), base_url=ADDRESS) as client,
    ):
        response = client.post("/api/uploads", content=image_bytes)
    assert response.status_code == 413
    assert "48×48" in response.json()["error"]


def test_an_upload_named_repeatedly_is_in_memory_once(
    client: TestClient, image_bytes: bytes
) -> None:
    state = client.app.state.server  # type: ignore[attr-defined]
    name = client.post("/api/uploads", content=image_bytes).json()["upload"]
    read: dict[str, bytes] = {}
    params = SearchParams.model_validate({"upload": [name] * 9, "not_upload": [f"0.1:{name}"]})
    query = query_of_params(state, params, read)
    assert [term.image is read[name] for term in query.terms] == [True] * 10
    again = query_of_params(state, SearchParams.model_validate({"upload": [name]}), read)
    assert again.terms[0].image is read[name]


@pytest.mark.parametrize(
    ("word", "most"),
    [
        ("upload", 16),
        ("not_upload", 16),
        ("image", 100),
        ("text", 100),
        ("vector", 100),
        ("extractor", 100),
    ],
)
def test_the_number_of_terms_is_limited(client: TestClient, word: str, most: int) -> None:
    for response in (
        client.get("/api/search", params=[(word, "1")] * (most + 1)),
        client.post("/api/batch", json={"queries": [{word: ["1"] * (most + 1)}]}),
    ):
        assert response.status_code == 422
        assert f"at most {most} items" in response.json()["error"]


def test_old_uploads_are_deleted_beyond_the_limit(library: Library, tmp_path: Path) -> None:
    several = [draw(tmp_path / f"{n}.png", 2000 + n).read_bytes() for n in range(6)]
    settings = Settings(upload_cache_bytes=5000, folder=tmp_path / "kept")
    with TestClient(create_app(library, settings), base_url=ADDRESS) as client:
        names = [client.post("/api/uploads", content=data).json()["upload"] for data in several]
        there = [client.get(f"/api/uploads/{name}").status_code for name in names]
    assert there[0] == 404 and there[-1] == 200
    kept = sum(file.stat().st_size for file in (tmp_path / "kept" / "uploads").iterdir())
    assert kept <= settings.upload_cache_bytes


def test_urls_are_fetched_only_if_allowed_and_public(client: TestClient, library: Library) -> None:
    named = {"url": "https://pictures.example/cat.jpg"}
    refused = client.post("/api/uploads", json=named)
    assert refused.status_code == 403 and "--allow-url" in refused.json()["error"]
    settings = Settings(allow_url=True)
    with TestClient(create_app(library, settings), base_url=ADDRESS) as open_one:
        for url in (f"{ADDRESS}/api/images/1/file", "http://[::1]/", "http://169.254.169.254/"):
            response = open_one.post("/api/uploads", json={"url": url})
            assert response.status_code == 400
            assert (
                "public internet" in response.json()["error"] or "ports" in response.json()["error"]
            )
        assert open_one.post("/api/uploads", json={"url": 7}).status_code == 422


# ---- files and responses ----


def test_links_out_of_the_library_are_not_followed(tmp_path: Path) -> None:
    folder = album(tmp_path / "photos", 4)
    with Library.create(folder) as library:
        library.add([folder], extractors=["color"])
        secret = tmp_path / "secret.jpg"
        (folder / "000.jpg").rename(secret)
        (folder / "000.jpg").symlink_to(secret)
        with TestClient(create_app(library, Settings()), base_url=ADDRESS) as client:
            images = client.get("/api/images").json()["images"]
            linked = next(image["id"] for image in images if image["path"] == "000.jpg")
            other = next(image["id"] for image in images if image["path"] == "002.jpg")
            for what in ("file", "thumbnail"):
                assert client.get(f"/api/images/{linked}/{what}").status_code == 404
                assert client.get(f"/api/images/{other}/{what}").status_code == 200


def test_a_file_that_became_html_is_not_served(tmp_path: Path) -> None:
    folder = album(tmp_path / "photos", 4)
    with Library.create(folder) as library:
        library.add([folder], extractors=["color"])
        (folder / "000.jpg").write_text("<html><script>alert(1)</script></html>" * 10)
        with TestClient(create_app(library, Settings()), base_url=ADDRESS) as client:
            images = client.get("/api/images").json()["images"]
            one = next(image["id"] for image in images if image["path"] == "000.jpg")
            assert client.get(f"/api/images/{one}/file").status_code == 415


def test_image_files_are_served_as_images_in_a_sandbox(client: TestClient) -> None:
    response = client.get("/api/images/1/file")
    assert response.headers["content-type"] == "image/jpeg"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in response.headers["content-security-policy"]
    assert "script" not in response.headers["content-security-policy"]


@pytest.mark.parametrize(
    "address",
    [
        "/page/../app.py", "/page/%2e%2e/app.py", "/page/..%2fapp.py", "/page//etc/passwd", "/page/%00",
        "/api/images/..%2f..%2fetc%2fpasswd/file", "/api/images/0/file", "/api/images/-1/file",
        "/api/images/99999999999999999999/file", "/api/uploads/..%2f..%2fsettings.py",
    ],
)  # fmt: skip
def test_path_traversal_finds_nothing(client: TestClient, address: str) -> None:
    response = client.get(address)
    assert response.status_code in (404, 422)
    assert list(response.json()) == ["error"]


def test_every_response_has_the_security_headers(client: TestClient) -> None:
    for address in ("/", "/api/info", "/nothing", "/api/search", "/api/images/999999"):
        headers = client.get(address).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy and "http:" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


def test_internal_errors_are_logged_and_hidden(
    library: Library, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(library, Settings())

    @app.get("/mistake")
    async def mistake() -> None:
        raise ZeroDivisionError("the secret 4711")

    with TestClient(app, base_url=ADDRESS) as client:
        response = client.get("/mistake")
        assert (response.status_code, list(response.json())) == (500, ["error"])
        assert "4711" not in response.text
        assert response.headers["x-content-type-options"] == "nosniff"
        assert client.get("/health").status_code == 200
    assert "4711" in caplog.text


def test_the_log_has_no_parameters_or_tokens(
    library: Library, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "lookalike.server")
    settings = Settings(token=TOKEN)
    with TestClient(create_app(library, settings), base_url=ADDRESS) as client:
        client.get(f"/?token={TOKEN}")
        client.get("/api/search?text=my+grandmother&where=price<3")
        client.get("/api/images/1/file%0aforged%20line")
    ours = [record.getMessage() for record in caplog.records if record.name == "lookalike.server"]
    assert [line for line in ours if "GET /api/search 400" in line]
    text = "\n".join(ours)
    assert TOKEN not in text and "grandmother" not in text and "price" not in text
    assert not any("\n" in line for line in ours)


def get(path: str, port: int) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode()


def test_requests_have_ids_that_cannot_be_forged_into_the_log(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "lookalike.server")
    caplog.handler.setFormatter(JSONFormatter())
    first = client.get("/api/info").headers["x-request-id"]
    assert re.fullmatch("[0-9a-f]{16}", first)
    assert first != client.get("/api/info").headers["x-request-id"]
    sent = {"X-Request-ID": "from-the-proxy.1"}
    assert client.get("/health", headers=sent).headers["x-request-id"] == "from-the-proxy.1"
    for forged in ("short", "x" * 65, 'a"b,c d e f', "x%0aforged", "<script>alert"):
        headers = {"X-Request-ID": forged}
        assert client.get("/health", headers=headers).headers["x-request-id"] != forged
    client.get("/nothing%0a{}")
    lines = [json.loads(line) for line in caplog.text.splitlines()]
    assert lines[0]["request"] == first
    assert lines[0] | {"time": "", "milliseconds": 0, "message": ""} == {
        "time": "", "level": "info", "logger": "lookalike.server", "message": "", "request": first,
        "client": "testclient", "method": "GET", "path": "/api/info", "route": "/api/info", "status": 200,
        "milliseconds": 0,
    }  # fmt: skip
    assert lines[-1]["path"] == "/nothing\\n{}" and lines[-1]["status"] == 404
