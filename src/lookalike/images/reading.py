"""Read one file completely and hash it, whatever is at its path."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from dataclasses import dataclass, replace
from typing import NamedTuple

from lookalike.errors import ImageError, Outcome
from lookalike.images.formats import VIDEO_FORMATS
from lookalike.images.pages import page_digest, split_page
from lookalike.images.sniff import HEAD_BYTES, MAX_FILE_BYTES, refusal, sniff
from lookalike.object_storage import is_url, is_web

_NO_PERMISSION, _NOT_OPENED, _NOT_READ = (
    "no permission to read it",
    "cannot be opened: ",
    "cannot be read: ",
)
"""How reasons begin if the file could not be accessed, whatever its content."""

NOT_A_FILE = "is a folder, a pipe or a device, not a file; leave it out with --exclude"

# Of other users' files the system refuses it, and the time of their last access changes.
_NO_ACCESS_TIME = getattr(os, "O_NOATIME", 0)

# O_NONBLOCK: opening a FIFO would otherwise wait for a writer. O_BINARY is for Windows.
_OPEN_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
)


SAMPLED_BYTES = 64 << 20
"""Size from which a video is identified by its size and pieces of it, since reading it all takes minutes."""

PIECES, PIECE_BYTES = 64, 1 << 18
"""Number and size of the pieces, spread evenly from the first byte to the last."""

_recent: dict[str, tuple[object, Content]] = {}
"""The file whose page was read last, with its state: its other pages are read next."""


class InodeState(NamedTuple):
    """When a file's inode was changed last, and its number, both within 64 bits.

    The time (POSIX `st_ctime`) changes with the content, and nobody can set it back: it tells that a file was
    replaced by one of the same size and date. It also changes with owner, permissions and name.
    """

    ctime_ns: int
    number: int


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of a file, their SHA-256 (32 bytes), and the file's size and time when it was read.

    page  the page or frame that is meant (`pages`), "" for the file itself; `digest` is then that of the page
    file  path of a video: `data` is only its beginning; "" where `data` is everything
    """

    data: bytes
    digest: bytes
    size: int
    mtime_ns: int
    page: str = ""
    file: str = ""


def read(path: str | os.PathLike[str], *, max_bytes: int = MAX_FILE_BYTES) -> Content:
    """Read an image file completely and hash it.

    A file that is obviously not a supported image (see `sniff.refusal`) is refused after its first
    bytes. Of a large video, only its beginning is read here. Raises ImageError with the outcome `missing`,
    `unreadable` (no permission, a FIFO, a device, a disk error), `unsupported`, `too_small` or
    `too_large`. The path may be a URL (`object_storage`), and name a page of a file (`pages`).
    """
    name = os.fspath(path)
    found = split_page(name)
    try:
        if found is None or not is_web(path):
            return _read(name, max_bytes)
    except ImageError as error:
        if error.outcome is not Outcome.MISSING or found is None:
            raise
    assert found is not None
    file, page = found
    state = _state(file)
    kept = _recent.get(file)
    if kept is None or kept[0] != state:
        kept = state, _read(file, max_bytes)
        _recent.clear()
        _recent[file] = kept
    whole = kept[1]
    return replace(whole, digest=page_digest(whole.digest, page), page=page)


def _state(path: str) -> object:
    """Return what changes with the content at a path; for a URL, every minute."""
    if is_url(path):
        return time.monotonic() // 60
    try:
        found = os.stat(path)  # noqa: PTH116
    except (OSError, ValueError):
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _read(path: str, max_bytes: int) -> Content:
    if is_url(path):
        from lookalike.images.remote import fetch

        return content_of(path, fetch(path))
    return _read_file(path, max_bytes)


def _read_file(path: str, max_bytes: int) -> Content:
    try:
        handle = open_original(path)
    except OSError as error:
        raise _cannot_open(error) from None
    except ValueError:
        raise ImageError(Outcome.MISSING, "no file can have this name; check it") from None
    try:
        state = os.fstat(handle)
        if not stat.S_ISREG(state.st_mode):
            raise ImageError(Outcome.UNREADABLE, NOT_A_FILE)
        data = _read_all(handle, path, state.st_size, max_bytes)
        if _is_large_video(data, state.st_size):
            digest = _video_digest(handle, state.st_size)
            return Content(data, digest, state.st_size, mtime_ns_of(state), file=path)
    except OSError as error:
        raise ImageError(
            Outcome.UNREADABLE, f"{_NOT_READ}{_cause(error)}; check the disk"
        ) from None
    except MemoryError:
        raise ImageError(
            Outcome.OUT_OF_MEMORY,
            "does not fit into the memory allowed; index it with a higher --max-memory",
        ) from None
    finally:
        os.close(handle)
    return Content(data, hashlib.sha256(data).digest(), len(data), mtime_ns_of(state))


