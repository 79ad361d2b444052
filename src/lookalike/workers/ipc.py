"""What parent and worker say to each other: pickles, each after its length, over two pipes.

Both ends belong to us and run the same code, so pickle is safe here: nothing that a picture file
contains is ever unpickled, only what our own code made of it.
"""

from __future__ import annotations

import pickle
import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

_LENGTH = struct.Struct("<Q")

OUT_OF_MEMORY_EXIT = 71
"""Exit status of a worker that ran into its memory limit: it starts afresh rather than go on."""


@dataclass(frozen=True, slots=True)
class Setup:
    """The first message to a worker. `work` stays pickled until `path` is in place."""

    path: list[str]
    work: bytes
    max_memory: int | None
    timeout: float


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker has loaded its work."""


@dataclass(frozen=True, slots=True)
class NotReady:
    """The worker cannot load its work; `reason` is the last line of the traceback."""

    reason: str


@dataclass(frozen=True, slots=True)
class Raised:
    """Takes the place of a result when the work raised: a mistake in the program, not in a file."""

    error: Exception


@dataclass(frozen=True, slots=True)
class Results:
    """Results in the order of the tasks, and the seconds that they took together."""

    values: list[Any]
    seconds: float


def send(pipe: BinaryIO, message: object) -> None:
    """Writes one message. Raises OSError (a broken pipe) if the other end is gone."""
    payload = pickle.dumps(message, 5)
    pipe.write(_LENGTH.pack(len(payload)))
    pipe.write(payload)
    pipe.flush()


def receive(pipe: BinaryIO) -> Any:
    """Reads one message. Raises EOFError if the other end is gone, even in mid-message."""
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError
    size = _LENGTH.unpack(head)[0]
    payload = pipe.read(size)
    if len(payload) < size:
        raise EOFError
    return pickle.loads(payload)  # noqa: S301 - see the top of this file
