"""Supervise one worker process: feed it, restart it, and find the task that killed it."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias

from lookalike.errors import LookalikeError, Outcome
from lookalike.workers.ipc import OUT_OF_MEMORY_EXIT, NotReady, Raised, Ready, Setup, receive, send
from lookalike.workers.limits import Failure
from lookalike.workers.task_queue import Job, TaskQueue
from lookalike.workers.worker_process import Process, end, give_back, take_worker

_START_SECONDS = 120.0
"""Time to start. Loading the libraries from a cold network disk has taken half a minute."""

_START_ATTEMPTS = 3
"""Starts in a row that may be killed by a signal before the pool gives up."""

OnFailure: TypeAlias = Callable[[Failure], Any]


class Supervisor:
    """Keeps one worker busy and alive, in a thread of its own.

    When the worker is lost, the jobs that it had not answered are suspects. A new worker gets them
    one at a time, so that the job at fault is lost alone and fails; the others succeed.
    """

    def __init__(self, queue: TaskQueue, setup: Setup, on_failure: OnFailure | None) -> None:
        self._queue = queue
        self._setup = setup
        self._on_failure = on_failure
        self._lock = threading.Lock()
        self._closed = False
        self._process: Process | None = None
        self._ready = False
        self._attempts = 0
        self._in_flight: deque[Job] = deque()
        self._suspects: deque[Job] = deque()
        self._one_at_a_time = False
        self._silent_seconds = 0.0
        self._overdue = False
        self._thread = threading.Thread(target=self._run, name="lookalike-supervisor", daemon=True)
        self._thread.start()

    def tick(self, elapsed: float) -> None:
        """Kill the worker if it hangs. Called regularly with the seconds since the last call.

        Time is added up in small steps instead of comparing clocks: a process that was stopped and
        continued (Ctrl-Z, a laptop asleep) must not find its workers overdue.
        """
        if not self._in_flight:
            return
        self._silent_seconds += elapsed
        allowed = self._setup.timeout + 0.1 if self._ready else _START_SECONDS
        if self._silent_seconds > allowed and self._process is not None:
            self._overdue = True
            self._process.kill()

    @property
    def process_id(self) -> int | None:
        """The id of the worker process while it runs."""
        process = self._process
        return None if process is None else process.pid

    def close(self) -> None:
        """End the worker, whatever it is doing, or give it back. The queue must be closed already."""
        with self._lock:
            self._closed = True
            if self._process is not None and self._in_flight:
                self._process.kill()
        if self._thread is not threading.current_thread():
            self._thread.join(10.0)

    def _run(self) -> None:
        try:
            while self._feed():
                if self._in_flight:
                    self._receive()
            if self._ready and not (self._in_flight or self._suspects):
                self._give_back()
        except BaseException as error:  # otherwise its jobs would be waited for without end
            self._queue.fail(LookalikeError(f"the pool of workers failed: {error!r}"))
        finally:
            self._reap()

    def _feed(self) -> bool:
        """Send what the worker can take; False at the end of all work."""
        if self._one_at_a_time and self._in_flight:
            return not self._queue.closed
        if self._suspects and not self._in_flight:
            self._one_at_a_time = True
            self._send([self._suspects.popleft()])
            return not self._queue.closed
        self._one_at_a_time = False
        while True:
            batch = self._queue.take(len(self._in_flight))
            if batch is None:
                return False
            if not batch:
                return True
            self._send(batch)
            if self._suspects:
                return True

    def _send(self, batch: list[Job]) -> None:
        if not self._in_flight:
            self._silent_seconds = 0.0
            if self._process is not None and self._process.poll() is not None:
                self._reap()  # killed while idle: no task is at fault
        self._in_flight.extend(batch)
        try:
            if self._process is None:
                self._start()
            if self._process is not None and self._process.stdin is not None:
                send(self._process.stdin, [job.task for job in batch])
        except OSError:
            self._worker_lost()
        except Exception as error:  # a task that cannot be pickled
            for _ in batch:
                self._in_flight.pop()
            self._queue.complete(batch, [Raised(error)] * len(batch), None)

    def _receive(self) -> None:
        """Wait for one message and act on it."""
        if self._process is None or self._process.stdout is None:
            return
        try:
            message = receive(self._process.stdout)
        except (EOFError, OSError):
            self._worker_lost()
            return
        self._silent_seconds = 0.0
        if isinstance(message, Ready):
            self._ready = True
            self._attempts = 0
        elif isinstance(message, NotReady):
            self._queue.fail(LookalikeError(f"a worker process cannot start: {message.reason}"))
        else:
            jobs = [self._in_flight.popleft() for _ in message.values]
            self._queue.complete(jobs, message.values, message.seconds)

    def _worker_lost(self) -> None:
        """Fail the job at fault if it is known, else note the unanswered jobs as suspects."""
        was_ready, overdue = self._ready, self._overdue
        status = self._reap()
        unfinished = list(self._in_flight)
        self._in_flight.clear()
        if self._closed:
            return
        if not was_ready:
            self._attempts += 1
            # A signal may come from outside (the kernel short of memory); an exit would recur.
            if status >= 0 or self._attempts >= _START_ATTEMPTS:
                self._queue.fail(
                    LookalikeError(
                        f"a worker process ended with status {status} before it was ready; "
                        f"does `{sys.executable} -c 'import lookalike'` work?"
                    )
                )
                return
        elif len(unfinished) == 1 and (self._one_at_a_time or overdue):
            self._fail_job(unfinished[0], self._failure(status, overdue))
            return
        self._suspects.extendleft(reversed(unfinished))

    def _failure(self, status: int, overdue: bool) -> Failure:
        if overdue or status == -getattr(signal, "SIGALRM", 0):
            return Failure(
                Outcome.TIMED_OUT,
                f"took longer than {self._setup.timeout:g} s; index it with a higher --timeout if it may",
            )
        if status == OUT_OF_MEMORY_EXIT:
            return Failure(
                Outcome.OUT_OF_MEMORY,
                "needs more memory than is allowed; save it smaller, or index it with a higher"
                " --max-memory",
            )
        if status == -getattr(signal, "SIGKILL", 0):
            return Failure(
                Outcome.OUT_OF_MEMORY,
                "its worker was killed, most likely because memory ran out; use fewer --workers",
            )
        return Failure(
            Outcome.UNREADABLE, "the decoder crashed; open it elsewhere and save it again"
        )

    def _fail_job(self, job: Job, failure: Failure) -> None:
        try:
            result = failure if self._on_failure is None else self._on_failure(failure)
        except Exception as error:
            result = Raised(error)
        self._queue.complete([job], [result], None)

    def _start(self) -> None:
        """Start the process and return at once; its first message will be Ready or NotReady."""
        with self._lock:
            if self._closed:
                return
            self._ready = self._overdue = False
            self._silent_seconds = 0.0
            self._process = take_worker()
        if self._process.stdin is not None:
            send(self._process.stdin, self._setup)

    def _give_back(self) -> None:
        """Leave the idle worker to the next pool where workers are kept."""
        with self._lock:
            if self._process is not None and give_back(self._process):
                self._process = None

    def _reap(self) -> int:
        """End the process if it still runs, and return its exit status."""
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return 0
        # Let it end by itself first: the status of our kill would hide how it died. Not when all work
        # is over, where nobody asks for the status and every close would take this second.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.0 if self._closed or self._queue.closed else 1.0)
        return end(process)
