"""Resolves paths that a request names, which always lie below the library's folders."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import Field

from lookalike.server.app_state import AppState
from lookalike.server.responses import HTTPError
from lookalike.stores.interface import Snapshot

LibraryPath = Annotated[
    str, Field(max_length=4096, description="Below one of the library's folders.")
]
"""A file or a folder; "." is everything."""


def existing_paths(state: AppState, paths: Sequence[str]) -> list[Path]:
    """Return the absolute paths of files and folders that exist; without any, of all roots. `HTTPError` if
    one lies outside the roots, however it is written."""
    with state.library.snapshot() as snapshot:
        roots = [root.path for root in snapshot.roots() if not root.imported]
    if not roots:
        raise HTTPError(
            409, "the library has no folder yet: index one with `lookalike index FOLDER`"
        )
    if not paths:
        return roots
    return [below_roots(roots, path) for path in paths]


def below_roots(roots: list[Path], path: str) -> Path:
    for root in roots:
        try:
            home = root.resolve(strict=True)
            full = (home / path).resolve(strict=True)
        except (OSError, ValueError, RuntimeError):
            continue
        if full.is_relative_to(home) and not is_hidden(full.relative_to(home)):
            return full
    raise HTTPError(
        403,
        f"{path[:80]!r} is not in the folders of this library; `lookalike index` adds others",
    )


def is_hidden(path: Path) -> bool:
    """Whether a part of the path begins with a dot: such folders are skipped when a root is walked, and
    nobody should have them indexed by naming them."""
    return any(part.startswith(".") for part in path.parts)


def stored_paths(snapshot: Snapshot, paths: Iterable[str]) -> list[Path]:
    """Return the absolute paths under which the library has stored files or folders, whether or not they
    still exist: no file is touched. Empty if "." is among them, for everything. `HTTPError` 404 for what
    the library does not have."""
    roots = snapshot.roots()
    found = []
    for path in paths:
        plain = os.path.normpath(path).replace(os.sep, "/")
        if plain == ".":
            return []
        if PurePosixPath(plain).is_absolute() or plain.split("/")[0] == "..":
            places = []
        else:
            places = [root.path / plain for root in roots if snapshot.images_below(root.id, plain)]
        if not places:
            raise HTTPError(404, f"the library has no image at {path[:80]}")
        found += places
    return found
