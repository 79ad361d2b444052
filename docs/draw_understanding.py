"""The pictures of docs/understanding.md, drawn by its own commands of the demo's shop.

    lookalike demo --folder DEMO
    python docs/draw_understanding.py DEMO [--out docs/images]

The map needs Playwright and Debian's `chromium`. Whoever changes the built-in network draws them again.
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

QUERY = "query.jpg"
MATCH = "products/mug/p0067-1.jpg"
"""Another view of the demo's query."""


def save(picture: Image.Image, out: Path, width: int) -> None:
    """As a JPEG of so many pixels across, at most."""
    rgb = picture.convert("RGB")
    if rgb.width > width:
        rgb = rgb.resize((width, round(rgb.height * width / rgb.width)), Image.Resampling.LANCZOS)
    rgb.save(out, "JPEG", quality=88, optimize=True, progressive=True)


def drawn(demo: Path, out: Path, width: int, *words: str) -> None:
    """What a command draws."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "drawn.png"
        command = [sys.executable, "-m", "lookalike.cli", *words, "--library", ".", "-o", str(file)]
        subprocess.run(command, cwd=demo, check=True)
        with Image.open(file) as picture:
            save(picture, out, width)


def plane(demo: Path, out: Path) -> None:
    """The map's page, somewhat nearer, with the pointer on its middle."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    assert chromium, "install Debian's package `chromium`"
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as run:
        file = Path(folder) / "map.html"
        words = ["map", "--library", str(demo), "--color", "kind", "-o", str(file)]
        subprocess.run([sys.executable, "-m", "lookalike.cli", *words], check=True)
        browser = run.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(file.as_uri())
        page.wait_for_selector("canvas")
        page.keyboard.press("+")
        page.wait_for_timeout(1500)
        page.mouse.move(640, 400)
        page.wait_for_timeout(1000)
        with Image.open(io.BytesIO(page.screenshot())) as picture:
            save(picture, out, 960)
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("demo", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    given = parser.parse_args()
    some = ("--by", "pixels,color,shape,lookalike")
    drawn(given.demo, given.out / "vector.jpg", 1100, "explain", QUERY, *some)
    drawn(given.demo, given.out / "why.jpg", 760, "explain", QUERY, MATCH)
    drawn(given.demo, given.out / "gap.jpg", 760, "gap", "--pairs", "4")
    plane(given.demo, given.out / "map.jpg")


if __name__ == "__main__":
    main()
