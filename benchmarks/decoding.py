"""How much of the bare JPEG decoder's speed is left after reading, hashing, guarding and ordering.

    python benchmarks/decoding.py FOLDER [FOLDER]... [--processes 2] [--files 1000] [--repeats 5]

Bare: N processes, each a loop of open, read, simplejpeg.decode_jpeg at the scale that the pool
would choose. Pool: the same N processes doing read, SHA-256 and decode behind the guard, results
in order. Both are warm, take turns in one run, and work on the same files (repeated until --files);
the ratio is of the medians of the wall time. On a machine that is busy with other things trust the
second ratio, of processor time (all processes together; Linux only). Also shown: the processor time
that the parent process spends per file.

Last, what memory the pixels go to: the same pictures decoded to where each row begins at a multiple of
32 bytes, which libjpeg-turbo writes past the caches, and to 16 bytes beside it, as `jpeg.py` does; and the
time to look at every sixth pixel then. Only pictures whose rows are multiples of 32 bytes count.
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

NEEDS = (PixelSpec(fit="any", min_side=128),)
LIMITS = Limits()


def read_and_decode(path: str) -> tuple[bytes, int, int] | None:
    """What a worker does for one file: digest and full size."""
    try:
        content = read(path)
        picture = decode(content.data, specs=NEEDS, limits=LIMITS, name=path)
    except ImageError:
        return None
    return content.digest, picture.facts.width, picture.facts.height


def bare_loop() -> None:
    """The child process: paths on the first lines, then a timed round for every further line."""
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
def bare_processes(paths: list[str], processes: int) -> Iterator[list[subprocess.Popen[str]]]:
    """Child processes that have imported everything and know their share of the files."""
    command = [sys.executable, __file__, "--bare"]
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


def bare_round(children: list[subprocess.Popen[str]]) -> float:
    """Seconds until the last child has decoded its share."""
    start = time.perf_counter()
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    for child in children:
        assert child.stdout is not None
        child.stdout.readline()
    return time.perf_counter() - start


def processor_seconds(process_ids: list[int]) -> float:
    """User and system time of these processes so far; 0 where there is no /proc."""
    ticks = 0
    for number in process_ids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def compare(folder: str, processes: int, files: int, repeats: int) -> None:
    """Prints one line for one folder."""
    import decoding  # type: ignore[import-not-found]  # this file as a module: workers cannot import a main script

    all_paths = [found.path for found in find_files([folder], include=["*.jpg", "*.jpeg"])]
    paths = list(islice(cycle(all_paths), files))
    bare, pooled, parent = [], [], []
    pool = Pool(
        decoding.read_and_decode,
        on_failure=lambda failure: None,
        workers=processes,
        limits=LIMITS,
    )
    with pool, bare_processes(paths, processes) as children:
        bare_round(children)
        unread = sum(1 for result in pool.map(paths) if result is None)
        both = [child.pid for child in children], [os.getpid(), *pool.process_ids]
        before = [processor_seconds(group) for group in both]
        for _ in range(repeats):
            bare.append(bare_round(children))
            start, cpu = time.perf_counter(), time.process_time()
            for _result in pool.map(paths):
                pass
            pooled.append(time.perf_counter() - start)
            parent.append(time.process_time() - cpu)
        plain, guarded = (
            processor_seconds(group) - since for group, since in zip(both, before, strict=True)
        )
    slow, fast = statistics.median(pooled), statistics.median(bare)
    print(
        f"{Path(folder).name:12} {files:5} files  bare {files / fast:7.1f}/s"
        f"  pool {files / slow:7.1f}/s  ratio {fast / slow:.3f} wall, {plain / guarded:.3f} cpu"
        f"  parent {statistics.median(parent) / files * 1e6:5.1f} µs/file  unread {unread}"
    )


def say_memory(folder: str, files: int) -> None:
    """Best of three for each place in memory, in turns."""
    import simplejpeg

    pictures = []
    for found in islice(find_files([folder], include=["*.jpg", "*.jpeg"]), files):
        data = Path(found.path).read_bytes()
        height, width, _, _ = simplejpeg.decode_jpeg_header(data)
        if 3 * width % 32 == 0:
            pictures.append((data, 3 * width * height))
    if not pictures:
        return
    room = np.empty(max(size for _, size in pictures) + 64, np.uint8)
    first = -room.ctypes.data % 32
    times: dict[int, list[tuple[float, float]]] = {0: [], 16: []}
    for _ in range(3):
        for beside, taken in times.items():
            decoding = looking = 0.0
            for data, size in pictures:
                buffer = room[first + beside : first + beside + size]
                started = time.perf_counter()
                pixels = simplejpeg.decode_jpeg(data, "RGB", buffer=buffer).reshape(-1)
                decoded = time.perf_counter()
                np.ndarray((size // 18 - 1,), np.uint32, pixels.data, strides=(18,)).copy()
                decoding += decoded - started
                looking += time.perf_counter() - decoded
            taken.append((decoding, looking))
    ours, past = (np.min(times[beside], axis=0) / len(pictures) * 1e6 for beside in (16, 0))
    print(
        f"{Path(folder).name:12} {len(pictures):5} files  decoding {ours[0]:.0f} µs, past the caches"
        f" {past[0]:.0f} ({past[0] / ours[0]:.2f})  looking {ours[1]:.1f} µs, past the caches {past[1]:.1f}"
        f" ({past[1] / ours[1]:.1f})"
    )


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folders", nargs="*")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--bare", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.bare:
        bare_loop()
    for folder in options.folders:
        compare(folder, options.processes, options.files, options.repeats)
        say_memory(folder, options.files)


if __name__ == "__main__":
    main()
