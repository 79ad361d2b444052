"""The map of a library: seconds for each part, and frames per second of its page.

    python benchmarks/map.py LIBRARY [--method tsne] [--frames]

Thumbnails are made again, in memory. With --frames the page is opened in Chromium (/usr/bin/chromium, by
Playwright) without a graphics card, panned and zoomed for four seconds at three depths. Processor time of
all its processes (needs psutil) says what a frame costs where other work keeps the machine busy.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from lookalike.embedding_map.build import build_map
from lookalike.embedding_map.sprites import pack_sprites
from lookalike.library import Library
from lookalike.viz.map_html import map_page

SECONDS = 4

MOVING = """async ([seconds, zooming]) => {
  const pan = (dx, dy) => setViewport(panBy(view.viewport, canvas.clientWidth, canvas.clientHeight, dx, dy));
  const times = [], start = performance.now();
  await new Promise((done) => {
    const tick = (now) => {
      times.push(now);
      const t = (now - start) / 1000;
      if (zooming) zoom(Math.exp(0.04 * Math.cos(1.5 * t)));
      else pan(18 * Math.cos(2 * t), 12 * Math.sin(2.7 * t));
      if (now - start < seconds * 1000) requestAnimationFrame(tick); else done();
    };
    requestAnimationFrame(tick);
  });
  return [times.length, renderer.drawnCount()];
}"""

DRAWING = """() => {
  const times = [];
  for (let n = 0; n < 60; n++) {
    view.viewport.x += (0.002 * Math.cos(n)) / view.viewport.zoom;
    const start = performance.now();
    renderer.draw();
    canvas.getContext("2d").getImageData(0, 0, 1, 1); // waits until it is drawn
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  return [times[15], times[30]];
}"""


def processor_seconds() -> float:
    """Return the processor time of all child processes; a browser draws in several."""
    import psutil

    times = [child.cpu_times() for child in psutil.Process().children(recursive=True)]
    return float(sum(each.user + each.system for each in times))


def frames(file: Path) -> None:
    from playwright.sync_api import sync_playwright

    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    flags += ["--disable-component-update", "--disable-sync", "--no-first-run"]
    with sync_playwright() as run:
        browser = run.chromium.launch(executable_path="/usr/bin/chromium", args=flags)
        tab = browser.new_page(viewport={"width": 1280, "height": 800})
        tab.set_default_timeout(120_000)
        started = time.perf_counter()
        tab.goto(file.absolute().as_uri())
        print(f"page loaded in {time.perf_counter() - started:.1f} s")
        for depth in (1, 4, 16):
            tab.evaluate(f"setViewport({{ ...WHOLE_MAP, zoom: {depth} }})")
            time.sleep(1.5)
            for zooming in (False, True):
                before = processor_seconds()
                count, drawn = tab.evaluate(MOVING, [SECONDS, zooming])
                cost = (processor_seconds() - before) / count
                print(
                    f"at {depth}x, {'zooming' if zooming else 'panning'}: {count / SECONDS:.0f} frames a "
                    f"second, {1000 * cost:.0f} ms of processor time each, {drawn} thumbnails at the end"
                )
            quarter, median = tab.evaluate(DRAWING)
            print(
                f"at {depth}x, drawing alone: lower quartile {quarter:.1f} ms, median {median:.1f} ms"
            )
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library", type=Path)
    parser.add_argument("--method", default="tsne", choices=("tsne", "pca", "umap"))
    parser.add_argument("--frames", action="store_true")
    options = parser.parse_args()
    started, worked = time.perf_counter(), time.process_time()
    with Library.open(options.library, read_only=True) as library:
        atlas = build_map(library, method=options.method)
        laid = time.perf_counter()
        packed = pack_sprites(library, atlas)
        shown = time.perf_counter()
        text = map_page(atlas, packed, title="benchmark")
    ended = time.perf_counter()
    here = time.process_time() - worked
    print(
        f"{len(atlas):,} images: layout {laid - started:.0f} s, thumbnails {shown - laid:.0f} s, "
        f"page {ended - shown:.1f} s; {ended - started:.0f} s in all, {here:.0f} s of this process; "
        f"{len(text) / 1e6:.0f} MB; {atlas.preservation}"
    )
    if options.frames:
        with TemporaryDirectory() as folder:
            file = Path(folder) / "map.html"
            file.write_text(text, "utf-8")
            frames(file)


if __name__ == "__main__":
    main()
