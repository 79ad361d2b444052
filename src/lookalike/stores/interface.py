"""The interface of a store: everything a library must remember, and nearest neighbours.

    Store      an open library
    Snapshot   one consistent state of it, for reading
    Writer     changes it; one process at a time
    Sidecars   a part of the writer: metadata of files beside the images
    Indexes    its ANN indexes (in `ann_index`)

What these take and return is in `records`. `memory` is the simplest implementation, `local` keeps a library
in a folder. The tests in tests/stores run on every store. What stores share: filters (`filter_parser`,
`filter_semantics`), metadata and its fields (`metadata`), and the meaning of a batch (`write_plan`).

Names and conventions:

* A library has roots (folders). An image is identified by an id, or by root id and path; the path is relative
  to the root, with forward slashes, and may contain lone surrogates (file names that are not UTF-8).
* Ids are positive integers that rise and are never reused. Arrays of ids are (n,) int64.
* A space is identified by its key, "name@revision".
* Hashes are SHA-256 of the file content, 32 bytes.
* `UsageError` is raised for an unknown space, with the known ones in the message. All errors of a store are
  `LibraryError` or one of its subclasses, or `UsageError`; their messages are one line.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import Outcome
from lookalike.images.reading import InodeState
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
    MetadataSources,
    Neighbours,
    Repair,
    Root,
    Space,
    opposite,
)
from lookalike.stores.text_analysis import TextMatch
from lookalike.vectors.similarity import Similarity

if TYPE_CHECKING:
    from lookalike.stores.filters import FieldStats

# The records are exported here, too, so that users of a store import from one module.
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
    "IndexWriter",
    "MetadataSources",
    "Neighbours",
    "Repair",
    "Root",
    "Sidecars",
    "Snapshot",
    "Space",
    "Store",
    "ThumbnailCache",
    "Writer",
    "opposite",
]


class Snapshot(Protocol):
    """One consistent state of the library. Cheap to take; used in one thread."""

    @property
    def version(self) -> Hashable:
        """Equal for two snapshots of one library if no image, vector, index or decision changed between."""
        ...

    def roots(self) -> list[Root]:
        """Return all roots, oldest first."""
        ...

    def spaces(self) -> list[Space]:
        """Return all spaces, oldest first."""
        ...

    # Vectors

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
        """Return the k nearest images of each query.

        queries     (n, width), finite
        similarity  None: that of the space
        among       only these image ids (the result of a filter); unknown ids are ignored
        exact       compare with every vector, even if the space has an ANN index

        Where images have several vectors (`Space.boxes`), the nearest one of each image counts. With an ANN
        index some neighbours may be missed, but no wrong ones are returned, and no fewer than k if there are
        k. Equal similarities are ordered by rising id; where they compete for the last place, a store may
        prefer those that it stored first. The cosine with a zero vector is 0.

        Raises `UsageError` for an unknown space, k < 1, and queries of another width or not finite.
        """
        ...

    def vectors(self, space: str, ids: Ids, *, whole_rows: bool = False) -> NDArray[np.float32]:
        """Return the stored vectors of whole images, (len(ids), width); NaN rows for images without one.

        whole_rows  with those of all regions, (len(ids), dim)
        """
        ...

    def sample(self, space: str, count: int) -> Ids:
        """Return at most `count` rising ids of images with a vector in the space, spread evenly over it.

        The result is the same for the same state.
        """
        ...

    # Filters and texts

    def select(self, where: str) -> Ids:
        """Return the rising ids of the images that satisfy a filter.

        Only indexed images, unless the filter mentions the outcome. Raises `UsageError` for a filter that
        cannot be parsed, for unknown fields, and for comparisons of numbers with texts.
        """
        ...

    def sort(self, ids: Ids, field: str, *, reverse: bool = False) -> Ids:
        """Return these ids of images in the order of a field that filters may name.

        Numbers come before texts, which are ordered by code points of their composed form; then, reversed or
        not, images without a value. Of several values the smallest counts; equal ones are ordered by rising
        id. Raises `UsageError` for an unknown field.
        """
        ...

    def fields(self) -> Mapping[str, FieldStats]:
        """Return the statistics of all fields that filters may name, by name."""
        ...

    def search_text(
        self, text: str, k: int, *, among: Ids | None = None, match: TextMatch = "words"
    ) -> tuple[Ids, NDArray[np.float32]]:
        """Return ids (m,) and scores (m,) of the best matches of a text in captions and other texts, m <= k.

        match  "words": images that have any of the words; "parts": a word that begins like one, or a part
               of what is written without blanks; "inside": a word that contains one; "similar": a word that
               differs from one by one typo (`stores.text_analysis`)

        Larger scores are better; equal ones are ordered by rising id. The text is never syntax. `among` as
        in `search`. Raises `UsageError` for k < 1.
        """
        ...

    def has_text(self) -> bool:
        """Return whether any image has texts that `search_text` can find."""
        ...

    # Images

    def images(self, ids: Iterable[int]) -> dict[int, Image]:
        """Return the images of these ids; unknown ids are left out."""
        ...

    def metadata_sources(self, ids: Iterable[int]) -> dict[int, MetadataSources]:
        """Return what sidecars and tables said about these images; unknown ids are left out."""
        ...

    def hit_fields(self, ids: Iterable[int]) -> dict[int, HitFields]:
        """Return what a hit shows of these images: faster than `images` where there are thousands."""
        ...

    def lookup(self, root: int, path: str) -> Image | None:
        """Return the image at a path, or None."""
        ...

    def file_states(self, root: int, paths: Sequence[str]) -> dict[str, FileState]:
        """Return what is stored about these paths; unknown paths are left out."""
        ...

    def images_below(self, root: int, folder: str, limit: int | None = None) -> list[Image]:
        """Return all images below a folder by path, or the one at that path; "" and "." mean the root.

        limit  how many at most; None: all
        """
        ...

    def pages(self, root: int, path: str) -> list[Image]:
        """Return what is stored as pages of the file at a path: images called `path#3` or `path#t=12.5`."""
        ...

    def same_content(
        self, size: int, *, hash: bytes | None = None, spaces: Collection[str] = ()
    ) -> list[Image]:
        """Return what `Writer.same_content` returns."""
        ...

    def by_hash(self, hash: bytes) -> list[Image]:
        """Return all images with this content, oldest first."""
        ...

    def exact_duplicates(self) -> list[list[int]]:
        """Return the rising ids of indexed images that share their content: a list per content, sorted."""
        ...

    def iter_files(self, *, outcomes: Iterable[Outcome] | None = None) -> Iterator[Image]:
        """Yield all files with one of these outcomes (None: any), by root and path."""
        ...

    def counts(self) -> dict[Outcome, int]:
        """Return the number of files per outcome; outcomes without files are left out."""
        ...

    def decisions(
        self, kinds: Iterable[DecisionKind] | None = None, *, about: bytes | None = None
    ) -> list[Decision]:
        """Return decisions by kind and contents: of these kinds (None: all), about this content (None: any).

        The library need not have that content any more.
        """
        ...

    def comparisons(
        self, pairs: Iterable[tuple[bytes, bytes]], revision: str
    ) -> dict[tuple[bytes, bytes], str]:
        """Return what `Writer.put_comparisons` stored about pairs of contents, of this revision only.

        The smaller hash of a pair comes first. Pairs that are not known are left out.
        """
        ...


class Sidecars(Protocol):
    """Metadata that follows files beside the images.

    A mark is a text that changes when those files change; "" for an image without sidecars.
    """

    def marks(self, root: int, paths: Sequence[str]) -> dict[str, tuple[int, str]]:
        """Return id and mark of the images at these paths; unknown paths are left out."""
        ...

    def facts(self, ids: Iterable[int]) -> dict[int, Mapping[str, Any]]:
        """Return what the files of these images say about themselves; unknown ids are left out."""
        ...

    def put(self, rows: Mapping[int, tuple[str, Mapping[str, Any]]]) -> None:
        """Replace mark and metadata of these images, and mark them as seen; `UsageError` for unknown ids."""
        ...

    def mark_seen(self, ids: Iterable[int]) -> None:
        """Mark the sidecars of these images as seen in this writer's lifetime."""
        ...

    def sweep(self, root: int, folder: str) -> int:
        """Delete the sidecar metadata of images below `folder` ("": all of the root) that this writer has not
        seen; return how many images that were."""
        ...


