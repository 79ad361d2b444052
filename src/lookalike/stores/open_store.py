"""Find, create and open the store of a library."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.errors import NoLibrary

if TYPE_CHECKING:
    from lookalike.stores.interface import Store

# The stores themselves are imported on use: the command line looks for a library before it needs one.

FOLDER = ".lookalike"
"""Name of a library's folder inside the folder of its images."""


def is_library(folder: Path) -> bool:
    """Return whether a local store is kept in this very folder."""
    return (folder / "catalogue.sqlite").is_file()


def find_library(start: Path) -> Path | None:
    """Return the nearest library at or above a folder, as git finds its repository; None without one."""
    for folder in (start, *start.absolute().parents):
        if is_library(folder / FOLDER):
            return folder / FOLDER
    return None


def open_store(
    location: Path | str, *, read_only: bool = False, device: str | None = None
) -> Store:
    """Open the store at a location; this function alone decides which kind of store that is.

    location  a folder of images that contains `.lookalike`, or such a folder itself
    device    PyTorch's name of the GPU that searches ("cuda"); None: the CPU

    Raises `NoLibrary` if there is no store, and what `LocalStore.open` raises.
    """
    for folder in (Path(location) / FOLDER, Path(location)):
        if is_library(folder):
            from lookalike.stores.local.store import LocalStore

            return LocalStore.open(folder, read_only=read_only, device=device)
    if not Path(location).exists():
        raise NoLibrary(f"there is no folder {location}: check the spelling")
    place = shlex.quote(str(location))
    raise NoLibrary(f"no library in {location}: make one with `lookalike index {place}`")


def create_store(folder: Path) -> Store:
    """Open the local store that is kept in this very folder, or make an empty one there."""
    from lookalike.stores.local.store import LocalStore

    return LocalStore.open(folder) if is_library(folder) else LocalStore.create(folder)
