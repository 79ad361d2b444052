"""A drawn shop behind a real server, and a real Chromium in front of it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from lookalike.catalogue.generate import write_catalogue
from lookalike.indexing.report import IndexOptions
from lookalike.library import Library

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/")

PRODUCTS, VIEWS = 16, 4

Open = Callable[..., "Page"]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not Path(CHROMIUM).exists():
        pytest.skip("Chromium is not installed (Debian's package `chromium`)")
    with playwright.sync_playwright() as run:
        browser = run.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """64 pictures of 16 products, two copies of two of them, and a file that is broken."""
    folder = tmp_path_factory.mktemp("page") / "shop"
    rows = write_catalogue(folder, products=PRODUCTS, views=VIEWS)
    copies = folder / "copies"
    copies.mkdir()
    (copies / "same.jpg").write_bytes((folder / rows[0].path).read_bytes())
    with Image.open(folder / rows[VIEWS].path) as picture:
        picture.resize((128, 128)).save(copies / "smaller.jpg", quality=80)
    (copies / "broken.jpg").write_bytes((folder / rows[0].path).read_bytes()[:900])
    with Library.create(folder) as library:
        options = IndexOptions(metadata=folder / "products.csv")
        library.add([folder], extractors=["color", "phash", "dhash"], options=options)
    return folder


@pytest.fixture(scope="session")
def address(shop: Path) -> Iterator[str]:
    """Where the program serves the shop."""
    with serving(shop, "--writable") as found:
        yield found


@contextmanager
def serving(shop: Path, *options: str) -> Iterator[str]:
    """The address of the program that serves the shop meanwhile."""
    command = [sys.executable, "-W", "ignore", "-m", "lookalike.cli", "serve", str(shop)]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [*command, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    ) as server:
        assert server.stdout is not None
        found = next(filter(None, map(ADDRESS.search, server.stdout)), None)
        assert found, "the server did not say where it is"
        yield found[0]
        server.terminate()
        server.wait(20)


@pytest.fixture
def open_page(browser: Browser, address: str) -> Iterator[Open]:
    """Opens the page at an address such as "?image=3"; `mistakes` of the page fail the test."""
    contexts: list[BrowserContext] = []
    mistakes: list[str] = []

    def open(search: str = "", **options: object) -> Page:
        settings = {
            "viewport": {"width": 1280, "height": 800},
            "reduced_motion": "reduce",
            **options,
        }
        context = browser.new_context(**settings)  # type: ignore[arg-type]
        context.set_default_timeout(20_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: mistakes.append(str(error)))
        page.on("console", lambda said: note(mistakes, said.type, said.text))
        page.goto(address + search)
        return page

    yield open
    for context in contexts:
        context.close()
    assert not mistakes


def note(mistakes: list[str], kind: str, text: str) -> None:
    """Failed requests are said on the page, and tests provoke them; all else is a mistake."""
    if kind == "error" and not text.startswith("Failed to load resource"):
        mistakes.append(text)
