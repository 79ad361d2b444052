"""Indexing that somebody asked the server for: in a process of its own, so that no search waits for it.

    Indexing ── starts `python -m lookalike.web.indexing`, gives it a job on its standard input
             ◄─ one line of JSON for every step on its standard output

The process ends by itself, with everything finished stored, when its standard input is closed: so it
does not outlive the server, however that ends.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from lookalike.errors import LookalikeError
from lookalike.indexing.report import Added, Progress
from lookalike.library import Library
from lookalike.web.apart import environment, step_back

STATE, LOCK = "indexing.json", "indexing.lock"
STALE_SECONDS = 20.0
"""A state that nobody renewed for so long was left by a process that was killed."""
TELL_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class State:
    """Where indexing stands. `rate`: files a second; `message`: how it ended, or what it does.

    `added` is what the last run did (`Added`), None where none has ended well.
    `number` counts the runs of this server, so that one who watches can tell an old end from a new one.
    """

    running: bool = False
    done: int = 0
    total: int | None = None
    indexed: int = 0
    failed: int = 0
    rate: float = 0.0
    message: str = ""
    number: int = 0
    added: dict[str, Any] | None = None


class Indexing:
    """The indexing of one server; all its processes share its folder. For any number of threads."""

    def __init__(self, library: Path, folder: Path) -> None:
        self._library = library
        self._state_file = folder / STATE
        self._lock_file = folder / LOCK
        self._wanted: list[str] = []
        self._changed = threading.Lock()
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[str] | None = None
        self._closed = False
        folder.mkdir(parents=True, exist_ok=True)

    def ask(self, paths: Sequence[Path]) -> State:
        """Index these folders and files, now or after what is under way."""
        with self._changed:
            self._wanted += [os.fspath(path) for path in paths]
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, daemon=True)
                self._thread.start()
        state = self.state()
        return state if state.running else replace(state, running=True, message="waiting")

    def state(self) -> State:
        """Where it stands, whichever process does it."""
        try:
            age = time.time() - self._state_file.stat().st_mtime
            state = State(**json.loads(self._state_file.read_bytes()))
        except (OSError, ValueError, TypeError):
            return State()
        if state.running and age > STALE_SECONDS:
            return replace(state, running=False, message="it ended without a word")
        return state

    def close(self) -> None:
        """End what runs; what is finished is stored."""
        with self._changed:
            self._closed = True
            self._wanted.clear()
            process, thread = self._process, self._thread
        if process is not None and process.stdin is not None:
            with suppress(OSError):
                process.stdin.close()
        if thread is not None:
            thread.join(10.0)

    def _work(self) -> None:
        while True:
            with FileLock(self._lock_file):
                with self._changed:
                    paths, self._wanted = list(dict.fromkeys(self._wanted)), []
                    if not paths or self._closed:
                        self._thread = None
                        return
                self._run(paths)

    def _run(self, paths: list[str]) -> None:
        state = State(running=True, message="starting", number=self.state().number + 1)
        self._write(state)
        with self._changed:
            process = self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "lookalike.web.indexing"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment(),
                encoding="utf-8",
            )
        assert process.stdin is not None and process.stdout is not None
        lines: list[dict[str, Any]] = []
        reader = threading.Thread(target=listen, args=(process.stdout, lines), daemon=True)
        reader.start()
        with suppress(OSError):
            process.stdin.write(json.dumps({"library": str(self._library), "paths": paths}) + "\n")
            process.stdin.flush()
        while reader.is_alive():
            reader.join(TELL_SECONDS)
            if lines:
                state = replace(state, **lines[-1])
            self._write(state)
        status = process.wait()
        with suppress(OSError):
            process.stdin.close()
        process.stdout.close()
        if state.running:
            state = replace(state, running=False, message=f"it ended with status {status}")
        self._write(state)

    def _write(self, state: State) -> None:
        part = self._state_file.with_suffix(f".{os.getpid()}.part")
        with suppress(OSError):
            part.write_text(json.dumps(asdict(state)), "ascii")
            part.replace(self._state_file)


def listen(pipe: Any, lines: list[dict[str, Any]]) -> None:
    """Keeps the last line that came."""
    for line in pipe:
        with suppress(ValueError):
            lines[:] = [json.loads(line)]


def main() -> None:
    """The process: reads its job, indexes, and says how it goes."""
    job = json.loads(sys.stdin.readline())
    step_back()
    try:
        with Library.open(job["library"]) as library:
            added = library.add([Path(path) for path in job["paths"]], progress=step)
        tell(running=False, message=summary(added), added=asdict(added))
    except LookalikeError as error:
        tell(running=False, message=str(error))
    except KeyboardInterrupt:
        tell(running=False, message="stopped; what was finished is stored")


def step(progress: Progress) -> None:
    tell(
        done=progress.done,
        total=progress.total,
        indexed=progress.indexed,
        failed=progress.failed,
        rate=round(progress.done / progress.seconds, 1) if progress.seconds > 0 else 0.0,
        message=progress.path.encode("utf-8", "replace").decode(),
    )


def tell(**record: Any) -> None:
    with suppress(OSError):
        print(json.dumps(record), flush=True)  # noqa: T201 - its parent reads it


def summary(added: Added) -> str:
    parts = [
        f"{count:,} {word}"
        for count, word in (
            (added.new, "new"),
            (added.changed, "changed"),
            (added.moved, "moved"),
            (added.copied, "copied"),
            (added.removed, "gone"),
            (added.unchanged, "unchanged"),
            (added.failures, "failed"),
        )
        if count
    ]
    return ", ".join(parts) or "no pictures"


if __name__ == "__main__":
    main()
