"""Draw the figures of docs/understanding.md with its own commands, from the images of `lookalike demo`.

    lookalike demo --folder DEMO
    python docs/draw_understanding.py DEMO [--output docs/images]

The map needs Playwright and Debian's `chromium`. Run this again when the network or a figure changes.
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
# Another view of the demo's query.
MATCH = "products/mug/p0067-1.jpg"


def save(image: Image.Image, out: Path, width: int) -> None:
    """Save as JPEG, scaled down to a width in pixels."""
    rgb = image.convert("RGB")
    if rgb.width > width:
        rgb = rgb.resize((width, round(rgb.height * width / rgb.width)), Image.Resampling.LANCZOS)
    rgb.save(out, "JPEG", quality=88, optimize=True, progressive=True)


def draw_command(demo: Path, out: Path, width: int, *arguments: str) -> None:
    """Run a command that draws a figure, and save the figure."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figure.png"
        program = (sys.executable, "-m", "lookalike.cli")
        command = [*program, *arguments, "--library", ".", "--output", str(file)]
        subprocess.run(command, cwd=demo, check=True)
        with Image.open(file) as image:
            save(image, out, width)


def draw_map(demo: Path, out: Path) -> None:
    """Save a screenshot of the map, zoomed in a little, with the pointer at the centre."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    assert chromium, "install Debian's package `chromium`"
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as run:
        file = Path(folder) / "map.html"
        arguments = ["map", "--library", str(demo), "--color", "kind", "--output", str(file)]
        subprocess.run([sys.executable, "-m", "lookalike.cli", *arguments], check=True)
        browser = run.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(file.as_uri())
        page.wait_for_selector("canvas")
        page.keyboard.press("+")
        page.wait_for_timeout(1500)
        page.mouse.move(640, 400)
        page.wait_for_timeout(1000)
        with Image.open(io.BytesIO(page.screenshot())) as image:
            save(image, out, 960)
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("demo", type=Path)
    parser.add_argument("--output", dest="out", type=Path, default=Path("docs/images"))
    options = parser.parse_args()
    extractors = ("--extractor", "pixels,color,shape,lookalike")
    draw_command(options.demo, options.out / "vector.jpg", 1100, "explain", QUERY, *extractors)
    draw_command(options.demo, options.out / "why.jpg", 760, "explain", QUERY, MATCH)
    draw_command(options.demo, options.out / "gap.jpg", 760, "gap", "--pairs", "4")
    draw_map(options.demo, options.out / "map.jpg")


if __name__ == "__main__":
    main()
