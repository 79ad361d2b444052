"""Finding the files below a folder: in a stable order, any number of them, holding no list.

Every regular file that is not hidden is found, whatever its name says, because each file gets an
outcome. Hidden means that a name below the source begins with a dot, so `.lookalike` is too.

Names that are not valid UTF-8 survive as Python's surrogate escapes (PEP 383): `os.fsencode` gives
back the very bytes, and the file can be opened. Printing or storing such a path needs care.
"""

# ruff: noqa: PTH112, PTH116, PTH118
# pathlib would make the walk of a million files several times slower.

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from lookalike.errors import UsageError
from lookalike.images.globs import Globs
from lookalike.images.listing import RUN_NAMES, Entry, in_order, unordered
from lookalike.images.reading import changed_ns

OnError = Callable[[str, str], None]
"""Called with the path and the reason, in words, for each folder or file that cannot be entered."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file that was found: its path (the source's path joined with the rest), size and time."""

    path: str
    size: int
    mtime_ns: int


@dataclass(slots=True)
class _Folder:
    """One level of the walk: an open folder and what is left of its entries."""

    path: str
    inside: str  # the path with a separator behind it
    relative: str  # to the source, "/" between the names, ending in "/" unless empty
    identity: tuple[int, int]
    entries: Iterator[Entry]
    inside_link: set[tuple[int, int]] | None


def find(
    sources: Iterable[str | os.PathLike[str]],
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    skip: Iterable[str | os.PathLike[str]] = (),
    on_error: OnError | None = None,
    run_names: int = RUN_NAMES,
) -> Iterator[Found]:
    """All files at or below the sources, source by source, in the byte order of their paths.

    `include` and `exclude` are globs (see `globs.Globs`); a folder that is excluded is not entered.
    `skip` are folders that are not entered either (a library's own). Links are followed; a folder
    that contains itself through a link is entered once. A source that is a file is found as it is,
    whatever the globs say. What cannot be entered goes to `on_error(path, reason)`.

    Memory: of each folder on the way at most `run_names` names are held, even if it has millions.
    Raises UsageError, before anything is found, if a source does not exist.
    """
    roots = _existing(sources)
    globs = Globs(include, exclude)
    shunned = _identities(skip)
    report = on_error or _ignore

    def stream() -> Iterator[Found]:
        for root in roots:
            for path in _walk(root, globs, shunned, report, lambda p: in_order(p, run_names)):
                try:
                    state = os.stat(path)
                except OSError as error:
                    report(path, _reason(error))
                    continue
                if stat.S_ISREG(state.st_mode):
                    yield Found(path, state.st_size, changed_ns(state))

    return stream()


def count(
    sources: Iterable[str | os.PathLike[str]],
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    skip: Iterable[str | os.PathLike[str]] = (),
    stop: Callable[[], bool] | None = None,
) -> int:
    """How many files `find` will find, without asking for their sizes: several times faster.

    `stop` is asked now and then; once it says True, the number counted so far is returned.
    """
    globs = Globs(include, exclude)
    total = 0
    for root in _existing(sources):
        for _path in _walk(root, globs, _identities(skip), _ignore, unordered):
            total += 1
            if total % 1024 == 0 and stop is not None and stop():
                return total
    return total


def _walk(
    root: str,
    globs: Globs,
    shunned: frozenset[tuple[int, int]],
    report: OnError,
    listing: Callable[[str], Iterator[Entry]],
) -> Iterator[str]:
    """Paths of the files below `root`. A stack: folders nest deeper than Python recurses."""
    if not os.path.isdir(root):
        yield root
        return
    stack: list[_Folder] = []
    _enter(stack, root, "", False, shunned, report, listing)
    while stack:
        folder = stack[-1]
        try:
            entry = next(folder.entries, None)
        except OSError as error:
            report(folder.path, _reason(error))
            entry = None
        if entry is None:
            stack.pop()
            continue
        relative = folder.relative + entry.name
        path = folder.inside + entry.name
        if not entry.is_folder:
            if globs.takes_file(relative, entry.name):
                yield path
        elif globs.enters_folder(relative, entry.name):
            _enter(stack, path, relative + "/", entry.is_link, shunned, report, listing)


def _enter(
    stack: list[_Folder],
    path: str,
    relative: str,
    by_link: bool,
    shunned: frozenset[tuple[int, int]],
    report: OnError,
    listing: Callable[[str], Iterator[Entry]],
) -> None:
    """Pushes a folder, unless it is on the stack already, shunned, or cannot be opened.

    Below a link each folder is entered once only. Looking at the ancestors alone ends every loop,
    but ten folders with links to each other have 10! ways through them.
    """
    try:
        state = os.stat(path)
        identity = (state.st_dev, state.st_ino)
        if identity in shunned or any(above.identity == identity for above in stack):
            return
        seen = stack[-1].inside_link if stack else None
        if seen is None and by_link:
            seen = set()
        if seen is not None:
            if identity in seen:
                return
            seen.add(identity)
        inside = os.path.join(path, "")
        stack.append(_Folder(path, inside, relative, identity, listing(path), seen))
    except OSError as error:
        report(path, _reason(error))


def _existing(sources: Iterable[str | os.PathLike[str]]) -> list[str]:
    roots = [os.fspath(source) for source in sources]
    for root in roots:
        try:
            os.stat(root)
        except (OSError, ValueError) as error:
            if isinstance(error, PermissionError):
                raise UsageError(f"{root}: no permission to look at it") from None
            raise UsageError(
                f"{root}: no such file or folder; check the spelling and the working directory"
            ) from None
    return roots


def _identities(folders: Iterable[str | os.PathLike[str]]) -> frozenset[tuple[int, int]]:
    found = set()
    for folder in folders:
        try:
            state = os.stat(folder)
        except OSError:
            continue
        found.add((state.st_dev, state.st_ino))
    return frozenset(found)


def _reason(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "no permission to read it"
    if isinstance(error, FileNotFoundError):
        return "a link that points to nothing, or removed meanwhile"
    return (error.strerror or "cannot be read").lower()


def _ignore(path: str, reason: str) -> None:
    """Nobody asked to be told."""
