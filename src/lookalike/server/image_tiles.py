"""Tiles of large images at several scales, so that they can be read in full without being sent whole."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lookalike.errors import ImageError
from lookalike.thumbnails import scaled_pixels
from lookalike.workers.limits import Failure, Limits
from lookalike.workers.pool import Pool

# Sides of a tile in pixels; those at the right and the bottom are smaller.
TILE_SIDE = 512

# Bytes of tiles that are kept: a level of 100 megapixels has some 20 MB.
CACHE_BYTES = 96 << 20

# Bytes that decoding may take: 300 MB for 100 megapixels as RGB, and as much again while they are turned.
MAX_MEMORY = 2 << 30

Tile = tuple[int, int]
"""Column and row."""


@dataclass(frozen=True, slots=True)
class LevelTask:
    """A file, and the longest side of the level in pixels."""

    path: str
    side: int


@dataclass(frozen=True, slots=True)
class MakeTiles:
    """The work of a worker: reads, decodes and shrinks one file, and cuts it into tiles."""

    limits: Limits

    def __call__(self, task: LevelTask) -> dict[Tile, bytes] | Failure:
        from lookalike.images.jpeg import encode_jpeg

        try:
            pixels, _ = scaled_pixels(task.path, task.side, self.limits)
        except ImageError as error:
            return Failure(error.outcome, error.reason)
        height, width = pixels.shape[:2]
        return {
            (column, row): encode_jpeg(
                np.ascontiguousarray(
                    pixels[row * TILE_SIDE :, column * TILE_SIDE :][:TILE_SIDE, :TILE_SIDE]
                )
            )
            for row in range(-(-height // TILE_SIDE))
            for column in range(-(-width // TILE_SIDE))
        }


class ImageTiles:
    """The tiles of images, made a level at a time and kept in memory. A worker starts on demand and ends
    with `close`. Thread-safe."""

    def __init__(self, limits: Limits) -> None:
        self._limits = replace(limits.for_indexed(), max_memory=MAX_MEMORY)
        self._levels: OrderedDict[tuple[object, ...], dict[Tile, bytes]] = OrderedDict()
        self._pool: Pool[LevelTask, dict[Tile, bytes] | Failure] | None = None
        self._lock, self._turn = threading.Lock(), threading.Lock()

    def cached(self, file: Path, version: object, side: int) -> dict[Tile, bytes] | None:
        """Return the tiles of a level that are kept, or None."""
        with self._lock:
            key = (file, version, side)
            if key in self._levels:
                self._levels.move_to_end(key)
            return self._levels.get(key)

    def level(self, file: Path, version: object, side: int) -> dict[Tile, bytes]:
        """Return the tiles of an image whose longer side is `side` pixels, as JPEG. Raises ImageError.

        version  changes whenever the content of the file does
        """
        # One at a time: a level takes much memory, and others usually want the same.
        with self._turn:
            found = self.cached(file, version, side)
            if found is not None:
                return found
            result = self._worker().run(LevelTask(os.fspath(file), side))
            if isinstance(result, Failure):
                raise ImageError(result.outcome, result.reason)
            with self._lock:
                self._levels[file, version, side] = result
                while len(self._levels) > 1 and self._bytes() > CACHE_BYTES:
                    self._levels.popitem(last=False)
            return result

    def close(self) -> None:
        """End the worker."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    def _bytes(self) -> int:
        return sum(len(tile) for level in self._levels.values() for tile in level.values())

    def _worker(self) -> Pool[LevelTask, dict[Tile, bytes] | Failure]:
        with self._lock:
            if self._pool is None:
                self._pool = Pool(MakeTiles(self._limits), workers=1, limits=self._limits)
            return self._pool
