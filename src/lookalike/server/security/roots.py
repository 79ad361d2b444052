"""Which folders a server may read and write: a library from a stranger may name any folder as its own."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from lookalike.library import Library
from lookalike.object_storage import is_url, shown
from lookalike.server.responses import HTTPError
from lookalike.stores.interface import Root


def foreign_roots(library: Library, allowed: Sequence[str] = ()) -> list[Path]:
    """Return the roots that lie neither below the folder in which the library is kept nor below an allowed
    one, links resolved. The roots of a library in a database are its owner's: there are none."""
    if is_url(library.address):
        return []
    with library.snapshot() as snapshot:
        return [root.path for root in snapshot.roots() if is_foreign(root, library.home, allowed)]


def is_foreign(root: Root, home: Path, allowed: Iterable[str] = ()) -> bool:
    """Return whether a root must be allowed before its files are touched."""
    if root.imported and not os.path.lexists(root.path):  # no folder, unless a stranger made one
        return False
    if is_url(root.path):
        place = shown(root.path)
        return not any(f"{place}/".startswith(f"{one.rstrip('/')}/") for one in allowed)
    real = Path(os.path.realpath(root.path))
    folders = [home, *(Path(one) for one in allowed if not is_url(one))]
    return not any(real.is_relative_to(os.path.realpath(folder)) for folder in folders)


def check_roots(library: Library, allowed: Sequence[str]) -> None:
    """Raise `HTTPError` 403 if a root was added since the start that nobody has allowed."""
    found = foreign_roots(library, allowed)
    if found:
        raise HTTPError(
            403,
            f"the library names a folder outside its own ({found[0].name}): start the server with "
            "--allow-root FOLDER if it may be used",
        )
