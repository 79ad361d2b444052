"""Each promise of safety, attacked."""

from __future__ import annotations

import json
import logging
import struct
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from starlette.types import Message, Receive
from tests.library.drawing import album, draw
from tests.server.conftest import ADDRESS, CSRF_HEADERS
from tests.server.live_server import exchange, run_async, running

from lookalike.library import Library
from lookalike.server.app import create_app
from lookalike.server.errors import HTTPError
from lookalike.server.query_params import SearchParams
from lookalike.server.routes.search import query_of_params
from lookalike.server.security.body_limits import BodyLimiter
from lookalike.server.security.rate_limit import RateLimiter, TokenBuckets
from lookalike.server.security.redact import redact_paths
from lookalike.server.settings import Settings
from lookalike.workers.limits import Limits

TOKEN = "correct-horse"
EXPOSED = Settings(token=TOKEN, exposed=True, hosts=("pictures.example",))


@pytest.fixture(scope="module")
def guarded(library: Library) -> Iterator[TestClient]:
    """A server that other machines can reach."""
    with TestClient(create_app(library, EXPOSED), base_url="http://192.0.2.7:8484") as client:
        yield client


# ---- who calls, and by what name ----


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:8484",
        "192.0.2.7",
        "",
        "[::2]",
    ],
)
def test_a_name_that_was_rebound_to_this_machine_is_refused(client: TestClient, host: str) -> None:
    answer = client.get("/api/info", headers={"Host": host})
    assert answer.status_code == 421
    assert "--allow-host" in answer.json()["error"]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8484", "[::1]:8484", "LOCALHOST:1"])
def test_the_names_of_this_machine_are_known(client: TestClient, host: str) -> None:
    assert client.get("/api/info", headers={"Host": host}).status_code == 200


def test_an_exposed_server_knows_its_names_and_addresses_but_no_others(guarded: TestClient) -> None:
    def status(host: str) -> int:
        headers = {"Host": host, "Authorization": f"Bearer {TOKEN}"}
        return guarded.get("/api/info", headers=headers).status_code

    assert (
        status("pictures.example:8484") == status("198.51.100.4") == status("[2001:db8::1]") == 200
    )
    assert status("pictures.example.evil.example") == 421


