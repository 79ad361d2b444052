"""Start and end worker processes, some of them before it is known what they will do.

A program that will soon need workers prestarts them: they import their libraries on another core
while the program imports its own.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

Process: TypeAlias = subprocess.Popen[bytes]

_prestarted: list[Process] = []
_lock = threading.Lock()


def prestart(count: int, modules: Sequence[str]) -> None:
    """Make sure that `count` workers wait for work and import these modules meanwhile.

    The next pools take them; end the rest with `end_prestarted`. If no process can be started, the
    pool that needs one reports it.
    """
    with _lock, contextlib.suppress(OSError):
        while len(_prestarted) < count:
            _prestarted.append(launch(modules))


def prestarted() -> list[Process]:
    """Return the prestarted workers that no pool has taken."""
    with _lock:
        return list(_prestarted)


def end_prestarted() -> None:
    """End the prestarted workers that no pool has taken."""
    with _lock:
        unused, _prestarted[:] = list(_prestarted), []
    for process in unused:
        end(process)


def take_worker() -> Process:
    """Return a worker that waits for its setup: a prestarted one that still lives, or a new one."""
    while True:
        with _lock:
            process = _prestarted.pop() if _prestarted else None
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
    _enlarge_pipes(process)
    return process


def end(process: Process) -> int:
    """Kill the process if it still runs, and return its exit status."""
    process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    return process.wait()


def _environment() -> dict[str, str]:
    """Return the environment of a worker: one thread each, since there is a worker for every core."""
    environment = dict(os.environ)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        environment[name] = "1"
    environment["MALLOC_ARENA_MAX"] = "1"  # unused arenas count against the memory limit too
    environment["OPENCV_FOR_THREADS_NUM"] = "1"
    # The worker must find this package however this process found it.
    package_at = str(Path(__file__).resolve().parents[2])
    others = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = package_at + (os.pathsep + others if others else "")
    return environment


def _enlarge_pipes(process: Process) -> None:
    """Give the pipes 1 MB on Linux, so that a batch of pixels passes without waiting for the reader."""
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import fcntl

        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, 1 << 20)
