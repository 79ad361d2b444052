"""Long changes of the library that somebody asked the server for (pictures to index, vectors that come in,
indexes to build), one after the other, each in a process of its own so that no search waits for it.

    Changes ── starts `python -m lookalike.server.jobs.change_process`, gives it a job on its standard input
            ◄─ one line of JSON for every step on its standard output

The process ends by itself, with everything finished stored, when its standard input is closed: so it
does not outlive the server, however that ends.

A server may be several processes; they take turns by a lock, and whichever is asked finds in a folder
that they share how a job goes:

    run-N.json     the state of the Nth run
    TICKET.ticket  the run that does what was asked under this ticket; empty while it waits
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from filelock import FileLock, Timeout

from lookalike.files import atomic_write
from lookalike.server.errors import Refusal
from lookalike.server.jobs.computations import environment

Kind: TypeAlias = Literal["indexing", "import", "index", "check"]
"""Pictures are indexed; vectors come in; an index is built; indexes are checked."""

LOCK = "lock"
STALE_SECONDS = 20.0
"""A state that nobody renewed for so long was left by a process that was killed."""
TELL_SECONDS = 0.25
TURN_SECONDS = 1.0
"""Between two signs of life of those who wait for their turn."""
MOST_WAITING = 256
MOST_KEPT = 4
"""Changes that wait, and those of them that have files lying here meanwhile."""
KEPT = 100
"""Runs whose end can be asked for."""
TICKET = re.compile(r"[0-9a-f]{16}")

ENDED = "it ended without a word"
DROPPED = "the server went down before its turn came"


@dataclass(frozen=True, slots=True)
class State:
    """Where a change stands. `rate`: files a second; `message`: how it ended, or what it does.

    stage   the part of the work, as `lookalike.ann.faiss_index.Progress` calls it
    number  of the run; it counts the runs of this server
    ticket  under which it was asked for; "" where nobody asks for that
    result  what came of it, None while it runs and where it failed
    error   the name of the error it failed with, "" if it did not
    """

    running: bool = False
    kind: Kind = "indexing"
    done: int = 0
    total: int | None = None
    indexed: int = 0
    failed: int = 0
    rate: float = 0.0
    stage: str = ""
    message: str = ""
    number: int = 0
    ticket: str = ""
    result: dict[str, Any] | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A change that was asked for. `scratch` is a folder for it alone, which goes when it is done."""

    ticket: str
    kind: Kind
    words: Mapping[str, Any]
    scratch: Path | None = None


