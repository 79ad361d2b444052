"""Maps the paths that come with imported vectors to images of the library.

An image whose file does not exist (any more, or on this machine) is stored below the root for imported
images, which is never swept. It has no size and no facts, and a hash of its path instead of its content.
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

# Longest untrusted path in characters, the limit of most systems.
MAX_PATH = 4096


def may_leave_folder(name: str) -> bool:
    """Return whether a relative path might lead out of the folder that it is joined to."""
    plain = name.replace("\\", "/")
    return (
        len(name) > MAX_PATH
        or "\0" in name
        or plain.startswith("/")
        or bool(PureWindowsPath(name).drive)
        or ".." in plain.split("/")
    )


class PathMapper:
    """Finds root and path of imported images: below a root if the file exists, else the imported root.

    folder           relative paths are relative to this folder; None: there are no paths
    untrusted_paths  paths are relative to the roots and must not lead elsewhere
    """

    def __init__(
        self, store: Store, writer: Writer, folder: Path | None, name: str, *, untrusted_paths: bool
    ) -> None:
        self._writer = writer
        self._folder = folder
        self._name = name
        self._untrusted_paths = untrusted_paths
        self._library_parent = None if store.folder is None else store.folder.parent
        with store.snapshot() as snapshot:
            self._roots = [root for root in snapshot.roots() if not root.imported]
        self._imported_root = writer.add_imported_root()

    def entries(
        self, names: Sequence[str | None], vectors: NDArray[np.float32], start: int, key: str
    ) -> list[Entry]:
        """Return the entries for a batch of rows; `start` is the number of the first row."""
        places = [self._locate(name, start + number) for number, name in enumerate(names)]
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

    def _locate(self, name: str | None, row: int) -> tuple[Root, str, Path | None]:
        if name is None:
            return self._imported_root, f"{self._name}/{row}", None
        if self._untrusted_paths:
            return self._locate_untrusted(name)
        if self._folder is not None and "://" not in name:
            whole = Path(os.path.normpath(self._folder / name))
            with suppress(OSError):
                if whole.is_file() and (root := self._root(whole)) is not None:
                    return root, whole.relative_to(root.path).as_posix(), whole
        plain = name if "://" in name else os.path.normpath(name).replace(os.sep, "/")
        return self._imported_root, plain.lstrip("/"), None

    def _locate_untrusted(self, name: str) -> tuple[Root, str, Path | None]:
        """Return root, path and file of an untrusted path, which must end below an existing root."""
        plain = name if "://" in name else posixpath.normpath(name)
        if not any(part.startswith(".") for part in plain.split("/")):
            for root in self._roots:
                file = root.path / plain
                with suppress(OSError, RuntimeError, ValueError):
                    inside = file.resolve(strict=True).is_relative_to(root.path.resolve())
                    if inside and file.is_file():
                        return root, plain, file
        return self._imported_root, plain, None

    def _root(self, file: Path) -> Root | None:
        for root in self._roots:
            if file.is_relative_to(root.path):
                return root
        if self._library_parent is not None and file.is_relative_to(self._library_parent):
            self._roots.append(self._writer.add_root(self._library_parent))
            return self._roots[-1]
        return None


def _content(file: Path | None, path: str) -> tuple[int, int, bytes]:
    """Return size, date and hash of the file, by which `index` recognises it, or substitutes."""
    if file is not None:
        with suppress(ImageError):
            content = read(file)
            return content.size, content.mtime_ns, content.digest
    return 0, 0, hashlib.sha256(os.fsencode(f"{IMPORTED}\0{path}")).digest()
