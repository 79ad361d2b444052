"""Starts job processes, follows and cancels them (see `process` for the protocol)."""

from __future__ import annotations

import io
import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lookalike.errors import LibraryError, error_by_name
from lookalike.server.jobs.job_folder import JobFolder
from lookalike.server.jobs.process import EXPORT, WRITERS
from lookalike.server.responses import too_many
from lookalike.wire.http import JobState, JobStatus
from lookalike.workers.worker_process import package_environment

PROGRAM = (sys.executable, "-P", "-m", "lookalike.server.jobs.process")

# Exports of one server process at once: each holds a snapshot of the library, and a core if it is read fast.
MAX_EXPORTS = 2

# Bytes of an export that are passed on at a time.
CHUNK_BYTES = 256 << 10

# Seconds between two looks at a job, after which its state is written.
STATE_SECONDS = 0.25

# Seconds of work from which the time left is estimated.
MIN_ESTIMATE_SECONDS = 1.0


class Job:
    """One job process. `state` is current while another thread is in `wait`; `id` names it to clients, if any
    may follow it."""

    def __init__(
        self, program: Sequence[str], library: Path | str, kind: str, arguments: Mapping[str, Any]
    ) -> None:
        self.state = JobState(kind=kind, state="running", message="starting", started=now())
        self.id = ""
        self._stage = ("", 0, time.monotonic())
        self._process = subprocess.Popen(
            program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=package_environment()
        )
        job = {"library": os.fspath(library), "kind": kind, "arguments": dict(arguments)}
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.write(json.dumps(job).encode() + b"\n")
            self._process.stdin.flush()

    def wait(self) -> JobState:
        """Follow the job to its end and return its last state."""
        while (message := self._message()) is not None:
            self._update(message)
        status = self.finish()
        if self.state.running:
            self._fail(f"the job ({self.state.kind}) ended early, with status {status}")
        return self.state

    def begin(self) -> Mapping[str, Any]:
        """Return the head of an export, whose bytes `read` then returns; raise the error it failed with."""
        message = self._message()
        if message is None:
            raise LibraryError(EARLY_END)
        if "begin" not in message:
            self._update(message)
            raise error_by_name(self.state.error, self.state.message)
        head: Mapping[str, Any] = message["begin"]
        return head

    def read(self) -> bytes:
        """Return the next bytes of an export; none at the end. `LibraryError` if they are not all."""
        assert isinstance(self._process.stdout, io.BufferedReader)
        chunk = self._process.stdout.read1(CHUNK_BYTES)
        if not chunk and self._process.wait() != 0:
            raise LibraryError(EARLY_END)
        return chunk

    def cancel(self) -> None:
        """Tell the job to end; a writer stores what is finished."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()

    def kill(self) -> None:
        """End the process at once."""
        with suppress(OSError):
            self._process.kill()

    def finish(self) -> int:
        """Wait until the process has ended and return its status."""
        status = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        return status

    def _message(self) -> dict[str, Any] | None:
        assert self._process.stdout is not None
        try:
            message = json.loads(self._process.stdout.readline())
        except (ValueError, OSError):  # the end, or a process that was killed within a line
            return None
        return message if isinstance(message, dict) else None

    def _update(self, message: Mapping[str, Any]) -> None:
        text = message.get("message", "")
        if "progress" in message:
            state = replace(self.state, **message["progress"])
            self.state = replace(state, seconds_left=self._seconds_left(state))
        elif "result" in message:
            self._end("done", text, result=message["result"])
        elif "cancelled" in message:
            self._end("cancelled", text, error="LibraryError")
        else:
            self._fail(text, str(message.get("error", "LibraryError")))

    def _seconds_left(self, state: JobState) -> float | None:
        """Return the seconds that the rest of a stage takes at the pace so far; None if that is not known."""
        stage, first, since = self._stage
        if stage != state.stage or state.done < first:
            self._stage = (state.stage, state.done, time.monotonic())
            return None
        elapsed = time.monotonic() - since
        if not state.total or state.done <= first or elapsed < MIN_ESTIMATE_SECONDS:
            return None
        return round((state.total - state.done) * elapsed / (state.done - first), 1)

    def _fail(self, message: str, error: str = "LibraryError") -> None:
        self._end("failed", message, error=error)

    def _end(self, state: JobStatus, message: str, **more: Any) -> None:
        self.state = replace(self.state, state=state, message=message, seconds_left=None, **more)


EARLY_END = "the export ended early: try again, or see the server's log"


class JobRunner:
    """The job processes of one server process. Thread-safe.

    check   called before each job; it may raise an error
    states  where the states of jobs that read are written, so that every process of the server knows them
    """

    def __init__(
        self,
        library: Path | str,
        states: JobFolder | None = None,
        *,
        program: Sequence[str] = PROGRAM,
        check: Callable[[], None] | None = None,
    ) -> None:
        self._library = library
        self._check = check
        self._states = states
        self._program = tuple(program)
        self._jobs: set[Job] = set()
        self._lock = threading.Lock()
        self._closed = False

    @property
    def running(self) -> list[JobState]:
        """States of the jobs that run now."""
        return [replace(job.state, id=job.id) for job in list(self._jobs)]

    def start(self, kind: str, arguments: Mapping[str, Any]) -> Job:
        """Start a job, which the caller must `end`. `HTTPError` 429 if too many exports are running."""
        if self._check is not None:
            self._check()
        with self._lock:
            if self._closed:
                raise LibraryError("the server is shutting down")
            exports = sum(job.state.kind == EXPORT for job in self._jobs)
            if kind == EXPORT and exports >= MAX_EXPORTS:
                raise too_many("too many exports are running: try again in a moment")
            job = Job(self._program, self._library, kind, arguments)
            self._jobs.add(job)
            return job

    def end(self, job: Job) -> None:
        """End a job, however far it is; again without effect."""
        with self._lock:
            self._jobs.discard(job)
        job.kill()
        job.finish()

    def run(self, kind: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Do a job that reads and return the document of its result; raise the error that it failed with.
        `UsageError` if somebody cancelled it."""
        job = self.start(kind, arguments)
        try:
            state = job.wait() if self._states is None else self._follow(job, self._states)
        finally:
            self.end(job)
        if state.result is None:
            raise error_by_name(state.error, state.message)
        return dict(state.result)

    def _follow(self, job: Job, states: JobFolder) -> JobState:
        """Follow a job to its end, write its states, and cancel it if that is asked for."""
        job.id = id = secrets.token_hex(8)
        follower = threading.Thread(target=job.wait, daemon=True)
        follower.start()
        cancelled = False
        while follower.is_alive():
            follower.join(STATE_SECONDS)
            if not follower.is_alive():
                break
            states.write(replace(job.state, id=id, result=None))
            if states.is_cancelled(id):
                cancelled = True
                job.kill()
        state = job.state
        if cancelled and state.result is None:
            state = replace(state, state="cancelled", message="cancelled", error="UsageError")
        states.write(replace(state, id=id, result=None))
        states.delete_old()
        return state

    def close(self) -> None:
        """End all jobs: writers in order, so that what they finished is stored."""
        with self._lock:
            self._closed = True
            jobs = list(self._jobs)
        for job in jobs:
            if job.state.kind in WRITERS:
                job.cancel()
            else:
                job.kill()


def now() -> str:
    """Return the time, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
