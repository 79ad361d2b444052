"""Reuse of stored vectors for files whose content is known: moved, copied and touched files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeAlias

from lookalike.errors import Outcome
from lookalike.images.formats import still_of
from lookalike.object_storage import is_url
from lookalike.stores.interface import Entry, Image, IndexWriter

# Contents whose images are cached, with at most 256 images each.
MAX_CONTENTS = 64

Change: TypeAlias = Literal["unchanged", "moved", "copied"]


class ContentReuse:
    """Finds stored images with the same content as a new file.

    Hashes are looked up by file size for a chunk of files at a time, before the files are read: a worker
    that knows the hashes of all stored images of that size need not decode a file that has one of them.

    spaces   images without a vector in one of these spaces cannot be reused
    folders  folders of the roots by id; the indexer adds those of its sources
    failed   reuse stored failures, too
    """

    def __init__(
        self,
        writer: IndexWriter,
        spaces: frozenset[str],
        folders: Mapping[int, Path],
        *,
        failed: bool,
    ) -> None:
        self._writer = writer
        self._spaces = spaces
        self._folders = folders
        self._failed = failed
        self._hashes: dict[int, tuple[bytes, ...]] = {}  # by size, for the current chunk
        self._sizes: set[int] = set()  # of the current chunk
        self._stale_sizes: set[int] = set()  # stored since `_hashes` was looked up
        # Caches for the current batch: nothing is stored before it ends, and many copies of one image
        # would repeat the same look-up.
        self._images: dict[tuple[int, bytes | None], list[Image]] = {}
        self._existing: set[int] = set()  # images whose files exist
        self._moved: set[int] = set()  # images that were assigned to a new path

    def start_chunk(self, sizes: set[int]) -> None:
        """Look up the hashes for a chunk of files of these sizes."""
        self._stale_sizes.clear()
        self._sizes = sizes
        self._hashes = self._look_up(sizes)

    def hashes(self, size: int) -> tuple[bytes, ...]:
        """Return the hashes of the reusable images of that size, including those stored meanwhile."""
        if size in self._stale_sizes:
            stale, self._stale_sizes = self._stale_sizes & self._sizes, set()
            for changed in stale:
                self._hashes.pop(changed, None)
            self._hashes |= self._look_up(stale)
        return self._hashes.get(size, ())

    def images(self, size: int, hash: bytes | None) -> list[Image]:
        """Return the images of that content whose vectors, or failure, can be reused."""
        content = size, hash
        if content not in self._images:
            if len(self._images) >= MAX_CONTENTS:
                self._images.clear()
            same_content = self._writer.same_content(size, hash=hash, spaces=tuple(self._spaces))
            self._images[content] = [
                image
                for image in same_content
                if image.outcome is Outcome.INDEXED
                # The video or raw file of an image belongs to it in this folder only: not reused.
                or (self._failed and not still_of(image.reason))
            ]
        return self._images[content]

    def reuse(self, entry: Entry) -> tuple[Entry, Change, Image]:
        """Return the entry referring to a stored image of the same content, what has changed, and the image.

        "unchanged" is the same file with another date, "moved" takes the place of an image whose file is
        gone, and everything else is "copied".
        """
        images = self.images(entry.size, entry.hash)
        path = entry.root, entry.path
        same = next((image for image in images if (image.root, image.path) == path), None)
        gone = None if same else next(filter(self._is_gone, images), None)
        image = same or gone or images[0]
        moved = gone is not None
        if moved:
            self._moved.add(image.id)
        change: Change = "unchanged" if same else "moved" if moved else "copied"
        entry = replace(
            entry, outcome=image.outcome, reason=image.reason, same_as=image.id, moved=moved
        )
        return entry, change, image

    def batch_stored(self, sizes: set[int]) -> None:
        """Drop what is cached after a batch with files of these sizes was stored."""
        self._stale_sizes |= sizes
        self._images.clear()
        self._existing.clear()
        self._moved.clear()

    def _is_gone(self, image: Image) -> bool:
        """Return whether the image's file is gone and no other file has taken its place yet."""
        if image.id in self._moved:
            return False
        if image.id not in self._existing:
            folder = self._folders.get(image.root)
            if folder is not None and is_url(folder):  # the sweep removes it if it is gone
                return False
            # Not pathlib, which raises where a path is too long or a folder cannot be entered.
            if folder is None or not os.path.exists(folder / image.path):  # noqa: PTH110
                return True
            self._existing.add(image.id)
        return False

    def _look_up(self, sizes: set[int]) -> dict[int, tuple[bytes, ...]]:
        return self._writer.hashes_by_size(sizes, spaces=self._spaces, failed=self._failed)
