"""Soak test: one server for an hour beside indexers that are killed, and what it takes of the machine.

    python -m benchmarks.soak [--minutes 60] [--images 400] [--changes 400] [--output soak.png]
        [--log soak.jsonl]

A folder of drawn images changes all the time: images come, go, change and move. Indexers bring the library
up to date, half of them killed at a random moment; ANN indexes are built, vectors of a second extractor are
dropped and made again. One server answers searches, thumbnails and listings meanwhile. After each undisturbed
run `check` must find nothing and two images must find themselves. The server's memory, open files and
threads, the library's size by what takes it, and the latency of searches are sampled once a minute and
plotted. So many images change that the vectors of deleted ones are compacted now and then.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError

import numpy as np
from PIL import Image

PROGRAM = [sys.executable, "-m", "lookalike"]
EXTRACTORS = "histogram,dhash"


def draw(file: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    pixels = np.repeat(np.repeat(rng.integers(0, 256, (8, 8, 3), np.uint8), 8, 0), 8, 1)
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file, quality=90)


@dataclass
class Counters:
    """What happened; shared by the threads."""

    searches: int = 0
    refused: int = 0
    runs: int = 0
    kills: int = 0
    checks: int = 0
    changed: int = 0
    wrong: list[str] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)


class Searcher(threading.Thread):
    """Asks the server one thing after the other."""

    def __init__(self, address: str, counters: Counters, pause: float) -> None:
        super().__init__(daemon=True)
        self._address, self._counters, self._pause = address, counters, pause
        self.stop = threading.Event()

    def run(self) -> None:
        chance = random.Random(2)
        ids = [1]
        while not self.stop.wait(self._pause):
            try:
                listed = json.loads(self._get("/api/images?k=200&order=spread"))
                ids = [image["id"] for image in listed["images"]] or ids
                for id in chance.sample(ids, min(10, len(ids))):
                    started = time.perf_counter()
                    self._get(f"/api/search?image={id}&k=10")
                    self._counters.latencies.append(time.perf_counter() - started)
                    self._counters.searches += 1
                    self._get(f"/api/images/{id}/thumbnail")
            except (URLError, OSError) as error:
                # An image that was just removed, or whose file is gone. Anything else is a fault.
                if getattr(error, "code", 0) not in (400, 404):
                    self._counters.wrong.append(f"server: {error} {getattr(error, 'url', '')}")
                self._counters.refused += 1

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(self._address + path, timeout=60) as response:
            content: bytes = response.read()
            return content


class Disturber:
    """Changes the folder, and brings the library up to date, with kills."""

    def __init__(self, photos: Path, counters: Counters, images: int, changes: int) -> None:
        self._photos, self._counters, self._changes = photos, counters, changes
        self._chance = random.Random(1)
        self._next = images
        for number in range(images):
            draw(photos / f"{number % 7}" / f"{number}.jpg", number)

    def round(self) -> None:
        self._change()
        if self._chance.random() < 0.5:
            self._run_killed("index", str(self._photos), "-e", EXTRACTORS)
        if self._chance.random() < 0.3:
            self._run_killed("ann", "build", "-e", "histogram")
        if self._chance.random() < 0.15:
            self._run("drop", "dhash")
        self._run("index", str(self._photos), "-e", EXTRACTORS, "--prune")
        self._run("ann", "build", "-e", "histogram")
        self._verify()

    def _change(self) -> None:
        files = sorted(self._photos.glob("[0-9]/*.jpg"))
        self._chance.shuffle(files)
        gone, few = self._changes * 2 // 5, self._changes // 10
        for file in files[:gone]:
            file.unlink()
        for file in files[gone : gone + few]:
            draw(file, self._new())
        for file in files[gone + few : gone + 2 * few]:
            file.rename(file.with_name(f"moved-{self._new()}.jpg"))
        for _ in range(gone):
            number = self._new()
            draw(self._photos / f"{number % 7}" / f"{number}.jpg", number)
        self._counters.changed += 2 * (gone + few)

    def _new(self) -> int:
        self._next += 1
        return self._next

    def _run_killed(self, *arguments: str) -> None:
        process = subprocess.Popen(
            [*PROGRAM, *arguments],
            cwd=self._photos,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            process.wait(self._chance.uniform(0.5, 8.0))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            self._counters.kills += 1

    def _run(self, *arguments: str) -> str:
        run = subprocess.run(
            [*PROGRAM, *arguments], cwd=self._photos, capture_output=True, text=True, check=False
        )
        self._counters.runs += 1
        if run.returncode:
            self._counters.wrong.append(f"{arguments}: {run.stdout[-200:]} {run.stderr[-300:]}")
        return run.stdout

    def _verify(self) -> None:
        self._run("check")
        self._counters.checks += 1
        files = sorted(self._photos.glob("[0-9]/*.jpg"))
        for file in self._chance.sample(files, 2):
            found = self._run("search", str(file), "-k", "1", "--format", "json", "-e", "histogram")
            hits = json.loads(found or '{"hits": []}')["hits"]
            if not hits or (hits[0]["similarity"] or 0) < 0.9999:
                self._counters.wrong.append(f"{file} does not find itself: {found[:300]}")


def sample(process: int, folder: Path, counters: Counters, started: float) -> dict[str, object]:
    """Return what the server and the library take now, and the latency since the last sample."""
    status = Path(f"/proc/{process}/status").read_text()
    values = dict(line.split(":", 1) for line in status.splitlines())
    latencies, counters.latencies = counters.latencies, []
    return {
        "minutes": round((time.monotonic() - started) / 60, 2),
        "rss_mb": int(values["VmRSS"].split()[0]) / 1024,
        "threads": int(values["Threads"]),
        "handles": len(list(Path(f"/proc/{process}/fd").iterdir())),
        **disk(folder),
        "median_ms": statistics.median(latencies) * 1e3 if latencies else None,
        "p99_ms": sorted(latencies)[int(len(latencies) * 0.99)] * 1e3 if latencies else None,
        "searches": counters.searches,
        "runs": counters.runs,
        "kills": counters.kills,
        "checks": counters.checks,
        "changed": counters.changed,
        "refused": counters.refused,
        "wrong": len(counters.wrong),
        "examples": counters.wrong[-3:],
    }


PARTS = {
    "catalogue_mb": "catalogue.sqlite",
    "log_mb": "catalogue.sqlite-*",
    "vectors_mb": "spaces/*/*-[0-9]*.[fi]*",
    "ann_mb": "spaces/*/ann*",
    "thumbnails_mb": "thumbnails/**/*",
}
"""What takes room in a library."""


def disk(folder: Path) -> dict[str, float]:
    """Return the size of a library in MB, in all and by its parts. Files may vanish meanwhile."""

    def size(pattern: str) -> float:
        total = 0
        for file in folder.glob(pattern):
            with suppress(OSError):
                total += file.stat().st_size if file.is_file() else 0
        return total / 2**20

    return {"disk_mb": size("**/*")} | {name: size(pattern) for name, pattern in PARTS.items()}


def plot(samples: list[dict[str, object]], output: Path) -> None:
    """Draw the samples over time."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = (
        ("Memory of the server (MB)", ["rss_mb"]),
        ("Open files, threads", ["handles", "threads"]),
        ("Library on disk (MB)", ["disk_mb", *PARTS]),
        ("Latency of a search (ms)", ["median_ms", "p99_ms"]),
    )
    labels = {
        "handles": "open files",
        "median_ms": "median",
        "p99_ms": "99th percentile",
        "disk_mb": "in all",
    }
    figure, axes = pyplot.subplots(2, 2, figsize=(10, 6), layout="constrained")
    for axis, (title, names) in zip(axes.flat, panels, strict=True):
        for name in names:
            points = [(s["minutes"], s[name]) for s in samples if s[name] is not None]
            if points:
                axis.plot(
                    *zip(*points, strict=True), label=labels.get(name, name.removesuffix("_mb"))
                )
        axis.set_title(title, loc="left", fontsize=10)
        axis.set_ylim(0, axis.get_ylim()[1] * 1.3)
        axis.set_xlabel("minutes")
        axis.grid(alpha=0.3)
        if len(names) > 1:
            axis.legend(frameon=False, loc="upper left", ncols=3, fontsize=9)
    figure.savefig(output, dpi=110)