class IndexWriter(Protocol):
    """The part of `Writer` that an indexing run uses; `part_writer` has another implementation of it."""

    def add_root(self, path: Path) -> Root:
        """Return the root of this folder; it is made if there is none. The folder need not exist."""
        ...

    def file_states(self, root: int, paths: Sequence[str]) -> dict[str, FileState]:
        """Return what is stored about these paths; unknown paths are left out."""
        ...

    def pages(self, root: int, path: str) -> list[Image]:
        """Return what `Snapshot.pages` returns."""
        ...

    def same_content(
        self, size: int, *, hash: bytes | None = None, spaces: Collection[str] = ()
    ) -> list[Image]:
        """Return images of that many bytes with a known hash: candidates for a moved or copied file.

        With this hash if one is given; of indexed images only those with a vector in each of `spaces`. Oldest
        first, and at most `SAME_CONTENT_LIMIT`.
        """
        ...

    def hashes_by_size(
        self, sizes: Iterable[int], *, spaces: Collection[str] = (), failed: bool = True
    ) -> dict[int, tuple[bytes, ...]]:
        """Return the distinct hashes that `same_content` would find, for many sizes at once.

        Sizes without any are left out. `failed`: also those of images that are not indexed.
        """
        ...

    def put(self, entries: Sequence[Entry]) -> list[int]:
        """Store a batch; return the ids in the order of the entries.

        Marks the images as seen. Raises `UsageError` for vectors of an unknown space, of a wrong shape, or
        not finite: then nothing of the batch is stored.
        """
        ...

    def set_inodes(self, inodes: Mapping[int, InodeState]) -> None:
        """Replace the stored states of the inodes of these images; unknown ids are ignored."""
        ...

    def set_root_identity(self, root: int, identity: str) -> None:
        """Replace the identity of a root's folder, a text of the caller's that tells it from copies of it."""
        ...

    def mark_seen(self, ids: Iterable[int]) -> None:
        """Mark images as seen in this writer's lifetime."""
        ...

    def sweep(self, root: int, folder: str, *, dry_run: bool = False) -> int:
        """Delete the images below `folder` ("": all of the root) that this writer has not seen; return how
        many. `dry_run`: only count those of them that are indexed."""
        ...

    def remove(self, ids: Iterable[int]) -> int:
        """Delete these images; return how many there were. Unknown ids are ignored.

        As for all images that are deleted, their metadata from tables is kept by content, and given to a new
        image with that content: if possible, that of the image at the same path.
        """
        ...

    @property
    def sidecars(self) -> Sidecars:
        """The sidecar metadata of the library."""
        ...


