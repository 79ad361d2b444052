"""Finds and opens the library that a command works on."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.errors import LibraryError, LibraryReadOnly, NoLibrary, Outcome, UsageError
from lookalike.object_storage import is_address_list, is_url, shown

if TYPE_CHECKING:
    from lookalike.library import Library
    from lookalike.stores.open_store import Location

_FOLDER = ".lookalike"
_SPECIAL = ("-", "=", "+", "@", "\t", "\r")
# Entries of a folder that are searched for a library to name in the error, which must come at once.
_SEARCHED_ENTRIES = 2000


def locate(library: Location | None, near: Sequence[Path] = ()) -> Location:
    """Return the library's folder or URL: the one given, else the first found upwards from the current
    folder, else upwards from the files or folders `near`.

    `library` already holds the environment variable LOOKALIKE_LIBRARY if that is set.
    """
    from lookalike.stores.open_store import find_library

    global _located
    _located = library
    if library is not None:
        return library
    for start in (Path.cwd(), *(path.absolute() for path in near)):
        found = find_library(start)
        if found is not None:
            _located = found
            return found
    raise NoLibrary(_no_library_message())


def _no_library_message() -> str:
    below = _subfolder_with_library(Path.cwd())
    if below is not None:
        return (
            f"there is no library here or in a folder above; there is one in ./{below}: "
            f"add --library {shlex.quote(below)}"
        )
    return (
        "there is no library here or in a folder above; make one with: lookalike index FOLDER "
        "(or name one with --library DIR|URL)"
    )


def _subfolder_with_library(folder: Path) -> str | None:
    """Return the first direct subfolder, by name, that has a library."""
    try:
        names = sorted(entry.name for entry in islice(folder.iterdir(), _SEARCHED_ENTRIES))
        return next((name for name in names if (folder / name / _FOLDER).is_dir()), None)
    except OSError:
        return None


def open_library(
    library: Location | None, near: Sequence[Path] = (), *, read_only: bool = True
) -> Library:
    """Open the library; raise `NoLibrary` with a remedy if there is none."""
    return open_located(locate(library, near), read_only=read_only)


def open_located(
    location: Location, *, read_only: bool = True, device: str | None = None
) -> Library:
    """Open a library that was found. One of an older format is migrated, even if it will only be read."""
    from lookalike.library import Library

    try:
        return Library.open(location, read_only=read_only, device=device)
    except LibraryReadOnly:
        if not read_only:
            raise
        Library.open(location).close()  # migrates it, or says why it cannot
        return Library.open(location, read_only=read_only, device=device)


def refuse_foreign_roots(library: Library, allowed: Sequence[str]) -> None:
    """Raise `UsageError` where a library that is served to others has images outside its own folder, which
    nobody has allowed."""
    from lookalike.cli import output
    from lookalike.server.security.roots import foreign_roots

    if roots := foreign_roots(library, allowed):
        options = " ".join(f"--allow-root {shlex.quote(shown(root))}" for root in roots[:3])
        more = f" and {len(roots) - 3} more" if len(roots) > 3 else ""
        raise UsageError(
            f"the library has images of {output.printable(shown(roots[0]))}, outside its own folder: add "
            f"`{options}`{more} if you trust whoever made the library"
        )


@contextmanager
def open_for_estimate(sources: Sequence[Path], library: Location | None) -> Iterator[Library]:
    """Open the library that indexing would use, read-only; an empty temporary one if there is none yet."""
    from tempfile import TemporaryDirectory

    from lookalike.library import Library

    home, there = _home(sources, library)
    with ExitStack() as stack:
        if there:
            yield stack.enter_context(open_located(home))
            return
        folder = stack.enter_context(TemporaryDirectory(prefix="lookalike-"))
        root = _folder_of(sources[0])
        yield stack.enter_context(Library.create(root, folder=Path(folder) / _FOLDER))


@contextmanager
def open_for_indexing(sources: Sequence[Path], library: Location | None) -> Iterator[Library]:
    """Open or create the library for indexing these sources.

    A new library is removed again if not a single image was found, so that the next command does not find
    an empty one.
    """
    from lookalike.library import Library

    global _located
    home, there = _home(sources, library)
    _located = home
    if there:
        with Library.open(home) as opened:
            yield opened
        return
    if isinstance(home, str):
        with _new_database(sources, home) as opened:
            yield opened
        return
    new = [folder for folder in (home, *home.parents) if not folder.exists()]
    empty = False
    try:
        with Library.create(_folder_of(sources[0]), folder=home) as opened:
            try:
                yield opened
            finally:
                empty = _is_empty(opened)
    finally:
        if empty and home in new:
            _delete_empty(home)
            for folder in new[1:]:
                with suppress(OSError):  # not empty any more
                    folder.rmdir()


@contextmanager
def _new_database(sources: Sequence[Path], url: str) -> Iterator[Library]:
    """Make the library at a URL; delete it again if it stays empty."""
    from lookalike.library import Library
    from lookalike.stores.open_store import drop_empty_database

    with Library.create(_folder_of(sources[0]), folder=url) as opened:
        try:
            yield opened
        finally:
            with suppress(LibraryError):
                drop_empty_database(url)


def _delete_empty(home: Path) -> None:
    """Delete an empty library, unless another process is about to fill it."""
    from lookalike.library import Library
    from lookalike.stores.local.lock import write_lock
    from lookalike.stores.open_store import is_library

    with suppress(LibraryError), write_lock(home):
        with Library.open(home, read_only=True) as again:
            empty = _is_empty(again)
        if empty:
            shutil.rmtree(home, ignore_errors=True)
    if not is_library(home):  # Windows keeps a lock that is held
        shutil.rmtree(home, ignore_errors=True)


def _is_empty(library: Library) -> bool:
    """Return whether the library has found nothing but files that are not images."""
    return library.info().outcomes.keys() <= {Outcome.SKIPPED}


def _home(sources: Sequence[Path], library: Location | None) -> tuple[Location, bool]:
    """Return the .lookalike folder or the URL for indexing, and whether it holds a library."""
    from lookalike.indexing.sources import resolve_path
    from lookalike.stores.open_store import find_library, has_store, is_library

    if isinstance(library, Path) and library.is_file():
        raise UsageError(f"{library} is a file: name a folder for the library")
    for source in sources:
        resolve_path(source)  # reports a mistyped folder before a library is created
    if isinstance(library, str):
        return library, has_store(library)
    first = _folder_of(sources[0])
    if library is None:
        found = find_library(first)
        return (found, True) if found else (first / _FOLDER, False)
    for folder in (library, library / _FOLDER):
        if is_library(folder):
            return folder, True
    return (library if library.name == _FOLDER else library / _FOLDER), False


def _folder_of(source: Path) -> Path:
    """Return the folder whose library holds a source; for a URL or a list of addresses, the current one."""
    if is_url(source) or is_address_list(source):
        return Path.cwd()
    return source if source.is_dir() else source.absolute().parent


def folders(library: Location | None) -> tuple[Path, ...]:
    """Return the folders of images that a library has; `UsageError` if there is none."""
    with open_library(library) as opened:
        found = tuple(root.path for root in opened.info().roots if not root.imported)
    if not found:
        raise UsageError("the library has no folder of images: name one, lookalike index FOLDER")
    return found


_COMMAND = re.compile(r"`lookalike ([a-z]+)([^`]*)`")

_ON_A_LIBRARY = frozenset(
    (
        "ann",
        "check",
        "duplicates",
        "export",
        "failures",
        "feedback",
        "import",
        "index",
        "info",
        "remove",
    )
)


def with_library(message: str) -> str:
    """Return an error message in which commands work as they stand: with --library where they need it."""

    def complete(found: re.Match[str]) -> str:
        name, rest = found[1], found[2]
        has_path = name == "index" and not rest.startswith(" -") and bool(rest)
        placed = "--library" in rest or has_path
        if _located is None or placed or name not in _ON_A_LIBRARY:
            return found[0]
        return f"`{command_line(_located, name + rest)}`"

    return _COMMAND.sub(complete, message)


_located: Location | None = None
"""The library of this command, for messages."""


def command_line(folder: Location, command: str) -> str:
    """Return the command line that runs `command` on the library in `folder`, or at a URL, from the current
    folder. Passwords are left out."""
    from lookalike.stores.open_store import find_library, shown_location

    if isinstance(folder, str):
        return f"{program()} {command} --library {shlex.quote(shown_location(folder))}"
    named = library_name(folder)
    found = find_library(Path.cwd())
    if found is not None and found.resolve() in (folder.resolve(), named.resolve()):
        return f"{program()} {command}"
    return f"{program()} {command} --library {shlex.quote(display_path(named))}"


def shown_library(location: Location) -> str:
    """Return how a library is named here: its folder of images as short as it can be typed, or its URL
    without a password."""
    from lookalike.stores.open_store import shown_location

    if isinstance(location, str):
        return shown_location(location)
    return display_path(library_name(location))


def library_name(folder: Path) -> Path:
    """Return the folder of images of the library stored in `folder`, by which users name it."""
    return folder.parent if folder.name == _FOLDER else folder


def program() -> str:
    """Return the program's name as it must be typed here (`make demo` installs it into .venv)."""
    own = Path(sys.argv[0])
    if own.stem != "lookalike" or shutil.which("lookalike"):
        return "lookalike"
    return shlex.quote(display_path(own))


def display_path(path: Path) -> str:
    """Return the path as short as it can be typed here: relative below the current folder, else absolute.

    An imported image without a file has the name it was imported under.
    """
    if is_url(path):
        return shown(path)
    inside = f"{os.sep}{_FOLDER}{os.sep}imported{os.sep}"
    if inside in str(path):
        relative = str(path).partition(inside)[2]
    else:
        try:
            relative = str(path.absolute().relative_to(Path.cwd()))
        except ValueError:
            return str(path.absolute())
    return unambiguous(relative)


def unambiguous(relative: str) -> str:
    """Prefix "./" where the path would be taken for something else: "-rf" for a flag, "=…" for a formula."""
    return f"./{relative}" if relative.startswith(_SPECIAL) else relative
