"""Reading one file whole, whatever lies at its path: the first step of the work on a picture."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from dataclasses import dataclass

from lookalike.errors import ImageError, Outcome
from lookalike.images.sniff import HEAD_BYTES, refusal

MAX_FILE_BYTES = 1 << 30
"""No picture of 512 megapixels in the formats read here is larger, unless it is uncompressed."""

SHUT, UNOPENED, UNREAD = "no permission to read it", "cannot be opened: ", "cannot be read: "
"""How reasons begin where nothing of the content was seen."""

# O_NONBLOCK: opening a FIFO would otherwise wait for a writer, for ever. O_BINARY is Windows'.
_OPEN_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
)


@dataclass(frozen=True, slots=True)
class Content:
    """A file as it was read: its bytes, their SHA-256 (32 bytes), and its state at that moment."""

    data: bytes
    digest: bytes
    size: int
    mtime_ns: int


def read(path: str | os.PathLike[str], *, max_bytes: int = MAX_FILE_BYTES) -> Content:
    """Reads a picture file whole and hashes it.

    A file that is plainly no picture (see `sniff.refusal`) is refused after its first bytes: a film
    among the photos costs nothing. Raises ImageError with the outcome `missing`, `unreadable` (no
    permission, a FIFO, a device, a disk error), `unsupported`, `too_small` or `too_large`.
    """
    try:
        handle = os.open(path, _OPEN_FLAGS)
    except OSError as error:
        raise _cannot_open(error) from None
    except ValueError:
        raise ImageError(Outcome.MISSING, "no file can have this name") from None
    try:
        state = os.fstat(handle)
        if not stat.S_ISREG(state.st_mode):
            raise ImageError(Outcome.UNREADABLE, "is a folder, a pipe or a device, not a file")
        data = _read_all(handle, os.fspath(path), state.st_size, max_bytes)
    except OSError as error:
        raise ImageError(Outcome.UNREADABLE, f"{UNREAD}{_cause(error)}; check the disk") from None
    except MemoryError:
        raise ImageError(Outcome.OUT_OF_MEMORY, "is too big for the memory allowed") from None
    finally:
        os.close(handle)
    return Content(data, hashlib.sha256(data).digest(), len(data), changed_ns(state))


def is_elsewhere(outcome: Outcome, reason: str) -> bool:
    """Whether it was not the file's content that failed but its place: gone meanwhile (a drive that was
    unplugged), shut, or on a failing disk. That may be mended without the file's changing."""
    return outcome is Outcome.MISSING or reason.startswith((SHUT, UNOPENED, UNREAD))


def changed_ns(state: os.stat_result) -> int:
    """When a file was changed, as a catalogue can hold it: 64 bits of nanoseconds end in the year 2262, and
    file systems keep whatever a broken clock says."""
    return max(-(1 << 63), min(state.st_mtime_ns, (1 << 63) - 1))


def _read_all(handle: int, name: str, size: int, max_bytes: int) -> bytes:
    """The file's bytes, unless its head or its size already rule it out."""
    if size <= max_bytes and size <= 1 << 22:
        head = data = os.read(handle, size + 1)
    else:
        head = data = os.read(handle, HEAD_BYTES)
    if refused := refusal(name, head[:HEAD_BYTES], size):
        raise refused
    if size > max_bytes:
        raise ImageError(
            Outcome.TOO_LARGE, f"has {size >> 20} MB; files over {max_bytes >> 20} MB are not read"
        )
    if len(data) == size:
        return data
    parts = [data]
    wanted = size - len(data) + 1
    while wanted > 0 and (part := os.read(handle, wanted)):
        parts.append(part)
        wanted -= len(part)
    return b"".join(parts)


def _cannot_open(error: OSError) -> ImageError:
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
        return ImageError(Outcome.MISSING, "there is no file at this path (any more)")
    if error.errno in (errno.EACCES, errno.EPERM):
        return ImageError(Outcome.UNREADABLE, f"{SHUT}; change its permissions")
    if error.errno == errno.ENXIO:
        return ImageError(Outcome.UNREADABLE, "is a folder, a pipe or a device, not a file")
    return ImageError(Outcome.UNREADABLE, f"{UNOPENED}{_cause(error)}")


def _cause(error: OSError) -> str:
    return (error.strerror or "input/output error").lower()
