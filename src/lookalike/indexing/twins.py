"""Files whose content is known already: their vectors are taken over instead of made again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeAlias

from lookalike.errors import Outcome
from lookalike.stores.contract import Entry, Image, Writer

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
        self._moved: set[int] = set()  # images that a file of this batch has taken the place of

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
        twins = self._writer.twins(size, hash=hash, spaces=tuple(self._spaces))
        if self._failed:
            return twins
        return [twin for twin in twins if twin.outcome is Outcome.INDEXED]

    def take_over(self, entry: Entry) -> tuple[Entry, Way]:
        """The entry of a file with known content, and how it came by it: it is the same file (its date
        alone has changed), or it has taken the place of one that is gone, or it is a copy."""
        twins = self.of(entry.size, entry.hash)
        mine = [t for t in twins if (t.root, t.path) == (entry.root, entry.path)]
        gone = [t for t in twins if t.id not in self._moved and not self._exists(t)]
        twin = (mine or gone or twins)[0]
        moved = not mine and bool(gone)
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
        self._moved.clear()

    def _exists(self, image: Image) -> bool:
        folder = self._folders.get(image.root)
        # Not pathlib's, which raises where a path is too long or a folder shut.
        return folder is not None and os.path.exists(folder / image.path)  # noqa: PTH110

    def _look_up(self, sizes: set[int]) -> dict[int, tuple[bytes, ...]]:
        return self._writer.hashes(sizes, spaces=self._spaces, failed=self._failed)
