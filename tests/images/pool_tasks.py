"""Work for the pool's tests: does to its worker what the task says. Imported by the workers."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from lookalike.errors import ImageError, Outcome
from lookalike.images.decode import decode
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.images.reading import read
from lookalike.images.resize import fit


@dataclass(frozen=True)
class Lost:
    """The result of a task whose worker was lost."""

    task: Any
    outcome: Outcome
    reason: str


@dataclass(frozen=True)
class Unlucky:
    """Cannot be unpickled anywhere."""

    def __reduce__(self) -> tuple[Any, ...]:
        return int, ("not a number",)


def lost(task: Any, outcome: Outcome, reason: str) -> Any:
    """What the pool calls when a worker was lost."""
    return Lost(task, outcome, reason)


def work(task: Any) -> Any:
    """Numbers come back doubled; words are orders."""
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
        case "mistake":
            raise KeyError("a mistake in the program")
        case "unpicklable":
            return threading.Lock()
        case "unlucky":
            return Unlucky()
        case "process":
            return os.getpid()
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


@dataclass(frozen=True)
class Fitted:
    """What became of a file: pixels, or the outcome and its reason."""

    path: str
    outcome: Outcome
    reason: str
    pixels: Pixels


NO_PIXELS = np.zeros((0, 0, 3), np.uint8)


def read_and_fit(task: tuple[str, PixelSpec]) -> Fitted:
    """A file, as an extractor with these needs gets it."""
    path, needs = task
    try:
        data = read(path).data
        pixels = fit(decode(data, needs=[needs], name=path).pixels, needs)
    except ImageError as error:
        return Fitted(path, error.outcome, error.reason, NO_PIXELS)
    return Fitted(path, Outcome.INDEXED, "", pixels)


def lost_file(task: tuple[str, PixelSpec], outcome: Outcome, reason: str) -> Fitted:
    """The worker of a file was lost."""
    return Fitted(task[0], outcome, reason, NO_PIXELS)


class BrokenWork:
    """Work that cannot be loaded in a worker: an import that fails there."""

    def __reduce__(self) -> tuple[Any, ...]:
        return __import__, ("a_module_that_does_not_exist",)

    def __call__(self, task: Any) -> Any:
        return task


class DyingWork:
    """Work whose loading ends the worker."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (5,)

    def __call__(self, task: Any) -> Any:
        return task
