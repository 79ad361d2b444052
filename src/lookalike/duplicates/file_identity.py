"""Which files exist as they were indexed, and which paths lead to one and the same file."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from lookalike.images.pages import file_of, is_page
from lookalike.images.reading import inode_of, mtime_ns_of, open_original
from lookalike.stores.interface import Image, Snapshot

Identity: TypeAlias = tuple[int, int] | str
"""Device and inode; the resolved path where the file system has no inodes."""


@dataclass(frozen=True, slots=True)
class PresentFile:
    """A file that exists as it was when it was indexed: by its size, date and inode, or by its content.

    linked      whether the path leads through a symbolic link below its root
    hard_links  number of names that the file has in the file system; 0 for a file that is not as it was
    """

    image: Image
    path: Path
    identity: Identity
    linked: bool
    hard_links: int


class FileIdentities:
    """Finds the files of the images of a snapshot. Asks the file system once for each."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._roots = {root.id: root.path for root in snapshot.roots()}
        self._found: dict[int, PresentFile | None] = {}
        self._links: dict[str, bool] = {}
        self._first_seen: dict[tuple[int, int, int, int], Identity] = {}

    def path(self, image: Image) -> Path:
        """Return the path of an image."""
        return self._roots[image.root] / image.path

    def find(self, image: Image) -> PresentFile | None:
        """Return the file of an image; None where it is missing or has changed."""
        if image.id not in self._found:
            self._found[image.id] = self._find(image)
        return self._found[image.id]

    def expect(self, image: Image) -> PresentFile:
        """Return the file of an image, whether or not it is as it was."""
        path = self.path(image)
        return self.find(image) or PresentFile(image, path, os.fspath(path), False, 0)

    def _find(self, image: Image) -> PresentFile | None:
        path = self.path(image)
        try:
            state = Path(file_of(path)).stat()
        except (OSError, ValueError):
            return None
        if not stat.S_ISREG(state.st_mode):
            return None
        if (state.st_size, mtime_ns_of(state)) != (image.size, image.mtime_ns):
            return None
        if self._replaced(image, path, state):
            return None
        linked = self._is_link(path, self._roots[image.root])
        if is_page(path):  # no file of its own: nothing can be removed
            return PresentFile(image, path, os.fspath(path), linked, 0)
        return PresentFile(image, path, self._identity(path, state), linked, state.st_nlink)

    def _replaced(self, image: Image, path: Path, state: os.stat_result) -> bool:
        """Return whether a file of the same size and date has other content; read if its inode differs."""
        known = self._snapshot.file_states(image.root, [image.path]).get(image.path)
        if known is None or known.inode in (None, inode_of(state)):
            return False
        try:
            with os.fdopen(open_original(path), "rb") as file:
                return hashlib.file_digest(file, "sha256").digest() != known.hash
        except OSError:
            return True

    def _identity(self, path: Path, state: os.stat_result) -> Identity:
        """Return the identity of a file.

        One network share that is mounted twice has two device numbers. A file of another device that has the
        same inode, size and times, those of its status included, counts as the same file.
        """
        if not state.st_ino:
            return os.path.normcase(os.path.realpath(path))
        seen = (state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
        return self._first_seen.setdefault(seen, (state.st_dev, state.st_ino))

    def _is_link(self, path: Path, root: Path) -> bool:
        """Return whether a path, or a folder between it and the root, is a symbolic link."""
        if path.is_symlink():
            return True
        folder = os.fspath(path.parent)
        if folder not in self._links:
            below = path.parent.relative_to(root)
            real = os.path.join(os.path.realpath(root), below)  # noqa: PTH118
            self._links[folder] = os.path.realpath(folder) != os.path.normpath(real)
        return self._links[folder]


def one_per_file(files: Iterable[PresentFile]) -> list[list[PresentFile]]:
    """Return the paths of each file together, paths without symbolic links first, else in the given order."""
    found: dict[Identity, list[PresentFile]] = {}
    for file in files:
        found.setdefault(file.identity, []).append(file)
    return [sorted(paths, key=lambda file: file.linked) for paths in found.values()]


def removable_paths(paths: Sequence[PresentFile]) -> tuple[Path, ...]:
    """Return the paths to remove so that a file is gone; () where that frees nothing.

    That is the case if it is reached through symbolic links only, which may lead out of the library, or if it
    has hard links that the library does not know.
    """
    names = tuple(dict.fromkeys(file.path for file in paths if not file.linked))
    return names if 0 < paths[0].hard_links <= len(names) else ()
