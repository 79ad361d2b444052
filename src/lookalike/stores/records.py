"""Records: the data that stores take and return."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import Outcome, UsageError
from lookalike.extractors.interface import BOXES
from lookalike.images.metadata.facts import Facts
from lookalike.images.pages import split_page
from lookalike.images.reading import InodeState
from lookalike.stores.ann_index import Index
from lookalike.vectors.pca import Projection
from lookalike.vectors.similarity import Similarity

DType: TypeAlias = Literal["f32", "f16"]
"""Type of stored vectors: float32 or float16."""

Ids: TypeAlias = NDArray[np.int64]
"""Image ids (n,)."""

IMPORTED = "imported"
"""Revision of vectors that were imported, and name of the root of images without a file."""

NO_VECTORS = "the library has no vectors: index images first (`lookalike index FOLDER`)"
"""Error message for whatever needs vectors."""

SAME_CONTENT_LIMIT = 256
"""Images that `same_content` returns at most. A folder of scans has thousands of one size; comparing all
of them with each other would take hours, and beyond some hundreds extracting the vectors again is cheaper."""


def unknown_space(key: str, known: Iterable[str]) -> UsageError:
    """Return the error for a space that the library lacks; `known` are the keys of those it has."""
    return UsageError(f"no space {key!r} in this library; it has: {', '.join(known) or 'none yet'}")


def missing_vectors(extractor: str, known: Iterable[str]) -> UsageError:
    """Return the error for an extractor whose vectors the library lacks; `known` are those it has."""
    names = ", ".join(known)
    if not names:
        return UsageError(NO_VECTORS)
    from lookalike.extractors.registry import is_known  # only for this message

    remedy = (
        f"add them with `lookalike index --extractor {shlex.quote(extractor)}`"
        if is_known(extractor)
        else "no extractor has that name"
    )
    return UsageError(f"the library has no vectors of {extractor}, only of {names}; {remedy}")


@dataclass(frozen=True, slots=True)
class Root:
    """A folder whose images the library holds.

    imported  True for the root of images without a file (imported vectors): no folder is at its path
    identity  of the folder when it was indexed (`Writer.set_root_identity`), "" if that is not known
    exclude   globs of files and folders below it that are not indexed (`Writer.set_exclude`)
    """

    id: int
    path: Path
    imported: bool = False
    identity: str = field(default="", compare=False)
    exclude: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Space:
    """All vectors of one extractor in one library.

    key         "name@revision", unique; vectors of two revisions are never mixed
    dim         numbers per image
    similarity  the one that the extractor was made for
    current     the revision that the name alone means; False while it is built beside an older revision
    normalised  the store scales vectors to unit length (the zero vector stays zero)
    count       vectors that a search sees
    bytes       disk space of the vectors
    fitted      arrays of an extractor that had to be fitted, or None
    index       facts of its ANN index, or None
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
    index: Index | None = field(default=None, compare=False)

    @property
    def boxes(self) -> NDArray[np.generic] | None:
        """Boxes (regions, 4) of the image regions whose vectors are stored side by side in the `dim` numbers
        of a row; None where a row is one vector."""
        return None if self.fitted is None else self.fitted.get(BOXES)

    @property
    def projection(self) -> Projection | None:
        """The PCA that shortened the extractor's vectors; None where they are whole."""
        return Projection.from_arrays(self.fitted)

    @property
    def width(self) -> int:
        """Dimension of one vector."""
        return self.dim if self.boxes is None else self.dim // len(self.boxes)


@dataclass(slots=True)
class FileState:
    """Stored state of the file at a path: enough to tell unchanged from changed.

    inode  None where it is not known
    """

    id: int
    size: int
    mtime_ns: int
    hash: bytes | None
    outcome: Outcome
    spaces: frozenset[str]
    reason: str = ""
    inode: InodeState | None = None


