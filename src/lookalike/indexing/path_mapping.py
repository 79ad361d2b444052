"""Which images the names of vectors mean that others made.

An image whose file is not there (any more, or here) lies below a root of its own, the folder
`imported` in the library's, which is never swept. It has no size and no facts, and in place of the hash
of its content one of its path.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path, PureWindowsPath

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import ImageError, Outcome
from lookalike.images.reading import read
from lookalike.stores.interface import Entry, FileState, Root, Store, Writer
from lookalike.stores.records import IMPORTED

MOST_NAME = 4096
"""Characters of a path that a stranger names, as systems have them."""


def strays(name: str) -> bool:
    """Whether a name might mean something outside a folder that it is put behind."""
    plain = name.replace("\\", "/")
    return (
        len(name) > MOST_NAME
        or "\0" in name
        or plain.startswith("/")
        or bool(PureWindowsPath(name).drive)
        or ".." in plain.split("/")
    )


class Places:
    """Where images lie: below a root if their file is there, else among those without one."""

    def __init__(
        self, store: Store, writer: Writer, folder: Path | None, name: str, *, untrusted_paths: bool
    ) -> None:
        self._writer = writer
        self._folder = folder
        self._name = name
        self._fenced = untrusted_paths
        self._home = None if store.folder is None else store.folder.parent
        with store.snapshot() as snapshot:
            self._roots = [root for root in snapshot.roots() if not root.imported]
        self._nowhere = writer.add_imported_root()

    def entries(
        self, names: Sequence[str | None], vectors: NDArray[np.float32], start: int, key: str
    ) -> list[Entry]:
        places = [self._place(name, start + number) for number, name in enumerate(names)]
        known: dict[tuple[int, str], FileState] = {}
        for id_ in {root.id for root, _, _ in places}:
            paths = [path for root, path, _ in places if root.id == id_]
            known |= {
                (id_, path): found for path, found in self._writer.file_states(id_, paths).items()
            }
        entries: list[Entry] = []
        for (root, path, file), vector in zip(places, vectors, strict=True):
            before = known.get((root.id, path))
            if before is not None and before.hash is not None:
                size, time, digest = before.size, before.mtime_ns, before.hash
            else:
                size, time, digest = _content(file, path)
            entries.append(
                Entry(root.id, path, size, time, digest, Outcome.INDEXED, vectors={key: vector})
            )
        return entries

    def _place(self, name: str | None, row: int) -> tuple[Root, str, Path | None]:
        if name is None:
            return self._nowhere, f"{self._name}/{row}", None
        if self._fenced:
            return self._within(name)
        if self._folder is not None and "://" not in name:
            whole = Path(os.path.normpath(self._folder / name))
            with suppress(OSError):
                if whole.is_file() and (root := self._root(whole)) is not None:
                    return root, whole.relative_to(root.path).as_posix(), whole
        plain = name if "://" in name else os.path.normpath(name).replace(os.sep, "/")
        return self._nowhere, plain.lstrip("/"), None

    def _within(self, name: str) -> tuple[Root, str, Path | None]:
        """Where a stranger's name leads, followed to its end: below a root that is there already."""
        plain = name if "://" in name else posixpath.normpath(name)
        if not any(part.startswith(".") for part in plain.split("/")):
            for root in self._roots:
                file = root.path / plain
                with suppress(OSError, RuntimeError, ValueError):
                    inside = file.resolve(strict=True).is_relative_to(root.path.resolve())
                    if inside and file.is_file():
                        return root, plain, file
        return self._nowhere, plain, None

    def _root(self, file: Path) -> Root | None:
        for root in self._roots:
            if file.is_relative_to(root.path):
                return root
        if self._home is not None and file.is_relative_to(self._home):
            self._roots.append(self._writer.add_root(self._home))
            return self._roots[-1]
        return None


def _content(file: Path | None, path: str) -> tuple[int, int, bytes]:
    """Size, date and hash: of the file, by which `index` knows it again, or in place of them."""
    if file is not None:
        with suppress(ImageError):
            content = read(file)
            return content.size, content.mtime_ns, content.digest
    return 0, 0, hashlib.sha256(os.fsencode(f"{IMPORTED}\0{path}")).digest()
