"""Queries and hits: `Library.search` takes a `Query` and returns `Hits`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias, get_args, overload

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.images.pixel_spec import Pixels
from lookalike.vectors.calibration import RELEVANCES, Relevance
from lookalike.vectors.similarity import Similarity

QueryImage: TypeAlias = Path | bytes | Pixels
"""An image in a query: a file, the bytes of one, or upright RGB pixels (height, width, 3) uint8."""

Box: TypeAlias = tuple[float, float, float, float]
"""(x, y, width, height) of a part of an upright image, as fractions of its size."""

Fusion: TypeAlias = Literal["scores", "ranks"]


@dataclass(frozen=True, slots=True)
class Term:
    """One part of a query: an image, the id of an image of the library, text, or a vector.

    image    a path need not exist here: it may be that of an image of the library, relative to its root
    text     compared in a space whose extractor encodes text, else searched in the captions
    vector   (dim,) float32 in the space that is searched, made elsewhere
    weight   how much the term counts; below 0: less like this
    region   only this part of the image: (x, y, width, height), as fractions of the upright image if
             all are at most 1, else in pixels
    """

    image: QueryImage | None = None
    id: int | None = None
    text: str | None = None
    weight: float = 1.0
    region: Box | None = None
    vector: NDArray[np.float32] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        parts = (self.image, self.id, self.text, self.vector)
        if sum(part is not None for part in parts) != 1:
            raise UsageError(
                "a term is an image, the id of an image of the library, text, or a vector"
            )
        if not isinstance(self.image, Path | bytes | np.ndarray | None):
            raise UsageError(
                "an image is a Path, the bytes of a file, or an array (height, width, 3) of uint8, not "
                f"a {type(self.image).__name__}; for text write Term(text=…)"
            )
        if not self.weight or not abs(self.weight) < 1e6:
            raise UsageError(f"a term's weight is {self.weight}; it must be a number other than 0")
        if self.text is not None and not self.text.strip():
            raise UsageError("an empty text: write what to look for")
        if self.region is not None:
            self._check(self.region)

    def _check(self, region: Box) -> None:
        x, y, width, height = region
        if self.text is not None or self.vector is not None:
            raise UsageError("a region is a part of an image; text and vectors have none")
        if not (x >= 0 and y >= 0 and width > 0 and height > 0 and sum(region) < float("inf")):
            raise UsageError(
                "a region is X,Y,WIDTH,HEIGHT from the upper left corner, in pixels or as fractions, "
                f"not ({x:g}, {y:g}, {width:g}, {height:g})"
            )


@dataclass(frozen=True, slots=True)
class Query:
    """What to search for, and how.

    terms                what to look for; at least one, and not only negative ones
    k                    number of hits, at least 1
    extractors           extractors whose spaces are searched, fused if several; empty: the library's first
    similarity           None: that of the space
    exact                compare with every vector even where an ANN index could be used
    where                only images that match this filter: "kind = 'shoe' and price < 50"
    alpha                weight of images against text: alpha · images + (1 - alpha) · text, each times
                         the mean weight of its terms
    fusion               how several rankings are combined: by "scores" on one scale, or by "ranks" (RRF)
    diversity            0: order by relevance alone; up to 1: hits that differ from each other (MMR)
    collapse_duplicates  count near-copies of a hit in its `copies` instead of listing them
    any_orientation      try the eight rotations and reflections of the images
    min_relevance        leave out hits below this
    feedback             let "relevant" and "not-relevant" judgements of the query images move the query
    verify               match keypoints ("orb", or "sift": slower, finds more) in the best 50 candidates
                         and rank those first that show the same object as the first image
    """

    terms: tuple[Term, ...]
    k: int = 10
    extractors: tuple[str, ...] = ()
    similarity: Similarity | None = None
    exact: bool = False
    where: str | None = None
    alpha: float = 0.5
    fusion: Fusion = "scores"
    diversity: float = 0.0
    collapse_duplicates: bool = False
    any_orientation: bool = False
    min_relevance: Relevance | None = None
    feedback: bool = False
    verify: Literal["orb", "sift"] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.k, int | np.integer) or self.k < 1:
            raise UsageError(f"k is {self.k}; ask for at least 1 hit, in whole numbers")
        if not self.terms:
            raise UsageError("the query is empty: give an image or text")
        if not all(isinstance(term, Term) for term in self.terms):
            raise UsageError(
                "the terms of a query are `Term`s; Query.of(image) makes them from images"
            )
        extractors: object = self.extractors
        if isinstance(extractors, str):  # its letters would be taken for names
            raise UsageError(f"`extractors` is a tuple: extractors=({extractors!r},)")
        if all(term.weight < 0 for term in self.terms):
            raise UsageError("only negative terms: say also what to look for")
        for name, value in (("alpha", self.alpha), ("diversity", self.diversity)):
            if not 0 <= value <= 1:
                raise UsageError(f"{name} lies between 0 and 1, not {value}")
        if self.fusion not in get_args(Fusion):
            raise UsageError(f"fusion is by scores or by ranks, not by {self.fusion!r}")
        if self.min_relevance is not None and self.min_relevance not in RELEVANCES:
            raise UsageError(
                f"there is no relevance {self.min_relevance!r}, only {', '.join(RELEVANCES)}"
            )

    @classmethod
    def of(cls, *images: QueryImage | str, k: int = 10, extractor: str | None = None) -> Self:
        """Return a query for images like these. A string is the path of an image."""
        files = (Path(image) if isinstance(image, str) else image for image in images)
        terms = tuple(Term(image=image) for image in files)
        return cls(terms, k=k, extractors=(extractor,) if extractor else ())


@dataclass(frozen=True, slots=True)
class Hit:
    """One result. `path` is relative to the folder `root`; `file` joins both.

    similarity       larger is closer; the common score if several rankings were fused
    relevance        similarity judged against that of unrelated images; None if it cannot be judged
    scores_by_space  the score in each ranking, if there are several: {"color": 0.93, "captions": 4.1}
    copies           near-copies that were left out (`Query.collapse_duplicates`)
    orientation      how the query was turned to match best (`Query.any_orientation`)
    box              the part of this image that matched, if regions were compared or it was verified
    inliers          keypoints consistent with one geometric transform of the query image (`Query.verify`)
    """

    rank: int
    id: int
    path: str
    root: Path
    similarity: float
    relevance: Relevance | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    scores_by_space: Mapping[str, float] = field(default_factory=dict)
    copies: int = 0
    orientation: str | None = None
    box: Box | None = None
    inliers: int = 0

    @property
    def file(self) -> Path:
        """Absolute path of the image file."""
        return self.root / self.path


@dataclass(frozen=True, slots=True)
class Hits(Sequence[Hit]):
    """The hits of one query, best first; a sequence of `Hit`.

    ranked_by       what ranked the hits: an extractor, "captions", or several joined by "+"
    exact           every stored vector was compared
    searched_count  number of images that could have been hits
    top_relevance   relevance of the best candidate, even if below `min_relevance`; None if not judged
    seconds         by stage: "extract" (query to vectors), "search", "total"
    failure         in a batch, why this query could not be answered; else ""
    """

    hits: tuple[Hit, ...]
    ranked_by: str
    similarity: Similarity | None
    exact: bool
    searched_count: int
    seconds: Mapping[str, float]
    failure: str = ""
    top_relevance: Relevance | None = None

    def __len__(self) -> int:
        return len(self.hits)

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    @overload
    def __getitem__(self, index: int) -> Hit: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Hit, ...]: ...

    def __getitem__(self, index: int | slice) -> Hit | tuple[Hit, ...]:
        return self.hits[index]