def test_no_answer_lets_another_site_read_it(client: TestClient) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"}
    for answer in (
        client.get("/api/info", headers={"Origin": "https://evil.example"}),
        client.options("/api/info", headers=asked),
        client.get("/api/images/1/file"),
        client.get("/nothing"),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_what_another_site_begins_is_refused(client: TestClient) -> None:
    image = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    assert client.get("/api/images/1/file", headers=image).status_code == 403
    # Another port of this machine is "the same site" to a browser, but a stranger to us.
    neighbour = {**image, "Sec-Fetch-Site": "same-site"}
    assert client.get("/api/search?image=1", headers=neighbour).status_code == 403
    for origin in (
        "https://evil.example",
        "null",
        "http://127.0.0.1:9999",
        "http://localhost:8484",
    ):
        answer = client.post("/api/batch", json={}, headers={"Origin": origin})
        assert answer.status_code == 403, origin
    own = client.post(
        "/api/batch", json={"queries": [{"image": ["1"]}]}, headers={"Origin": ADDRESS}
    )
    assert own.status_code == 200


def test_following_a_link_to_the_page_is_not_refused(client: TestClient) -> None:
    link = {
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "document",
    }
    assert client.get("/?image=1", headers=link).status_code != 403
    # A window on the API shows its opener nothing, but makes the server work.
    assert client.get("/api/duplicates", headers=link).status_code == 403


def test_a_form_of_another_site_changes_nothing(tmp_path: Path) -> None:
    folder = album(tmp_path / "photos", 3)
    with Library.create(folder) as library:
        library.add([folder], extractors=["color"])
        with TestClient(create_app(library, Settings(writable=True)), base_url=ADDRESS) as client:
            plain = {"Content-Type": "text/plain"}  # what a form can send without asking first
            for headers in (plain, {**plain, "Origin": "https://evil.example", **CSRF_HEADERS}):
                assert client.delete("/api/images/1", headers=headers).status_code == 403
            assert client.get("/api/images/1").status_code == 200
            assert client.delete("/api/images/1", headers=CSRF_HEADERS).json() == {"removed": 1}
            assert client.get("/api/images/1").status_code == 404


def test_a_server_that_only_reads_changes_nothing(client: TestClient) -> None:
    decided = {"kind": "keep", "image": 1}
    for answer in (
        client.delete("/api/images/1", headers=CSRF_HEADERS),
        client.post("/api/feedback", json=decided, headers=CSRF_HEADERS),
        client.request("DELETE", "/api/feedback", json=decided, headers=CSRF_HEADERS),
        client.post("/api/feedback/lines", content=b"", headers=CSRF_HEADERS),
        client.post("/api/images", json={}, headers=CSRF_HEADERS),
        client.get("/api/estimate"),
    ):
        assert answer.status_code == 403
        assert "--writable" in answer.json()["error"]


# ---- the token ----


def test_without_the_token_nothing_of_the_library_is_told(guarded: TestClient) -> None:
    closed = [
        "/api/info",
        "/api/search?image=1",
        "/api/images/1/file",
        "/api/openapi.json",
        "/metrics",
    ]
    for address in closed:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
            assert guarded.get(address, headers=headers).status_code == 401, address
    assert guarded.get("/health").status_code == 200


def test_the_token_opens_as_a_header_and_as_a_cookie(library: Library) -> None:
    app = create_app(library, EXPOSED)
    with TestClient(app, base_url="http://192.0.2.7:8484", follow_redirects=False) as guarded:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert guarded.get("/api/info", headers=headers).status_code == 200
        assert guarded.get("/api/info").status_code == 401
        entered = guarded.get(f"/?token={TOKEN}&image=3")
        assert (entered.status_code, entered.headers["location"]) == (303, "/?image=3")
        cookie = entered.headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and "Path=/" in cookie
        assert guarded.get("/api/info").status_code == 200


def test_a_page_enters_by_showing_the_token(library: Library) -> None:
    with TestClient(create_app(library, EXPOSED), base_url="http://192.0.2.7:8484") as guarded:
        assert guarded.post("/api/session", json={"token": "wrong"}).status_code == 401
        assert guarded.get("/api/info").status_code == 401
        assert guarded.post("/api/session", json={"token": TOKEN}).json() == {"authenticated": True}
        assert guarded.get("/api/info").status_code == 200


def test_guessing_tokens_is_slowed_down(library: Library) -> None:
    with TestClient(create_app(library, EXPOSED), base_url="http://192.0.2.7:8484") as guarded:
        guesses = [
            guarded.get("/api/info", headers={"Authorization": f"Bearer {n}"}).status_code
            for n in range(40)
        ]
        assert guesses[:10] == [401] * 10
        assert 429 in guesses
        right = {"Authorization": f"Bearer {TOKEN}"}
        assert (
            guarded.get("/api/info", headers=right).status_code == 429
        )  # else trying on would find it
        assert guarded.post("/api/session", json={"token": TOKEN}).status_code == 429
        assert guarded.get(f"/?token={TOKEN}").status_code == 429
        assert guarded.get("/health", headers=right).status_code == 200


def test_whoever_knows_a_token_that_cannot_be_guessed_is_not_shut_out(library: Library) -> None:
    long = "correct-horse-battery"
    app = create_app(library, replace(EXPOSED, token=long))
    with TestClient(app, base_url="http://192.0.2.7:8484") as guarded:
        wrong = {"Authorization": "Bearer wrong"}
        assert 429 in [guarded.get("/api/info", headers=wrong).status_code for _ in range(40)]
        right = {"Authorization": f"Bearer {long}"}
        assert guarded.get("/api/info", headers=right).status_code == 200
        assert guarded.post("/api/session", json={"token": long}).status_code == 200


def test_the_addresses_that_one_visitor_has_to_choose_from_are_counted_together() -> None:
    limiter = RateLimiter(0.1, clock=lambda: 0.0)
    limiter.check_request("2001:db8:1:2::1")
    with pytest.raises(HTTPError, match="too many requests"):
        limiter.check_request("2001:db8:1:2:ffff:eeee:dddd:cccc")
    for other in ("2001:db8:1:3::1", "192.0.2.1", "192.0.2.2"):
        limiter.check_request(other)


def test_an_exposed_server_does_not_tell_where_its_files_lie(
    guarded: TestClient, client: TestClient, photos: Path
) -> None:
    told = guarded.get("/api/images/1", headers={"Authorization": f"Bearer {TOKEN}"}).json()
    assert told["file"] is None
    assert str(photos.parent) not in str(told)
    assert client.get("/api/images/1").json()["file"].startswith(str(photos))


def test_a_server_behind_a_proxy_does_not_tell_it_either(library: Library, photos: Path) -> None:
    app = create_app(library, Settings(hosts=("pictures.example",)))
    with TestClient(app, base_url="https://pictures.example") as visitor:
        told = visitor.get("/api/images/1").json()
    assert told["file"] is None
    assert str(photos.parent) not in str(told)


def test_an_exposed_server_names_no_folder_in_its_errors(guarded: TestClient, photos: Path) -> None:
    with Library.open(photos) as library:
        settings = replace(EXPOSED, writable=True)
        with TestClient(create_app(library, settings), base_url="http://192.0.2.7:8484") as client:
            client.headers.update({"Authorization": f"Bearer {TOKEN}"})
            same = {"kind": "not-duplicate", "image": 1, "others": [1]}
            answer = client.post("/api/feedback", json=same)
    path = library_path(answer.json()["error"])
    assert answer.status_code == 400 and str(photos.parent) not in answer.text
    assert (photos / path).is_file()


def library_path(sentence: str) -> str:
    return sentence.partition(" ")[0]


def test_texts_for_other_machines_are_freed_of_folders(library: Library, photos: Path) -> None:
    told = {
        "message": f"{photos}/odd/1.jpg is broken; {photos}2/x and {photos.parent} stay",
        "added": [f"{library.folder}: is busy", 7, (f"{photos}", None)],
    }
    assert redact_paths(library, told) == {
        "message": f"odd/1.jpg is broken; {photos}2/x and {photos.parent} stay",
        "added": ["the library: is busy", 7, ["the library", None]],
    }


def test_one_address_cannot_take_everything(library: Library) -> None:
    with TestClient(create_app(library, Settings(rate=0.01)), base_url=ADDRESS) as client:
        assert client.get("/health").status_code == 200  # the one that the bucket holds
        refused = client.get("/health")
        assert refused.status_code == 429
        assert 90 <= int(refused.headers["retry-after"]) <= 101


def test_a_bucket_fills_with_time() -> None:
    now = 0.0
    buckets = TokenBuckets(2.0, 3.0, lambda: now)
    assert [buckets.delay("a") for _ in range(4)] == [0, 0, 0, 0.5]
    assert buckets.delay("b") == 0
    now = 0.5
    assert [buckets.delay("a") for _ in range(2)] == [0, 0.5]
    now = 100.0
    assert [buckets.delay("a") for _ in range(4)] == [0, 0, 0, 0.5]


# ---- what is sent ----


def test_too_many_bytes_are_refused_before_they_are_sent(library: Library) -> None:
    settings = Settings(max_upload_bytes=100_000)
    with running(create_app(library, settings)) as port:
        head = f"POST /api/uploads HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        announced = exchange(port, f"{head}Content-Length: 200000000\r\n\r\n".encode())
        assert announced.startswith(b"HTTP/1.1 413 ")
        chunk = b"8000\r\n" + bytes(0x8000) + b"\r\n"
        endless = f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunk * 4
        assert exchange(port, endless).startswith(b"HTTP/1.1 413 ")
        assert b" 200 OK" in exchange(port, get("/health", port))


def test_where_only_words_are_sent_they_are_few(client: TestClient) -> None:
    many = {f"{number}": 1 for number in range(20_000)}
    for method, address in (
        ("POST", "/api/session"),
        ("POST", "/api/feedback"),
        ("DELETE", "/api/feedback"),
        ("POST", "/api/ann"),
    ):
        answer = client.request(method, address, json=many, headers=CSRF_HEADERS)
        assert answer.status_code == 413
        assert "at most 66 KB here" in answer.json()["error"]


def test_an_object_of_very_many_names_is_refused_as_a_whole(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(_: object) -> None:
        raise AssertionError("each name was looked at")

    monkeypatch.setattr(SearchParams, "model_validate", never)
    many = {f"{number}": 1 for number in range(101)}
    for answer in (
        client.post("/api/batch", json={"queries": [many]}),
        client.post("/api/batch", json=many),
        client.post("/api/search", files={"query": (None, json.dumps(many))}),
    ):
        assert answer.status_code == 413
        assert "101 keys in one object" in answer.json()["error"]


def test_all_that_is_sent_at_a_time_together_is_limited() -> None:
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
            await send(stack, small)  # a question without a picture is always heard
            assert held.held == 10 * len(piece) + 100
        assert held.held == 0
        with ExitStack() as stack:
            await send(stack)

    run_async(visitors())


def test_a_body_that_never_ends_is_given_up(library: Library) -> None:
    with running(create_app(library, Settings(body_seconds=0.3))) as port:
        begun = f"POST /api/uploads HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 5000\r\n\r\nabc"
        assert exchange(port, begun.encode()).startswith(b"HTTP/1.1 408 ")
        assert b" 200 OK" in exchange(port, get("/health", port))


def test_a_connection_that_is_cut_harms_nobody(
    library: Library, caplog: pytest.LogCaptureFixture
) -> None:
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
    """A PNG of a few hundred bytes that says it has 40,000 × 40,000 pixels."""

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
            b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>" + b" " * 99,
            415,
        ),
        (b"<!doctype html><script>alert(1)</script>" + b" " * 99, 415),
        (b"GIF", 415),
        (b"", 422),
    ],
    ids=["broken", "bomb", "svg", "html", "tiny", "nothing"],
)
def test_what_is_no_picture_gets_the_right_status(
    client: TestClient, data: bytes, status: int
) -> None:
    for answer in (
        client.post("/api/uploads", content=data),
        client.post("/api/uploads", files={"image": ("cat.jpg", data)}),
        client.post("/api/search", files={"image": ("cat.jpg", data)}, data={"query": '{"k": 1}'}),
    ):
        if data or "search" not in str(answer.url):
            assert answer.status_code == status, answer.text
            assert list(answer.json()) == ["error"]
    assert client.get("/health").status_code == 200


