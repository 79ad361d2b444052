"""The pictures of a library that an evaluation looks at, and their names."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import Outcome, UsageError
from lookalike.evaluation.ground_truth import Note, tally
from lookalike.stores.interface import Ids, Snapshot, Space


@dataclass(frozen=True)
class Collection:
    """Pictures in the order of their ids: row r of every matrix of an evaluation is the r-th of them.

    ids    (n,) rising; of documents that are known by name alone, 0 … n-1
    names  paths relative to their root; absolute where two roots have the same
    files  where they are; None of documents that are known by name alone
    below  the first folder of each path relative to its root, "" for files that lie in no folder
    """

    ids: Ids
    names: tuple[str, ...]
    files: tuple[Path, ...] | None = None
    below: tuple[str, ...] = field(default=(), repr=False)

    def __len__(self) -> int:
        return len(self.names)

    def rows(self, ids: Ids) -> NDArray[np.int64]:
        """Rows of these ids, in their shape; -2 where an id is none of the collection's."""
        at = np.searchsorted(self.ids, ids).clip(max=max(0, len(self.ids) - 1))
        return np.where(self.ids[at] == ids, at, -2)

    def row(self, name: str, folders: Sequence[Path] = ()) -> int | None:
        """The row of a picture that is named by its name here, or by a path relative to one of the
        folders; None where there is none."""
        found = self._named.get(name)
        places = (self.at(folder / name) for folder in folders if found is None)
        return (
            found if found is not None else next((row for row in places if row is not None), None)
        )

    def at(self, file: Path) -> int | None:
        """The row of the picture that lies there."""
        return self._at.get(os.path.normpath(file))

    @cached_property
    def _named(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.names)}

    @cached_property
    def _at(self) -> dict[str, int]:
        return {os.fspath(file): row for row, file in enumerate(self.files or ())}


def named(names: Sequence[str]) -> Collection:
    """Documents that are known by name alone."""
    return Collection(np.arange(len(names), dtype=np.int64), tuple(names))


def collect(
    snapshot: Snapshot, spaces: Sequence[Space], *, folder: Path | None = None
) -> tuple[Collection, list[Note]]:
    """The pictures that have a vector in each of the spaces, so that all systems answer the same; and
    a note of those that lack one.

    folder  only what lies in it

    `UsageError` where fewer than two are left.
    """
    shared = snapshot.sample(spaces[0].key, spaces[0].count)
    every = shared
    for space in spaces[1:]:
        there = snapshot.sample(space.key, space.count)
        shared, every = np.intersect1d(shared, there), np.union1d(every, there)
    roots = {root.id: root.path for root in snapshot.roots()}
    has = set(shared.tolist())
    inside = None if folder is None else folder.resolve()
    found = sorted(
        (image.id, image.root, image.path)
        for image in snapshot.iter_files(outcomes={Outcome.INDEXED})
        if image.id in has
        and (inside is None or (roots[image.root] / image.path).is_relative_to(inside))
    )
    if len(found) < 2:
        raise UsageError(
            f"fewer than two pictures with vectors of {', '.join(space.name for space in spaces)}"
            + (f" in {folder}" if folder else "")
            + ": there is nothing to rank"
        )
    files = tuple(roots[root] / path for _, root, path in found)
    often = Counter(path for *_, path in found)
    names = tuple(
        path if often[path] == 1 else os.fspath(file)
        for (*_, path), file in zip(found, files, strict=True)
    )
    below = tuple(
        _first_folder(file, inside or roots[root])
        for (_, root, _), file in zip(found, files, strict=True)
    )
    ids = np.array([id for id, *_ in found], np.int64)
    spaced = ", ".join(space.name for space in spaces)
    notes = tally(
        len(every) - len(shared),
        f"picture lacks a vector of one of {spaced}: left out",
        f"pictures lack a vector of one of {spaced}: left out",
    )
    return Collection(ids, names, files, below), notes


def _first_folder(file: Path, root: Path) -> str:
    parts = file.relative_to(root).parts
    return parts[0] if len(parts) > 1 else ""
