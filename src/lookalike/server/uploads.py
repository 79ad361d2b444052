"""Pictures that were sent: checked in a worker, kept for a while under their hash, so that a search
with a dropped picture has an address that can be shared and gone back to."""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from lookalike.errors import ImageError
from lookalike.files import atomic_write
from lookalike.images.decode import decode
from lookalike.images.jpeg import encode_jpeg
from lookalike.images.pixel_spec import PixelSpec
from lookalike.images.resize import fit
from lookalike.server.errors import Refusal
from lookalike.workers.limits import Failure, Limits
from lookalike.workers.pool import Pool

HASH = re.compile(r"[0-9a-f]{64}")
SIDE = 1024
"""Longer side in pixels of what is shown of an upload."""

_SHOWN = PixelSpec(fit="inside", max_side=SIDE)


@dataclass(frozen=True, slots=True)
class Upload:
    """A picture that was sent: the SHA-256 of its bytes in hex, its upright size and its format."""

    upload: str
    width: int
    height: int
    format: str


@dataclass(frozen=True, slots=True)
class Looked:
    """What a worker makes of the bytes: a small JPEG and facts."""

    data: bytes
    width: int
    height: int
    format: str


@dataclass(frozen=True, slots=True)
class Looking:
    """The work of a worker."""

    limits: Limits

    def __call__(self, data: bytes) -> Looked | Failure:
        try:
            decoded = decode(data, specs=[_SHOWN], limits=self.limits)
            facts = decoded.facts
            shown = encode_jpeg(fit(decoded.pixels, _SHOWN))
            return Looked(shown, facts.width, facts.height, facts.format)
        except ImageError as error:
            return Failure(error.outcome, error.reason)


class Uploads:
    """The uploads of a server, in a folder that all its processes share. For any number of threads."""

    def __init__(self, folder: Path, limits: Limits, *, kept_bytes: int) -> None:
        self._folder = folder
        self._kept_bytes = kept_bytes
        self._pool: Pool[bytes, Looked | Failure] = Pool(Looking(limits), workers=2, limits=limits)
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, data: bytes) -> Upload:
        """Keep a picture; `ImageError` where it is none that can be used, `Refusal` 507 where the disk is
        full."""
        name = hashlib.sha256(data).hexdigest()
        with suppress(Refusal):
            return self.get(name)
        looked = self._pool.run(data)
        if isinstance(looked, Failure):
            raise ImageError(looked.outcome, looked.reason)
        upload = Upload(name, looked.width, looked.height, looked.format)
        try:
            self._write(f"{name}.jpg", looked.data)
            self._write(f"{name}.picture", data)
            self._write(f"{name}.json", json.dumps(asdict(upload)).encode())
        except OSError as error:
            for file in self._folder.glob(f"{name}.*"):  # half of it only takes what is left
                with suppress(OSError):
                    file.unlink()
            raise Refusal(
                507, f"the picture cannot be kept: {(error.strerror or str(error)).lower()}"
            ) from None
        self._sweep(spare=name)
        return upload

    def get(self, name: str) -> Upload:
        """Facts of an upload, which is then the last to go; `Refusal` 404."""
        try:
            upload = Upload(**json.loads(self._read(name, "json")))
            os.utime(self._folder / f"{name}.json")
        except (OSError, ValueError, TypeError):
            raise gone(name) from None
        return upload

    def data(self, name: str) -> bytes:
        """The bytes as they were sent; `Refusal` 404."""
        return self._read(name, "picture")

    def shown(self, name: str) -> bytes:
        """A JPEG of it, at most 1,024 pixels long; `Refusal` 404."""
        return self._read(name, "jpg")

    def close(self) -> None:
        """End the workers."""
        self._pool.close()

    def _read(self, name: str, ending: str) -> bytes:
        if not HASH.fullmatch(name):
            raise Refusal(
                404, "an upload is named by the 64 hex digits that POST /api/uploads gave"
            )
        try:
            return (self._folder / f"{name}.{ending}").read_bytes()
        except OSError:
            raise gone(name) from None

    def _write(self, name: str, data: bytes) -> None:
        with atomic_write(self._folder / name, shared=True) as file:
            file.write(data)

    def _sweep(self, *, spare: str) -> None:
        """Forget those that were used longest ago, beyond the bytes that may be kept."""
        with self._lock, suppress(OSError):
            ages = sorted(
                ((file.stat().st_mtime_ns, file.stem) for file in self._folder.glob("*.json")),
                reverse=True,
            )
            total = 0
            for _, name in ages:
                files = [self._folder / f"{name}.{end}" for end in ("json", "picture", "jpg")]
                total += sum(file.stat().st_size for file in files if file.exists())
                if total > self._kept_bytes and name != spare:
                    for file in files:
                        file.unlink(missing_ok=True)


def gone(name: str) -> Refusal:
    return Refusal(404, f"the upload {name[:12]}… is not here (any more): send the picture again")
