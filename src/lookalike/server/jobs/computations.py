"""What takes minutes (duplicates, similar groups, maps, indexes), each in a process of its own: in a thread
of the server its arithmetic would hold the interpreter, and every search would wait for it.

    Apart ── starts `python -m lookalike.server.jobs.computations`, gives it a job on its standard input
          ◄─ the result, pickled, on its standard output

The process ends by itself when its standard input is closed: so it does not outlive the server.
"""

from __future__ import annotations

import _thread
import json
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from lookalike.errors import LibraryError, LookalikeError
from lookalike.library import Library

PROGRAM = (sys.executable, "-P", "-m", "lookalike.server.jobs.computations")


class Apart:
    """The processes of one server. For any number of threads."""

    def __init__(self, library: Path, *, program: Sequence[str] = PROGRAM) -> None:
        self._library = library
        self._program = tuple(program)
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._closed = False

    @property
    def running(self) -> int:
        """How many there are now."""
        return len(self._running)

    def run(self, what: str, words: Mapping[str, Any]) -> Any:
        """What a job of `JOBS` returns; what it raises of our own errors is raised here, too."""
        with self._lock:
            if self._closed:
                raise LibraryError("the server is going down")
            process = subprocess.Popen(
                self._program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()
            )
            self._running.add(process)
        assert process.stdin is not None and process.stdout is not None
        job = {"library": os.fspath(self._library), "what": what, "words": dict(words)}
        try:
            with suppress(OSError):
                process.stdin.write(json.dumps(job).encode() + b"\n")
                process.stdin.flush()
            told = process.stdout.read()
            status = process.wait()
        finally:
            with self._lock:
                self._running.discard(process)
            with suppress(OSError):
                process.stdin.close()
            process.stdout.close()
        if status != 0 or not told:
            raise LibraryError(f"working out {what} ended early, with status {status}")
        result = pickle.loads(told)  # noqa: S301 - it comes from our own process
        if isinstance(result, LookalikeError):
            raise result
        return result

    def close(self) -> None:
        """End what runs."""
        with self._lock:
            self._closed = True
            running = list(self._running)
        for process in running:
            with suppress(OSError):
                process.terminate()


def environment() -> dict[str, str]:
    """A process must find this very package, however its parent did."""
    package_at = str(Path(__file__).resolve().parents[2])
    others = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": package_at + (os.pathsep + others if others else "")}


def step_back() -> None:
    """Who searches goes first; and end when the server does, however that ends."""
    if hasattr(os, "nice"):
        os.nice(10)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    sys.stdin.read()
    _thread.interrupt_main()


def draw_map(library: Library, words: Mapping[str, Any]) -> Any:
    from lookalike.embedding_map.build import draw_up  # it imports much

    return draw_up(library, **words)


def check_indexes(library: Library, _: Mapping[str, Any]) -> list[str]:
    """A sentence on each."""
    return [
        f"{verdict.space.name}: "
        + (f"recall {verdict.check.recall:.3f}" if verdict.check else "not in use")
        + (
            f", {'built anew, for ' if verdict.rebuilt else ''}{verdict.problem}"
            * bool(verdict.problem)
        )
        for verdict in library.ann.check()
    ]


def estimate(library: Library, words: Mapping[str, Any]) -> Any:
    from lookalike.indexing.report import IndexOptions

    options = IndexOptions(**words["options"])
    return library.estimate(words["paths"], options=options, sample=words["sample"])


JOBS = {
    "duplicates": lambda library, words: library.duplicates(**words),
    "similar groups": lambda library, words: library.similar_groups(**words),
    "map": draw_map,
    "promise": estimate,
    "check of indexes": check_indexes,
}
READING = frozenset(JOBS) - {"check of indexes"}


def main() -> None:
    """The process: reads its job, does it, and hands the result over."""
    job = json.loads(sys.stdin.readline())
    step_back()
    # What a library prints must not get into the result.
    with os.fdopen(os.dup(1), "wb") as out, suppress(KeyboardInterrupt):
        os.dup2(2, 1)
        try:
            what = job["what"]
            with Library.open(job["library"], read_only=what in READING) as library:
                result = JOBS[what](library, job["words"])
        except LookalikeError as error:
            result = error
        pickle.dump(result, out, protocol=pickle.HIGHEST_PROTOCOL)


if __name__ == "__main__":
    main()
