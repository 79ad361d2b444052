"""The library that an evaluation asks: one that is there, or one made for it and thrown away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from lookalike.errors import UsageError
from lookalike.evaluation.ground_truth import Note, tally
from lookalike.indexing.report import IndexOptions, ProgressCallback
from lookalike.library import Library
from lookalike.stores.interface import Snapshot, Space
from lookalike.stores.open_store import FOLDER, find_library
from lookalike.stores.records import NO_VECTORS

DEFAULT = ("lookalike", "color", "histogram", "pixels")
"""Extractors that are compared where none is named and there is no library: none needs a model."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A library to evaluate.

    within  the folder that the evaluation is about; None: all of the library
    notes   what could not be indexed, where it was indexed for this
    """

    library: Library
    within: Path | None
    notes: tuple[Note, ...] = ()


@contextmanager
def opened(
    folder: Path,
    *,
    extractors: Sequence[str] = (),
    options: IndexOptions | None = None,
    progress: ProgressCallback | None = None,
) -> Iterator[Opened]:
    """The library of a folder. Where there is none, or `extractors` are named, the folder is indexed
    with these (`DEFAULT`) into a temporary one: nothing is written beside the pictures.

    `UsageError` where there is no such folder, or no picture in it can be indexed.
    """
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}: name a folder of pictures or a library")
    there = find_library(folder) if not extractors else None
    with ExitStack() as stack:
        if there is not None:
            library = stack.enter_context(Library.open(there, read_only=True))
            yield Opened(library, _within(folder, library))
            return
        home = stack.enter_context(TemporaryDirectory(prefix="lookalike-evaluate-"))
        library = stack.enter_context(Library.create(folder, folder=Path(home) / FOLDER))
        added = library.add(
            [folder], extractors=extractors or DEFAULT, options=options, progress=progress
        )
        failed = sum(added.failed.values())
        if not added.new:
            raise UsageError(f"there is no picture in {folder} that can be indexed")
        notes = tally(
            failed,
            "picture could not be indexed and takes no part",
            "pictures could not be indexed and take no part",
        )
        yield Opened(library, None, tuple(notes))


def _within(folder: Path, library: Library) -> Path | None:
    """The folder, unless it is the library itself or holds all of its roots."""
    inside = folder.resolve()
    home = library.folder.resolve()
    if inside in (home, home.parent):
        return None
    roots = [root.path for root in library.info().roots]
    return None if all(root.is_relative_to(inside) for root in roots) else inside


def spaces_of(snapshot: Snapshot, by: Sequence[str]) -> list[Space]:
    """The library's spaces of these names, or all current ones; `UsageError` names those it has."""
    current = [space for space in snapshot.spaces() if space.current and space.count]
    if not current:
        raise UsageError(NO_VECTORS)
    found = []
    for name in dict.fromkeys(by):
        space = next((space for space in current if name in (space.name, space.key)), None)
        if space is None:
            raise UsageError(
                f"the library has no {name} vectors, only {', '.join(s.name for s in current)}: add "
                f"them with `lookalike index --with {name}`, or evaluate with --with {name}, which "
                "indexes anew for this"
            )
        found.append(space)
    return found or current
