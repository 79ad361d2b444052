"""Time from a response to its first frame, and frame rates of the web page, in Chromium.

    python benchmarks/page.py [--products 400] [--queries 20]

Serves a simulated catalogue (five images of each product), searches by pressing "more like this", scrolls
through the hits, and pans the map. The time is from the last byte of the response to the first frame after
the tiles are in the document. Needs Chromium at /usr/bin/chromium and playwright.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.catalogue.generate import write_catalogue
from lookalike.library import Library

if TYPE_CHECKING:
    from playwright.sync_api import Page

CHROMIUM = "/usr/bin/chromium"
FRAMES = """() => new Promise((done) => {
    const times = [];
    const frame = (now) => {
        times.push(now);
        if (now - times[0] < 3000) requestAnimationFrame(frame); else done(times);
    };
    requestAnimationFrame(frame);
})"""
HITS_DRAWN = (
    "() => performance.getEntriesByName('drawn').some((mark) => mark.detail.startsWith('?'))"
)
DRAWING_TIME = """() => {
    const drawn = performance.getEntriesByName("drawn").at(-1).startTime;
    const searches = performance.getEntriesByType("resource")
        .filter((entry) => entry.name.includes("api/search"));
    return drawn - searches.at(-1).responseEnd;
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--products", type=int, default=400)
    parser.add_argument("--queries", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        shop = Path(scratch) / "shop"
        write_catalogue(shop, products=options.products, views=5)
        with Library.create(shop) as library:
            library.add([shop])
        command = [sys.executable, "-m", "lookalike.cli", "serve", str(shop)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as server:
            assert server.stdout is not None
            lines = (line.decode("utf-8", "replace") for line in server.stdout)
            found = (re.search(r"http://[\d.]+:\d+/", line) for line in lines)
            address = next(match[0] for match in found if match)
            try:
                measure(address, options.queries)
            finally:
                server.terminate()


def measure(address: str, queries: int) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--headless", "--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(address)
        page.wait_for_selector(".tile")
        waits = [drawing_time(page, number) for number in range(queries)]
        print(f"{queries} pages of 60 hits, from response to first frame: median "
              f"{statistics.median(waits):.0f} ms, slowest {max(waits):.0f} ms")  # fmt: skip
        page.mouse.move(600, 500)
        print(f"scrolling through hits: {rate(page, lambda: page.mouse.wheel(0, 240))}")
        page.goto(address + "?page=map&method=pca")
        page.wait_for_selector(".map-canvas canvas", timeout=120_000)
        page.mouse.move(700, 500)
        page.mouse.down()
        side = [1]

        def drag() -> None:
            side[0] = -side[0]
            page.mouse.move(700 + side[0] * 90, 500 + side[0] * 60, steps=3)

        print(f"panning the map: {rate(page, drag)}")
        browser.close()


def drawing_time(page: Page, number: int) -> float:
    """Return the milliseconds from the response to a query to its first frame."""
    page.goto(page.url.split("?")[0])
    tile = page.locator(".tile").nth(number)
    tile.hover()
    tile.locator(".plus").click()
    page.wait_for_function(HITS_DRAWN)
    return float(page.evaluate(DRAWING_TIME))


def rate(page: Page, move: object) -> str:
    """Describe the frame rate while something moves for three seconds."""
    assert callable(move)
    page.evaluate(f"globalThis.frames_ = ({FRAMES})(); 0")
    for _ in range(40):
        move()
        page.wait_for_timeout(50)
    times = page.evaluate("globalThis.frames_")
    gaps = sorted(b - a for a, b in pairwise(times))
    return (
        f"{1000 / statistics.mean(gaps):.0f} frames per second, the slowest frame {gaps[-1]:.0f} ms"
    )


if __name__ == "__main__":
    main()
