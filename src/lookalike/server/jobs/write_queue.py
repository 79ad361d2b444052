"""Jobs that change the library, one after the other.

A server may consist of several processes. They take turns by a lock, and share a folder in which each of them
finds the state of every job:

    run-N.json  the state of the Nth run (`JobState`)
    ID.job      which run does the job of this id, or why none does: {"kind": …, "run": N, "error": "…"}

One run does all waiting jobs that differ in their paths alone (images that are sent one after the other).
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from lookalike.files import atomic_write
from lookalike.server.jobs.runner import Job, JobRunner
from lookalike.server.responses import HTTPError, too_many
from lookalike.wire import decode, encode
from lookalike.wire.http import JobState

LOCK = "lock"
ID = re.compile(r"[0-9a-f]{16}")
LATEST = "latest"

# A state that nobody renewed for so long was left by a process that was killed.
STALE_SECONDS = 20.0

# Seconds between two writes of a state, and between two signs of life of those who wait for their turn.
STATE_SECONDS = 0.25
TURN_SECONDS = 1.0

# Jobs that may wait, and those among them that keep files on the disk meanwhile.
MAX_WAITING = 256
MAX_WAITING_WITH_FILES = 4

DIED = "the process that did the job ended unexpectedly"
DROPPED = "the server shut down before the job's turn came"


@dataclass(frozen=True, slots=True)
class WaitingJob:
    """A job that waits for its turn. `scratch` is a folder for it alone, deleted when it is done."""

    id: str
    kind: str
    arguments: Mapping[str, Any]
    scratch: Path | None = None


class WriteQueue:
    """The writing jobs of one server; all its processes share `folder`. Thread-safe.

    keep_runs  runs whose state is kept after their end
    """

    def __init__(self, runner: JobRunner, folder: Path, *, keep_runs: int = 100) -> None:
        self._runner = runner
        self._folder = folder
        self._keep_runs = keep_runs
        self._waiting: list[WaitingJob] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._job: Job | None = None
        self._closed = False
        folder.mkdir(parents=True, exist_ok=True)

    def submit(
        self, kind: str, arguments: Mapping[str, Any], *, scratch: Path | None = None
    ) -> JobState:
        """Add a job and return its state. `HTTPError` 429 if too many wait."""
        waiting = WaitingJob(secrets.token_hex(8), kind, dict(arguments), scratch)
        with self._lock:
            with_files = sum(one.scratch is not None for one in self._waiting)
            if len(self._waiting) >= MAX_WAITING or (
                scratch and with_files >= MAX_WAITING_WITH_FILES
            ):
                raise too_many("too many changes are waiting: try again later")
        self._assign([waiting])
        with self._lock:
            self._waiting.append(waiting)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, daemon=True)
                self._thread.start()
        return JobState(id=waiting.id, kind=kind, message="waiting")

    def state(self, id: str = LATEST) -> JobState:
        """Return the state of a job, whichever process does it, or of the latest run. `HTTPError` 404 for an
        id that is not known (any more)."""
        if id == LATEST:
            runs = self._runs()
            return self._run_state(runs[-1]) if runs else JobState(state="done")
        if not ID.fullmatch(id):
            raise HTTPError(404, "a job's id is the 16 hex digits that the response to it gave")
        file = self._folder / f"{id}.job"
        try:
            job, age = json.loads(file.read_bytes()), time.time() - file.stat().st_mtime
        except (OSError, ValueError):
            raise HTTPError(404, f"the job {id} is not known (any more)") from None
        if job["run"]:
            return replace(self._run_state(job["run"]), id=id)
        error = job["error"] or (DIED if age > STALE_SECONDS else "")
        if error:
            return JobState(
                id=id, kind=job["kind"], state="failed", message=error, error="LibraryError"
            )
        return JobState(id=id, kind=job["kind"], message="waiting")

    def close(self) -> None:
        """Cancel the job that runs, which stores what it has finished, and drop those that wait."""
        with self._lock:
            self._closed = True
            job, thread = self._job, self._thread
            self._drop(self._waiting)
            self._waiting.clear()
        if job is not None:
            job.cancel()
        if thread is not None:
            thread.join(10.0)

    def _work(self) -> None:
        lock = FileLock(self._folder / LOCK)
        while self._acquire(lock):
            try:
                with self._lock:
                    batch = mergeable(self._waiting)
                    self._waiting = [one for one in self._waiting if one not in batch]
                    if not batch or self._closed:
                        self._thread = None
                        return
                self._run(batch)
            finally:
                lock.release()

    def _acquire(self, lock: FileLock) -> bool:
        """Wait until no other process of the server runs a job; False if the queue is closed before."""
        while not self._closed:
            try:
                lock.acquire(timeout=TURN_SECONDS)
                return True
            except Timeout:
                with self._lock:
                    self._assign(self._waiting)
        return False

    def _run(self, batch: Sequence[WaitingJob]) -> None:
        run = max(self._runs(), default=0) + 1
        first = batch[0]
        state = JobState(id=first.id, kind=first.kind, state="running", run=run, message="starting")
        self._write(state)
        self._assign(batch, run=run)
        arguments = {name: value for one in batch for name, value in one.arguments.items()}
        paths = [path for one in batch for path in one.arguments.get("paths", ())]
        if paths:
            arguments["paths"] = list(dict.fromkeys(paths))
        try:
            with self._lock:
                job = self._job = self._runner.start(first.kind, arguments)
            try:
                follower = threading.Thread(target=job.wait, daemon=True)
                follower.start()
                while follower.is_alive():
                    follower.join(STATE_SECONDS)
                    state = replace(job.state, id=first.id, run=run)
                    if state.running:
                        self._write(state)
            finally:
                self._runner.end(job)
        except Exception as error:
            state = replace(state, state="failed", message=str(error), error="LibraryError")
        finally:
            self._job = None
            for one in batch:
                if one.scratch is not None:
                    shutil.rmtree(one.scratch, ignore_errors=True)
            self._delete_old()
            self._write(state)

    def _runs(self) -> list[int]:
        """Return the numbers of the known runs, rising."""
        return sorted(int(file.stem[4:]) for file in self._folder.glob("run-*.json"))

    def _run_state(self, run: int) -> JobState:
        file = self._folder / f"run-{run}.json"
        try:
            age = time.time() - file.stat().st_mtime
            state = decode(JobState, json.loads(file.read_bytes()))
        except (OSError, ValueError, TypeError):
            raise HTTPError(404, f"run {run} is not known (any more)") from None
        if state.running and age > STALE_SECONDS:
            return replace(state, state="failed", message=DIED, error="LibraryError")
        return state

    def _assign(self, batch: Sequence[WaitingJob], *, run: int = 0, error: str = "") -> None:
        """Note which run does these jobs (0: none yet), or why none does."""
        for one in batch:
            self._put(f"{one.id}.job", {"kind": one.kind, "run": run, "error": error})

    def _drop(self, batch: Sequence[WaitingJob]) -> None:
        self._assign(batch, error=DROPPED)
        for one in batch:
            if one.scratch is not None:
                shutil.rmtree(one.scratch, ignore_errors=True)

    def _delete_old(self) -> None:
        """Delete the states of old runs and of their jobs."""
        old = set(self._runs()[: -self._keep_runs])
        if old:
            for file in self._folder.glob("*.job"):
                with suppress(OSError, ValueError):
                    if json.loads(file.read_bytes())["run"] in old:
                        file.unlink()
        for run in old:
            with suppress(OSError):
                (self._folder / f"run-{run}.json").unlink()

    def _write(self, state: JobState) -> None:
        self._put(f"run-{state.run}.json", encode(state))

    def _put(self, name: str, document: Mapping[str, Any]) -> None:
        with suppress(OSError), atomic_write(self._folder / name, shared=True) as out:
            out.write(json.dumps(document).encode())


def mergeable(waiting: Sequence[WaitingJob]) -> list[WaitingJob]:
    """Return the first job and all that one run can do with it: those that differ in their paths alone."""

    def others(job: WaitingJob) -> dict[str, Any]:
        return {name: value for name, value in job.arguments.items() if name != "paths"}

    # Jobs with files of their own differ in these.
    return [
        job
        for job in waiting
        if job is waiting[0]
        or (job.kind, job.scratch, others(job)) == (waiting[0].kind, None, others(waiting[0]))
    ]
