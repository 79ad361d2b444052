"""The examples of HTTP in Python, JavaScript and curl work as they stand."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.library.image_builders import album
from tests.server.live_server import running

from lookalike import IndexOptions, Library
from lookalike.server.app import create_app
from lookalike.server.settings import Settings

EXAMPLES = Path(__file__).parents[2] / "examples" / "http"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return album(tmp_path_factory.mktemp("photos"), 6)


@pytest.fixture(scope="module")
def address(photos: Path) -> Iterator[str]:
    with Library.create(photos) as library:
        library.add(photos, extractors=["color"], options=IndexOptions(workers=1))
        with running(create_app(library, Settings())) as port:
            yield f"http://127.0.0.1:{port}"


def run(program: str | None, example: str, address: str, photos: Path) -> str:
    if program is None:
        pytest.skip(f"needs the program that runs {example}")
    command = [program, str(EXAMPLES / example), address, str(photos / "000.jpg")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("program", "example"), [(sys.executable, "search.py"), (shutil.which("node"), "search.mjs")]
)
def test_a_program_searches_and_gets_a_vector(
    program: str | None, example: str, address: str, photos: Path
) -> None:
    lines = run(program, example, address, photos).splitlines()
    assert lines[0] == "000.jpg" and len(lines) == 4 and lines[-1] == "color 384"


def test_curl_searches_and_gets_a_vector(address: str, photos: Path) -> None:
    sh = shutil.which("sh") if shutil.which("curl") else None
    hits, made = map(json.loads, run(sh, "search.sh", address, photos).splitlines())
    assert hits["hits"][0]["path"] == "000.jpg"
    assert len(made["images"]) == 1 and len(made["images"][0]) == made["dim"] == 384