def test_the_pixels_of_an_upload_are_limited(photos: Path, image_bytes: bytes) -> None:
    with (
        Library.open(photos, limits=replace(Limits(), max_pixels=1000)) as strict,
        TestClient(create_app(strict, Settings()), base_url=ADDRESS) as client,
    ):
        answer = client.post("/api/uploads", content=image_bytes)
    assert answer.status_code == 413
    assert "48×48" in answer.json()["error"]


def test_a_picture_that_is_named_again_and_again_is_in_memory_once(
    client: TestClient, image_bytes: bytes
) -> None:
    state = client.app.state.server  # type: ignore[attr-defined]
    name = client.post("/api/uploads", content=image_bytes).json()["upload"]
    read: dict[str, bytes] = {}
    words = SearchParams.model_validate({"upload": [name] * 9, "not_upload": [f"0.1:{name}"]})
    question = query_of_params(state, words, read)
    assert [term.image is read[name] for term in question.terms] == [True] * 10
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
def test_a_question_has_no_more_parts_than_can_be_borne(
    client: TestClient, word: str, most: int
) -> None:
    for answer in (
        client.get("/api/search", params=[(word, "1")] * (most + 1)),
        client.post("/api/batch", json={"queries": [{word: ["1"] * (most + 1)}]}),
    ):
        assert answer.status_code == 422
        assert f"at most {most} items" in answer.json()["error"]


