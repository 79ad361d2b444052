"""One file from an address to a path: resumed, checked, and there only when it is whole."""

from __future__ import annotations

import errno
import hashlib
import os
import time
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lookalike.errors import StorageFull, UsageError
from lookalike.models.checksums import hash_file
from lookalike.models.hub import UNREACHABLE, RemoteFile, open_url

_BLOCK = 1 << 18
_TRIES = 5
_PAUSE = 0.5  # seconds before the second try; doubled for each further one

Advance = Callable[[int], None]
"""Called with the bytes of the file that are here so far."""


class Interrupted(Exception):
    """The connection ended before the file did."""


def download(remote: RemoteFile, target: Path, *, advance: Advance | None = None) -> str:
    """Fetches `remote` to `target` and returns its SHA-256.

    What came before an interruption lies in a .part file beside it and is not fetched again. The
    target appears in one step, after size and checksum have been found right. Raises UsageError
    (the content is not what was promised), StorageFull, or the network's own error.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    pause = _PAUSE
    for attempt in range(_TRIES):
        try:
            _fetch(remote, part, advance)
            break
        except urllib.error.HTTPError as error:
            if error.code < 500 or attempt == _TRIES - 1:
                raise
            error.close()
        except (*UNREACHABLE, Interrupted):
            if attempt == _TRIES - 1:
                raise
        except OSError as error:
            raise _cannot_write(error, part) from error
        time.sleep(pause)
        pause *= 2
    digest = _checked(remote, part)
    os.replace(part, target)  # noqa: PTH105 - atomic on every platform
    return digest


def _fetch(remote: RemoteFile, part: Path, advance: Advance | None) -> None:
    have = part.stat().st_size if part.exists() else 0
    if remote.size is not None and have >= remote.size:
        if have == remote.size:
            return
        part.unlink()
        have = 0
    try:
        response = open_url(remote.url, {"Range": f"bytes={have}-"} if have else None)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # "range not satisfiable": the part is not of this file
            raise
        error.close()
        part.unlink()
        response, have = open_url(remote.url), 0
    with response:
        resumed = response.status == 206 and _starts_at(response, have)
        with part.open("ab" if resumed else "wb") as out:
            done = have if resumed else 0
            expected = _expected_end(response, done, remote.size)
            while block := response.read(_BLOCK):
                out.write(block)
                done += len(block)
                if remote.size is not None and done > remote.size:
                    break  # it will be found wrong, before the disk is full
                if advance is not None:
                    advance(done)
            out.flush()
            os.fsync(out.fileno())
    if expected is not None and done < expected:
        raise Interrupted(f"{done} of {expected} bytes of {remote.url} came")


def _starts_at(response: Any, offset: int) -> bool:
    """A server may answer a range with another one; only the one asked for can be appended."""
    return str(response.headers.get("Content-Range", "")).startswith(f"bytes {offset}-")


def _expected_end(response: Any, done: int, size: int | None) -> int | None:
    if size is not None:
        return size
    length = response.headers.get("Content-Length")
    return done + int(length) if length else None


def _checked(remote: RemoteFile, part: Path) -> str:
    """SHA-256 of the finished part, or an error and no part: a wrong one must not be resumed."""
    size = part.stat().st_size
    git = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    sha256 = hash_file(part, into=git.update)
    wrong = ""
    if remote.size is not None and size != remote.size:
        wrong = f"{size} bytes, expected {remote.size}"
    elif remote.sha256 is not None and sha256 != remote.sha256:
        wrong = f"SHA-256 {sha256[:12]}…, expected {remote.sha256[:12]}…"
    elif remote.blob is not None and git.hexdigest() != remote.blob:
        wrong = f"git id {git.hexdigest()[:12]}…, expected {remote.blob[:12]}…"
    if wrong:
        part.unlink()
        raise UsageError(f"{remote.url} is not the file it should be ({wrong}): try again")
    return sha256


def _cannot_write(error: OSError, part: Path) -> Exception:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StorageFull(f"the disk is full while downloading {part}: make room, and run again")
    return UsageError(f"{part} cannot be written ({error.strerror}): choose another --model-dir")
