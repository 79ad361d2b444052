"""What the web page costs its user, in Chromium: waits, frames, layout shift, memory, size.

    python benchmarks/page.py [--library DIR | --products 400]

Serves a library, or a simulated catalogue with five images of each product, and measures at 1440 x 900:
the time to the first thumbnail, from dropping an image to its hits in place (without the time of the
extractor), the layout shift of both, frames while scrolling, the wait for thumbnails after a fling to an
unseen place, frames of the map, memory, and the compressed size of the scripts. Needs Chromium at
/usr/bin/chromium and playwright.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.catalogue.generate import write_catalogue
from lookalike.library import Library

if TYPE_CHECKING:
    from playwright.sync_api import CDPSession, Page

CHROMIUM = "/usr/bin/chromium"

# Recorded from the first document on: layout shift, and when the first thumbnail is in place.
OBSERVE = """
globalThis.shift = 0;
new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) globalThis.shift += entry.hadRecentInput ? 0 : entry.value;
}).observe({type: "layout-shift", buffered: true});
document.addEventListener("load", (event) => {
    if (event.target.matches?.(".tile img") && !globalThis.firstTile)
        globalThis.firstTile = performance.now();
}, true);
"""
FRAMES = """(ms) => new Promise((done) => {
    const times = [];
    const frame = (now) => {
        times.push(now);
        if (now - times[0] < ms) requestAnimationFrame(frame); else done(times);
    };
    requestAnimationFrame(frame);
})"""
DROP = """async (source) => {
    const blob = await (await fetch(source)).blob();
    const data = new DataTransfer();
    data.items.add(new File([blob], "dropped.jpg", {type: "image/jpeg"}));
    performance.clearMarks("drawn");
    const event = (type) => new DragEvent(type, {dataTransfer: data, bubbles: true, cancelable: true});
    document.body.dispatchEvent(event("dragenter"));
    globalThis.dropped = performance.now();
    document.querySelector("[data-zone=replace]").dispatchEvent(event("drop"));
}"""
DRAWN = (
    "() => performance.getEntriesByName('drawn').some((mark) => mark.detail.includes('upload='))"
)
COMPLETE = """() => {
    const seen = [...document.querySelectorAll(".tile img")].filter((image) => {
        const {top, bottom} = image.getBoundingClientRect();
        return bottom > 0 && top < innerHeight;
    });
    return seen.length > 3 && seen.every((image) => image.complete && image.naturalWidth > 0);
}"""
SCRIPT_BYTES = """() => performance.getEntriesByType("resource")
    .filter((entry) => entry.name.endsWith(".js")).reduce((sum, entry) => sum + entry.encodedBodySize, 0)"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--products", type=int, default=400)
    parser.add_argument("--library", type=Path, help="an indexed folder instead of the catalogue")
    parser.add_argument("--queries", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.library or Path(scratch) / "shop"
        if not options.library:
            write_catalogue(folder, products=options.products, views=5)
            with Library.create(folder) as library:
                library.add([folder])
        with serving(folder) as address:
            measure(address, options.queries)


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a library and yield its address."""
    command = [sys.executable, "-m", "lookalike.cli", "serve", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as server:
        assert server.stdout is not None
        lines = (line.decode("utf-8", "replace") for line in server.stdout)
        found = (re.search(r"http://[\d.]+:\d+/", line) for line in lines)
        try:
            yield next(match[0] for match in found if match)
        finally:
            server.terminate()


def measure(address: str, queries: int) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--headless", "--no-sandbox", "--disable-gpu", "--enable-precise-memory-info"],
        )
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.add_init_script(OBSERVE)
        firsts, shifts = [], []
        for _ in range(5):
            page.goto("about:blank")
            page.goto(address)
            page.wait_for_function("() => globalThis.firstTile")
            firsts.append(page.evaluate("globalThis.firstTile"))
            page.wait_for_timeout(300)
            shifts.append(page.evaluate("globalThis.shift"))
        print(f"first thumbnail: median {statistics.median(firsts):.0f} ms, first visit "
              f"{firsts[0]:.0f} ms; layout shift {max(shifts):.4f}")  # fmt: skip
        print(
            f"scripts of the first screen: {page.evaluate(SCRIPT_BYTES) / 1000:.0f} KB compressed"
        )
        waits, shift = drops(page, address, queries)
        print(f"from the drop to hits in place, without the extractor: median "
              f"{statistics.median(waits):.0f} ms, slowest {max(waits):.0f} ms; "
              f"layout shift {shift:.4f}")  # fmt: skip
        page.goto(address)
        page.wait_for_selector(".tile")
        page.mouse.move(900, 500)
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        before = main_thread_ms(session)
        print(f"scrolling: {rate(page, lambda: page.mouse.wheel(0, 400))}; "
              f"{(main_thread_ms(session) - before) / 40:.0f} ms of computing for 400 pixels")  # fmt: skip
        print(f"thumbnails after a fling: {fling(page)}")
        page.evaluate("scrollTo(0, 0)")
        while not page.evaluate("scrollY + innerHeight >= document.body.scrollHeight - 200"):
            page.mouse.wheel(0, 1500)
            page.wait_for_timeout(40)
        memory = page.evaluate("performance.memory.usedJSHeapSize") / 1e6
        nodes = page.evaluate("document.querySelectorAll('*').length")
        print(f"after scrolling through everything: {memory:.0f} MB of memory, {nodes} elements")
        map_frames(page, address)
        browser.close()


def main_thread_ms(session: CDPSession) -> float:
    """Return the milliseconds that the main thread of the page has computed."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return 1000 * float(next(one["value"] for one in metrics if one["name"] == "TaskDuration"))


def drops(page: Page, address: str, count: int) -> tuple[list[float], float]:
    """Drop images and return the milliseconds to their hits beside the extractor's, and the layout shift."""
    waits, shift = [], 0.0
    for number in range(count):
        page.goto(address)
        page.wait_for_selector(".tile")
        page.wait_for_timeout(200)
        id = page.locator(".tile").nth(number).get_attribute("data-id")
        page.evaluate("globalThis.shift = 0")
        with page.expect_response("**/api/search?*") as response:
            page.evaluate(DROP, f"/api/images/{id}/file")
        page.wait_for_function(DRAWN)
        taken = page.evaluate(
            "performance.getEntriesByName('drawn').at(-1).startTime - globalThis.dropped"
        )
        waits.append(taken - 1000 * response.value.json()["seconds"]["total"])
        page.wait_for_timeout(300)
        shift = max(shift, page.evaluate("globalThis.shift"))
    return waits, shift


def fling(page: Page) -> str:
    """Jump to unseen places and describe how long their thumbnails take."""
    waits = []
    for part in (0.5, 0.9, 0.3, 0.7):
        page.evaluate("part => scrollTo(0, document.body.scrollHeight * part)", part)
        start = time.perf_counter()
        page.wait_for_function(COMPLETE, polling=20, timeout=60_000)
        waits.append(time.perf_counter() - start)
    return f"median {1000 * statistics.median(waits):.0f} ms, slowest {1000 * max(waits):.0f} ms"


def map_frames(page: Page, address: str) -> None:
    """Pan the map and print its frame rate."""
    page.goto(address + "?page=map&method=pca")
    page.wait_for_selector("canvas", timeout=120_000)
    page.mouse.move(700, 500)
    page.mouse.down()
    side = [1]

    def drag() -> None:
        side[0] = -side[0]
        page.mouse.move(700 + side[0] * 90, 500 + side[0] * 60, steps=3)

    print(f"panning the map: {rate(page, drag)}")


def rate(page: Page, move: Callable[[], None]) -> str:
    """Describe the frame rate while something moves for three seconds."""
    page.evaluate(f"globalThis.frames_ = ({FRAMES})(3000); 0")
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