def test_uploads_are_forgotten_beyond_a_number_of_bytes(library: Library, tmp_path: Path) -> None:
    several = [draw(tmp_path / f"{n}.png", 2000 + n).read_bytes() for n in range(6)]
    settings = Settings(upload_cache_bytes=5000, folder=tmp_path / "kept")
    with TestClient(create_app(library, settings), base_url=ADDRESS) as client:
        names = [client.post("/api/uploads", content=data).json()["upload"] for data in several]
        there = [client.get(f"/api/uploads/{name}").status_code for name in names]
    assert there[0] == 404 and there[-1] == 200
    kept = sum(file.stat().st_size for file in (tmp_path / "kept" / "uploads").iterdir())
    assert kept <= settings.upload_cache_bytes


def test_addresses_are_fetched_only_where_that_is_allowed_and_never_from_here(
    client: TestClient, library: Library
) -> None:
    named = {"url": "https://pictures.example/cat.jpg"}
    refused = client.post("/api/uploads", json=named)
    assert refused.status_code == 403 and "--allow-url" in refused.json()["error"]
    settings = Settings(allow_url=True)
    with TestClient(create_app(library, settings), base_url=ADDRESS) as open_one:
        for url in (f"{ADDRESS}/api/images/1/file", "http://[::1]/", "http://169.254.169.254/"):
            answer = open_one.post("/api/uploads", json={"url": url})
            assert answer.status_code == 400
            assert "public internet" in answer.json()["error"] or "ports" in answer.json()["error"]
        assert open_one.post("/api/uploads", json={"url": 7}).status_code == 422


