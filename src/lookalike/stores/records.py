"""What passes between a store and those who use it: rows and answers, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import Outcome
from lookalike.extractors.interface import BOXES
from lookalike.images.metadata.facts import Facts
from lookalike.stores.ann_index import Index
from lookalike.vectors.pca import Projection
from lookalike.vectors.similarity import Similarity

DType: TypeAlias = Literal["f32", "f16"]
Ids: TypeAlias = NDArray[np.int64]

IMPORTED = "imported"
"""The revision of vectors that were not made here, and the folder of images without a file."""

NO_VECTORS = "the library has no vectors: index pictures first (`lookalike index FOLDER`)"
"""What is said where a question needs some."""


@dataclass(frozen=True, slots=True)
class Root:
    """A folder whose images the library holds.

    imported  True for the root of images without a file (imported vectors): no folder is at its path
    """

    id: int
    path: Path
    imported: bool = False


@dataclass(frozen=True, slots=True)
class Space:
    """All vectors of one extractor in one library.

    key         "name@revision", unique; vectors of two revisions are never mixed
    current     the one that `--by name` means; False while it is built beside an older revision
    normalised  vectors are stored at unit length (the zero vector stays zero); the store sees to it
    count       vectors that a search sees (removed ones do not count)
    fitted      arrays of an extractor that had to be fitted, or None
    index       what makes searching fast without looking at every vector, or None
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
        """Where the parts lie whose vectors stand side by side in a row of `dim` numbers, (parts, 4);
        None where a row is one vector."""
        return None if self.fitted is None else self.fitted.get(BOXES)

    @property
    def projection(self) -> Projection | None:
        """The axes along which longer vectors were shortened, None where they are whole."""
        return Projection.from_arrays(self.fitted)

    @property
    def width(self) -> int:
        """Length of one vector."""
        return self.dim if self.boxes is None else self.dim // len(self.boxes)


@dataclass(frozen=True, slots=True)
class FileState:
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


class HitFields(NamedTuple):
    """What a hit shows of an image, as `Image` has it."""

    root: int
    path: str
    metadata: Mapping[str, Any]


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
    regions       (n, k) which region of the image was nearest (`Space.boxes`); None in other spaces
    """

    ids: Ids
    similarities: NDArray[np.float32]
    exact: bool
    regions: NDArray[np.int64] | None = None
