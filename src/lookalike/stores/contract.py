"""What a store is: everything a library must remember, and nearest neighbours.

Three small protocols: `Store` is the open library, `View` one consistent state of it for reading,
`Writer` the one process at a time that may change it. `local` implements them with SQLite and
memory-mapped files. One parametrised test suite (tests/stores/) runs on every store.

Paths: a library has roots (folders). An image is named by (root id, path relative to that root,
with forward slashes). Ids are positive integers and are never used twice.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import Outcome
from lookalike.extractors.contract import BOXES
from lookalike.images.needs import Facts
from lookalike.stores.filters import FieldFacts
from lookalike.vectors.similarity import Similarity

DType: TypeAlias = Literal["f32", "f16"]
Ids: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Root:
    """A folder whose pictures the library holds."""

    id: int
    path: Path


@dataclass(frozen=True, slots=True)
class Space:
    """All vectors of one extractor in one library.

    key         "name@revision", unique; vectors of two revisions are never mixed
    current     the one that `--by name` means; False while it is built beside an older revision
    normalised  vectors are stored at unit length (the zero vector stays zero); the store sees to it
    count       vectors that a search sees (removed ones do not count)
    fitted      arrays of an extractor that had to be fitted, or None
    """

    key: str
    name: str
    revision: str
    dim: int
    similarity: Similarity
    dtype: DType = "f32"
    normalised: bool = True
    current: bool = True
    count: int = 0
    bytes: int = 0
    fitted: Mapping[str, NDArray[np.generic]] | None = field(default=None, compare=False)

    @property
    def boxes(self) -> NDArray[np.generic] | None:
        """Where the parts lie whose vectors stand side by side in a row of `dim` numbers, (parts, 4);
        None where a row is one vector."""
        return None if self.fitted is None else self.fitted.get(BOXES)

    @property
    def width(self) -> int:
        """Length of one vector."""
        return self.dim if self.boxes is None else self.dim // len(self.boxes)


@dataclass(frozen=True, slots=True)
class Known:
    """What the store knows of a path: enough to tell unchanged from changed."""

    id: int
    size: int
    mtime_ns: int
    hash: bytes | None
    outcome: Outcome
    spaces: frozenset[str]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file as it is to be stored; replaces what was known of (root, path).

    hash      SHA-256 of the content, 32 bytes; None when the file could not be read
    facts     None: what is known of the same content stays
    vectors   by space key, each (dim,) float32, finite; spaces that are not named keep their vector
              if the content is the same, and lose it if the content changed. Only indexed images
              have vectors: any other outcome drops them.
    same_as   id of an image with the same hash: its vectors and facts are taken over (those that
              `vectors` and `facts` do not give). With `moved` the row itself changes its path (id,
              metadata and decisions stay), and an image that stood there is forgotten; without,
              a copy gets a row and an id of its own. If that image no longer has this content,
              another with the same hash serves; without one, the entry has no vectors.

    All entries of one batch see the library as it was before: two files that have swapped names find
    each other's vectors. If several are `moved` from the same image, the first is and the others are
    copies. A place that is named twice ends as the later entry says.
    """

    root: int
    path: str
    size: int
    mtime_ns: int
    hash: bytes | None
    outcome: Outcome
    reason: str = ""
    facts: Facts | None = None
    vectors: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    same_as: int | None = None
    moved: bool = False


@dataclass(frozen=True, slots=True)
class Image:
    """One file as the library remembers it. `width` and `height` are upright; None if not decoded.

    metadata  what was said of it: by a table (`set_metadata`), which goes first, and by sidecars
    facts     what the file says of itself, by the names of `Facts` from `taken` on
    """

    id: int
    root: int
    path: str
    size: int
    mtime_ns: int
    hash: bytes | None
    outcome: Outcome
    reason: str
    width: int | None
    height: int | None
    format: str | None
    metadata: Mapping[str, Any]
    facts: Mapping[str, Any] = field(default_factory=dict)


DecisionKind: TypeAlias = Literal["not-duplicate", "keep", "relevant", "not-relevant"]
DECISIONS: tuple[DecisionKind, ...] = ("not-duplicate", "keep", "relevant", "not-relevant")


@dataclass(frozen=True, slots=True)
class Decision:
    """What somebody decided on contents, each named by its SHA-256 (32 bytes).

    kind    "not-duplicate"  `first` and `second` are not the same picture, whatever they look like;
                             unordered: the smaller hash is made the first
            "keep"           of copies of `first`, this is the one to keep
            "relevant", "not-relevant"
                             for the question `first`, `second` is what was meant, or is not
    who     a name, or ""
    when    ISO 8601 with time zone, or ""

    `ValueError` for what is not one of these.
    """

    kind: DecisionKind
    first: bytes
    second: bytes | None = None
    who: str = field(default="", compare=False)
    when: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if self.kind not in DECISIONS:
            raise ValueError(f"a decision is one of {', '.join(DECISIONS)}, not {self.kind}")
        if (self.second is None) != (self.kind == "keep"):
            raise ValueError(f"{self.kind} is said of {'one' if self.kind == 'keep' else 'two'}")
        if any(len(hash) != 32 for hash in (self.first, self.second or bytes(32))):
            raise ValueError("a content is named by its SHA-256, 32 bytes")
        if self.kind == "not-duplicate" and self.second and self.second < self.first:
            first = self.first
            object.__setattr__(self, "first", self.second)
            object.__setattr__(self, "second", first)


