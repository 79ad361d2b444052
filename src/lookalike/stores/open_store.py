"""Find, create and open the store of a library."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from lookalike.errors import MissingExtra, NoLibrary, UsageError
from lookalike.files import LIBRARY_FOLDER
from lookalike.stores.postgres.url import is_url, without_password

if TYPE_CHECKING:
    from lookalike.stores.interface import Store
    from lookalike.stores.postgres.store import PostgresStore

# The stores themselves are imported on use: the command line looks for a library before it needs one.

Location: TypeAlias = Path | str
"""Where a library is: a folder of images or its `.lookalike` folder, or the URL of a database, which may hold
a password."""

FOLDER = LIBRARY_FOLDER
"""Name of a library's folder inside the folder of its images."""


def is_library(folder: Path) -> bool:
    """Return whether a local store is kept in this very folder."""
    return (folder / "catalogue.sqlite").is_file()


def library_folder(named: Path) -> Path:
    """Return the folder of a library by the name that users give it: itself, or its folder of images."""
    return named if named.name == FOLDER else named / FOLDER


def find_library(start: Path) -> Path | None:
    """Return the nearest library at or above a folder, as git finds its repository; None without one."""
    for folder in (start, *start.absolute().parents):
        if is_library(folder / FOLDER):
            return folder / FOLDER
    return None


def shown_location(location: Location) -> str:
    """Return a location as it may be shown: without a password."""
    return without_password(location) if is_url(location) else str(location)  # type: ignore[arg-type]


def has_store(location: Location) -> bool:
    """Return whether there is a store at a location; `LibraryError` for a database that cannot be asked."""
    if not is_url(location):
        return any(is_library(folder) for folder in (Path(location) / FOLDER, Path(location)))
    try:
        open_store(location, read_only=True).close()
    except NoLibrary:
        return False
    return True


def open_store(location: Location, *, read_only: bool = False, device: str | None = None) -> Store:
    """Open the store at a location; this function alone decides which kind of store that is.

    location  a folder of images that contains `.lookalike`, or such a folder itself, or the URL of a database
    device    PyTorch's name of the GPU that searches ("cuda"); None: the CPU

    Raises `NoLibrary` if there is no store, and what `LocalStore.open` and `PostgresStore.open` raise.
    """
    if is_url(location):
        if device is not None:
            raise UsageError("a GPU searches libraries in folders only: leave out the device")
        return _postgres().open(str(location), read_only=read_only)
    _refuse_other_schemes(location)
    for folder in (Path(location) / FOLDER, Path(location)):
        if is_library(folder):
            from lookalike.stores.local.store import LocalStore

            return LocalStore.open(folder, read_only=read_only, device=device)
    if not Path(location).exists():
        raise NoLibrary(f"there is no folder {location}: check the spelling")
    place = shlex.quote(str(location))
    raise NoLibrary(f"no library in {location}: make one with `lookalike index {place}`")


def create_store(location: Location) -> Store:
    """Open the local store that is kept in this very folder, or that at a URL, or make an empty one there."""
    if is_url(location):
        return _postgres().create(str(location))
    folder = Path(location)
    from lookalike.stores.local.store import LocalStore

    return LocalStore.open(folder) if is_library(folder) else LocalStore.create(folder)


def drop_empty_database(location: str) -> None:
    """Delete the library at a URL if it holds no image."""
    _postgres().drop_if_empty(location)


def _postgres() -> type[PostgresStore]:
    try:
        from lookalike.stores.postgres.store import PostgresStore
    except ImportError as error:
        raise MissingExtra(
            "a library in PostgreSQL needs psycopg: pip install 'lookalike[postgres]'"
        ) from error
    return PostgresStore


def _refuse_other_schemes(location: Location) -> None:
    scheme, mark, _ = str(location).partition("://")
    if mark and scheme.isalnum() and not Path(location).exists():
        raise UsageError(
            f"no library can be at {scheme}://…: name a folder, or a database as "
            "postgresql://USER@HOST/DATABASE"
        )
