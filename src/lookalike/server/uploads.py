"""Images sent by clients: checked in a worker and kept for a while under their hash, so that a search with a
dropped image has an address that can be shared and returned to."""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from contextlib import suppress
from pathlib import Path

from lookalike.errors import PARSE_ERRORS, ImageError
from lookalike.files import atomic_write
from lookalike.server.responses import HTTPError, storage_error
from lookalike.thumbnails import MakePreview, Preview
from lookalike.wire import decode, encode
from lookalike.wire.http import Upload
from lookalike.workers.limits import Failure, Limits
from lookalike.workers.pool import Pool

HASH = re.compile(r"[0-9a-f]{64}")


class Uploads:
    """The uploads of a server, in a folder that all its processes share. Thread-safe.

    max_bytes  of all uploads together; the least recently used are deleted
    """

    def __init__(self, folder: Path, limits: Limits, *, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._pool: Pool[bytes, Preview | Failure] = Pool(
            MakePreview(limits), workers=2, limits=limits
        )
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, data: bytes) -> Upload:
        """Store an image. `ImageError` if it cannot be used, `HTTPError` 507 if the disk is full."""
        name = hashlib.sha256(data).hexdigest()
        with suppress(HTTPError):
            return self.get(name)
        checked = self._pool.run(data)
        if isinstance(checked, Failure):
            raise ImageError(checked.outcome, checked.reason)
        upload = Upload(name, checked.width, checked.height, checked.format)
        try:
            self._write(f"{name}.jpg", checked.data)
            self._write(f"{name}.image", data)
            self._write(f"{name}.json", json.dumps(encode(upload)).encode())
        except OSError as error:
            for file in self._folder.glob(f"{name}.*"):  # a part of it is of no use
                with suppress(OSError):
                    file.unlink()
            raise storage_error("the image", error) from None
        self._evict(keep=name)
        return upload

    def warm_up(self) -> None:
        """Start a worker, so that the first visitor does not wait for it."""
        self._pool.run(b"")

    def get(self, name: str) -> Upload:
        """Return an upload and mark it as used. `HTTPError` 404."""
        try:
            upload = decode(Upload, json.loads(self._read(name, "json")))
            os.utime(self._folder / f"{name}.json")
        except (OSError, *PARSE_ERRORS):
            raise unknown_upload(name) from None
        return upload

    def data(self, name: str) -> bytes:
        """Return the bytes that were sent. `HTTPError` 404."""
        return self._read(name, "image")

    def preview(self, name: str) -> bytes:
        """Return a JPEG of at most 1,024 pixels. `HTTPError` 404."""
        return self._read(name, "jpg")

    def close(self) -> None:
        """End the workers."""
        self._pool.close()

    def _read(self, name: str, suffix: str) -> bytes:
        if not HASH.fullmatch(name):
            raise HTTPError(
                404, "an upload is named by the 64 hex digits that POST /api/uploads gave"
            )
        try:
            return (self._folder / f"{name}.{suffix}").read_bytes()
        except OSError:
            raise unknown_upload(name) from None

    def _write(self, name: str, data: bytes) -> None:
        with atomic_write(self._folder / name, shared=True) as file:
            file.write(data)

    def _evict(self, *, keep: str) -> None:
        """Delete the least recently used uploads beyond `max_bytes`."""
        with self._lock, suppress(OSError):
            newest_first = sorted(
                ((file.stat().st_mtime_ns, file.stem) for file in self._folder.glob("*.json")),
                reverse=True,
            )
            total = 0
            for _, name in newest_first:
                files = [self._folder / f"{name}.{end}" for end in ("json", "image", "jpg")]
                total += sum(file.stat().st_size for file in files if file.exists())
                if total > self._max_bytes and name != keep:
                    for file in files:
                        file.unlink(missing_ok=True)


def unknown_upload(name: str) -> HTTPError:
    """Return the error for an upload that the server does not hold (any more)."""
    return HTTPError(404, f"the upload {name[:12]}… is not known (any more): send the image again")
