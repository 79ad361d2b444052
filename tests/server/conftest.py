"""A library of 40 images, and a client in front of a read-only server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from tests.library.image_builders import album, draw

from lookalike.library import Library
from lookalike.server.app import create_app
from lookalike.server.settings import Settings

ADDRESS = "http://127.0.0.1:8484"
CSRF_HEADERS = {"X-Lookalike": "1"}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty images and one broken file, indexed with `color` and `phash`."""
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
    """A browser on this machine, in front of a read-only server that waits long for jobs."""
    settings = Settings(job_wait=120.0)
    with TestClient(create_app(library, settings), base_url=ADDRESS) as client:
        yield client


@pytest.fixture
def image_bytes(tmp_path: Path) -> bytes:
    """The bytes of an image that is not in the library."""
    return draw(tmp_path / "new.png", 1000).read_bytes()
