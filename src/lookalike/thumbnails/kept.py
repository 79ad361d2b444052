"""Where thumbnails are kept: on disk beside the library, or in memory where that cannot be written."""

from __future__ import annotations

import threading
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from lookalike.files import atomic_write

Key: TypeAlias = tuple[bytes, int]
"""Content (its SHA-256) and side."""

MEMORY_BYTES = 64 << 20
"""Some ten thousand thumbnails of the size that a page shows."""


class OnDisk:
    """A file a thumbnail, named by content: `<side>/<first two digits>/<SHA-256>.jpg`.

    A file appears whole or not at all, so any number of processes may read and write; two that make the
    same one write the same. Where nothing can be written (a full disk, a folder that has become
    read-only) thumbnails are kept in memory.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._instead = InMemory()

    def get(self, key: Key) -> bytes | None:
        try:
            file = self._file(key)
            if file.is_symlink():  # never made here: it would show another file to whoever asks
                return self._instead.get(key)
            data = file.read_bytes()
        except OSError:
            return self._instead.get(key)
        return data or None

    def put(self, key: Key, data: bytes) -> None:
        file = self._file(key)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(file, shared=True) as out:
                out.write(data)
        except OSError:  # thumbnails are derived data: not worth an error
            self._instead.put(key, data)

    def drop(self, key: Key) -> None:
        self._instead.drop(key)
        with suppress(OSError):
            self._file(key).unlink()

    def _file(self, key: Key) -> Path:
        content, side = key
        name = content.hex()
        return self._folder / str(side) / name[:2] / f"{name}.jpg"


class InMemory:
    """The thumbnails used last, up to a number of bytes. For any number of threads."""

    def __init__(self, most: int = MEMORY_BYTES) -> None:
        self._most = most
        self._bytes = 0
        self._kept: OrderedDict[Key, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key) -> bytes | None:
        with self._lock:
            data = self._kept.get(key)
            if data is not None:
                self._kept.move_to_end(key)
            return data

    def put(self, key: Key, data: bytes) -> None:
        with self._lock:
            self._bytes += len(data) - len(self._kept.pop(key, b""))
            self._kept[key] = data
            while self._bytes > self._most:
                self._bytes -= len(self._kept.popitem(last=False)[1])

    def drop(self, key: Key) -> None:
        with self._lock:
            self._bytes -= len(self._kept.pop(key, b""))
