"""Thumbnails of a library's images, cached in its folder or by its store."""

from __future__ import annotations

import os
import struct
import threading
import zlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeAlias

from lookalike.errors import ImageError, Outcome, UsageError
from lookalike.files import atomic_write, make_folder
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.stores.interface import Image, Store, ThumbnailCache
from lookalike.stores.local.thumbnails import FOLDER, cached_files, thumbnail_file
from lookalike.workers.limits import Failure, Limits
from lookalike.workers.pool import Pool

Key: TypeAlias = tuple[bytes, int]
"""SHA-256 of the file, and the longest side in pixels."""

MEMORY_BYTES = 64 << 20
"""Size of the cache in memory: some ten thousand thumbnails of the size that a page shows."""


CHECKSUM, MARK, END_OF_JPEG = struct.Struct(">4sI"), b"crc:", b"\xff\xd9"
"""What follows the JPEG in a file of the cache, where viewers ignore it: a mark and its CRC-32."""


class DiskCache:
    """One file per thumbnail, named by content (`thumbnail_file`); the store deletes those of no image.

    A file that is damaged counts as missing, so its thumbnail is made again.
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
            file = thumbnail_file(self._folder, *key)
            if file.is_symlink():  # never made here; it could expose another file
                return self._fallback.get(key)
            data = file.read_bytes()
        except OSError:
            return self._fallback.get(key)
        return intact_content(data)

    def put(self, key: Key, data: bytes) -> None:
        """Cache a thumbnail."""
        file = thumbnail_file(self._folder, *key)
        try:
            make_folder(file.parent)
            with atomic_write(file, shared=True) as out:
                out.write(data + CHECKSUM.pack(MARK, zlib.crc32(data)))
        except OSError:  # thumbnails are derived data: not worth an error
            self._fallback.put(key, data)


def intact_content(data: bytes) -> bytes | None:
    """Return the JPEG in a file of the cache, None if it is damaged. Older files end where the JPEG ends."""
    if len(data) > CHECKSUM.size:
        mark, checksum = CHECKSUM.unpack_from(data, len(data) - CHECKSUM.size)
        content = data[: -CHECKSUM.size]
        if mark == MARK:
            return content if zlib.crc32(content) == checksum else None
    return data if data.endswith(END_OF_JPEG) else None


def damaged_files(library: Path) -> Iterator[Path]:
    """Yield the cached thumbnails in a library's folder that are not what was written."""
    for file, _ in cached_files(library):
        try:
            if file.suffix == ".jpg" and intact_content(file.read_bytes()) is None:
                yield file
        except OSError:
            if file.exists():
                yield file


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


SIDES = (64, 128, 256, 512, 1024)
"""Longer sides in pixels. Few, so that requests for many sizes cannot fill the disk."""

STORED_SIDE = 256
"""Longer side of the thumbnails that are made while indexing, where the images are far away."""

PREVIEW_SIDE = 1024
"""Longer side of the preview of an image that is searched with."""

CHUNK = 512
"""Images that `many` looks up at once."""


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small upright image as JPEG. `etag` is HTTP's: it changes when the content does."""

    data: bytes
    etag: str
    media_type: str = "image/jpeg"


@dataclass(frozen=True, slots=True)
class ThumbnailTask:
    """A file, and the longest side of its thumbnail in pixels."""

    path: str
    side: int


@dataclass(frozen=True, slots=True)
class ThumbnailResult:
    """A thumbnail as JPEG, and the SHA-256 of the file it was made from."""

    data: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class MakeThumbnail:
    """The work of a worker: reads, decodes and shrinks one file."""

    limits: Limits

    def __call__(self, task: ThumbnailTask) -> ThumbnailResult | Failure:
        from lookalike.images.jpeg import encode_jpeg

        try:
            pixels, digest = scaled_pixels(task.path, task.side, self.limits)
        except ImageError as error:
            return Failure(error.outcome, error.reason)
        return ThumbnailResult(encode_jpeg(pixels), digest)


@dataclass(frozen=True, slots=True)
class Preview:
    """An image that is not in the library, as JPEG, and facts about it."""

    data: bytes
    width: int
    height: int
    format: str


@dataclass(frozen=True, slots=True)
class MakePreview:
    """The work of a worker: decodes and shrinks the bytes of an image. Here, because modules of the server
    take a worker three times as long to import."""

    limits: Limits

    def __call__(self, data: bytes) -> Preview | Failure:
        from lookalike.images.decode import decode
        from lookalike.images.jpeg import encode_jpeg
        from lookalike.images.resize import fit

        spec = PixelSpec(fit="inside", max_side=PREVIEW_SIDE)
        try:
            decoded = decode(data, specs=[spec], limits=self.limits, whole=True)
            facts, preview = decoded.facts, encode_jpeg(fit(decoded.pixels, spec))
        except ImageError as error:
            return Failure(error.outcome, error.reason)
        return Preview(preview, facts.width, facts.height, facts.format)


def scaled_pixels(path: str, side: int, limits: Limits) -> tuple[Pixels, bytes]:
    """Return the upright pixels of a file, (h, w, 3) RGB with a longer side of at most `side`, and its
    SHA-256. Raises ImageError. For workers."""
    # Imported on use: the parent of the workers decodes nothing.
    from lookalike.images.decode import decode
    from lookalike.images.reading import read
    from lookalike.images.resize import fit

    spec = PixelSpec(fit="inside", max_side=side)
    content = read(path)
    decoded = decode(content, specs=[spec], limits=limits, name=path, whole=True)
    return fit(decoded.pixels, spec), content.digest


