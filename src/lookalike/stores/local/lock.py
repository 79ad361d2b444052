"""The writer's lock: one process at a time, given up by the system however that process ends."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lookalike.errors import LibraryBusy
from lookalike.stores.local.catalogue import translated
from lookalike.stores.local.names import plain_text

LOCK = "writer.lock"
HOLDER = "writer.txt"
"""Who holds the lock, for the message. A file of its own: on Windows nobody else can read a locked
file, and older versions of filelock empty it when they try to take it."""


@contextmanager
def write_lock(folder: Path) -> Iterator[None]:
    """Hold the library's lock; `LibraryBusy` at once if another process has it."""
    from filelock import FileLock, Timeout  # 0.1 s to import, which a search must not pay

    lock = FileLock(folder / LOCK, timeout=0, thread_local=False)
    try:
        with translated(folder):
            lock.acquire()
    except Timeout:
        raise LibraryBusy(
            f"another process{_holder(folder)} is writing to the library in {folder}: "
            "wait until it is done, or stop it; searching works meanwhile"
        ) from None
    try:
        with suppress(OSError):
            name = plain_text(socket.gethostname())
            (folder / HOLDER).write_text(f"{os.getpid()} on {name}\n", "utf-8")
        yield
    finally:
        with suppress(OSError):
            (folder / HOLDER).unlink()
        lock.release()


def _holder(folder: Path) -> str:
    try:
        return f" ({(folder / HOLDER).read_text('utf-8').strip()})"
    except (OSError, UnicodeDecodeError):
        return ""
