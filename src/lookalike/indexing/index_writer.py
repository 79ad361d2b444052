"""What an indexing run needs of a writer: that of a store, or one that writes parts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from lookalike.images.reading import InodeState
from lookalike.stores.interface import Entry, FileState, Image, Root, Sidecars


class IndexWriter(Protocol):
    """The part of `Writer` that an indexing run uses; its methods are described there."""

    def add_root(self, path: Path) -> Root:
        """See `Writer`."""
        ...

    def file_states(self, root: int, paths: Sequence[str]) -> dict[str, FileState]:
        """See `Writer`."""
        ...

    def pages(self, root: int, path: str) -> list[Image]:
        """See `Writer`."""
        ...

    def remove(self, ids: Iterable[int]) -> int:
        """See `Writer`."""
        ...

    def same_content(
        self, size: int, *, hash: bytes | None = None, spaces: Collection[str] = ()
    ) -> list[Image]:
        """See `Writer`."""
        ...

    def hashes_by_size(
        self, sizes: Iterable[int], *, spaces: Collection[str] = (), failed: bool = True
    ) -> dict[int, tuple[bytes, ...]]:
        """See `Writer`."""
        ...

    def put(self, entries: Sequence[Entry]) -> list[int]:
        """See `Writer`."""
        ...

    def set_inodes(self, inodes: Mapping[int, InodeState]) -> None:
        """See `Writer`."""
        ...

    def set_root_identity(self, root: int, identity: str) -> None:
        """See `Writer`."""
        ...

    def mark_seen(self, ids: Iterable[int]) -> None:
        """See `Writer`."""
        ...

    def sweep(self, root: int, folder: str, *, dry_run: bool = False) -> int:
        """See `Writer`."""
        ...

    @property
    def sidecars(self) -> Sidecars:
        """See `Writer`."""
        ...
