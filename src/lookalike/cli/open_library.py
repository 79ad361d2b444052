"""Which library a command means."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.errors import LibraryError, NoLibrary, UsageError

if TYPE_CHECKING:
    from lookalike.library import Library

_FOLDER = ".lookalike"
_SPECIAL = ("-", "=", "+", "@", "\t", "\r")
# A direct subfolder with a library is named in the error; a folder with more entries than this is
# not searched for one, because the error must come at once.
_LOOK_AT = 2000


def locate(library: Path | None, near: Sequence[Path] = ()) -> Path:
    """The library's folder: the one given, else upwards from here, else upwards from `near`.

    `library` already holds the environment variable LOOKALIKE_LIBRARY when that is set.
    """
    from lookalike.stores.open_store import find_library

    if library is not None:
        return library
    for start in (Path.cwd(), *near):
        found = find_library(start)
        if found is not None:
            return found
    raise NoLibrary(_none_here())


def _none_here() -> str:
    below = _below(Path.cwd())
    if below is not None:
        return (
            f"there is no library here or in a folder above; there is one in ./{below}: "
            f"add --library {shlex.quote(below)}"
        )
    return (
        "there is no library here or in a folder above; make one with: lookalike index FOLDER "
        "(or name one with --library DIR)"
    )


def _below(folder: Path) -> str | None:
    """A direct subfolder that has a library, the first by name."""
    try:
        names = sorted(entry.name for entry in islice(folder.iterdir(), _LOOK_AT))
        return next((name for name in names if (folder / name / _FOLDER).is_dir()), None)
    except OSError:
        return None


def open_library(
    library: Path | None, near: Sequence[Path] = (), *, read_only: bool = True
) -> Library:
    """Open the library that is meant; `NoLibrary` says what to do where there is none."""
    from lookalike.library import Library

    return Library.open(locate(library, near), read_only=read_only)


@contextmanager
def to_look_at(sources: Sequence[Path], library: Path | None) -> Iterator[Library]:
    """The library that indexing would use, changed in nothing: where there is none yet, an empty
    one in a temporary folder stands in for it."""
    from tempfile import TemporaryDirectory

    from lookalike.library import Library

    home, there = _home(sources, library)
    with ExitStack() as stack:
        if there:
            yield stack.enter_context(Library.open(home, read_only=True))
            return
        folder = stack.enter_context(TemporaryDirectory(prefix="lookalike-"))
        root = _folder_of(sources[0])
        yield stack.enter_context(Library.create(root, folder=Path(folder) / _FOLDER))


@contextmanager
def to_write(sources: Sequence[Path], library: Path | None) -> Iterator[Library]:
    """The library that indexing these sources means; made where there is none, and taken away again if
    not a single picture was met: the next command should not find an empty one."""
    from lookalike.library import Library

    home, there = _home(sources, library)
    if there:
        with Library.open(home) as opened:
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
            _take_away(home)
            for folder in new[1:]:
                with suppress(OSError):  # somebody has put something there meanwhile
                    folder.rmdir()


def _take_away(home: Path) -> None:
    """Delete an empty library, unless another process is about to fill it: it may have been made by that
    one, a moment before this one could."""
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
    """Whether it has met nothing but files of other kinds."""
    from lookalike.errors import Outcome
    from lookalike.indexing.report import is_not_an_image

    return all(map(is_not_an_image, library.failures(set(Outcome))))


def _home(sources: Sequence[Path], library: Path | None) -> tuple[Path, bool]:
    """The .lookalike folder for indexing, and whether there is a library in it."""
    from lookalike.indexing.sources import resolve_path
    from lookalike.stores.open_store import find_library, is_library

    if library is not None and library.is_file():
        raise UsageError(f"{library} is a file: name a folder for the library")
    for source in sources:
        resolve_path(source)  # a mistyped folder is told before a library is made for it
    first = _folder_of(sources[0])
    if library is None:
        found = find_library(first)
        return (found, True) if found else (first / _FOLDER, False)
    for place in (library, library / _FOLDER):
        if is_library(place):
            return place, True
    return (library if library.name == _FOLDER else library / _FOLDER), False


def _folder_of(source: Path) -> Path:
    return source if source.is_dir() else source.absolute().parent


def typed(folder: Path, command: str) -> str:
    """`command` as it must be typed here so that it means the library in `folder`."""
    from lookalike.stores.open_store import find_library

    named = named_by(folder)
    found = find_library(Path.cwd())
    if found is not None and found.resolve() in (folder.resolve(), named.resolve()):
        return f"{program()} {command}"
    return f"{program()} {command} --library {shlex.quote(shown(named))}"


def named_by(folder: Path) -> Path:
    """What a library whose files are in `folder` is called by: the folder of its pictures."""
    return folder.parent if folder.name == _FOLDER else folder


def program() -> str:
    """This program as it must be typed here: `make demo` has put it into .venv, which no shell searches."""
    own = Path(sys.argv[0])
    if own.stem != "lookalike" or shutil.which("lookalike"):
        return "lookalike"
    return shlex.quote(shown(own))


def shown(path: Path) -> str:
    """The path as short as it can be typed here: relative below this folder, else in full. An imported
    image without a file is called what it was called when it was imported."""
    inside = f"{os.sep}{_FOLDER}{os.sep}imported{os.sep}"
    if inside in str(path):
        relative = str(path).partition(inside)[2]
    else:
        try:
            relative = str(path.absolute().relative_to(Path.cwd()))
        except ValueError:
            return str(path.absolute())
    return unmistakable(relative)


def unmistakable(relative: str) -> str:
    """The path so that it is taken for one: "-rf" would be a flag to the next program, "=…" a formula to a
    spreadsheet."""
    return f"./{relative}" if relative.startswith(_SPECIAL) else relative
