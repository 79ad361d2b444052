"""What the web page costs its user, in Chromium: waits, frames, layout shift, memory, size.

    python benchmarks/page.py [--library DIR | --products 400 | --drawn 50000]

Serves a library, a simulated catalogue with five images of each product, or that many small drawn images
(colors only, so that 50,000 are soon indexed), and measures at 1440 x 900: the time to the first thumbnail,
from dropping an image to its hits in place (without the time of the extractor), the layout shift of both,
frames while scrolling, the wait for thumbnails after a fling to an unseen place, frames of the map, memory,
and the compressed size of the scripts. Needs Chromium at /usr/bin/chromium and playwright.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from lookalike.catalogue.generate import write_catalogue
from lookalike.embedding_map.layout import zoom_levels
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
# Moves the map in every frame, by events as the mouse sends them.
MOVE = """([kind, ms]) => new Promise((done) => {
    const canvas = document.querySelector(".map-stage canvas"), times = [];
    const {left, top, width, height} = canvas.getBoundingClientRect();
    const x = left + width / 2, y = top + height / 2;
    const frame = (now) => {
        const step = times.push(now), turn = step / 12;
        canvas.dispatchEvent(kind === "pan"
            ? new PointerEvent("pointermove",
                {pointerId: 1, clientX: x + 90 * Math.sin(turn), clientY: y + 60 * Math.cos(turn)})
            : new WheelEvent("wheel",
                {deltaY: Math.floor(step / 60) % 2 ? 25 : -25, clientX: x, clientY: y, cancelable: true}));
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
    parser.add_argument("--drawn", type=int, help="this many drawn images of 96 x 64 instead")
    parser.add_argument("--library", type=Path, help="an indexed folder instead of the catalogue")
    parser.add_argument("--queries", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.library or Path(scratch) / "shop"
        if options.drawn:
            draw(folder, options.drawn)
        elif not options.library:
            write_catalogue(folder, products=options.products, views=5)
            with Library.create(folder) as library:
                library.add([folder])
        with serving(folder) as address:
            measure(address, options.queries)


def draw(folder: Path, count: int) -> None:
    """Draw images of four colours and index them by colour."""
    rng = np.random.default_rng(0)
    for number in range(count):
        file = folder / f"{number // 1000:03d}" / f"{number:06d}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        colors = rng.integers(0, 256, (2, 2, 3), np.uint8)
        Image.fromarray(colors).resize((96, 64), Image.Resampling.BICUBIC).save(file)
    with Library.create(folder) as library:
        library.add([folder], extractors=["color"])


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
        with page.expect_response(lambda one: "/api/search" in one.url) as response:
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
    """Pan and zoom the map of the library, and one of 100,000 points, and print the frame rates."""
    pan_and_zoom(page, address, "the map")
    layout, groups = points_of_clusters(100_000)
    page.route(re.compile(r"/api/map\?"), lambda route: route.fulfill(json=layout))
    page.route("**/api/map/groups?*", lambda route: route.fulfill(json=groups))
    pan_and_zoom(page, address, "a map of 100,000 points")


def points_of_clusters(count: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a layout of forty normal distributions, and its groups (GET /api/map, /api/map/groups).

    Its first points have thumbnails, of the images of the library."""
    rng = np.random.default_rng(0)
    clusters = np.minimum(rng.geometric(0.06, count), 40) - 1
    centres, widths = rng.uniform(0.12, 0.88, (40, 2)), rng.uniform(0.01, 0.06, (40, 1))
    positions = centres[clusters] + widths[clusters] * rng.normal(size=(count, 2))
    levels = np.full(count, 13)
    levels[:3000] = zoom_levels(positions[:3000].clip(0, 1))
    layout = {
        "extractor": "lookalike",
        "method": "pca",
        "ids": list(range(1, count + 1)),
        "x": positions[:, 0].round(5).tolist(),
        "y": positions[:, 1].round(5).tolist(),
        "levels": levels.tolist(),
        "total": count,
        "preservation": {"trustworthiness": 1, "overlap": 1, "neighbours": 10},
    }
    names = [f"group {number}" for number in range(12)]
    return layout, {
        "color": "cluster",
        "names": names,
        "groups": (clusters % 12).tolist(),
        "typical": [],
    }


def pan_and_zoom(page: Page, address: str, what: str) -> None:
    page.goto(address + "?page=map")
    page.wait_for_selector(".map-stage canvas", timeout=900_000)
    page.wait_for_load_state("networkidle")
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    box = page.locator(".map-stage canvas").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    for kind in ("pan", "zoom"):
        before = main_thread_ms(session)
        times = page.evaluate(MOVE, [kind, 4000])
        cost = (main_thread_ms(session) - before) / len(times)
        print(f"{kind} {what}: {described(times)}; {cost:.0f} ms of computing for a frame")
        if kind == "pan":
            page.mouse.up()


def rate(page: Page, move: Callable[[], None]) -> str:
    """Describe the frame rate while something moves for three seconds."""
    page.evaluate(f"globalThis.frames_ = ({FRAMES})(3000); 0")
    for _ in range(40):
        move()
        page.wait_for_timeout(50)
    return described(page.evaluate("globalThis.frames_"))


def described(times: Sequence[float]) -> str:
    """Describe the frame rate of frames at these milliseconds."""
    gaps = sorted(b - a for a, b in pairwise(times))
    return (
        f"{1000 / statistics.mean(gaps):.0f} frames per second, the slowest frame {gaps[-1]:.0f} ms"
    )


if __name__ == "__main__":
    main()