def open_original(path: str | os.PathLike[str]) -> int:
    """Open a file for reading without changing the time of its last access, where the system permits that."""
    try:
        return os.open(path, _OPEN_FLAGS | _NO_ACCESS_TIME)
    except PermissionError:
        return os.open(path, _OPEN_FLAGS)


def content_of(name: str, data: bytes) -> Content:
    """Return the content of a file that was read elsewhere. Raises ImageError as `read` does."""
    if refused := refusal(name, data[:HEAD_BYTES], len(data)):
        raise refused
    return Content(data, hashlib.sha256(data).digest(), len(data), 0)


def is_access_failure(outcome: Outcome, reason: str) -> bool:
    """Return whether the file could not be accessed: gone (an unplugged drive), no permission, a bad disk.

    Unlike damaged content, that may be resolved without a change of the file.
    """
    return outcome is Outcome.MISSING or reason.startswith((_NO_PERMISSION, _NOT_OPENED, _NOT_READ))


def mtime_ns_of(state: os.stat_result) -> int:
    """Return the modification time in nanoseconds, clipped to the 64 bits that a database can hold.

    They end in the year 2262, and file systems store whatever a wrong clock says.
    """
    return max(-(1 << 63), min(state.st_mtime_ns, (1 << 63) - 1))


def inode_of(state: os.stat_result) -> InodeState:
    """Return the state of a file's inode."""
    ctime_ns = max(-(1 << 63), min(state.st_ctime_ns, (1 << 63) - 1))
    return InodeState(ctime_ns, (state.st_ino & ((1 << 64) - 1)) - (state.st_ino >> 63 << 64))


def etag_state(etag: str) -> InodeState:
    """Return what stands for the state of the inode where files have an ETag instead: a hash of it."""
    return InodeState(int.from_bytes(hashlib.sha256(etag.encode()).digest()[:8]) >> 1, 0)


def _read_all(handle: int, name: str, size: int, max_bytes: int) -> bytes:
    """Return the file's bytes. Raises ImageError if its first bytes or its size rule it out."""
    if size <= max_bytes and size <= 1 << 22:
        head = data = os.read(handle, size + 1)
    else:
        head = data = os.read(handle, HEAD_BYTES)
    if refused := refusal(name, head[:HEAD_BYTES], size):
        raise refused
    if _is_large_video(head, size):
        return head
    if size > max_bytes:
        raise ImageError(
            Outcome.TOO_LARGE,
            f"has {size >> 20} MB; files over {max_bytes >> 20} MB are not supported: save it smaller,"
            " or as JPEG",
        )
    if len(data) == size:
        return data
    os.lseek(
        handle, 0, os.SEEK_SET
    )  # in one piece: joining the beginning with the rest would copy both
    parts = []
    wanted = size + 1
    while wanted > 0 and (part := os.read(handle, wanted)):
        parts.append(part)
        wanted -= len(part)
    return b"".join(parts)


def _is_large_video(data: bytes, size: int) -> bool:
    """Return whether a video is decoded from the disk, because only its beginning was read."""
    return len(data) < size and sniff(data[:HEAD_BYTES]) in VIDEO_FORMATS


def _video_digest(handle: int, size: int) -> bytes:
    """Return the SHA-256 of an open video or, if it is large, of its size and pieces of it."""
    with os.fdopen(os.dup(handle), "rb") as file:
        file.seek(0)
        if size <= SAMPLED_BYTES:
            return hashlib.file_digest(file, "sha256").digest()
        found = hashlib.sha256(f"{size} bytes, sampled".encode())
        for piece in range(PIECES):
            file.seek((size - PIECE_BYTES) * piece // (PIECES - 1))
            found.update(file.read(PIECE_BYTES))
        return found.digest()


def _cannot_open(error: OSError) -> ImageError:
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
        return ImageError(
            Outcome.MISSING,
            "there is no file at this path (any more); check the path, or connect its drive",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return ImageError(Outcome.UNREADABLE, f"{_NO_PERMISSION}; change its permissions")
    if error.errno == errno.ENXIO:
        return ImageError(Outcome.UNREADABLE, NOT_A_FILE)
    return ImageError(
        Outcome.UNREADABLE, f"{_NOT_OPENED}{_cause(error)}; check the disk, then try again"
    )


def _cause(error: OSError) -> str:
    return (error.strerror or "input/output error").lower()
