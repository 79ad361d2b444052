"""Starting worker processes, some of them ahead: before it is known what they will do.

A program that will soon need workers starts them first of all. They import their libraries while
the program imports its own, on another core.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

Process = subprocess.Popen[bytes]

_ahead: list[Process] = []
_lock = threading.Lock()


def start_ahead(count: int, modules: Sequence[str]) -> None:
    """See to it that `count` workers wait for work, with these modules imported or being imported.

    The next keepers take them. What nobody takes must be ended with `end_ahead`. Where no process
    can be started, the keeper who needs it will say so.
    """
    with _lock, contextlib.suppress(OSError):
        while len(_ahead) < count:
            _ahead.append(launch(modules))


def end_ahead() -> None:
    """End the workers that nobody has taken."""
    with _lock:
        unused, _ahead[:] = list(_ahead), []
    for process in unused:
        end(process)


def worker() -> Process:
    """A worker that waits for its setup: one that was started ahead and still lives, or a new one."""
    while True:
        with _lock:
            process = _ahead.pop() if _ahead else None
        if process is None:
            return launch()
        if process.poll() is None:
            return process
        end(process)


def launch(modules: Sequence[str] = ()) -> Process:
    """Start a worker and return at once. It imports the modules before it reads its setup."""
    process = subprocess.Popen(
        # -P: a random.py among the photos of the working directory must not be imported.
        [sys.executable, "-P", "-m", "lookalike.workers.worker_main", *modules],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_environment(),
    )
    _widen(process)
    return process


def end(process: Process) -> int:
    """Kill the process if it still runs; its exit status."""
    process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    return process.wait()


def _environment() -> dict[str, str]:
    """One thread a worker: there is a worker for every core already."""
    environment = dict(os.environ)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        environment[name] = "1"
    environment["MALLOC_ARENA_MAX"] = "1"  # arenas count against the memory limit, unused or not
    environment["OPENCV_FOR_THREADS_NUM"] = "1"
    # The worker's own imports must find the package however this process found it.
    package_at = str(Path(__file__).resolve().parents[2])
    others = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = package_at + (os.pathsep + others if others else "")
    return environment


def _widen(process: Process) -> None:
    """Linux: pipes of 1 MB, so that a batch of pixels passes without waiting for the reader."""
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import fcntl

        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, 1 << 20)