def opposite(kind: DecisionKind) -> DecisionKind | None:
    """The decision that this one takes back, if there is one."""
    return {"relevant": "not-relevant", "not-relevant": "relevant"}.get(kind)  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Nearest images of each query, best first.

    ids           (n, k) int64, -1 where there are fewer than k
    similarities  (n, k) float32, -inf where there are fewer than k; recomputed from the stored vectors
    exact         True when every stored vector was compared
    parts         (n, k) which part of the image was nearest (`Space.boxes`); None in other spaces
    """

    ids: Ids
    similarities: NDArray[np.float32]
    exact: bool
    parts: NDArray[np.int64] | None = None


class View(Protocol):
    """One consistent state of the library; cheap to take; not shared between threads."""

    @property
    def version(self) -> Hashable:
        """Equal for two views of one library between which no image and no vector changed."""
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
        parts, the nearest of its parts counts for each.

        similarity  the space's own by default
        among       only these image ids (a filter); unknown ids are ignored
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

    def fields(self) -> Mapping[str, FieldFacts]:
        """What can be filtered, and what the library has in it."""
        ...

    def captions(
        self, words: str, k: int, *, among: Ids | None = None
    ) -> tuple[Ids, NDArray[np.float32]]:
        """Ids and scores of the at most k indexed images whose captions, keywords and other texts fit
        the words best; larger is better, ties by the lower id. Any word may match. The words are
        text, whatever they look like. `among` as in `search`."""
        ...

    def has_captions(self) -> bool:
        """Whether any image has words that `captions` can find."""
        ...

    def images(self, ids: Iterable[int]) -> dict[int, Image]:
        """Those of the ids that exist."""
        ...

    def lookup(self, root: int, path: str) -> Image | None: ...
    def known(self, root: int, paths: Sequence[str]) -> dict[str, Known]:
        """As the writer's: what is known of these paths, those that are not known left out."""
        ...

    def below(self, root: int, folder: str) -> list[Image]:
        """All images (whatever their outcome) below a folder, or the one with that path; "" is the root."""
        ...

    def by_hash(self, hash: bytes) -> list[Image]: ...
    def repeats(self) -> list[list[int]]:
        """Ids, rising, of the indexed images that share their content with others: a list a content,
        by its first id."""
        ...

    def decisions(
        self, kinds: Iterable[DecisionKind] | None = None, *, about: bytes | None = None
    ) -> list[Decision]:
        """What people decided, in a fixed order: of these kinds (all, by default), on the content of
        that hash (any, by default), whether or not the library still has it."""
        ...

    def ledger(self, *, outcomes: Iterable[Outcome] | None = None) -> Iterator[Image]:
        """All images with one of these outcomes (all, by default), by root and path; a generator."""
        ...

    def counts(self) -> dict[Outcome, int]: ...


class Sidecars(Protocol):
    """What the writer keeps of files beside the pictures: metadata that follows those files.

    A mark is any text that changes when the files do.
    """

    def known(self, root: int, paths: Sequence[str]) -> dict[str, tuple[int, str]]:
        """Id and mark ("" without sidecars) of those of the pictures that are known."""
        ...

    def put(self, rows: Mapping[int, tuple[str, Mapping[str, Any]]]) -> None:
        """Replace the mark and the metadata of these images, and keep them; `UsageError` for an
        unknown id."""
        ...

    def keep(self, ids: Iterable[int]) -> None:
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

    def move_root(self, old: Path, new: Path) -> Root:
        """Point a root elsewhere: its pictures are there now. Nothing is read or moved. `UsageError`
        if `old` is no root, or `new` is one already."""
        ...

    def add_space(self, space: Space) -> None:
        """Make the space unless it is there. `current` is decided by the store: True unless an older
        revision of the same name exists, which stays current until `promote`. `UsageError` if it is
        there with another dimension or similarity."""
        ...

    def promote(self, space: str) -> None:
        """Make this revision the current one of its name and delete the older ones."""
        ...

    def known(self, root: int, paths: Sequence[str]) -> dict[str, Known]: ...
    def twins(
        self, size: int, *, hash: bytes | None = None, spaces: Collection[str] = ()
    ) -> list[Image]:
        """Images of that many bytes with a known hash, candidates for a moved or copied file: with
        that hash if one is given, and, of the indexed ones, with a vector in each of `spaces`.
        Oldest first, and at most 256: uncompressed pictures all have the same size."""
        ...

    def put(self, entries: Sequence[Entry]) -> list[int]:
        """Store a batch in one transaction; ids in the order of the entries. `UsageError` for vectors
        of an unknown space, of a wrong shape, or not finite: then nothing of the batch is stored."""
        ...

    def keep(self, ids: Iterable[int]) -> None:
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

    def decide(self, decisions: Iterable[Decision]) -> int:
        """Remember decisions; how many were not there in the same words. The same one again replaces
        who and when; "relevant" and "not-relevant" replace each other. They stay when images change,
        move or are removed."""
        ...

    def undecide(self, decisions: Iterable[Decision]) -> int:
        """Forget decisions; how many there were."""
        ...

    @property
    def sidecars(self) -> Sidecars: ...


class Store(Protocol):
    """An open library."""

    @property
    def folder(self) -> Path: ...
    @property
    def read_only(self) -> bool: ...
    def view(self) -> AbstractContextManager[View]: ...
    def writer(self) -> AbstractContextManager[Writer]:
        """Take the lock; `LibraryBusy` at once if another process has it, `LibraryReadOnly`. Its
        methods raise `StorageFull` when the disk is full; readers never wait for it, nor it for them."""
        ...

    def close(self) -> None: ...
