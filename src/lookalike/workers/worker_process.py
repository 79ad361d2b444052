"""Start and end worker processes, some of them before it is known what they will do.

A program that will soon need workers prestarts them: they import their libraries on another core
while the program imports its own. One that needs some again and again keeps those of closed pools.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

Process: TypeAlias = subprocess.Popen[bytes]

Context: TypeAlias = tuple[dict[str, str], list[str]]
"""Environment and search path of modules: what a worker inherits."""

_waiting: list[tuple[Process, Context]] = []
_kept = 0
_ignored: frozenset[str] = frozenset()
_lock = threading.Lock()


def prestart(count: int, modules: Sequence[str]) -> None:
    """Make sure that `count` workers wait for work and import these modules meanwhile.

    The next pools take them; end the rest with `end_prestarted`. If no process can be started, the
    pool that needs one reports it.
    """
    with _lock, contextlib.suppress(OSError):
        while len(_waiting) < count:
            _waiting.append((launch(modules), _context()))


def keep(count: int, *, ignored: Iterable[str] = ()) -> None:
    """Keep up to `count` idle workers of closed pools for the next pools, until this process ends.

    For servers, watchers and others that add a few images again and again: starting a worker takes as
    long as a hundred small images. Not the default: a kept worker does not see changes of modules
    that it has imported. A pool does not take one that inherited another environment; variables named
    in `ignored` may differ.
    """
    global _kept, _ignored
    atexit.unregister(_end_all)
    atexit.register(_end_all)
    with _lock:
        _kept, _ignored = count, frozenset(ignored)


def give_back(process: Process) -> bool:
    """Keep an idle worker of a closed pool if `keep` asks for it; False if the caller must end it."""
    with _lock:
        if len(_waiting) >= _kept or process.poll() is not None:
            return False
        _waiting.append((process, _context()))
        return True


def prestarted() -> list[Process]:
    """Return the workers that no pool has taken."""
    with _lock:
        return [process for process, _ in _waiting]


def end_prestarted() -> None:
    """End the workers that no pool has taken, but for those that `keep` asks for."""
    with _lock:
        unused, _waiting[:] = _waiting[_kept:], _waiting[:_kept]
    for process, _ in unused:
        end(process)


def take_worker() -> Process:
    """Return a worker that waits for its setup: one that still lives and inherited the same, or a new one."""
    while True:
        with _lock:
            process, context = _waiting.pop() if _waiting else (None, None)
        if process is None:
            return launch()
        if process.poll() is None and context == _context():
            return process
        end(process)


def _end_all() -> None:
    """End the kept workers, and do not keep those of pools that end later."""
    keep(0)
    end_prestarted()


def _context() -> Context:
    environment = {name: value for name, value in os.environ.items() if name not in _ignored}
    return environment, list(sys.path)


def working_folder() -> str:
    """Return the working folder, or "" if it was removed."""
    try:
        return os.getcwd()  # noqa: PTH109 - a plain string is compared
    except OSError:  # it was removed
        return ""


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


def package_environment() -> dict[str, str]:
    """Return an environment in which a process finds this package, however this process found it."""
    package_at = str(Path(__file__).resolve().parents[2])
    others = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": package_at + (os.pathsep + others if others else "")}


def _environment() -> dict[str, str]:
    """Return the environment of a worker: one thread each, since there is a worker for every core."""
    environment = package_environment()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        environment[name] = "1"
    environment["MALLOC_ARENA_MAX"] = "1"  # unused arenas count against the memory limit too
    environment["OPENCV_FOR_THREADS_NUM"] = "1"
    return environment


def _enlarge_pipes(process: Process) -> None:
    """Give the pipes 1 MB on Linux, so that a batch of pixels passes without waiting for the reader."""
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import fcntl

        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, 1 << 20)
