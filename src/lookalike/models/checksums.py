"""SHA-256 of large files, computed once for each state of a file."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

from lookalike.errors import UsageError
from lookalike.files import atomic_write
from lookalike.models.cache_dirs import cache_folder

_BLOCK = 1 << 20


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal.

    The result is cached with size, modification time and change time (programs that restore
    timestamps cannot set the last), so opening a model of a gigabyte again costs no second of hashing.
    If the cache cannot be written, the file is hashed each time.
    """
    status = path.stat()
    state = [status.st_size, status.st_mtime_ns, status.st_ctime_ns]
    cache = _cache_file(path)
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        known = json.loads(cache.read_text(encoding="utf-8"))
        if known["state"] == state:
            return str(known["sha256"])
    digest = hash_file(path)
    with contextlib.suppress(OSError):
        cache.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(cache, shared=True) as out:
            out.write(json.dumps({"state": state, "sha256": digest}).encode())
    return digest


def hash_file(path: Path, *, into: Callable[[bytes], None] | None = None) -> str:
    """Return the SHA-256 of a file without the cache; every block is also given to `into`."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
            if into is not None:
                into(block)
    return digest.hexdigest()


def check_sha256(path: Path, expected: str) -> None:
    """Raise UsageError naming the file if its content is not the expected one."""
    actual = file_sha256(path)
    if actual != expected:
        raise UsageError(
            f"{path} is damaged or was altered (SHA-256 {actual[:12]}…, expected "
            f"{expected[:12]}…): delete it, and it is downloaded again"
        )


def _cache_file(path: Path) -> Path:
    key = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]
    return cache_folder() / "checksums" / f"{key}.json"
