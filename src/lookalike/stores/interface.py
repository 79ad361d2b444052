"""What a store is: everything a library must remember, and nearest neighbours.

Three small protocols: `Store` is the open library, `View` one consistent state of it for reading,
`Writer` the one process at a time that may change it. What they take and give lies in `records`.
`local` implements them with SQLite and memory-mapped files. One parametrised test suite
(tests/stores/) runs on every store.

Paths: a library has roots (folders). An image is named by (root id, path relative to that root,
with forward slashes). Ids are positive integers and are never used twice.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import Outcome
from lookalike.stores.ann_index import Indexes
from lookalike.stores.records import (
    DECISIONS,
    Decision,
    DecisionKind,
    DType,
    Entry,
    FileState,
    HitFields,
    Ids,
    Image,
    Neighbours,
    Root,
    Space,
    opposite,
)
from lookalike.vectors.similarity import Similarity

if TYPE_CHECKING:
    from lookalike.stores.filters import FieldStats

# The words of a contract are imported together with it.
__all__ = [
    "DECISIONS",
    "DType",
    "Decision",
    "DecisionKind",
    "Entry",
    "FileState",
    "HitFields",
    "Ids",
    "Image",
    "Neighbours",
    "Root",
    "Sidecars",
    "Snapshot",
    "Space",
    "Store",
    "Writer",
    "opposite",
]


class Snapshot(Protocol):
    """One consistent state of the library; cheap to take; not shared between threads."""

    @property
    def version(self) -> Hashable:
        """Equal for two views of one library between which no image, no vector and no decision
        changed."""
        ...

    def roots(self) -> list[Root]: ...
    def spaces(self) -> list[Space]:
        """All spaces, oldest first."""
        ...

    def search(
        self,
        space: str,
        queries: NDArray[np.float32],
        k: int,
        *,
        similarity: Similarity | None = None,
        among: Ids | None = None,
        exact: bool = False,
    ) -> Neighbours:
        """The k nearest images of each query (n, width) in the space of that key; where images have
        parts, the nearest of its parts counts for each. Where the space has an index, some of them may
        be missed; never is one shown that is not there, nor fewer than k if there are k.

        similarity  the space's own by default
        among       only these image ids (a filter); unknown ids are ignored
        exact       compare with every vector, index or not
        Ties are broken by the lower id (where the k-th place falls among equal ones, a store may keep
        those that it stored first). Cosine with a zero vector is 0. `UsageError` for an unknown
        space, k < 1, queries of another dimension or not finite.
        """
        ...

    def vectors(self, space: str, ids: Ids) -> NDArray[np.float32]:
        """(len(ids), width) as stored, of whole pictures; a row of NaN where the image has no vector
        in this space."""
        ...

    def sample(self, space: str, count: int) -> Ids:
        """At most `count` ids of images with a vector in the space, spread evenly over it; the same
        for the same state."""
        ...

    def select(self, where: str) -> Ids:
        """Ids, rising, of the images that satisfy a filter (the language: `filters`); of indexed ones
        alone, unless the filter mentions the outcome. `UsageError` of one line for a filter that
        cannot be read, for a field that nothing has, and for numbers compared with texts."""
        ...

    def fields(self) -> Mapping[str, FieldStats]:
        """What can be filtered, and what the library has in it."""
        ...

    def search_text(
        self, words: str, k: int, *, among: Ids | None = None
    ) -> tuple[Ids, NDArray[np.float32]]:
        """Ids and scores of the at most k indexed images whose captions, keywords and other texts fit
        the words best; larger is better, ties by the lower id. Any word may match. The words are
        text, whatever they look like. `among` as in `search`."""
        ...

    def has_text(self) -> bool:
        """Whether any image has words that `captions` can find."""
        ...

    def images(self, ids: Iterable[int]) -> dict[int, Image]:
        """Those of the ids that exist."""
        ...

    def hit_fields(self, ids: Iterable[int]) -> dict[int, HitFields]:
        """The same, of each only what a hit shows: less to read, where there are thousands."""
        ...

    def lookup(self, root: int, path: str) -> Image | None: ...
    def file_states(self, root: int, paths: Sequence[str]) -> dict[str, FileState]:
        """As the writer's: what is known of these paths, those that are not known left out."""
        ...

    def images_below(self, root: int, folder: str) -> list[Image]:
        """All images (whatever their outcome) below a folder, or the one with that path; "" is the root."""
        ...

    def same_content(
        self, size: int, *, hash: bytes | None = None, spaces: Collection[str] = ()
    ) -> list[Image]:
        """As the writer's."""
        ...

    def by_hash(self, hash: bytes) -> list[Image]: ...
    def exact_duplicates(self) -> list[list[int]]:
        """Ids, rising, of the indexed images that share their content with others: a list a content,
        by its first id."""
        ...

    def decisions(
        self, kinds: Iterable[DecisionKind] | None = None, *, about: bytes | None = None
    ) -> list[Decision]:
        """What people decided, in a fixed order: of these kinds (all, by default), on the content of
        that hash (any, by default), whether or not the library still has it."""
        ...

    def iter_files(self, *, outcomes: Iterable[Outcome] | None = None) -> Iterator[Image]:
        """All images with one of these outcomes (all, by default), by root and path; a generator."""
        ...

    def counts(self) -> dict[Outcome, int]: ...


