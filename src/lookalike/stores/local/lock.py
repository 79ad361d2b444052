"""The writer's lock: one process at a time; the system releases it however that process ends."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lookalike.errors import LibraryBusy, LibraryError
from lookalike.files import keep_private, mode_in
from lookalike.stores.local.database import translate_errors
from lookalike.stores.metadata import plain_text

LOCK = "writer.lock"
HOLDER = "writer.txt"
"""Names the process that holds the lock, for the error message. A file of its own: on Windows nobody else can
read a locked file, and older versions of filelock empty it when they try to lock it."""


@contextmanager
def write_lock(folder: Path) -> Iterator[bool]:
    """Hold the library's lock; raises `LibraryBusy` at once if another process has it.

    Yields whether the process that had it before was killed.
    """
    from filelock import FileLock, Timeout  # takes 0.1 s to import, which searches need not pay

    refuse_links(folder)
    lock = FileLock(folder / LOCK, timeout=0, thread_local=False, mode=mode_in(folder))
    try:
        with translate_errors(folder):
            lock.acquire()
    except Timeout:
        raise LibraryBusy(
            f"another process{_holder(folder)} is writing to the library in {folder}: "
            "wait until it is done, or stop it; searching works meanwhile"
        ) from None
    killed = (folder / HOLDER).exists()
    try:
        with suppress(OSError):
            name = plain_text(socket.gethostname())
            (folder / HOLDER).write_text(f"{os.getpid()} on {name}\n", "utf-8")
            keep_private(folder / HOLDER)
        yield killed
    finally:
        with suppress(OSError):
            (folder / HOLDER).unlink()
        lock.release()


def refuse_links(folder: Path) -> None:
    """Raise `LibraryError` where one of the library's files is a symbolic link.

    Folders may be links, to a faster disk. But a library may come from a stranger, and through a link to a
    file the writer would overwrite a file elsewhere.
    """
    with translate_errors(folder):
        spaces = folder / "spaces"
        within = [place for place in spaces.iterdir() if place.is_dir()] if spaces.is_dir() else []
        for place in (folder, spaces, *within):
            for file in place.iterdir() if place.is_dir() else ():
                if file.is_symlink() and not file.is_dir():
                    raise LibraryError(
                        f"{file} is a link, and nothing is written through links: put the file itself there"
                    )


def _holder(folder: Path) -> str:
    try:
        return f" ({(folder / HOLDER).read_text('utf-8').strip()})"
    except (OSError, UnicodeDecodeError):
        return ""
