"""The places of a library that a request names: always below its folders."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import Field

from lookalike.server.app_state import Server
from lookalike.server.errors import Refusal
from lookalike.stores.interface import Snapshot

Named = Annotated[str, Field(max_length=4096, description="Below one of the library's folders.")]
"""A file or a folder; "." is everything."""


def below_roots(server: Server, paths: Sequence[str]) -> list[Path]:
    """Files and folders that are there, in full, all roots for none; `Refusal` where one lies elsewhere,
    however it is written."""
    with server.library.snapshot() as snapshot:
        roots = [root.path for root in snapshot.roots() if not root.imported]
    if not roots:
        raise Refusal(409, "the library has no folder yet: index one with `lookalike index FOLDER`")
    if not paths:
        return roots
    return [placed(roots, path) for path in paths]


def placed(roots: list[Path], path: str) -> Path:
    for root in roots:
        try:
            home = root.resolve(strict=True)
            full = (home / path).resolve(strict=True)
        except (OSError, ValueError, RuntimeError):
            continue
        if full.is_relative_to(home) and not is_hidden(full.relative_to(home)):
            return full
    raise Refusal(
        403,
        f"{path[:80]!r} is nothing in the folders of this library; `lookalike index` adds others",
    )


def is_hidden(path: Path) -> bool:
    """Whether a part of it begins with a dot: such folders are left out where a root is walked, and nobody
    should have them indexed by naming them."""
    return any(part.startswith(".") for part in path.parts)


def remembered(snapshot: Snapshot, paths: Iterable[str]) -> list[Path]:
    """Where the library remembers files or folders, in full, whether or not they are still there: no
    file is touched. None of them where "." is among them, for everything. `Refusal` 404 for what the
    library never met."""
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
            raise Refusal(404, f"the library has no picture at {path[:80]}")
        found += places
    return found
