"""Thumbnails of a library's images: asked for by id, made once, kept by content."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from lookalike.errors import ImageError, Outcome, UsageError
from lookalike.stores.interface import Image, Store
from lookalike.thumbnails.kept import InMemory, Key, OnDisk
from lookalike.thumbnails.making import Made, Making, Wanted, wanted
from lookalike.workers.limits import Failure, Limits
from lookalike.workers.pool import Pool

FOLDER = "thumbnails"
SIDES = (64, 128, 256, 512, 1024)
"""Longer sides in pixels. Few, so that those who ask for many sizes cannot fill the disk."""

AHEAD = 512
"""Images that `many` looks up together: their rows, and which thumbnails are there."""


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small picture, upright, as JPEG. `etag` is HTTP's: it changes when the content does."""

    data: bytes
    etag: str
    media_type: str = "image/jpeg"


class Thumbnails:
    """The thumbnails of one library. For any number of threads; its workers start when there is
    something to decode, and end with `close`."""

    def __init__(self, store: Store, limits: Limits) -> None:
        self._store = store
        self._limits = limits
        if store.read_only or store.folder is None:
            self._kept: InMemory | OnDisk = InMemory()
        else:
            self._kept = OnDisk(store.folder / FOLDER)
        self._pool: Pool[Wanted, Made | Failure] | None = None
        self._lock = threading.Lock()
        self._making: dict[tuple[str, int], threading.Lock] = {}

    def get(self, id: int, side: int = 256) -> Thumbnail:
        """The thumbnail of an image, at most `side` pixels long (rounded up to one of `SIDES`; smaller
        pictures are not enlarged).

        `UsageError` for an id the library does not have; `ImageError` with outcome and reason where
        its file cannot be read (gone, changed into something broken).
        """
        image, file = self._find(id)
        side = rounded(side)
        there = self._known(image, side)
        if there is not None:
            return there
        # Two that ask at once: one decodes, the other finds what was made.
        with self._lock:
            alone = self._making.setdefault((str(file), side), threading.Lock())
        try:
            with alone:
                return self._known(image, side) or self._take(
                    self._workers().run(wanted(file, side)), side
                )
        finally:
            with self._lock:
                self._making.pop((str(file), side), None)

    def etag(self, id: int, side: int = 256) -> str:
        """The etag that `get` will give, without decoding anything."""
        image, _ = self._find(id)
        return etag((image.hash or b"", rounded(side)))

    def many(self, ids: Sequence[int], side: int = 256) -> Iterator[Thumbnail | None]:
        """The thumbnails of many images, in their order, made on all cores; None where there is none."""
        side = rounded(side)
        for start in range(0, len(ids), AHEAD):
            asked = [int(id) for id in ids[start : start + AHEAD]]
            with self._store.snapshot() as snapshot:
                images = snapshot.images(asked)
                folders = {root.id: root.path for root in snapshot.roots()}
            known = {id: self._known(image, side) for id, image in images.items()}
            missing = [id for id, there in known.items() if there is None]
            tasks = [
                wanted(folders[images[id].root] / images[id].path, side)
                for id in missing
                if images[id].outcome is Outcome.INDEXED
            ]
            missing = [id for id in missing if images[id].outcome is Outcome.INDEXED]
            results = self._workers().map(tasks) if tasks else iter(())
            for id, made in zip(missing, islice(results, len(missing)), strict=True):
                known[id] = None if isinstance(made, Failure) else self._take(made, side)
            yield from (known.get(id) for id in asked)

    def forget(self, contents: Collection[bytes]) -> None:
        """Delete the thumbnails of contents (SHA-256) that no image of the library has any more."""
        with self._store.snapshot() as snapshot:
            gone = [content for content in contents if not snapshot.by_hash(content)]
        for content in gone:
            for side in SIDES:
                self._kept.drop((content, side))

    def close(self) -> None:
        """End the workers; the next question starts new ones."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    def _find(self, id: int) -> tuple[Image, Path]:
        with self._store.snapshot() as snapshot:
            image = snapshot.images([id]).get(id)
            if image is None:
                raise UsageError(f"the library has no image with the id {id}")
            folder = next(root.path for root in snapshot.roots() if root.id == image.root)
        if image.outcome is not Outcome.INDEXED:
            raise ImageError(image.outcome, image.reason)
        return image, folder / image.path

    def _known(self, image: Image, side: int) -> Thumbnail | None:
        if image.hash is None:
            return None
        key = (image.hash, side)
        data = self._kept.get(key)
        return None if data is None else Thumbnail(data, etag(key))

    def _take(self, made: Made | Failure, side: int) -> Thumbnail:
        """Keeps what was made, under the content that the file really had: it may have changed since it
        was indexed."""
        if isinstance(made, Failure):
            raise ImageError(made.outcome, made.reason)
        key = (made.hash, side)
        self._kept.put(key, made.data)
        return Thumbnail(made.data, etag(key))

    def _workers(self) -> Pool[Wanted, Made | Failure]:
        with self._lock:
            if self._pool is None:
                self._pool = Pool(Making(self._limits), limits=self._limits)
            return self._pool


def rounded(side: int) -> int:
    """The smallest of `SIDES` that is at least `side`; the largest beyond that."""
    return next((known for known in SIDES if known >= side), SIDES[-1])


def etag(key: Key) -> str:
    """A strong validator (RFC 9110, 8.8.3) of one content at one size."""
    content, side = key
    return f'"{content.hex()[:32]}-{side}"'
