"""How soon an answer is seen after it has arrived, and whether the page stays smooth, in a real Chromium.

    python benchmarks/page.py [--products 400] [--questions 20]

Draws a catalogue (five pictures of each product), serves it, asks by pressing "more like this", scrolls
through the answers, and moves the map. Drawn: from the last byte of the answer to the first frame after
its pictures stand in their places. Needs Chromium at /usr/bin/chromium and playwright.
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
    const at = [];
    const frame = (now) => {
        at.push(now);
        if (now - at[0] < 3000) requestAnimationFrame(frame); else done(at);
    };
    requestAnimationFrame(frame);
})"""
ANSWERED = "() => performance.getEntriesByName('drawn').some((mark) => mark.detail.startsWith('?'))"
WAITED = """() => {
    const drawn = performance.getEntriesByName("drawn").at(-1).startTime;
    const asked = performance.getEntriesByType("resource").filter((one) => one.name.includes("api/search"));
    return drawn - asked.at(-1).responseEnd;
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--products", type=int, default=400)
    parser.add_argument("--questions", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        shop = Path(scratch) / "shop"
        write_catalogue(shop, products=options.products, views=5)
        with Library.create(shop) as library:
            library.add([shop])
        command = [sys.executable, "-m", "lookalike.cli", "serve", str(shop)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as server:
            assert server.stdout is not None
            said = (line.decode("utf-8", "replace") for line in server.stdout)
            found = (re.search(r"http://[\d.]+:\d+/", line) for line in said)
            address = next(match[0] for match in found if match)
            try:
                measure(address, options.questions)
            finally:
                server.terminate()


def measure(address: str, questions: int) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--headless", "--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(address)
        page.wait_for_selector(".tile")
        waits = [asked(page, number) for number in range(questions)]
        print(f"{questions} answers of 60 pictures drawn after arriving: median "
              f"{statistics.median(waits):.0f} ms, slowest {max(waits):.0f} ms")  # fmt: skip
        page.mouse.move(600, 500)
        print(f"scrolling through answers: {rate(page, lambda: page.mouse.wheel(0, 240))}")
        page.goto(address + "?page=map&method=pca")
        page.wait_for_selector(".map-canvas canvas", timeout=120_000)
        page.mouse.move(700, 500)
        page.mouse.down()
        side = [1]

        def drag() -> None:
            side[0] = -side[0]
            page.mouse.move(700 + side[0] * 90, 500 + side[0] * 60, steps=3)

        print(f"moving the map: {rate(page, drag)}")
        browser.close()


def asked(page: Page, number: int) -> float:
    """Milliseconds until the answer to one question could be seen."""
    page.goto(page.url.split("?")[0])
    tile = page.locator(".tile").nth(number)
    tile.hover()
    tile.locator(".plus").click()
    page.wait_for_function(ANSWERED)
    return float(page.evaluate(WAITED))


def rate(page: Page, move: object) -> str:
    """Frames a second while something moves for three seconds."""
    assert callable(move)
    page.evaluate(f"globalThis.frames_ = ({FRAMES})(); 0")
    for _ in range(40):
        move()
        page.wait_for_timeout(50)
    at = page.evaluate("globalThis.frames_")
    gaps = sorted(b - a for a, b in pairwise(at))
    return (
        f"{1000 / statistics.mean(gaps):.0f} frames a second, the slowest frame {gaps[-1]:.0f} ms"
    )


if __name__ == "__main__":
    main()
