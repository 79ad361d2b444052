"""Compare indexing into a library with two shards at once, and with Ray, on the same cores.

    python benchmarks/shards.py FOLDER [--extractor lookalike,phash,dhash] [--rounds 3] [--ray]

Each round runs, one after the other: `index` with two workers; `index --shard 1/2` and `2/2` at the same
time, one worker each, and `import-parts` of what they wrote; and with --ray, `index --ray` with one worker an
actor, on a cluster of two cores that was started before. Printed are images a second by the clock, the start
of the commands included, and CPU seconds of all processes but Ray's, both as medians, and the ratio of each
to `index` in the same round.
"""

from __future__ import annotations

import argparse
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

PROGRAM = [sys.executable, "-m", "lookalike.cli"]
RAY_PORT = 6399


def timed(*commands: list[str]) -> tuple[float, float]:
    """Run commands at the same time; return seconds by the clock and of the CPU."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    running = [subprocess.Popen([*PROGRAM, *one], stdout=subprocess.DEVNULL) for one in commands]
    codes = [process.wait() for process in running]
    if any(codes):
        raise SystemExit(f"failed: {commands}")
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, cpu


@contextmanager
def ray_cluster() -> Iterator[str]:
    """Start a Ray cluster of this machine with two cores; yield its address."""
    command = ["start", "--head", "--block", "--num-cpus=2", "--include-dashboard=false"]
    command += ["--disable-usage-stats", "--node-ip-address=127.0.0.1"]
    os.environ["RAY_AUTH_MODE"] = "disabled"
    running = subprocess.Popen(
        [sys.executable, "-m", "ray.scripts.scripts", *command, f"--port={RAY_PORT}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(240):
            time.sleep(0.5)
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", RAY_PORT)).close()
                break
        time.sleep(5)  # until the node has joined
        yield f"127.0.0.1:{RAY_PORT}"
    finally:
        running.terminate()
        running.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--extractor", default="lookalike,phash,dhash")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ray", action="store_true")
    options = parser.parse_args()
    folder = str(options.folder.resolve())
    files = sum(path.is_file() for path in options.folder.rglob("*"))
    common = ["index", folder, "--extractor", options.extractor]
    rounds: dict[str, list[tuple[float, float]]] = {}
    with ExitStack() as stack:
        address = stack.enter_context(ray_cluster()) if options.ray else ""
        for _ in range(options.rounds):
            temporary = stack.enter_context(tempfile.TemporaryDirectory())
            at = Path(temporary)
            parts, ray_parts = str(at / "parts"), str(at / "ray")
            shards = [
                [*common, "--shard", f"{n}/2", "--parts", parts, "--workers", "1"] for n in (1, 2)
            ]
            steps = {
                "index": [[*common, "--library", str(at / "direct"), "--workers", "2"]],
                "two shards": shards,
                "import-parts": [["import-parts", parts, "--library", str(at / "imported")]],
            }
            if options.ray:
                steps["ray"] = [[*common, "--ray", address, "--parts", ray_parts, "--workers", "1"]]
            for name, commands in steps.items():
                rounds.setdefault(name, []).append(timed(*commands))
    print(f"{files} files, load average {os.getloadavg()[0]:.1f}")
    print(f"{'':14}files/s    CPU s   rate / index   CPU / index")
    for name, times in rounds.items():
        rate = statistics.median(files / seconds for seconds, _ in times)
        cpu = statistics.median(cpu for _, cpu in times)
        pairs = list(zip(rounds["index"], times, strict=True))
        by_clock = statistics.median(first[0] / one[0] for first, one in pairs)
        by_cpu = statistics.median(one[1] / first[1] for first, one in pairs)
        print(f"{name:14}{rate:7.1f} {cpu:8.1f} {by_clock:14.2f} {by_cpu:13.2f}")


if __name__ == "__main__":
    main()
