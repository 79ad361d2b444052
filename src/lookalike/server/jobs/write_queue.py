"""Jobs that change the library, one after the other.

A server may consist of several processes. They take turns by a lock, and share the states of the jobs
(`job_folder`). One run does all waiting jobs that differ in their paths alone (images that are sent one after
the other).
"""

from __future__ import annotations

import secrets
import shutil
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from lookalike.server.jobs.job_folder import CANCELLED, LATEST, JobFolder
from lookalike.server.jobs.runner import STATE_SECONDS, Job, JobRunner
from lookalike.server.responses import too_many
from lookalike.wire.http import JobState

LOCK = "lock"

# Seconds between two signs of life of those who wait for their turn.
TURN_SECONDS = 1.0

# Jobs that may wait, and those among them that keep files on the disk meanwhile.
MAX_WAITING = 256
MAX_WAITING_WITH_FILES = 4

DROPPED = "the server shut down before the job's turn came"


@dataclass(frozen=True, slots=True)
class WaitingJob:
    """A job that waits for its turn. `scratch` is a folder for it alone, deleted when it is done."""

    id: str
    kind: str
    arguments: Mapping[str, Any]
    scratch: Path | None = None


class WriteQueue:
    """The writing jobs of one server; all its processes share `states`. Thread-safe."""

    def __init__(self, runner: JobRunner, states: JobFolder) -> None:
        self._runner = runner
        self._states = states
        self._waiting: list[WaitingJob] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._job: Job | None = None
        self._closed = False

    def submit(
        self, kind: str, arguments: Mapping[str, Any], *, scratch: Path | None = None
    ) -> JobState:
        """Add a job and return its state. `HTTPError` 429 if too many wait, 507 if the disk is full."""
        waiting = WaitingJob(secrets.token_hex(8), kind, dict(arguments), scratch)
        with self._lock:
            with_files = sum(one.scratch is not None for one in self._waiting)
            if len(self._waiting) >= MAX_WAITING or (
                scratch and with_files >= MAX_WAITING_WITH_FILES
            ):
                raise too_many("too many changes are waiting: try again later")
        self._states.add(waiting.id, kind)
        with self._lock:
            self._waiting.append(waiting)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, daemon=True)
                self._thread.start()
        return JobState(id=waiting.id, kind=kind, message="waiting")

    def state(self, id: str = LATEST) -> JobState:
        """Return the state of a job; see `JobFolder.state`."""
        return self._states.state(id)

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
        lock = FileLock(self._states.folder / LOCK)
        while self._acquire(lock):
            try:
                with self._lock:
                    self._drop_cancelled()
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
                    self._drop_cancelled()
                    self._assign(self._waiting)
        return False

    def _run(self, batch: Sequence[WaitingJob]) -> None:
        run = max(self._states.runs(), default=0) + 1
        first = batch[0]
        state = JobState(id=first.id, kind=first.kind, state="running", run=run, message="starting")
        self._states.write(state)
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
                    if self._states.is_cancelled(f"run-{run}"):
                        job.cancel()
                    state = replace(job.state, id=first.id, run=run)
                    if state.running:
                        self._states.write(state)
                state = replace(job.state, id=first.id, run=run)  # it may have ended just now
            finally:
                self._runner.end(job)
        except Exception as error:
            state = replace(state, state="failed", message=str(error), error="LibraryError")
        finally:
            self._job = None
            for one in batch:
                if one.scratch is not None:
                    shutil.rmtree(one.scratch, ignore_errors=True)
            self._states.delete_old()
            self._states.write(state)

    def _assign(self, batch: Sequence[WaitingJob], *, run: int = 0, error: str = "") -> None:
        """Note which run does these jobs (0: none yet), or why none does."""
        for one in batch:
            self._states.assign(one.id, one.kind, run=run, error=error)

    def _drop_cancelled(self) -> None:
        cancelled = [one for one in self._waiting if self._states.is_cancelled(one.id)]
        self._drop(cancelled, CANCELLED)
        self._waiting = [one for one in self._waiting if one not in cancelled]

    def _drop(self, batch: Sequence[WaitingJob], error: str = DROPPED) -> None:
        self._assign(batch, error=error)
        for one in batch:
            if one.scratch is not None:
                shutil.rmtree(one.scratch, ignore_errors=True)


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
