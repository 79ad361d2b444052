"""The pictures of the page in the docs, taken of the demo's shop in a real Chromium.

    lookalike demo --folder DEMO
    python docs/draw_page.py DEMO [--out docs/images]

Needs Playwright and Debian's `chromium`. Whoever changes the page or the built-in network takes them again.
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/")
WIDE, HIGH = 1440, 900
SETTLED = 1500
"""Milliseconds after which nothing fades or moves any more."""


@contextmanager
def serving(demo: Path) -> Iterator[str]:
    """The address of a server of the demo's library."""
    command = [sys.executable, "-u", "-m", "lookalike.cli", "serve", str(demo), "--writable"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        found = next(filter(None, map(ADDRESS.search, server.stdout)), None)
        assert found, "the server did not say where it is"
        try:
            yield found[0]
        finally:
            server.terminate()


def save(page: Any, out: Path) -> None:
    """What the window shows, as a JPEG."""
    with Image.open(io.BytesIO(page.screenshot())) as picture:
        picture.convert("RGB").save(out, "JPEG", quality=88, optimize=True, progressive=True)


def search(page: Any, address: str, query: Path, out: Path) -> int:
    """A picture that is not in the library, and its answers; the id of the best."""
    page.goto(address)
    with page.expect_file_chooser() as chooser:
        page.click("text=Choose a picture")
    chooser.value.set_files(str(query))
    page.wait_for_function("() => location.search.includes('upload=')")
    page.wait_for_selector("text=The most alike of")
    page.wait_for_selector(".grid .tile")
    page.wait_for_selector("#found:not([aria-busy])")
    page.wait_for_load_state("networkidle")
    page.hover(".grid .tile >> nth=1")
    page.wait_for_timeout(SETTLED)
    save(page, out)
    return int(page.get_attribute(".grid .tile >> nth=0", "data-id"))


def why(page: Any, address: str, best: int, out: Path) -> None:
    """The picture that is most like the best hit, large, and why it matched."""
    page.goto(f"{address}?image={best}")
    page.wait_for_selector("#found:not([aria-busy])")
    page.click(".grid .tile a >> nth=1")
    page.click("text=Why did it match?")
    page.wait_for_selector(".heatmap >> nth=1")
    page.wait_for_selector("text=/^Covering what is outlined/")
    page.wait_for_load_state("networkidle")
    save(page, out)


def plane(page: Any, address: str, out: Path) -> None:
    """The map of the whole shop, by kind."""
    page.goto(f"{address}?page=map")
    page.wait_for_selector(".map-canvas canvas", timeout=120_000)
    page.wait_for_load_state("networkidle")
    page.select_option("select >> nth=1", "kind")
    page.wait_for_selector("text=Laying the pictures out", state="hidden", timeout=120_000)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(SETTLED)
    save(page, out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("demo", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    assert chromium, "install Debian's package `chromium`"
    with serving(given.demo) as address, sync_playwright() as run:
        browser = run.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDE, "height": HIGH})
        best = search(page, address, given.demo / "query.jpg", given.out / "page-search.jpg")
        why(page, address, best, given.out / "page-why.jpg")
        plane(page, address, given.out / "page-map.jpg")
        browser.close()


if __name__ == "__main__":
    main()