class Thumbnails:
    """The thumbnails of one library. Workers start on demand and end with `close`. Thread-safe."""

    def __init__(self, store: Store, limits: Limits) -> None:
        self._store = store
        self._limits = limits
        self._cache: ThumbnailCache = MemoryCache()
        if store.thumbnails is not None and not store.read_only:
            self._cache = store.thumbnails
        elif store.folder is not None and not store.read_only:
            self._cache = DiskCache(store.folder / FOLDER)
        self._pool: Pool[ThumbnailTask, ThumbnailResult | Failure] | None = None
        self._lock = threading.Lock()
        self._in_progress: dict[ThumbnailTask, threading.Lock] = {}

    def get(self, id: int, side: int = 256) -> Thumbnail:
        """Return the thumbnail of an image, its longer side at most `side` pixels.

        `side` is rounded up to one of `SIDES`; smaller images are not enlarged. Raises UsageError
        for an unknown id, and ImageError with outcome and reason if the file cannot be read (gone,
        or damaged since it was indexed).
        """
        image, file = self._find(id)
        side = round_up(side)
        cached = self._cached(image, side)
        if cached is not None:
            return cached
        task = ThumbnailTask(os.fspath(file), side)
        # Of two requests at once, one decodes and the other takes its result from the cache.
        with self._lock:
            turn = self._in_progress.setdefault(task, threading.Lock())
        try:
            with turn:
                return self._cached(image, side) or self._store_result(
                    self._workers().run(task), side
                )
        finally:
            with self._lock:
                self._in_progress.pop(task, None)

    def cached(self, image: Image, side: int = 256) -> Thumbnail | None:
        """Return the thumbnail of an image if it has been made, without decoding anything."""
        return self._cached(image, round_up(side))

    def many(self, ids: Sequence[int], side: int = 256) -> Iterator[Thumbnail | None]:
        """Yield the thumbnails of many images in their order, made on all cores; None if there is none."""
        side = round_up(side)
        for start in range(0, len(ids), CHUNK):
            wanted = [int(id) for id in ids[start : start + CHUNK]]
            with self._store.snapshot() as snapshot:
                images = snapshot.images(wanted)
                roots = {root.id: root.path for root in snapshot.roots()}
            thumbnails = {id: self._cached(image, side) for id, image in images.items()}
            missing = [
                id
                for id, cached in thumbnails.items()
                if cached is None and images[id].outcome is Outcome.INDEXED
            ]
            tasks = [
                ThumbnailTask(os.fspath(roots[images[id].root] / images[id].path), side)
                for id in missing
            ]
            results = self._workers().map(tasks) if tasks else iter(())
            for id, result in zip(missing, islice(results, len(missing)), strict=True):
                if not isinstance(result, Failure):
                    thumbnails[id] = self._store_result(result, side)
            yield from (thumbnails.get(id) for id in wanted)

    def keep(self, content: bytes, thumbnail: bytes) -> None:
        """Cache the thumbnail of a content (SHA-256), a JPEG with a longer side of `STORED_SIDE`."""
        self._cache.put((content, STORED_SIDE), thumbnail)

    def warm_up(self) -> None:
        """Start a worker, so that the first thumbnails that must be made do not wait for it."""
        self._workers().run(ThumbnailTask(os.devnull, STORED_SIDE))

    def close(self) -> None:
        """End the workers. The next request starts new ones."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    def _find(self, id: int) -> tuple[Image, Path]:
        with self._store.snapshot() as snapshot:
            image = snapshot.images([id]).get(id)
            if image is None:
                raise UsageError(f"the library has no image with the id {id}")
            root = next(root.path for root in snapshot.roots() if root.id == image.root)
        if image.outcome is not Outcome.INDEXED:
            raise ImageError(image.outcome, image.reason)
        return image, root / image.path

    def _cached(self, image: Image, side: int) -> Thumbnail | None:
        if image.hash is None:
            return None
        key = (image.hash, side)
        data = self._cache.get(key)
        return None if data is None else Thumbnail(data, etag(key))

    def _store_result(self, result: ThumbnailResult | Failure, side: int) -> Thumbnail:
        """Cache a result under the file's present content, which may have changed since indexing."""
        if isinstance(result, Failure):
            raise ImageError(result.outcome, result.reason)
        key = (result.hash, side)
        self._cache.put(key, result.data)
        return Thumbnail(result.data, etag(key))

    def _workers(self) -> Pool[ThumbnailTask, ThumbnailResult | Failure]:
        with self._lock:
            if self._pool is None:
                self._pool = Pool(MakeThumbnail(self._limits), limits=self._limits)
            return self._pool


def round_up(side: int) -> int:
    """Return the smallest of `SIDES` that is at least `side`, or the largest one."""
    return next((known for known in SIDES if known >= side), SIDES[-1])


def etag_of(image: Image, side: int = 256) -> str:
    """Return the etag of the thumbnail of an image as it was indexed. Raises ImageError if it was not."""
    if image.outcome is not Outcome.INDEXED:
        raise ImageError(image.outcome, image.reason)
    return etag((image.hash or b"", round_up(side)))


def etag(key: Key) -> str:
    """Return a strong validator (RFC 9110, 8.8.3) of one content at one size."""
    content, side = key
    return f'"{content.hex()[:32]}-{side}"'
