"""The images that an evaluation ranks: those of an existing library, or of one built for the evaluation."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import Outcome, UsageError
from lookalike.evaluation.ground_truth import Note, count_note
from lookalike.indexing.report import ProgressCallback
from lookalike.library import Library
from lookalike.stores.interface import Ids, Snapshot, Space
from lookalike.stores.open_store import FOLDER, Location, find_library
from lookalike.stores.records import NO_VECTORS, missing_vectors

# Extractors that are compared where none is named and there is no library. None of them needs a model file.
DEFAULT_EXTRACTORS = ("lookalike", "color", "histogram", "pixels")


@dataclass(frozen=True, slots=True)
class EvalLibrary:
    """A library to evaluate.

    folder  restricts the evaluation to the images in it; None: all images of the library
    notes   files that could not be indexed, where the library was built for the evaluation
    """

    library: Library
    folder: Path | None
    notes: tuple[Note, ...] = ()


@contextmanager
def open_or_build(
    folder: Path | None,
    *,
    library: Location | None = None,
    extractors: Sequence[str] = (),
    reindex: bool = False,
    progress: ProgressCallback | None = None,
) -> Iterator[EvalLibrary]:
    """Open a library, or index a folder into a temporary one if it has none.

    folder      the images to evaluate; None: all images of `library`
    library     the library to open; None: the one that `folder` is in
    extractors  for the temporary library; none: `DEFAULT_EXTRACTORS`
    reindex     build a temporary library even if there is one

    Nothing is written beside the images. Raises UsageError if there is no such folder, or none of its
    images can be indexed.
    """
    if folder is not None and not folder.is_dir():
        raise UsageError(f"there is no folder {folder}: name a folder of images or a library")
    if library is None and folder is not None and not reindex:
        library = find_library(folder)
    with ExitStack() as stack:
        if library is not None:
            opened = stack.enter_context(Library.open(library, read_only=True))
            yield EvalLibrary(opened, folder and _restriction(folder, opened))
            return
        if folder is None:
            raise UsageError("name a folder of images or a library")
        home = stack.enter_context(TemporaryDirectory(prefix="lookalike-evaluate-"))
        built = stack.enter_context(Library.create(folder, folder=Path(home) / FOLDER))
        added = built.add(
            [folder],
            extractors=extractors or DEFAULT_EXTRACTORS,
            progress=progress,
        )
        failed = sum(added.failed.values())
        if not added.new:
            raise UsageError(f"there is no image in {folder} that can be indexed")
        notes = count_note(
            failed,
            "image could not be indexed and is left out",
            "images could not be indexed and are left out",
        )
        yield EvalLibrary(built, None, tuple(notes))


def _restriction(folder: Path, library: Library) -> Path | None:
    """Return the folder, or None if it is the library itself or holds all of its roots."""
    inside = folder.resolve()
    home = library.folder.resolve()
    if inside in (home, home.parent):
        return None
    roots = [root.path for root in library.info().roots]
    return None if all(root.is_relative_to(inside) for root in roots) else inside


def select_spaces(snapshot: Snapshot, extractors: Sequence[str]) -> list[Space]:
    """Return the spaces of these extractors, or all current ones if none is named.

    Raises UsageError if one is missing; the message lists those that exist.
    """
    current = [space for space in snapshot.spaces() if space.current and space.count]
    if not current:
        raise UsageError(NO_VECTORS)
    found = []
    for name in dict.fromkeys(extractors):
        space = next((space for space in current if name in (space.name, space.key)), None)
        if space is None:
            raise missing_vectors(name, (space.name for space in current))
        found.append(space)
    return found or current


@dataclass(frozen=True)
class Collection:
    """Images in the order of their ids: row r of every matrix of an evaluation belongs to the r-th one.

    ids            (n,) ascending; 0 … n-1 for documents that are known by name only
    names          paths relative to their root; absolute where two roots contain the same path
    files          absolute paths; None for documents that are known by name only
    first_folders  the first folder of each path below its root; "" for files in no folder
    """

    ids: Ids
    names: tuple[str, ...]
    files: tuple[Path, ...] | None = None
    first_folders: tuple[str, ...] = field(default=(), repr=False)

    def __len__(self) -> int:
        return len(self.names)

    def rows(self, ids: Ids) -> NDArray[np.int64]:
        """Return the rows of ids of any shape; -2 where an id is not in the collection."""
        at = np.searchsorted(self.ids, ids).clip(max=max(0, len(self.ids) - 1))
        return np.where(self.ids[at] == ids, at, -2)

    def row(self, name: str, folders: Sequence[Path] = ()) -> int | None:
        """Return the row of an image by its name, or by a path relative to one of the folders."""
        found = self._rows_by_name.get(name)
        if found is not None:
            return found
        rows = (self.row_of_file(folder / name) for folder in folders)
        return next((row for row in rows if row is not None), None)

    def row_of_file(self, file: Path) -> int | None:
        """Return the row of the image with this absolute path."""
        return self._rows_by_file.get(os.path.normpath(file))

    @cached_property
    def _rows_by_name(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.names)}

    @cached_property
    def _rows_by_file(self) -> dict[str, int]:
        return {os.fspath(file): row for row, file in enumerate(self.files or ())}


def named_collection(names: Sequence[str]) -> Collection:
    """Return a collection of documents that are known by name only."""
    return Collection(np.arange(len(names), dtype=np.int64), tuple(names))


def collect(
    snapshot: Snapshot, spaces: Sequence[Space], *, folder: Path | None = None
) -> tuple[Collection, list[Note]]:
    """Return the images that have a vector in every space, and a note of those that lack one.

    All systems then answer the same queries. `folder` restricts the collection to the images in it.

    Raises UsageError if fewer than two images are left.
    """
    shared = snapshot.sample(spaces[0].key, spaces[0].count)
    every = shared
    for space in spaces[1:]:
        ids = snapshot.sample(space.key, space.count)
        shared, every = np.intersect1d(shared, ids), np.union1d(every, ids)
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
            f"fewer than two images with vectors of {', '.join(space.name for space in spaces)}"
            + (f" in {folder}" if folder else "")
            + ": there is nothing to rank"
        )
    files = tuple(roots[root] / path for _, root, path in found)
    occurrences = Counter(path for *_, path in found)
    names = tuple(
        path if occurrences[path] == 1 else os.fspath(file)
        for (*_, path), file in zip(found, files, strict=True)
    )
    first_folders = tuple(
        _first_folder(file, inside or roots[root])
        for (_, root, _), file in zip(found, files, strict=True)
    )
    ids = np.array([id for id, *_ in found], np.int64)
    listed = ", ".join(space.name for space in spaces)
    notes = count_note(
        len(every) - len(shared),
        f"image lacks a vector of {listed}: left out",
        f"images lack a vector of {listed}: left out",
    )
    return Collection(ids, names, files, first_folders), notes


def _first_folder(file: Path, root: Path) -> str:
    parts = file.relative_to(root).parts
    return parts[0] if len(parts) > 1 else ""


def content_codes(snapshot: Snapshot, collection: Collection) -> NDArray[np.int64]:
    """Return (n + 2,) a number for the content of each row, equal for equal files.

    The last two numbers are unique; rows -1 and -2 (not in the collection) index them.
    """
    numbers = np.arange(len(collection) + 2)
    for ids in snapshot.exact_duplicates():
        rows = collection.rows(np.array(ids, np.int64))
        rows = rows[rows >= 0]
        if len(rows):
            numbers[rows] = rows[0]
    return numbers