class Changes:
    """The changes of one server; all its processes share its folder. For any number of threads."""

    def __init__(self, library: Path, folder: Path) -> None:
        self._library = library
        self._folder = folder
        self._wanted: list[Wanted] = []
        self._changed = threading.Lock()
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[str] | None = None
        self._closed = False
        folder.mkdir(parents=True, exist_ok=True)

    def ask(self, kind: Kind, words: Mapping[str, Any], *, scratch: Path | None = None) -> State:
        """Change something, now or after what is under way. `Refusal` 429 where too much waits."""
        wanted = Wanted(secrets.token_hex(8), kind, dict(words), scratch)
        with self._changed:
            kept = sum(one.scratch is not None for one in self._wanted)
            if len(self._wanted) >= MOST_WAITING or (scratch and kept >= MOST_KEPT):
                raise Refusal(
                    429, "too many changes wait already: try again later", {"Retry-After": "10"}
                )
        self._assign([wanted], "")
        with self._changed:
            self._wanted.append(wanted)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, daemon=True)
                self._thread.start()
        return State(running=True, kind=kind, message="waiting", ticket=wanted.ticket)

    def state(self, ticket: str = "") -> State:
        """Where the last run stands, whichever process does it, or what was asked for under a ticket;
        `Refusal` 404 for one that is not known (any more)."""
        if not ticket:
            runs = self._runs()
            return self._state_of(runs[-1]) if runs else State()
        if not TICKET.fullmatch(ticket):
            raise Refusal(404, "a ticket is the 16 hex digits that the answer to the change gave")
        file = self._folder / f"{ticket}.ticket"
        try:
            run, age = file.read_text("utf-8"), time.time() - file.stat().st_mtime
        except OSError:
            raise Refusal(404, f"the ticket {ticket} is not known (any more)") from None
        if run.isdigit():
            return replace(self._state_of(int(run)), ticket=ticket)
        message = run or (ENDED if age > STALE_SECONDS else "")
        if message:
            return State(message=message, ticket=ticket, error="LibraryError")
        return State(running=True, message="waiting", ticket=ticket)

    def close(self) -> None:
        """End what runs; what is finished is stored."""
        with self._changed:
            self._closed = True
            process, thread = self._process, self._thread
            self._drop(self._wanted)
            self._wanted.clear()
        if process is not None and process.stdin is not None:
            with suppress(OSError):
                process.stdin.close()
        if thread is not None:
            thread.join(10.0)

    def _work(self) -> None:
        lock = FileLock(self._folder / LOCK)
        while self._turn(lock):
            try:
                with self._changed:
                    some = together(self._wanted)
                    self._wanted = [one for one in self._wanted if one not in some]
                    if not some or self._closed:
                        self._thread = None
                        return
                self._run(some)
            finally:
                lock.release()

    def _turn(self, lock: FileLock) -> bool:
        """Wait to be alone among the processes of the server; False where it ends before."""
        while not self._closed:
            try:
                lock.acquire(timeout=TURN_SECONDS)
                return True
            except Timeout:
                with self._changed:
                    self._assign(self._wanted, "")
        return False

    def _run(self, some: Sequence[Wanted]) -> None:
        number = max(self._runs(), default=0) + 1
        state = State(running=True, kind=some[0].kind, message="starting", number=number)
        self._write(state)
        self._assign(some, str(number))
        try:
            with self._changed:
                process = self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "lookalike.server.jobs.change_process"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env=environment(),
                    encoding="utf-8",
                )
            words = {name: value for one in some for name, value in one.words.items()}
            paths = [path for one in some for path in one.words.get("paths", ())]
            if paths:
                words["paths"] = list(dict.fromkeys(paths))
            job = {"library": str(self._library), "kind": some[0].kind, "words": words}
            state = self._follow(process, job, state)
        finally:
            for one in some:
                if one.scratch is not None:
                    shutil.rmtree(one.scratch, ignore_errors=True)
            self._sweep()
        self._write(replace(state, running=False))

    def _follow(
        self, process: subprocess.Popen[str], job: Mapping[str, Any], state: State
    ) -> State:
        """Hand the job over, and note every step until it ends; how it ended."""
        assert process.stdin is not None and process.stdout is not None
        lines: list[dict[str, Any]] = []
        reader = threading.Thread(target=listen, args=(process.stdout, lines), daemon=True)
        reader.start()
        with suppress(OSError):
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()
        while reader.is_alive():
            reader.join(TELL_SECONDS)
            if lines:
                state = replace(state, **lines[-1])
            if state.running:
                self._write(state)
        status = process.wait()
        with suppress(OSError):
            process.stdin.close()
        process.stdout.close()
        if state.running:
            message = f"it ended with status {status}"
            state = replace(state, message=message, error="LibraryError")
        return state

    def _runs(self) -> list[int]:
        """The numbers of the runs that are known, rising."""
        return sorted(int(file.stem[4:]) for file in self._folder.glob("run-*.json"))

    def _state_of(self, run: int) -> State:
        file = self._folder / f"run-{run}.json"
        try:
            age = time.time() - file.stat().st_mtime
            state = State(**json.loads(file.read_bytes()))
        except (OSError, ValueError, TypeError):
            raise Refusal(404, f"run {run} is not known (any more)") from None
        if state.running and age > STALE_SECONDS:
            return replace(state, running=False, message=ENDED, error="LibraryError")
        return state

    def _assign(self, some: Sequence[Wanted], run: str) -> None:
        """Note by which run their tickets are served: a number, "" for none yet, or why by none."""
        for one in some:
            self._put(f"{one.ticket}.ticket", run)

    def _drop(self, some: Sequence[Wanted]) -> None:
        self._assign(some, DROPPED)
        for one in some:
            if one.scratch is not None:
                shutil.rmtree(one.scratch, ignore_errors=True)

    def _sweep(self) -> None:
        """Forget old runs and their tickets."""
        runs = self._runs()
        old = {str(run) for run in runs[:-KEPT]}
        if old:
            for file in self._folder.glob("*.ticket"):
                with suppress(OSError):
                    if file.read_text("utf-8") in old:
                        file.unlink()
        for run in old:
            with suppress(OSError):
                (self._folder / f"run-{run}.json").unlink()

    def _write(self, state: State) -> None:
        self._put(f"run-{state.number}.json", json.dumps(asdict(state)))

    def _put(self, name: str, text: str) -> None:
        with suppress(OSError), atomic_write(self._folder / name, shared=True) as file:
            file.write(text.encode())


def together(wanted: Sequence[Wanted]) -> list[Wanted]:
    """The first of them, and all that one run can do with it: what is asked for in the same words, the
    paths apart."""

    def rest(one: Wanted) -> dict[str, Any]:
        return {name: value for name, value in one.words.items() if name != "paths"}

    # What has files of its own differs in them.
    return [
        one
        for one in wanted
        if one is wanted[0]
        or (one.kind, one.scratch, rest(one)) == (wanted[0].kind, None, rest(wanted[0]))
    ]


def listen(pipe: Any, lines: list[dict[str, Any]]) -> None:
    """Keeps the last line that came."""
    for line in pipe:
        with suppress(ValueError):
            lines[:] = [json.loads(line)]
