"""Recognise files that were replaced by others of the same size and date."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from lookalike.images.reading import InodeState
from lookalike.images.walk import FoundFile
from lookalike.indexing.sources import Source, same_file
from lookalike.object_storage import is_url
from lookalike.stores.interface import FileState, IndexWriter


def identity_of(folder: Path) -> str:
    """Return a text that tells a folder from copies of it: the file system and the folder's inode.

    A URL is always the same folder.

    It also changes when a file system without lasting inodes (FAT, SMB, FUSE) is mounted again.
    """
    if is_url(folder):
        return "url"
    try:
        state = folder.stat()
    except OSError:  # it vanished: the walk reports that
        return ""
    statvfs = getattr(os, "statvfs", None)  # not on Windows
    volume = statvfs(folder).f_fsid if statvfs else state.st_dev
    return f"{volume:x}-{state.st_ino:x}"


# Files of a chunk that may have other inode numbers and nothing else changed before these are ignored.
MIN_RENUMBERED = 20


class ChangeDetection:
    """Tells from the states of inodes whether files were replaced by others of the same size and date.

    Such a file is read, and its content decides. Where all inodes differ without any file being changed,
    that would read a whole library, so size and date alone count

    * in a folder that was copied, restored from a backup, or mounted from elsewhere (`identity_of`),
    * where most files of a chunk have another inode number, but not another time: some file systems number
      them anew now and then.

    What changes the times of all inodes in their place (`chmod -R`, hard links to all files) makes the next
    run read all files once; they are not decoded.
    """

    def __init__(self) -> None:
        self._copied: set[int] = set()  # roots
        self._identities: dict[int, str] = {}  # to be stored, by root

    def start_source(self, source: Source) -> None:
        """Compare the root's folder with the one that was indexed."""
        root = source.root
        identity = identity_of(root.path)
        if identity != root.identity:
            self._copied.add(root.id)
            if not source.below:
                self._identities[root.id] = identity

    def store_identities(self, writer: IndexWriter) -> None:
        """Remember the folders of roots that were indexed completely."""
        for root, identity in self._identities.items():
            writer.set_root_identity(root, identity)
        self._identities.clear()

    def replaced(
        self, root: int, files: Sequence[tuple[FoundFile, FileState | None]]
    ) -> tuple[set[int], dict[int, InodeState]]:
        """Return the ids of images whose files may have been replaced, and inodes to store for others."""
        times: set[int] = set()
        numbers: set[int] = set()
        differing: dict[int, InodeState] = {}
        for found, known in files:
            if known is None or known.inode == found.inode or not same_file(known, found):
                continue
            differing[known.id] = found.inode
            if known.inode is not None and root not in self._copied:
                same_time = known.inode.ctime_ns == found.inode.ctime_ns
                (numbers if same_time else times).add(known.id)
        if len(numbers) < max(MIN_RENUMBERED, len(files) // 2):
            times |= numbers
        return times, {id: inode for id, inode in differing.items() if id not in times}
