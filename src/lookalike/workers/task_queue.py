"""Queue of tasks and their results, shared by the threads of a pool."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from lookalike.errors import LookalikeError

_BATCH_SECONDS = 0.03
"""Work per message: enough that messages cost nothing, little enough that no worker holds a heap of
tasks while another is idle."""

_MAX_BATCH = 64
"""Tasks in one message at most."""


class Job:
    """One task and, once `done`, its result."""

    __slots__ = ("done", "result", "task")

    def __init__(self, task: Any) -> None:
        self.task = task
        self.result: Any = None
        self.done = False


class TaskQueue:
    """Jobs waiting for a worker, taken in batches whose size follows the speed of the work."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._changed = threading.Condition()
        self._pending: deque[Job] = deque()
        self._open = 0  # neither done nor abandoned
        self._idle = 0
        self._closed = False
        self._error: LookalikeError | None = None
        self._seconds_per_task: float | None = None

    def add(self, tasks: Iterable[Any], *, first: bool = False) -> tuple[list[Job], int]:
        """Queue tasks. Return their jobs and how many more workers could be busy than are."""
        jobs = [Job(task) for task in tasks]
        with self._changed:
            self._check()
            self._open += len(jobs)
            if first:
                self._pending.extendleft(reversed(jobs))
            else:
                self._pending.extend(jobs)
            if self._idle:
                self._changed.notify_all()
            return jobs, len(self._pending) - self._idle

    def take(self, in_flight: int) -> list[Job] | None:
        """Return a batch for a worker that has `in_flight` jobs already, or None at the end of work.

        The batch may be empty; waits only if the worker has nothing at all to do.
        """
        with self._changed:
            while not self._pending and not self._closed and not in_flight:
                self._idle += 1
                self._changed.wait()
                self._idle -= 1
            if self._closed:
                return None
            size = 1
            if self._seconds_per_task is not None:
                size = int(_BATCH_SECONDS / max(self._seconds_per_task, 1e-6))
            # Two batches in flight per worker take half of the window; the rest covers a slow front.
            size = max(1, min(size, _MAX_BATCH, self._open // (4 * self._workers)))
            if in_flight > size:
                return []
            size = min(size, len(self._pending))
            return [self._pending.popleft() for _ in range(size)]

    def complete(self, jobs: Sequence[Job], results: Sequence[Any], seconds: float | None) -> None:
        """Record results. `seconds` is the time they took together, None if that was not typical."""
        with self._changed:
            self._open -= len(jobs)
            for job, result in zip(jobs, results, strict=True):
                job.result = result
                job.done = True
            if seconds is not None and jobs:
                pace = seconds / len(jobs)
                old = self._seconds_per_task
                self._seconds_per_task = pace if old is None else 0.8 * old + 0.2 * pace
            self._changed.notify_all()

    def wait(self, job: Job) -> None:
        """Wait until the job is done. Raises the error given to `fail`."""
        with self._changed:
            while not job.done:
                self._check()
                # With a timeout, Ctrl-C gets through on Windows too.
                self._changed.wait(1.0)

    def abandon(self, jobs: Iterable[Job]) -> None:
        """Drop those of the jobs that no worker has begun: nobody waits for them any more."""
        unwanted = set(jobs)
        if unwanted:
            with self._changed:
                kept = deque(job for job in self._pending if job not in unwanted)
                self._open -= len(self._pending) - len(kept)
                self._pending = kept

    def fail(self, error: LookalikeError) -> None:
        """Close the queue with an error, which everyone who waits gets."""
        with self._changed:
            self._error = self._error or error
            self._closed = True
            self._changed.notify_all()

    def close(self) -> None:
        """Close the queue and end all waiting."""
        self.fail(LookalikeError("the pool of workers is closed"))

    @property
    def closed(self) -> bool:
        """Whether `close` or `fail` was called."""
        return self._closed

    def _check(self) -> None:
        if self._error is not None:
            raise self._error
