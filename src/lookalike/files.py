"""Atomic writes and moves: a file is replaced as a whole or not at all, or never."""

from __future__ import annotations

import errno
import filecmp
import os
import shutil
import stat
import tempfile
import threading
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from lookalike.errors import UsageError


@contextmanager
def atomic_path(
    file: Path, *, durable: bool = False, shared: bool = False, private: bool = True
) -> Iterator[Path]:
    """Yield a temporary path beside `file`; the file written there replaces `file` on success.

    If the block raises, the temporary file is deleted and `file` stays as it was.

    durable  wait until content and name are on the disk, so that a power cut loses neither
    shared   several threads or processes may write the same file at once: each gets a temporary
             name of its own. Otherwise it is `<name>.part`, so a killed process leaves one at most.
    private  the file is at most as open to other users as its folder (`keep_private`)
    """
    owner = f".{os.getpid()}-{threading.get_ident()}" if shared else ""
    part = file.with_name(f"{file.name}{owner}.part")
    try:
        part.unlink(missing_ok=True)  # also a link: what it points to must not be overwritten
        yield part
        if private:
            keep_private(part)
        if durable:
            with part.open("rb+") as written:
                os.fsync(written.fileno())
        _replace(part, file)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(file.parent)


# Seconds to wait before trying again: Windows replaces no file that another program has open.
BUSY_PAUSES = (0.01, 0.05, 0.2, 0.5, 1.3) if os.name == "nt" else ()


def _replace(part: Path, file: Path) -> None:
    """Replace a file, on Windows when its readers have closed it."""
    for pause in BUSY_PAUSES:
        with suppress(PermissionError):
            part.replace(file)
            return
        time.sleep(pause)
    part.replace(file)


@contextmanager
def atomic_write(
    file: Path, *, durable: bool = False, shared: bool = False, private: bool = True
) -> Iterator[BinaryIO]:
    """Open a binary file that replaces `file` when the block ends without an error.

    Options as in `atomic_path`. Raises OSError if the file cannot be written.
    """
    with (
        atomic_path(file, durable=durable, shared=shared, private=private) as part,
        part.open("xb") as out,
    ):
        yield out


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that replaces `folder` when the block ends without an error. Raises OSError.

    A symbolic link is followed. The old folder is beside it as `.<name>.old` until the new one is in place;
    where the process was killed in between, the next call puts it back.
    """
    folder = Path(os.path.realpath(folder))
    folder.parent.mkdir(parents=True, exist_ok=True)
    old = folder.with_name(f".{folder.name}.old")
    _settle(folder, old)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        yield part
        mask = os.umask(0)
        os.umask(mask)
        part.chmod(0o755 & ~mask)
        if folder.exists():
            folder.replace(old)
        part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)  # it is gone if it was renamed
        _settle(folder, old)


def _settle(folder: Path, old: Path) -> None:
    """Delete the old folder if `folder` is there, else put it back."""
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
    elif old.exists():
        old.replace(folder)


@contextmanager
def output_file(file: Path) -> Iterator[BinaryIO]:
    """Open a file that the user named for output, with `atomic_write`.

    A device or a pipe is written to directly, and a symbolic link is followed. Raises UsageError if
    the file cannot be written.
    """
    try:
        if file.exists() and not file.is_file():
            with file.open("wb") as out:
                yield out
            return
        with atomic_write(file.resolve(), private=False) as out:
            yield out
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror or error}") from error


def compose(text: str) -> str:
    """Return a text in composed form (NFC), in which names of files, globs and filters are compared."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def move_file(source: Path, target: Path) -> None:
    """Move a file to a path where nothing is, also to another device; nothing is overwritten.

    Between devices it is copied, written to the disk and compared before the source is deleted. Raises
    FileExistsError if something is at the target, else OSError; then the source is where it was.
    """
    # The empty file reserves the name: no other program can create it in between.
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        try:
            source.replace(target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _move_between_devices(source, target)
    except BaseException:
        # A source that is still there was not moved, so the target is ours to delete.
        if source.exists():
            with suppress(OSError):
                target.unlink()
        raise


def _move_between_devices(source: Path, target: Path) -> None:
    with atomic_path(target, durable=True) as part:
        with source.open("rb") as read, part.open("xb") as written:
            shutil.copyfileobj(read, written, 1 << 20)
        if not filecmp.cmp(source, part, shallow=False):
            raise OSError(errno.EIO, "the copy differs from the file: check the disk")
        shutil.copystat(source, part)
    source.unlink()


def keep_private(file: Path) -> None:
    """Take from other users what the folder of a file does not give them. Does nothing on Windows."""
    if os.name == "posix":
        mode, folder = stat.S_IMODE(file.stat().st_mode), file.parent.stat().st_mode
        wanted = mode & (folder | 0o700)
        if mode != wanted:
            file.chmod(wanted)


def mode_in(folder: Path) -> int:
    """Return the permissions of a file that is as open to other users as its folder."""
    return stat.S_IMODE(folder.stat().st_mode) & 0o666 | 0o600


LIBRARY_FOLDER = ".lookalike"
"""Name of the folder that holds a library, beside the images."""


def make_folder(folder: Path) -> None:
    """Make a folder and its missing parents, each at most as open to other users as the one above it.

    The folder of a library is not made: where it is missing, the disk that holds it is gone. Raises OSError.
    """
    if not folder.is_dir():
        if folder.name == LIBRARY_FOLDER:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(folder))
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        keep_private(folder)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk. Does nothing on Windows."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
