"""The worker process: `python -m lookalike.workers.worker_main MODULE...`, started by the pool.

It reads tasks from standard input and writes results to standard output. It imports nothing heavy
itself; the work that it receives does. The modules named are imported first, while the parent is
still busy (see `worker_process`).
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pickle
import queue
import signal
import sys
import threading
import time
import traceback
from typing import Any, BinaryIO

from lookalike.workers.ipc import (
    OUT_OF_MEMORY_EXIT,
    NotReady,
    Raised,
    Ready,
    Results,
    Setup,
    receive,
    send,
)

FLUSH_SECONDS = 0.03
"""Finished results are held back this long to be sent together. The pool relies on it: silence
longer than this plus the time limit means that the current task is over the limit."""

LIBRARY_BYTES = 256 << 20
"""Address space for OpenCV, Pillow's plugins and libheif, which are loaded when first needed
(210 MB on Linux) and must not count against an image."""


def main() -> None:
    """Serve tasks until standard input closes."""
    # Ctrl-C goes to the whole process group; the parent decides what happens to the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tasks, results = _take_pipes()
    for module in sys.argv[1:]:
        with contextlib.suppress(Exception):  # the work reports it if it needs the module
            importlib.import_module(module)
    inbox: queue.SimpleQueue[Setup | list[Any] | Exception] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(tasks, inbox), daemon=True).start()
    work: Any = None
    timeout = 0.0
    while True:
        message = inbox.get()
        if isinstance(message, Setup):  # one from each pool that takes this worker
            try:
                work, timeout = pickle.loads(message.work), message.timeout  # noqa: S301 - from our own parent
            except BaseException as error:
                send(results, NotReady(_last_line(error)))
                return
            limit_memory(message.max_memory)
            send(results, Ready())
        elif isinstance(message, Exception):
            send(results, NotReady(_last_line(message)))
        else:
            _serve(message, work, results, timeout)


def _serve(tasks: list[Any], work: Any, results: BinaryIO, timeout: float) -> None:
    values: list[Any] = []
    since = time.perf_counter()
    for left, task in enumerate(tasks, 1 - len(tasks)):  # `left` is 0 at the last one
        _alarm(2 * timeout + 10)
        values.append(_value(work, task))
        now = time.perf_counter()
        if left == 0 or now - since > FLUSH_SECONDS:
            _reply(results, values, now - since)
            values = []
            since = now
    _alarm(0)


def _value(work: Any, task: Any) -> Any:
    try:
        return work(task)
    except MemoryError:
        # Memory that the allocator still holds could fail the next file too; a new process will not.
        os._exit(OUT_OF_MEMORY_EXIT)
    except BaseException as error:
        return Raised(_portable(error))


def _reply(results: BinaryIO, values: list[Any], seconds: float) -> None:
    try:
        send(results, Results(values, seconds))
    except BrokenPipeError:
        os._exit(0)
    except MemoryError:
        os._exit(OUT_OF_MEMORY_EXIT)
    except Exception as error:  # a result that cannot be pickled: nothing has been written yet
        send(results, Results([Raised(_portable(error))] * len(values), seconds))


def _last_line(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(error)).strip()


def _portable(error: BaseException) -> Exception:
    """Return the error, or a RuntimeError with its text if it cannot be pickled; traceback as a note."""
    notes = "in a worker process:\n" + "".join(traceback.format_exception(error))
    portable: Exception = RuntimeError(f"{type(error).__name__}: {error}")
    with contextlib.suppress(Exception):
        copy = pickle.loads(pickle.dumps(error, 5))  # noqa: S301 - some errors pickle one way only
        if isinstance(copy, Exception):
            portable = copy
    portable.add_note(notes)
    return portable


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Return private copies of the standard pipes; what libraries print is discarded."""
    tasks, results = os.dup(0), os.dup(1)
    for number, mode in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        null = os.open(os.devnull, mode)
        os.dup2(null, number)
        os.close(null)
    return open(tasks, "rb"), open(results, "wb")  # noqa: PTH123


def _listen(tasks: BinaryIO, inbox: queue.SimpleQueue[Setup | list[Any] | Exception]) -> None:
    """Read messages as they come, so that the parent never waits; end this process with its parent."""
    while True:
        try:
            message = receive(tasks)
            if isinstance(message, Setup):
                sys.path[:] = message.path  # the tasks that follow may need it
                _enter(message.folder)
            inbox.put(message)
        except (EOFError, OSError):
            os._exit(0)
        except Exception as error:  # tasks that cannot be unpickled; the main thread reports it
            inbox.put(error)


def _enter(folder: str) -> None:
    """Make it the working folder. If it was removed, nothing is at relative paths: no files of another."""
    try:
        os.chdir(folder)
    except OSError:
        import tempfile

        nowhere = tempfile.mkdtemp()
        os.chdir(nowhere)
        with contextlib.suppress(OSError):  # Windows
            os.rmdir(nowhere)  # noqa: PTH106


def limit_memory(max_memory: int | None) -> None:
    """Cap the address space at its present size plus `max_memory`, where possible.

    Linux enforces it. macOS accepts the limit and ignores it, Windows has none: there only the
    limits on pixels and time protect.
    """
    try:
        import resource
    except ImportError:
        return
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # no core files beside the photos
    if max_memory is None:
        return
    with contextlib.suppress(OSError, ValueError):
        with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123
            present = int(statm.read().split()[0]) * resource.getpagesize()
        _soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        wanted = present + LIBRARY_BYTES + max_memory
        if hard != resource.RLIM_INFINITY:
            wanted = min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))


def _alarm(seconds: float) -> None:
    """Let the kernel end this process if it hangs after its parent was killed.

    The closing of standard input ends it too, but not while native code holds the interpreter's lock.
    """
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


if __name__ == "__main__":
    main()