class Writer(IndexWriter, Protocol):
    """Changes the library, and holds its lock until the context ends.

    Every method commits before it returns, as a whole or not at all. Whatever kills the process, the library
    stays consistent and loses at most the call in progress.
    """

    def add_imported_root(self) -> Root:
        """Return the root of images without a file (`Root.imported`); it is made if it is missing."""
        ...

    def add_space(self, space: Space) -> None:
        """Make the space unless it is there.

        The store sets `current`: True unless another revision of the same name exists, which stays current
        until `promote`. Raises `UsageError` if the space has another dimension or similarity.
        """
        ...

    def drop_space(self, name: str) -> int:
        """Delete all vectors of the spaces of that name, and the images without a file (`Root.imported`) that
        have no other vector; return how many images those were. `UsageError` for an unknown name."""
        ...

    def all_or_nothing(self) -> AbstractContextManager[None]:
        """Undo what the block adds if it raises an error or the process dies in it: new images and new spaces
        are deleted, in the latter case by the next writer. Other changes stay."""
        ...

    def promote(self, space: str) -> None:
        """Make this revision the current one of its name, and delete the other ones."""
        ...

    def set_exclude(self, root: int, globs: Sequence[str]) -> None:
        """Replace the globs of what is not indexed below a root. Images that match stay until a sweep."""
        ...

    def set_metadata(self, rows: Mapping[int, Mapping[str, Any]], *, merge: bool = False) -> None:
        """Replace the metadata of these images, JSON values by name.

        `merge`: names that a row lacks, or has as None, keep their values. Metadata overrides what sidecars
        and the files themselves say under the same name; None overrides nothing.
        Raises `UsageError` for an unknown id and for values that are not JSON; then nothing is changed.
        """
        ...

    def add_decisions(self, decisions: Iterable[Decision]) -> int:
        """Store decisions; return how many are new or changed.

        An equal decision is replaced by the new `who` and `when`; "relevant" and "not-relevant" replace each
        other. Decisions stay when images change, move or are removed.
        """
        ...

    def remove_decisions(self, decisions: Iterable[Decision]) -> int:
        """Delete decisions; return how many there were."""
        ...

    def put_comparisons(self, found: Mapping[tuple[bytes, bytes], str], revision: str) -> None:
        """Store results of comparing pairs of contents, as texts; they replace those of the same pair.

        The smaller hash of a pair comes first. Results are deleted with the last image that has one of the
        two contents; one may be of another library. They do not change `Snapshot.version`.
        """
        ...