# ---- what is given out ----


def test_a_link_out_of_the_library_is_not_followed(tmp_path: Path) -> None:
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


def test_a_file_that_became_a_page_is_not_sent(tmp_path: Path) -> None:
    folder = album(tmp_path / "photos", 4)
    with Library.create(folder) as library:
        library.add([folder], extractors=["color"])
        (folder / "000.jpg").write_text("<html><script>alert(1)</script></html>" * 10)
        with TestClient(create_app(library, Settings()), base_url=ADDRESS) as client:
            images = client.get("/api/images").json()["images"]
            one = next(image["id"] for image in images if image["path"] == "000.jpg")
            assert client.get(f"/api/images/{one}/file").status_code == 415


def test_pictures_are_sent_as_pictures_and_nothing_else(client: TestClient) -> None:
    answer = client.get("/api/images/1/file")
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "script" not in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "address",
    [
        "/page/../app.py", "/page/%2e%2e/app.py", "/page/..%2fapp.py", "/page//etc/passwd", "/page/%00",
        "/api/images/..%2f..%2fetc%2fpasswd/file", "/api/images/0/file", "/api/images/-1/file",
        "/api/images/99999999999999999999/file", "/api/uploads/..%2f..%2fsettings.py",
    ],
)  # fmt: skip
def test_no_address_leads_to_a_file_by_its_path(client: TestClient, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code in (404, 422)
    assert list(answer.json()) == ["error"]


def test_every_answer_carries_the_policy(client: TestClient) -> None:
    for address in ("/", "/api/info", "/nothing", "/api/search", "/api/images/999999"):
        headers = client.get(address).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy and "http:" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


def test_a_mistake_of_ours_is_told_in_one_sentence_and_logged(
    library: Library, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(library, Settings())

    @app.get("/mistake")
    async def mistake() -> None:
        raise ZeroDivisionError("the secret 4711")

    with TestClient(app, base_url=ADDRESS) as client:
        answer = client.get("/mistake")
        assert (answer.status_code, list(answer.json())) == (500, ["error"])
        assert "4711" not in answer.text
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert client.get("/health").status_code == 200
    assert "4711" in caplog.text


def test_the_log_has_neither_words_nor_tokens(
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
