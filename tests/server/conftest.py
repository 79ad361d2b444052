"""A library of 40 images, a client in front of a read-only server, and jobs without processes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.library.image_builders import album, draw

from lookalike.library import Library
from lookalike.server.app import create_app
from lookalike.server.jobs import process, runner
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


class ThreadOfJob:
    """Stands in for the `subprocess.Popen` of a job that is not cancelled: one starts in a second."""

    def __init__(self) -> None:
        source, target = os.pipe()
        reader, writer = socket.socketpair()
        self.stdin, self.stdout = os.fdopen(target, "wb"), reader.makefile("rb")
        self._reader, self._status = reader, 1
        self._thread = threading.Thread(target=self._work, args=(source, writer))
        self._thread.start()

    def _work(self, source: int, writer: socket.socket) -> None:
        try:
            with os.fdopen(source) as given, writer, writer.makefile("wb") as out:
                process.run(json.loads(given.readline()), out, ready=lambda: None)
            self._status = 0
        except BrokenPipeError:  # it was killed
            pass
        except Exception:
            traceback.print_exc()

    def kill(self) -> None:
        if self._thread.is_alive():
            self._reader.shutdown(socket.SHUT_RDWR)

    def wait(self) -> int:
        self._thread.join()
        self._reader.close()
        return self._status


@pytest.fixture
def jobs_in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do jobs in this process, where how they are started and end is not the point."""

    def start(program: Sequence[str], **pipes: Any) -> Any:
        own = tuple(program) == runner.PROGRAM
        return ThreadOfJob() if own else subprocess.Popen(program, **pipes)

    stand_in = SimpleNamespace(Popen=start, PIPE=subprocess.PIPE)
    monkeypatch.setattr(runner, "subprocess", stand_in)
