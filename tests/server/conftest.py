"""A small library behind a server, called without a network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from tests.library.drawing import album, draw

from lookalike.library import Library
from lookalike.server.app import create_app
from lookalike.server.routes import explain, review
from lookalike.server.routes import library as library_routes
from lookalike.server.settings import Settings

ADDRESS = "http://127.0.0.1:8484"
MARKED = {"X-Lookalike": "1"}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty pictures, and one file that is none; indexed by colour and by hash."""
    folder = album(tmp_path_factory.mktemp("web") / "photos", 40)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(400))
    with Library.create(folder) as library:
        library.add([folder], extractors=["color", "phash"])
    return folder


@pytest.fixture(scope="module")
def library(photos: Path) -> Iterator[Library]:
    with Library.open(photos) as library:
        yield library


@pytest.fixture(scope="module")
def client(library: Library) -> Iterator[TestClient]:
    """A browser on this machine, in front of a server that only reads."""
    with TestClient(create_app(library, Settings()), base_url=ADDRESS) as client:
        yield client


@pytest.fixture
def picture(tmp_path: Path) -> bytes:
    """A picture that is not in the library."""
    return draw(tmp_path / "new.png", 1000).read_bytes()


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes long is waited for in one request, however busy the machine is."""
    for routes in (review, explain, library_routes):
        monkeypatch.setattr(routes, "PATIENCE", 120.0)
