"""One worker process and the thread that feeds it, restarts it, and finds the guilty."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, BinaryIO

from lookalike.errors import LookalikeError, Outcome
from lookalike.workers.ipc import (
    OUT_OF_MEMORY_EXIT,
    NotReady,
    Raised,
    Ready,
    Setup,
    receive,
    send,
)
from lookalike.workers.task_queue import Job, Jobs
from lookalike.workers.worker_process import end, worker

_START_SECONDS = 120.0
"""Loading the libraries from a cold network disk has taken half a minute."""

_START_ATTEMPTS = 3

OnLost = Callable[[Any, Outcome, str], Any]


class Keeper:
    """Keeps one worker busy, and alive.

    When the worker is lost, the jobs that it had not answered are suspects. The fresh worker gets
    them one at a time, so that the guilty one is lost alone and is judged; the others come back.
    """

    def __init__(self, jobs: Jobs, setup: Setup, on_lost: OnLost) -> None:
        self._jobs = jobs
        self._setup = setup
        self._on_lost = on_lost
        self._lock = threading.Lock()
        self._closed = False
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = False
        self._attempts = 0
        self._flying: deque[Job] = deque()
        self._suspects: deque[Job] = deque()
        self._alone = False
        self._silence = 0.0
        self._overdue = False
        self._thread = threading.Thread(target=self._run, name="lookalike-keeper", daemon=True)
        self._thread.start()

    def tick(self, elapsed: float) -> None:
        """Called regularly with the seconds since the last call: ends a worker that hangs.

        Time is added up in small steps instead of comparing clocks: a process that was stopped and
        continued (Ctrl-Z, a laptop asleep) must not find its workers overdue.
        """
        if not self._flying:
            return
        self._silence += elapsed
        allowed = self._setup.timeout + 0.1 if self._ready else _START_SECONDS
        if self._silence > allowed and self._process is not None:
            self._overdue = True
            self._process.kill()

    @property
    def process_id(self) -> int | None:
        """The worker's process id while it runs."""
        process = self._process
        return None if process is None else process.pid

    def close(self) -> None:
        """Ends the worker, whatever it is doing. The jobs must be closed already."""
        with self._lock:
            self._closed = True
            if self._process is not None:
                self._process.kill()
        if self._thread is not threading.current_thread():
            self._thread.join(10.0)

    def _run(self) -> None:
        try:
            while self._feed():
                if self._flying:
                    self._hear()
        except BaseException as error:  # without this thread its jobs would be waited for, for ever
            self._jobs.fail(LookalikeError(f"the pool of workers failed: {error!r}"))
        finally:
            self._bury()

    def _feed(self) -> bool:
        """Sends what the worker can take; False at the end of all work."""
        if self._alone and self._flying:
            return not self._jobs.closed
        if self._suspects and not self._flying:
            self._alone = True
            self._send([self._suspects.popleft()])
            return not self._jobs.closed
        self._alone = False
        while True:
            batch = self._jobs.take(len(self._flying))
            if batch is None:
                return False
            if not batch:
                return True
            self._send(batch)
            if self._suspects:
                return True

    def _send(self, batch: list[Job]) -> None:
        if not self._flying:
            self._silence = 0.0
            if self._process is not None and self._process.poll() is not None:
                self._bury()  # killed while idle: nobody's fault
        self._flying.extend(batch)
        try:
            if self._process is None:
                self._start()
            if self._process is not None and self._process.stdin is not None:
                send(self._pipe(self._process.stdin), [job.task for job in batch])
        except OSError:
            self._lost()
        except Exception as error:  # a task that cannot be pickled
            for _ in batch:
                self._flying.pop()
            self._jobs.settle(batch, [Raised(error)] * len(batch), None)

    def _hear(self) -> None:
        """Waits for one message and notes what it says."""
        if self._process is None or self._process.stdout is None:
            return
        try:
            message = receive(self._pipe(self._process.stdout))
        except (EOFError, OSError):
            self._lost()
            return
        self._silence = 0.0
        if isinstance(message, Ready):
            self._ready = True
            self._attempts = 0
        elif isinstance(message, NotReady):
            self._jobs.fail(LookalikeError(f"a worker process cannot start: {message.reason}"))
        else:
            jobs = [self._flying.popleft() for _ in message.values]
            self._jobs.settle(jobs, message.values, message.seconds)

    def _lost(self) -> None:
        """The worker is gone: begin again, or judge if it is plain who did it."""
        was_ready, overdue = self._ready, self._overdue
        status = self._bury()
        unfinished = list(self._flying)
        self._flying.clear()
        if self._closed:
            return
        if not was_ready:
            self._attempts += 1
            # A signal may come from outside (the kernel short of memory); an exit will recur.
            if status >= 0 or self._attempts >= _START_ATTEMPTS:
                self._jobs.fail(
                    LookalikeError(
                        f"a worker process ended with status {status} before it was ready; "
                        f"does `{sys.executable} -c 'import lookalike'` work?"
                    )
                )
                return
        elif len(unfinished) == 1 and (self._alone or overdue):
            self._judge(unfinished[0], status, overdue)
            return
        self._suspects.extendleft(reversed(unfinished))

    def _judge(self, job: Job, status: int, overdue: bool) -> None:
        if overdue or status == -getattr(signal, "SIGALRM", 0):
            outcome = Outcome.TIMED_OUT
            reason = f"took longer than {self._setup.timeout:g} s; raise --timeout if it may"
        elif status == OUT_OF_MEMORY_EXIT:
            outcome = Outcome.OUT_OF_MEMORY
            reason = "needs more memory than is allowed; raise --max-memory"
        elif status == -getattr(signal, "SIGKILL", 0):
            outcome = Outcome.OUT_OF_MEMORY
            reason = "its worker was killed, most likely because memory ran out; use fewer workers"
        else:
            outcome = Outcome.UNREADABLE
            reason = "the decoder crashed; open it elsewhere and save it again"
        try:
            result = self._on_lost(job.task, outcome, reason)
        except Exception as error:
            result = Raised(error)
        self._jobs.settle([job], [result], None)

    def _start(self) -> None:
        """Starts the process and returns at once; the first message will be Ready or NotReady."""
        with self._lock:
            if self._closed:
                return
            self._ready = self._overdue = False
            self._silence = 0.0
            self._process = worker()
        if self._process.stdin is not None:
            send(self._pipe(self._process.stdin), self._setup)

    def _bury(self) -> int:
        """Kills the process if need be and returns its exit status."""
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return 0
        # Its own end first: a status of our kill would hide how it died.
        with contextlib.suppress(subprocess.TimeoutExpired):
            # At the end of all work nobody asks: this second would be lost at every closing.
            process.wait(0.0 if self._closed or self._jobs.closed else 1.0)
        return end(process)

    @staticmethod
    def _pipe(pipe: Any) -> BinaryIO:
        return pipe  # type: ignore[no-any-return]
