"""A library in PostgreSQL, as users name it: by URL, in Python, on the command line and on servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from tests.cli.program_runner import lookalike
from tests.library.image_builders import album
from tests.server.conftest import ADDRESS, CSRF_HEADERS
from tests.stores.postgres_server import new_url, server

from lookalike import Library
from lookalike.errors import MissingExtra, NoLibrary, UsageError
from lookalike.server.app import create_app
from lookalike.server.settings import Settings
from lookalike.stores import open_store

EXTRACTORS = ["histogram", "phash"]
HERE = Path("/")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return album(tmp_path / "photos", 6)


@pytest.fixture
def url() -> str:
    return new_url().replace("postgres:@", "postgres:geheim@")


@pytest.fixture
def library(photos: Path, url: str, tmp_path: Path) -> Iterator[Library]:
    with Library.create(photos, folder=url) as library:
        library.add([photos], extractors=EXTRACTORS)
        yield library


def test_hits_are_those_of_a_library_in_a_folder(library: Library, photos: Path, url: str) -> None:
    with Library.create(photos) as local, Library.open(url, read_only=True) as opened:
        local.add([photos], extractors=EXTRACTORS)
        for query in sorted(photos.rglob("*.jpg")):
            for extractor in EXTRACTORS:
                found, expected = (
                    one.search(query, extractor=extractor, k=6) for one in (opened, local)
                )
                assert [(hit.path, hit.similarity, hit.relevance) for hit in found.hits] == [
                    (hit.path, hit.similarity, hit.relevance) for hit in expected.hits
                ]
    assert library.home == photos
    assert library.thumbnails.get(1, 64).data.startswith(b"\xff\xd8")


def test_no_password_is_shown(library: Library, url: str) -> None:
    assert "geheim" in str(library.address)
    assert "geheim" not in library.info().location
    info = lookalike("info", "--library", url, cwd=HERE)
    assert info.returncode == 0
    assert "6 images" in (info.stdout + info.stderr)
    assert "geheim" not in (info.stdout + info.stderr)


def test_commands_take_the_url(library: Library, photos: Path, url: str) -> None:
    found = lookalike("search", str(photos / "000.jpg"), "-k", "1", "--library", url, cwd=HERE)
    assert (found.returncode, "000.jpg" in found.stdout) == (0, True)
    (photos / "000.jpg").unlink()
    assert lookalike("index", str(photos), "--library", url, cwd=HERE).returncode == 0
    assert "intact: 10 vectors" in lookalike("check", "--library", url, cwd=photos).stdout
    missing = lookalike("search", "cat.jpg", "--library", new_url(), cwd=HERE)
    assert missing.returncode == 2
    assert "no library in" in missing.stderr


def test_a_library_that_stays_empty_is_dropped_again(tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    (tmp_path / "nothing" / "notes.txt").write_text("no image")
    url = new_url()
    assert lookalike("index", str(tmp_path / "nothing"), "--library", url, cwd=HERE).returncode != 2
    with pytest.raises(NoLibrary):
        Library.open(url)


def test_servers_on_one_database_agree_after_a_change(library: Library, url: str) -> None:
    with Library.open(url) as other:
        settings = Settings(writable=True)
        with (
            TestClient(create_app(library, settings), base_url=ADDRESS) as one,
            TestClient(create_app(other, settings), base_url=ADDRESS) as two,
        ):
            asked = "/api/search?image=1&extractor=histogram&k=6"
            before = [client.get(asked).json() for client in (one, two)]
            assert len(before[0]["hits"]) == 6
            assert before[0]["hits"] == before[1]["hits"]
            gone = before[0]["hits"][-1]["id"]
            assert one.delete(f"/api/images/{gone}", headers=CSRF_HEADERS).status_code == 200
            after = [client.get(asked).json()["hits"] for client in (one, two)]
            assert after[0] == after[1] == before[0]["hits"][:-1]
            health = two.get("/health")
            assert (health.status_code, health.json()["reachable"]) == (200, {"database": True})
            info = two.get("/api/info")
            assert "geheim" not in info.text


def test_the_health_of_a_server_says_when_the_database_is_away(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    with TestClient(create_app(library, Settings()), base_url=ADDRESS) as client:
        from lookalike.stores.postgres.url import parse_url

        library._store._readers.close()  # type: ignore[attr-defined]
        away = parse_url("postgresql://me:geheim@127.0.0.1:1/db")
        monkeypatch.setattr(library._store._readers, "_url", away)  # type: ignore[attr-defined]
        health = client.get("/health")
        assert health.status_code == 503
        assert health.json()["status"] == "unavailable"
        assert health.json()["reachable"] == {"database": False}
        search = client.get("/api/search?image=1")
        assert search.status_code == 503
        assert "no connection" in search.json()["error"]
        assert "geheim" not in search.text


def test_a_missing_package_and_another_scheme_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server()
    with pytest.raises(UsageError, match="postgresql://USER@HOST"):
        Library.open("mysql://me:geheim@server/db")
    with pytest.raises(UsageError, match="GPU"):
        Library.open(new_url(), device="cuda")
    import sys

    for name in [
        name for name in sys.modules if name.startswith("lookalike.stores.postgres.store")
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtra, match=r"lookalike\[postgres\]"):
        open_store.open_store("postgresql://server/db")
