"""Caches for thumbnails: on disk beside the library, or in memory if that is read-only."""

from __future__ import annotations

import threading
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from lookalike.files import atomic_write

Key: TypeAlias = tuple[bytes, int]
"""SHA-256 of the file, and the longest side in pixels."""

MEMORY_BYTES = 64 << 20
"""Size of the cache in memory: some ten thousand thumbnails of the size that a page shows."""


class DiskCache:
    """One file per thumbnail, named by content: `<side>/<first two digits>/<SHA-256>.jpg`.

    Writes are atomic, so any number of processes may use one folder; two that make the same
    thumbnail write the same bytes. If the folder cannot be written (a full disk, permissions),
    thumbnails are cached in memory.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._fallback = MemoryCache()

    def get(self, key: Key) -> bytes | None:
        """Return a cached thumbnail, or None."""
        try:
            file = self._file(key)
            if file.is_symlink():  # never made here; it could expose another file
                return self._fallback.get(key)
            data = file.read_bytes()
        except OSError:
            return self._fallback.get(key)
        return data or None

    def put(self, key: Key, data: bytes) -> None:
        """Cache a thumbnail."""
        file = self._file(key)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(file, shared=True) as out:
                out.write(data)
        except OSError:  # thumbnails are derived data: not worth an error
            self._fallback.put(key, data)

    def drop(self, key: Key) -> None:
        """Delete a thumbnail, if it is cached."""
        self._fallback.drop(key)
        with suppress(OSError):
            self._file(key).unlink()

    def _file(self, key: Key) -> Path:
        content, side = key
        name = content.hex()
        return self._folder / str(side) / name[:2] / f"{name}.jpg"


class MemoryCache:
    """The least recently used thumbnails are dropped beyond `max_bytes`. Thread-safe."""

    def __init__(self, max_bytes: int = MEMORY_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._entries: OrderedDict[Key, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key) -> bytes | None:
        """Return a cached thumbnail, or None."""
        with self._lock:
            data = self._entries.get(key)
            if data is not None:
                self._entries.move_to_end(key)
            return data

    def put(self, key: Key, data: bytes) -> None:
        """Cache a thumbnail."""
        with self._lock:
            self._bytes += len(data) - len(self._entries.pop(key, b""))
            self._entries[key] = data
            while self._bytes > self._max_bytes:
                self._bytes -= len(self._entries.popitem(last=False)[1])

    def drop(self, key: Key) -> None:
        """Delete a thumbnail, if it is cached."""
        with self._lock:
            self._bytes -= len(self._entries.pop(key, b""))
