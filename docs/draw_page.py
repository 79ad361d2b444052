"""Takes the screenshots of the web page for the docs, of the demo library in Chromium.

    lookalike demo --folder DEMO
    python docs/draw_page.py DEMO [--output docs/images]

Needs Playwright and Debian's `chromium`. Run it again after changes of the page or of the built-in network.
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

# Width of the recording in pixels, and milliseconds of one of its frames.
RECORDED, FRAME_TIME = 960, 260

# Milliseconds until all transitions have ended.
TRANSITIONS = 1500


@contextmanager
def serving(demo: Path) -> Iterator[str]:
    """Serve the demo library and yield the address."""
    command = [sys.executable, "-u", "-m", "lookalike.cli", "serve", str(demo), "--writable"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        found = next(filter(None, map(ADDRESS.search, server.stdout)), None)
        assert found, "the server printed no address"
        try:
            yield found[0]
        finally:
            server.terminate()


def save(page: Any, out: Path) -> None:
    """Save a screenshot of the window as a JPEG."""
    with Image.open(io.BytesIO(page.screenshot())) as image:
        image.convert("RGB").save(out, "JPEG", quality=88, optimize=True, progressive=True)


def search(page: Any, address: str, query: Path, out: Path) -> int:
    """Search with an image that is not in the library; return the id of the first hit."""
    page.goto(address)
    with page.expect_file_chooser() as chooser:
        page.click("text=Choose an image")
    chooser.value.set_files(str(query))
    page.wait_for_function("() => location.search.includes('upload=')")
    page.wait_for_selector(".scale-bands")
    page.wait_for_selector("#results:not([aria-busy])")
    page.wait_for_load_state("networkidle")
    page.hover(".grid .tile >> nth=1")
    page.wait_for_timeout(TRANSITIONS)
    save(page, out)
    return int(page.get_attribute(".grid .tile >> nth=0", "data-id"))


def explanation(page: Any, address: str, best: int, out: Path) -> None:
    """Open the image that is most similar to the first hit, and explain the match."""
    page.goto(f"{address}?image={best}")
    page.wait_for_selector("#results:not([aria-busy])")
    page.click(".grid .tile a >> nth=1")
    page.click("text=Why did it match?")
    page.wait_for_selector(".heatmap >> nth=1")
    page.wait_for_selector("text=/the similarity falls by/")
    page.wait_for_load_state("networkidle")
    save(page, out)


def embedding_map(page: Any, address: str, out: Path) -> None:
    """Show the map of the library, coloured by kind."""
    page.goto(f"{address}?page=map")
    page.wait_for_selector(".map-stage canvas", timeout=120_000)
    page.wait_for_load_state("networkidle")
    page.select_option(".map-options select >> nth=1", "kind")
    page.wait_for_selector(".legend-entry:has-text('mug')")
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(3 * TRANSITIONS)  # thumbnails, too
    save(page, out)


def duplicates(page: Any, address: str, out: Path) -> None:
    """Show the sheet of duplicates."""
    page.goto(f"{address}?page=duplicates")
    page.wait_for_selector(".dup-group >> nth=1", timeout=120_000)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(TRANSITIONS)
    save(page, out)


@contextmanager
def with_copies(demo: Path) -> Iterator[None]:
    """Have copies in the demo library for a while: a smaller one, a worse one, the same file twice."""
    folder = demo / "products" / "downloads"
    folder.mkdir()
    found = sorted(folder.parent.glob("*/*.jpg"))
    images = found[len(found) // 6 :: len(found) // 3]
    index = [sys.executable, "-m", "lookalike.cli", "index", str(folder.parent)]
    index += ["--library", str(demo)]
    try:
        for image, scale, quality in zip(images, (0.5, 1, 0), (80, 40, 0), strict=False):
            copy = folder / f"{image.stem} (1).jpg"
            if scale == 0:
                shutil.copyfile(image, copy)
                continue
            with Image.open(image) as original:
                size = [round(side * scale) for side in original.size]
                original.resize(tuple(size)).save(copy, quality=quality)
        subprocess.run(index, check=True)
        yield
    finally:
        shutil.rmtree(folder)
        subprocess.run([*index, "--prune"], check=True)


def recording(page: Any, address: str, query: Path, out: Path) -> None:
    """Record a search, a region and a comparison as an animated WebP."""
    frames: list[Image.Image] = []

    def record(count: int = 1) -> None:
        for _ in range(count):
            with Image.open(io.BytesIO(page.screenshot())) as image:
                frames.append(image.convert("RGB").resize((RECORDED, RECORDED * HIGH // WIDE)))

    page.goto(address)
    page.wait_for_load_state("networkidle")
    record(5)
    with page.expect_file_chooser() as chooser:
        page.click("text=Choose an image")
    chooser.value.set_files(str(query))
    page.wait_for_selector(".scale-bands")
    page.wait_for_load_state("networkidle")
    record(8)
    box = page.locator(".region-image").bounding_box()
    x, y, width, height = (box[name] for name in ("x", "y", "width", "height"))
    page.mouse.move(x + 0.2 * width, y + 0.2 * height)
    page.mouse.down()
    for step in range(1, 7):
        page.mouse.move(x + (0.2 + 0.1 * step) * width, y + (0.2 + 0.1 * step) * height)
        page.wait_for_timeout(250)
        record()
    page.mouse.up()
    page.wait_for_load_state("networkidle")
    record(6)
    page.click(".grid .tile a >> nth=2")
    page.wait_for_load_state("networkidle")
    record(4)
    page.keyboard.press("c")
    page.wait_for_selector(".split")
    for split in range(90, 5, -12):
        page.fill(".compare input", str(split))
        record()
    record(4)
    frames[0].save(
        out,
        save_all=True,
        append_images=frames[1:],
        duration=FRAME_TIME,
        loop=0,
        quality=62,
        method=6,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("demo", type=Path)
    parser.add_argument("--output", dest="out", type=Path, default=Path("docs/images"))
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    assert chromium, "install Debian's package `chromium`"
    with with_copies(options.demo), serving(options.demo) as address, sync_playwright() as run:
        page = run.chromium.launch(executable_path=chromium, args=["--no-sandbox"]).new_page(
            viewport={"width": WIDE, "height": HIGH}
        )
        duplicates(page, address, options.out / "page-duplicates.jpg")
    with serving(options.demo) as address, sync_playwright() as run:
        browser = run.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDE, "height": HIGH})
        best = search(page, address, options.demo / "query.jpg", options.out / "page-search.jpg")
        explanation(page, address, best, options.out / "page-why.jpg")
        embedding_map(page, address, options.out / "page-map.jpg")
        recording(page, address, options.demo / "query.jpg", options.out / "page.webp")
        browser.close()


if __name__ == "__main__":
    main()