@dataclass(slots=True)
class Entry:
    """One file to be stored; replaces what is stored under (root, path).

    hash      SHA-256 of the content, 32 bytes; None if the file could not be read
    inode     state of the file's inode, None if that is not known
    facts     what the file says about itself; None: what is known about the same content stays
    vectors   by space key, (dim,) float32, finite. A space that is not named keeps its vector if the content
              is the same, and loses it if the content changed. Only indexed images have vectors: any other
              outcome deletes them.
    same_as   id of an image with the same hash, whose vectors and facts are copied unless `vectors` and
              `facts` give them. If that image no longer has this content, another with the same hash serves;
              without one, the entry has no vectors.
    moved     with `same_as`: that image itself gets the new path (its id and metadata stay), and an image
              that was there is deleted. Without, a copy gets a row and an id of its own.

    All entries of a batch see the library as it was before: two files that have swapped names find each
    other's vectors. If several entries are `moved` from the same image, the first is, and the others are
    copies. A path that is named twice ends as the later entry says.
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
    inode: InodeState | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """One file of the library, whatever its outcome.

    path           below its root, with forward slashes
    width, height  in pixels, of the upright image; None if it was not decoded
    metadata       from a table (`Writer.set_metadata`), which overrides sidecars
    facts          what the file says about itself (`metadata.FACT_FIELDS`)
    dominant_color "#rrggbb", the most frequent colour; None where it is not known
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
    dominant_color: str | None = None


def pages_of(images: Iterable[Image], path: str) -> list[Image]:
    """Return those of some images that are pages of the file at a path (`images.pages`)."""
    return [image for image in images if (split_page(image.path) or ("",))[0] == path]


class HitFields(NamedTuple):
    """The part of an `Image` that a hit shows."""

    root: int
    path: str
    metadata: Mapping[str, Any]
    width: int | None
    height: int | None
    dominant_color: str | None


class MetadataSources(NamedTuple):
    """What was said about an image outside its file.

    mark     of the sidecars (`Sidecars`); "" without
    sidecar  what they say
    table    what `Writer.set_metadata` was given
    """

    mark: str
    sidecar: Mapping[str, Any]
    table: Mapping[str, Any]


DecisionKind: TypeAlias = Literal["not-duplicate", "keep", "relevant", "not-relevant"]
DECISIONS: tuple[DecisionKind, ...] = ("not-duplicate", "keep", "relevant", "not-relevant")
"""All kinds of decisions."""


class Repair(NamedTuple):
    """What `Store.repair` did: a line for each thing, and the images (n,) that lost a vector, by space."""

    lines: list[str]
    lost: Mapping[str, Ids]


@dataclass(frozen=True, slots=True)
class Decision:
    """A judgement by people about contents, each identified by its SHA-256 (32 bytes).

    kind    "not-duplicate"  `first` and `second` are different images, however similar they look;
                             unordered: the smaller hash becomes `first`
            "keep"           among copies, `first` is the one to keep
            "relevant", "not-relevant"
                             `second` is, or is not, a good hit for the query image `first`
    who     a name, or ""
    when    ISO 8601 with time zone, or ""

    Raises `ValueError` for anything else.
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
            count = "one content" if self.kind == "keep" else "two contents"
            raise ValueError(f"a decision {self.kind!r} is about {count}")
        if any(len(hash) != 32 for hash in (self.first, self.second or bytes(32))):
            raise ValueError("a content is identified by its SHA-256, 32 bytes")
        if self.kind == "not-duplicate" and self.second and self.second < self.first:
            first = self.first
            object.__setattr__(self, "first", self.second)
            object.__setattr__(self, "second", first)


def opposite(kind: DecisionKind) -> DecisionKind | None:
    """Return the kind that replaces this one and is replaced by it; None for a kind without an opposite."""
    return {"relevant": "not-relevant", "not-relevant": "relevant"}.get(kind)  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The nearest images of each of n queries, best first.

    ids           (n, k) int64, -1 where there are fewer than k
    similarities  (n, k) float32, -inf where there are fewer than k; computed from the stored vectors
    exact         True if every stored vector was compared
    regions       (n, k) int64, index of the nearest region (`Space.boxes`); None in spaces without regions
    """

    ids: Ids
    similarities: NDArray[np.float32]
    exact: bool
    regions: NDArray[np.int64] | None = None
