"""Two libraries read as one, for a search for duplicates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.stores.interface import (
    Decision,
    DecisionKind,
    FileState,
    Ids,
    Image,
    Neighbours,
    Root,
    Snapshot,
    Space,
)
from lookalike.stores.open_store import FOLDER, find_library, open_store
from lookalike.stores.paths import ids_below, images_below

OFFSET = 1 << 31
"""The number added to the ids of images and roots of the second library. A pair of ids fits into 64 bits."""


class JoinedSnapshot:
    """Two snapshots read as one: the part of `Snapshot` that a search for duplicates needs."""

    def __init__(self, first: Snapshot, second: Snapshot) -> None:
        self._first, self._second = first, second
        self._spaces = [{space.key: space for space in one.spaces()} for one in (first, second)]

    def roots(self) -> list[Root]:
        """See `Snapshot`."""
        others = (replace(root, id=root.id + OFFSET) for root in self._second.roots())
        return [*self._first.roots(), *others]

    def spaces(self) -> list[Space]:
        """See `Snapshot`. In a space that one library lacks its images have no vectors."""
        mine, theirs = self._spaces
        return [
            replace(space, count=sum(one[key].count for one in self._spaces if key in one))
            for key, space in (theirs | mine).items()
        ]

    def images(self, ids: Iterable[int]) -> dict[int, Image]:
        """See `Snapshot`."""
        mine, theirs = _divide(ids)
        others = (_shifted(image) for image in self._second.images(theirs).values())
        return self._first.images(mine) | {image.id: image for image in others}

    def images_below(self, root: int, folder: str, limit: int | None = None) -> list[Image]:
        """See `Snapshot`."""
        if root < OFFSET:
            return self._first.images_below(root, folder, limit)
        found = self._second.images_below(root - OFFSET, folder, limit)
        return [_shifted(image) for image in found]

    def pages(self, root: int, path: str) -> list[Image]:
        """See `Snapshot`."""
        if root < OFFSET:
            return self._first.pages(root, path)
        return [_shifted(image) for image in self._second.pages(root - OFFSET, path)]

    def lookup(self, root: int, path: str) -> Image | None:
        """See `Snapshot`."""
        if root < OFFSET:
            return self._first.lookup(root, path)
        found = self._second.lookup(root - OFFSET, path)
        return None if found is None else _shifted(found)

    def file_states(self, root: int, paths: Sequence[str]) -> dict[str, FileState]:
        """See `Snapshot`; the ids are those of the library that has the root."""
        if root < OFFSET:
            return self._first.file_states(root, paths)
        return self._second.file_states(root - OFFSET, paths)

    def sample(self, space: str, count: int) -> Ids:
        """See `Snapshot`."""
        found = np.concatenate(
            [one.sample(space, count) + shift for one, shift in self._with(space)]
        )
        return found[np.linspace(0, len(found) - 1, min(count, len(found))).astype(np.int64)]

    def vectors(self, space: str, ids: Ids) -> NDArray[np.float32]:
        """See `Snapshot`."""
        width = next(one[space].width for one in self._spaces if space in one)
        found = np.full((len(ids), width), np.nan, np.float32)
        for one, shift in self._with(space):
            own = (ids >= OFFSET) == bool(shift)
            found[own] = one.vectors(space, ids[own] - shift)
        return found

    def search(self, space: str, queries: NDArray[np.float32], k: int, *, among: Ids) -> Neighbours:
        """See `Snapshot`."""
        ids, similarities, exact = [], [], True
        for one, shift in self._with(space):
            own = among[(among >= OFFSET) == bool(shift)] - shift
            found = one.search(space, queries, k, among=own)
            ids.append(np.where(found.ids < 0, found.ids, found.ids + shift))
            similarities.append(found.similarities)
            exact = exact and found.exact
        values = np.concatenate(similarities, axis=1)
        order = np.argsort(-values, axis=1, kind="stable")[:, :k]
        return Neighbours(
            np.take_along_axis(np.concatenate(ids, axis=1), order, axis=1),
            np.take_along_axis(values, order, axis=1),
            exact,
        )

    def _with(self, space: str) -> list[tuple[Snapshot, int]]:
        """Return the snapshots that have a space, and what is added to their ids."""
        both = ((self._first, 0), (self._second, OFFSET))
        return [one for one, spaces in zip(both, self._spaces, strict=True) if space in spaces]

    def exact_duplicates(self) -> list[list[int]]:
        """See `Snapshot`."""
        snapshot = cast(Snapshot, self)
        found: dict[bytes, list[int]] = {}
        for id, image in sorted(self.images(ids_below(snapshot, ()).tolist()).items()):
            if image.hash:
                found.setdefault(image.hash, []).append(id)
        return [ids for ids in found.values() if len(ids) > 1]

    def decisions(
        self, kinds: Iterable[DecisionKind] | None = None, *, about: bytes | None = None
    ) -> list[Decision]:
        """See `Snapshot`."""
        wanted = None if kinds is None else [*kinds]
        both = (one.decisions(wanted, about=about) for one in (self._first, self._second))
        return [*dict.fromkeys(decision for decisions in both for decision in decisions)]

    def comparisons(
        self, pairs: Iterable[tuple[bytes, bytes]], revision: str
    ) -> dict[tuple[bytes, bytes], str]:
        """See `Snapshot`."""
        pairs = [*pairs]
        return self._second.comparisons(pairs, revision) | self._first.comparisons(pairs, revision)


def _divide(ids: Iterable[int]) -> tuple[list[int], list[int]]:
    mine: list[int] = []
    theirs: list[int] = []
    for id in ids:
        (theirs if id >= OFFSET else mine).append(id % OFFSET)
    return mine, theirs


def _shifted(image: Image) -> Image:
    return replace(image, id=image.id + OFFSET, root=image.root + OFFSET)


@contextmanager
def with_archive(
    snapshot: Snapshot, folder: Path | None, archive: Sequence[Path]
) -> Iterator[tuple[Snapshot, list[Path]]]:
    """Yield a snapshot that has the images of the archive, and the archive's folders.

    folder   of the library that the snapshot is of
    archive  paths that this library has, or another one

    Raises UsageError if no library has images at one of them, or if they are in several other libraries.
    """
    missing = [path for path in archive if not _has_images(snapshot, path)]
    if not missing:
        yield snapshot, [*archive]
        return
    homes = {path: find_library(path.absolute()) for path in missing}
    others = {home.resolve() for home in homes.values() if home} - {folder and folder.resolve()}
    if len(others) != 1 or not all(homes.values()):
        where = "is in several other libraries" if len(others) > 1 else "is not indexed"
        raise UsageError(f"{missing[0]} {where}: name a folder of this library or of one other")
    store = open_store(cast(Path, homes[missing[0]]), read_only=True)
    try:
        with store.snapshot() as other:
            joined = cast(Snapshot, JoinedSnapshot(snapshot, other))
            roots = [root.path for root in other.roots() if not root.imported]
            places = [
                place
                for path in archive
                # A library that is kept apart from its images is named by its own folder.
                for place in (
                    roots
                    if path in missing
                    and (path / FOLDER).is_dir()
                    and not _has_images(joined, path)
                    else [path]
                )
            ]
            yield joined, places
    finally:
        store.close()


def _has_images(snapshot: Snapshot, path: Path) -> bool:
    try:
        return bool(images_below(snapshot, path, limit=1))
    except UsageError:
        return False
