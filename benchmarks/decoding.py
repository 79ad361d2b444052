"""Speed of decoding in the worker pool, relative to a plain JPEG decoder.

    python benchmarks/decoding.py FOLDER [FOLDER]... [--processes 2] [--files 1000] [--repeats 5]

Plain: N processes, each a loop of open, read, simplejpeg.decode_jpeg at the scale that the pool would
choose. Pool: N workers that read, hash and decode, with results in order. Both are warm, alternate in one
run, and process the same files (repeated until --files). The first ratio is of median wall times. On a busy
machine use the second, of CPU time of all processes (Linux only). The CPU time of the parent per file is
shown as well.

The second part compares where the pixels are written: into buffers whose rows begin at multiples of 32 bytes,
which libjpeg-turbo writes past the caches, and 16 bytes beside them, as `jpeg.py` does; with the time to read
every sixth pixel afterwards. Only images whose rows are multiples of 32 bytes count.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from lookalike.errors import ImageError
from lookalike.images.decode import decode
from lookalike.images.pixel_spec import PixelSpec
from lookalike.images.reading import read
from lookalike.images.walk import find_files
from lookalike.workers.limits import Limits
from lookalike.workers.pool import Pool

SPECS = (PixelSpec(fit="any", min_side=128),)
LIMITS = Limits()


def read_and_decode(path: str) -> tuple[bytes, int, int] | None:
    """Return the digest and the full size of one file, as a worker does."""
    try:
        content = read(path)
        image = decode(content.data, specs=SPECS, limits=LIMITS, name=path)
    except ImageError:
        return None
    return content.digest, image.facts.width, image.facts.height


def plain_loop() -> None:
    """Run in a child process: read paths, then decode them all for every line "go"."""
    import simplejpeg

    paths: list[str] = []
    for line in sys.stdin:
        if line != "go\n":
            paths.append(line.rstrip("\n"))
            continue
        for path in paths:
            with open(path, "rb") as file:  # noqa: PTH123 - the plainest loop there is
                data = file.read()
            height, width, _, _ = simplejpeg.decode_jpeg_header(data)
            times = next(n for n in (3, 2, 1, 0) if min(height, width) / 2**n >= 128 or n == 0)
            simplejpeg.decode_jpeg(
                data, "RGB", min_height=-(-height >> times), min_width=-(-width >> times)
            )
        print("done", flush=True)


@contextlib.contextmanager
def plain_processes(paths: list[str], processes: int) -> Iterator[list[subprocess.Popen[str]]]:
    """Yield child processes that have imported everything and have their share of the files."""
    command = [sys.executable, __file__, "--plain"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    children = [
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        for _ in range(processes)
    ]
    for number, child in enumerate(children):
        assert child.stdin is not None
        child.stdin.writelines(f"{path}\n" for path in paths[number::processes])
        child.stdin.flush()
    yield children
    for child in children:
        child.communicate()


def plain_round(children: list[subprocess.Popen[str]]) -> float:
    """Return the seconds until the last child has decoded its share."""
    start = time.perf_counter()
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    for child in children:
        assert child.stdout is not None
        child.stdout.readline()
    return time.perf_counter() - start


def cpu_seconds(process_ids: list[int]) -> float:
    """Return the user and system time of these processes; 0 without /proc."""
    ticks = 0
    for number in process_ids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def compare(folder: str, processes: int, files: int, repeats: int) -> None:
    """Print one line for one folder."""
    import decoding  # type: ignore[import-not-found]  # this file as a module: workers cannot import a main script

    all_paths = [found.path for found in find_files([folder], include=["*.jpg", "*.jpeg"])]
    paths = list(islice(cycle(all_paths), files))
    plain, pooled, parent = [], [], []
    pool = Pool(
        decoding.read_and_decode,
        on_failure=lambda failure: None,
        workers=processes,
        limits=LIMITS,
    )
    with pool, plain_processes(paths, processes) as children:
        plain_round(children)
        unread = sum(1 for result in pool.map(paths) if result is None)
        both = [child.pid for child in children], [os.getpid(), *pool.process_ids]
        before = [cpu_seconds(group) for group in both]
        for _ in range(repeats):
            plain.append(plain_round(children))
            start, cpu = time.perf_counter(), time.process_time()
            for _result in pool.map(paths):
                pass
            pooled.append(time.perf_counter() - start)
            parent.append(time.process_time() - cpu)
        plain_cpu, pool_cpu = (
            cpu_seconds(group) - since for group, since in zip(both, before, strict=True)
        )
    slow, fast = statistics.median(pooled), statistics.median(plain)
    print(
        f"{Path(folder).name:12} {files:5} files  plain {files / fast:7.1f}/s"
        f"  pool {files / slow:7.1f}/s  ratio {fast / slow:.3f} wall, {plain_cpu / pool_cpu:.3f} cpu"
        f"  parent {statistics.median(parent) / files * 1e6:5.1f} µs/file  unreadable {unread}"
    )


def compare_buffers(folder: str, files: int) -> None:
    """Print the best of three alternating runs for each alignment of the buffer."""
    import simplejpeg

    images = []
    for found in islice(find_files([folder], include=["*.jpg", "*.jpeg"]), files):
        data = Path(found.path).read_bytes()
        height, width, _, _ = simplejpeg.decode_jpeg_header(data)
        if 3 * width % 32 == 0:
            images.append((data, 3 * width * height))
    if not images:
        return
    memory = np.empty(max(size for _, size in images) + 64, np.uint8)
    first = -memory.ctypes.data % 32
    times: dict[int, list[tuple[float, float]]] = {0: [], 16: []}
    for _ in range(3):
        for offset, taken in times.items():
            decoding = reading = 0.0
            for data, size in images:
                buffer = memory[first + offset : first + offset + size]
                started = time.perf_counter()
                pixels = simplejpeg.decode_jpeg(data, "RGB", buffer=buffer).reshape(-1)
                decoded = time.perf_counter()
                np.ndarray((size // 18 - 1,), np.uint32, pixels.data, strides=(18,)).copy()
                decoding += decoded - started
                reading += time.perf_counter() - decoded
            taken.append((decoding, reading))
    ours, past = (np.min(times[offset], axis=0) / len(images) * 1e6 for offset in (16, 0))
    print(
        f"{Path(folder).name:12} {len(images):5} files  decoding {ours[0]:.0f} µs, past the caches"
        f" {past[0]:.0f} ({past[0] / ours[0]:.2f})  reading {ours[1]:.1f} µs, past the caches {past[1]:.1f}"
        f" ({past[1] / ours[1]:.1f})"
    )


def main() -> None:
    """Run the comparison for each folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folders", nargs="*")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--plain", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.plain:
        plain_loop()
    for folder in options.folders:
        compare(folder, options.processes, options.files, options.repeats)
        compare_buffers(folder, options.files)


if __name__ == "__main__":
    main()
