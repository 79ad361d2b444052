"""A server of a simulated shop, and a Chromium that opens its page."""

from __future__ import annotations

import os
import re
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

ADDRESS = re.compile(r"http://[\w.-]+:\d+/")

PRODUCTS, VIEWS = 16, 4

Open = Callable[..., "Page"]


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a library of 64 images of 16 products, two copies and a truncated file."""
    folder = tmp_path_factory.mktemp("page") / "shop"
    rows = write_catalogue(folder, products=PRODUCTS, views=VIEWS)
    copies = folder / "copies"
    copies.mkdir()
    (copies / "same.jpg").write_bytes((folder / rows[0].path).read_bytes())
    with Image.open(folder / rows[VIEWS].path) as image:
        image.resize((128, 128)).save(copies / "smaller.jpg", quality=80)
    (copies / "broken.jpg").write_bytes((folder / rows[0].path).read_bytes()[:900])
    with Library.create(folder) as library:
        options = IndexOptions(metadata=folder / "products.csv")
        library.add([folder], extractors=["color", "phash", "dhash"], options=options)
    return folder


@pytest.fixture(scope="session")
def address(shop: Path) -> Iterator[str]:
    """Serve the shop and return its address."""
    with serving(shop, "--writable") as found:
        yield found


@contextmanager
def serving(shop: Path, *options: str) -> Iterator[str]:
    """Run `lookalike serve` and yield its address."""
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
        try:
            found = next(filter(None, map(ADDRESS.search, server.stdout)), None)
            assert found, "the server printed no address"
            yield found[0]
        finally:
            server.terminate()
            server.wait(20)


@pytest.fixture
def open_page(browser: Browser, address: str) -> Iterator[Open]:
    """Return a function that opens the page at an address such as "?image=3".

    Errors in its console fail the test."""
    contexts: list[BrowserContext] = []
    errors: list[str] = []

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
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: record(errors, message.type, message.text))
        page.goto(address + search)
        return page

    yield open
    for context in contexts:
        context.close()
    assert not errors


def record(errors: list[str], kind: str, text: str) -> None:
    """Record a console error. Failed requests are left out: tests provoke them, and the page shows them."""
    if kind == "error" and not text.startswith("Failed to load resource"):
        errors.append(text)