class Sidecars(Protocol):
    """What the writer keeps of files beside the pictures: metadata that follows those files.

    A mark is any text that changes when the files do.
    """

    def marks(self, root: int, paths: Sequence[str]) -> dict[str, tuple[int, str]]:
        """Id and mark ("" without sidecars) of those of the pictures that are known."""
        ...

    def put(self, rows: Mapping[int, tuple[str, Mapping[str, Any]]]) -> None:
        """Replace the mark and the metadata of these images, and keep them; `UsageError` for an
        unknown id."""
        ...

    def mark_seen(self, ids: Iterable[int]) -> None:
        """Mark the sidecars of these images as seen in this writer's life."""
        ...

    def sweep(self, root: int, folder: str) -> int:
        """Forget what sidecars said of images of the root below `folder` ("" for all) that were
        neither put nor kept; of how many."""
        ...


class Writer(Protocol):
    """The one process that may change the library; holds its lock until the context ends.

    Every method that changes something commits before it returns. Whatever kills the process, the
    library stays whole and loses at most the call in progress.
    """

    def add_root(self, path: Path) -> Root:
        """The root for this folder; an existing one is returned again."""
        ...

    def add_imported_root(self) -> Root:
        """Return the root of images without a file (`Root.imported`); it is made if it is missing."""
        ...

    def add_space(self, space: Space) -> None:
        """Make the space unless it is there. `current` is decided by the store: True unless an older
        revision of the same name exists, which stays current until `promote`. `UsageError` if it is
        there with another dimension or similarity."""
        ...

    def promote(self, space: str) -> None:
        """Make this revision the current one of its name and delete the older ones."""
        ...

    def file_states(self, root: int, paths: Sequence[str]) -> dict[str, FileState]: ...
    def same_content(
        self, size: int, *, hash: bytes | None = None, spaces: Collection[str] = ()
    ) -> list[Image]:
        """Images of that many bytes with a known hash, candidates for a moved or copied file: with
        that hash if one is given, and, of the indexed ones, with a vector in each of `spaces`.
        Oldest first, and at most 256: uncompressed pictures all have the same size."""
        ...

    def hashes_by_size(
        self, sizes: Iterable[int], *, spaces: Collection[str] = (), failed: bool = True
    ) -> dict[int, tuple[bytes, ...]]:
        """The distinct contents of images of many sizes at once; sizes without any are left out.
        `failed`: also those of images that are not indexed."""
        ...

    def put(self, entries: Sequence[Entry]) -> list[int]:
        """Store a batch in one transaction; ids in the order of the entries. `UsageError` for vectors
        of an unknown space, of a wrong shape, or not finite: then nothing of the batch is stored."""
        ...

    def mark_seen(self, ids: Iterable[int]) -> None:
        """Mark images as seen in this writer's life (`put` marks its own)."""
        ...

    def sweep(self, root: int, folder: str, *, dry_run: bool = False) -> int:
        """Forget the images of the root below `folder` ("" for all) that were neither put nor kept by
        this writer; how many."""
        ...

    def remove(self, ids: Iterable[int]) -> int:
        """Forget these images; how many there were. Unknown ids are ignored."""
        ...

    def set_metadata(self, rows: Mapping[int, Mapping[str, Any]]) -> None:
        """Replace the metadata of these images (JSON values); `UsageError` for an unknown id. It
        goes before what sidecars and the files themselves say of the same name; None says nothing."""
        ...

    def add_decisions(self, decisions: Iterable[Decision]) -> int:
        """Remember decisions; how many were not there in the same words. The same one again replaces
        who and when; "relevant" and "not-relevant" replace each other. They stay when images change,
        move or are removed."""
        ...

    def remove_decisions(self, decisions: Iterable[Decision]) -> int:
        """Forget decisions; how many there were."""
        ...

    @property
    def sidecars(self) -> Sidecars: ...


class Store(Protocol):
    """An open library."""

    @property
    def location(self) -> str:
        """Where the library is kept, as people write it: a folder or a URL."""
        ...

    @property
    def folder(self) -> Path | None:
        """Folder of this machine for files derived from the library, such as thumbnails; None where the
        store has no such folder."""
        ...

    @property
    def read_only(self) -> bool:
        """Whether `writer` is certain to raise `LibraryReadOnly`."""
        ...

    def disk_bytes(self) -> int:
        """Return the bytes that the library takes where it is kept, derived files included."""
        ...

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """Begin to read the present state. Any number of threads may each hold a snapshot of their own."""
        ...

    def writer(self) -> AbstractContextManager[Writer]:
        """Take the lock; `LibraryBusy` at once if another process has it, `LibraryReadOnly`. Its
        methods raise `StorageFull` when the disk is full; readers never wait for it, nor it for them."""
        ...

    @property
    def indexes(self) -> Indexes: ...
    def check(self) -> list[str]:
        """Everything in the store that contradicts itself, a line each; empty if it is whole. Reads all
        vectors once, of one consistent state. `LibraryDamaged` where that cannot be read at all."""
        ...

    def close(self) -> None: ...