class ThumbnailCache(Protocol):
    """Thumbnails (JPEG) by content and longer side. Derived data: an entry may be gone, or not be kept.

    A writer deletes those of a content with the last image that has it.
    """

    def get(self, key: tuple[bytes, int]) -> bytes | None:
        """Return a thumbnail, or None."""
        ...

    def put(self, key: tuple[bytes, int], data: bytes) -> None:
        """Keep a thumbnail, if that is possible."""
        ...


class Store(Protocol):
    """An open library. Thread-safe."""

    @property
    def location(self) -> str:
        """Location of the library as people write it: a folder or a URL."""
        ...

    @property
    def folder(self) -> Path | None:
        """Folder on this machine for files derived from the library, such as thumbnails; None where the store
        has no such folder."""
        ...

    @property
    def thumbnails(self) -> ThumbnailCache | None:
        """Thumbnails that the store keeps for all machines; None where `folder` is the place for them."""
        ...

    @property
    def read_only(self) -> bool:
        """Whether `writer` is certain to raise `LibraryReadOnly`."""
        ...

    def reachable(self) -> dict[str, bool]:
        """Return whether each part of the library answers: "library", or "database" and "vectors" where these
        are kept in servers."""
        ...

    def disk_bytes(self) -> int:
        """Return the bytes that the library takes where it is kept, derived data included."""
        ...

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """Return the present state for reading, valid until the context ends."""
        ...

    def writer(self) -> AbstractContextManager[Writer]:
        """Take the lock; raises `LibraryBusy` at once if another writer has it, or `LibraryReadOnly`.

        The writer's methods raise `StorageFull` when the disk is full. Readers never wait for a writer, nor
        a writer for them.
        """
        ...

    @property
    def indexes(self) -> Indexes:
        """The ANN indexes of the library. A store that has none raises `UsageError` when one is built."""
        ...

    def check(self) -> list[str]:
        """Return everything in the store that contradicts itself, a line each; empty if it is intact.

        Reads all vectors once, of one consistent state. Raises `LibraryDamaged` if that cannot be read.
        """
        ...

    def repair(self) -> Repair:
        """Make again what is derived from the rest, and drop what is damaged.

        Raises `LibraryDamaged` if the rest cannot be read either, `LibraryBusy`, `LibraryReadOnly`, and
        `UsageError` where only the database's own tools repair.
        """
        ...

    def close(self) -> None:
        """Free what the store holds. Open snapshots stay valid."""
        ...
