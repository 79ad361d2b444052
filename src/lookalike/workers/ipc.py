"""Messages between the parent and a worker: length-prefixed pickles over two pipes.

Pickle is safe here: both ends run the same code, and nothing from an image file is ever unpickled,
only objects that our own code made from it.
"""

from __future__ import annotations

import pickle
import struct
from dataclasses import dataclass
from typing import IO, Any

_LENGTH = struct.Struct("<Q")

OUT_OF_MEMORY_EXIT = 71
"""Exit status of a worker that reached its memory limit and ended instead of continuing."""


@dataclass(frozen=True, slots=True)
class Setup:
    """The first message to a worker. `work` stays pickled until `path` is in place.

    A worker that served another pool before goes to `folder`, the working folder of this one.
    """

    path: list[str]
    folder: str
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
    """Stands for a result when the work raised: an error in the program, not in a file."""

    error: Exception


@dataclass(frozen=True, slots=True)
class Results:
    """Results in the order of the tasks, and the seconds that they took together."""

    values: list[Any]
    seconds: float


def send(pipe: IO[bytes], message: object) -> None:
    """Write one message. Raises OSError (a broken pipe) if the other end is gone."""
    payload = pickle.dumps(message, 5)
    pipe.write(_LENGTH.pack(len(payload)))
    pipe.write(payload)
    pipe.flush()


def receive(pipe: IO[bytes]) -> Any:
    """Read one message. Raises EOFError if the other end is gone, even in the middle of a message."""
    header = pipe.read(_LENGTH.size)
    if len(header) < _LENGTH.size:
        raise EOFError
    size = _LENGTH.unpack(header)[0]
    payload = pipe.read(size)
    if len(payload) < size:
        raise EOFError
    return pickle.loads(payload)  # noqa: S301 - see the top of this file
