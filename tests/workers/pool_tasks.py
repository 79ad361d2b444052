"""Work for the tests of the pool, imported by the workers; the task determines what the worker does."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class NotUnpicklable:
    """Can be pickled but not unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return int, ("not a number",)


def work(task: Any) -> Any:
    """Return a number doubled; perform the action that a string names."""
    match task:
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "crash":
            ctypes.string_at(0)
        case "exit":
            os._exit(3)
        case "hang":
            time.sleep(1000)
        case "eat":
            return bytes(bytearray(8 << 30))[-1]
        case "eat slowly":
            kept = []
            while True:
                kept.append(np.ones(1 << 20))
        case "print":
            print("this goes nowhere", flush=True)
            os.write(1, b"nor does this\n" * 1000)
            sys.stderr.write("nor this\n")
        case "error":
            raise KeyError("an error in the program")
        case "unpicklable":
            return threading.Lock()
        case "not unpicklable":
            return NotUnpicklable()
        case "process":
            return os.getpid()
        case "folder":
            return str(Path.cwd())
        case "threads":
            import cv2

            return cv2.getNumThreads(), os.environ["OMP_NUM_THREADS"]
        case "interrupt":
            return signal.getsignal(signal.SIGINT) == signal.SIG_IGN
        case "pixels":
            return np.arange(3_000_000, dtype=np.uint8)
        case float():
            time.sleep(task)
        case int():
            return 2 * task
    return task


class BrokenWork:
    """Work that cannot be loaded in a worker because an import fails there."""

    def __reduce__(self) -> tuple[Any, ...]:
        return __import__, ("a_module_that_does_not_exist",)

    def __call__(self, task: Any) -> Any:
        return task


class DyingWork:
    """Work that ends the worker while it is loaded."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (5,)

    def __call__(self, task: Any) -> Any:
        return task


@dataclass(frozen=True)
class Add:
    """Work that adds a number."""

    number: int

    def __call__(self, task: int) -> int:
        return task + self.number
