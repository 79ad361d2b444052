"""Files whose content is known already: their vectors are taken over instead of made again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeAlias

from lookalike.errors import Outcome
from lookalike.stores.interface import Entry, Image, Writer

CONTENTS = 64
"""Contents whose twins are remembered, at most 256 each."""

Way: TypeAlias = Literal["unchanged", "moved", "copied"]


class Twins:
    """What a run knows of content that is stored.

    Looked up by size for many files at once, before they are read: a worker that is told the hashes of
    all known pictures of a file's size need not decode it if it has one of them.

    spaces   a picture without vectors in one of these has nothing to give
    folders  of the roots, by id; a run adds those of its own sources
    failed   take over known failures too
    """

    def __init__(
        self,
        writer: Writer,
        spaces: frozenset[str],
        folders: Mapping[int, Path],
        *,
        failed: bool,
    ) -> None:
        self._writer = writer
        self._spaces = spaces
        self._folders = folders
        self._failed = failed
        self._hashes: dict[int, tuple[bytes, ...]] = {}  # by size, of the chunk at hand
        self._sizes: set[int] = set()  # of that chunk
        self._stored_sizes: set[int] = set()  # of which more is known since then
        # Of this batch, for nothing is stored before it ends, and a crowd of copies asks the same:
        self._found: dict[tuple[int, bytes | None], list[Image]] = {}
        self._there: set[int] = set()  # images whose files exist
        self._moved: set[int] = set()  # images that a file has taken the place of

    def begin(self, sizes: set[int]) -> None:
        """A chunk of files of these sizes comes next."""
        self._stored_sizes.clear()
        self._sizes = sizes
        self._hashes = self._look_up(sizes)

    def hashes(self, size: int) -> tuple[bytes, ...]:
        """Hashes of the images of that size that a file could take its vectors from. Looked up again
        after each batch that stored some of these sizes."""
        if size in self._stored_sizes:
            again, self._stored_sizes = self._stored_sizes & self._sizes, set()
            for changed in again:
                self._hashes.pop(changed, None)
            self._hashes |= self._look_up(again)
        return self._hashes.get(size, ())

    def of(self, size: int, hash: bytes | None) -> list[Image]:
        """Images of that content whose vectors a file could take over, or whose failure."""
        content = size, hash
        if content not in self._found:
            if len(self._found) >= CONTENTS:
                self._found.clear()
            same_content = self._writer.same_content(size, hash=hash, spaces=tuple(self._spaces))
            self._found[content] = [
                twin for twin in same_content if self._failed or twin.outcome is Outcome.INDEXED
            ]
        return self._found[content]

    def take_over(self, entry: Entry) -> tuple[Entry, Way]:
        """The entry of a file with known content, and how it came by it: it is the same file (its date
        alone has changed), or it has taken the place of one that is gone, or it is a copy."""
        same_content = self.of(entry.size, entry.hash)
        place = entry.root, entry.path
        mine = next((twin for twin in same_content if (twin.root, twin.path) == place), None)
        gone = None if mine else next(filter(self._is_gone, same_content), None)
        twin = mine or gone or same_content[0]
        moved = gone is not None
        if moved:
            self._moved.add(twin.id)
        way: Way = "unchanged" if mine else "moved" if moved else "copied"
        entry = replace(
            entry, outcome=twin.outcome, reason=twin.reason, same_as=twin.id, moved=moved
        )
        return entry, way

    def stored(self, sizes: set[int]) -> None:
        """A batch with files of these sizes is in the store."""
        self._stored_sizes |= sizes
        self._found.clear()
        self._there.clear()
        self._moved.clear()

    def _is_gone(self, image: Image) -> bool:
        """Whether its file is, and no other has taken its place yet."""
        if image.id in self._moved:
            return False
        if image.id not in self._there:
            folder = self._folders.get(image.root)
            # Not pathlib's, which raises where a path is too long or a folder shut.
            if folder is None or not os.path.exists(folder / image.path):  # noqa: PTH110
                return True
            self._there.add(image.id)
        return False

    def _look_up(self, sizes: set[int]) -> dict[int, tuple[bytes, ...]]:
        return self._writer.hashes_by_size(sizes, spaces=self._spaces, failed=self._failed)
