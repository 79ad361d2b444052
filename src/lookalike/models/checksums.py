"""SHA-256 of large files, computed once for each state of a file."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

from lookalike.errors import UsageError
from lookalike.models.cache_dirs import cache_folder

_BLOCK = 1 << 20


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal.

    The answer is remembered with size, modification and change time (the last cannot be set by
    programs that restore timestamps), so opening a model of a gigabyte again takes no second of
    hashing. Where the note cannot be written, the file is simply hashed each time.
    """
    status = path.stat()
    state = [status.st_size, status.st_mtime_ns, status.st_ctime_ns]
    note = _note_for(path)
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        known = json.loads(note.read_text(encoding="utf-8"))
        if known["state"] == state:
            return str(known["sha256"])
    digest = hash_file(path)
    with contextlib.suppress(OSError):
        note.parent.mkdir(parents=True, exist_ok=True)
        fresh = note.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps({"state": state, "sha256": digest}), encoding="utf-8")
        fresh.replace(note)
    return digest


def hash_file(path: Path, *, into: Callable[[bytes], None] | None = None) -> str:
    """SHA-256 of a file read now; every block is also given to `into`."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
            if into is not None:
                into(block)
    return digest.hexdigest()


def check_sha256(path: Path, expected: str) -> None:
    """Raises UsageError naming the file when its content is not the expected one."""
    actual = file_sha256(path)
    if actual != expected:
        raise UsageError(
            f"{path} is damaged or was altered (SHA-256 {actual[:12]}…, expected "
            f"{expected[:12]}…): delete it, and it is downloaded again"
        )


def _note_for(path: Path) -> Path:
    key = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]
    return cache_folder() / "checksums" / f"{key}.json"