def wait_until_ready(address: str) -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(address, timeout=10).close()
        except OSError:
            time.sleep(1)
        else:
            return
    raise SystemExit("the server did not start")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--changes", type=int, default=400, help="of files, in each round")
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between ten searches")
    parser.add_argument("--output", type=Path, default=Path("soak.png"))
    parser.add_argument("--log", type=Path, default=Path("soak.jsonl"))
    options = parser.parse_args()
    counters = Counters()
    samples: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory(prefix="soak-") as place:
        photos = Path(place) / "photos"
        disturber = Disturber(photos, counters, options.images, options.changes)
        subprocess.run([*PROGRAM, "index", str(photos), "-e", EXTRACTORS], check=True)
        port = free_port()
        server = subprocess.Popen(
            [*PROGRAM, "serve", "--library", str(photos), "--port", str(port)],
            stdout=subprocess.DEVNULL,
        )
        searcher = Searcher(f"http://127.0.0.1:{port}", counters, options.pause)
        wait_until_ready(f"http://127.0.0.1:{port}/health")
        searcher.start()
        started = time.monotonic()
        try:
            while time.monotonic() - started < options.minutes * 60:
                minute = time.monotonic()
                while time.monotonic() - minute < 60:
                    disturber.round()
                if server.poll() is not None:
                    raise SystemExit(f"the server ended with {server.returncode}")
                samples.append(sample(server.pid, photos / ".lookalike", counters, started))
                with options.log.open("a") as log:
                    log.write(json.dumps(samples[-1]) + "\n")
                plot(samples, options.output)
        finally:
            searcher.stop.set()
            searcher.join(60)
            server.terminate()
            server.wait(60)
    print(json.dumps(samples[-1], indent=1))
    if counters.wrong:
        raise SystemExit(f"{len(counters.wrong)} faults")


if __name__ == "__main__":
    main()
