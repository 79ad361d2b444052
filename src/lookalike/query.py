"""Questions and answers, as data. `Library.search` takes a `Query` and returns `Hits`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.images.pixel_spec import Pixels
from lookalike.vectors.calibration import RELEVANCES, Relevance
from lookalike.vectors.similarity import Similarity

Picture: TypeAlias = Path | bytes | Pixels
"""A picture in a question: a file, the bytes of one, or ready upright RGB pixels (h, w, 3) uint8."""

Box: TypeAlias = tuple[float, float, float, float]
"""(x, y, width, height) of a part of an upright picture, as fractions of its size."""

Fusion: TypeAlias = Literal["scores", "ranks"]


@dataclass(frozen=True, slots=True)
class Term:
    """One part of a question: a picture, an image of the library by its id, words, or a vector.

    picture  a path need not exist here: it may be one of the library, relative to its root
    words    in a space that understands them, else in the captions
    vector   (dim,) float32 in the space that is asked, made elsewhere
    weight   how much it counts; below 0: less like this
    region   only this part of the picture: (x, y, width, height), fractions of the upright picture
             if all are at most 1, else pixels
    """

    picture: Picture | None = None
    image: int | None = None
    words: str | None = None
    weight: float = 1.0
    region: Box | None = None
    vector: NDArray[np.float32] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        parts = (self.picture, self.image, self.words, self.vector)
        if sum(part is not None for part in parts) != 1:
            raise UsageError("a term is a picture, an image of the library, words, or a vector")
        if not isinstance(self.picture, Path | bytes | np.ndarray | None):
            raise UsageError(
                "a picture is a Path, the bytes of a file, or an array (height, width, 3) of uint8, not "
                f"a {type(self.picture).__name__}; for words write Term(words=…)"
            )
        if not self.weight or not abs(self.weight) < 1e6:
            raise UsageError(f"a term's weight is {self.weight}; it must be a number other than 0")
        if self.words is not None and not self.words.strip():
            raise UsageError("an empty text: write what to look for")
        if self.region is not None:
            self._check(self.region)

    def _check(self, region: Box) -> None:
        x, y, width, height = region
        if self.words is not None or self.vector is not None:
            raise UsageError("a region is a part of a picture; words and vectors have none")
        if not (x >= 0 and y >= 0 and width > 0 and height > 0 and sum(region) < float("inf")):
            raise UsageError(
                "a region is X,Y,WIDTH,HEIGHT from the upper left corner, in pixels or as fractions: "
                f"({x:g}, {y:g}, {width:g}, {height:g}) is none"
            )


@dataclass(frozen=True, slots=True)
class Query:
    """One question.

    terms            what to look for; at least one, and not only negative ones
    k                how many hits, at least 1
    by               extractors whose spaces answer, fused if several; empty: the library's first
    similarity       None: the space's own
    exact            compare with every vector even where an approximate index could answer
    where            only images that fulfil this expression: "kind = 'shoe' and price < 50"
    alpha            weight of the pictures beside words: alpha · pictures + (1 - alpha) · words, each
                     times the mean weight of its terms
    fusion           how rankings are made into one: by "scores" on one scale, or by "ranks" (RRF)
    diverse          0: by relevance alone, up to 1: hits unlike each other (MMR)
    collapse         near-copies of a hit are counted in it instead of following it
    any_orientation  try the eight rotations and mirrorings of the pictures
    min_relevance    no hit below this
    learn            "relevant" and "not-relevant" decisions on the question's pictures move it
    verify           look for keypoints ("orb", or "sift": slower, finds more) in the best 50 and put
                     those first that show the very thing that the first picture shows
    """

    terms: tuple[Term, ...]
    k: int = 10
    by: tuple[str, ...] = ()
    similarity: Similarity | None = None
    exact: bool = False
    where: str | None = None
    alpha: float = 0.5
    fusion: Fusion = "scores"
    diverse: float = 0.0
    collapse: bool = False
    any_orientation: bool = False
    min_relevance: Relevance | None = None
    learn: bool = False
    verify: Literal["orb", "sift"] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.k, int | np.integer) or self.k < 1:
            raise UsageError(f"k is {self.k}; ask for at least 1 hit, in whole numbers")
        if not self.terms:
            raise UsageError("an empty question: give a picture or words")
        if not all(isinstance(term, Term) for term in self.terms):
            raise UsageError(
                "a question is made of `Term`s; Query.of(picture) makes them of pictures"
            )
        by: object = self.by
        if isinstance(by, str):  # or its letters would be taken for names
            raise UsageError(f"`by` is a tuple of extractors: by=({by!r},)")
        if all(term.weight < 0 for term in self.terms):
            raise UsageError("only negative terms: say also what to look for")
        for name, value in (("alpha", self.alpha), ("diverse", self.diverse)):
            if not 0 <= value <= 1:
                raise UsageError(f"{name} lies between 0 and 1, not {value}")
        if self.fusion not in get_args(Fusion):
            raise UsageError(f"fusion is by scores or by ranks, not by {self.fusion!r}")
        if self.min_relevance is not None and self.min_relevance not in RELEVANCES:
            raise UsageError(
                f"there is no relevance {self.min_relevance!r}, only {', '.join(RELEVANCES)}"
            )

    @classmethod
    def of(cls, *pictures: Picture | str, k: int = 10, by: str | None = None) -> Self:
        """What looks like these pictures? A text is the path of one."""
        files = (Path(picture) if isinstance(picture, str) else picture for picture in pictures)
        terms = tuple(Term(picture=picture) for picture in files)
        return cls(terms, k=k, by=(by,) if by else ())


@dataclass(frozen=True, slots=True)
class Hit:
    """One result. `path` is relative to the folder `root`; `file`, both together, is where it is now.

    similarity   larger is closer; of fused rankings, their common score
    relevance    the similarity judged against the library's own background; None where there is none
    parts        with several rankings, what each gave: {"color": 0.93, "captions": 4.1}
    copies       near-copies of it that were left out (`Query.collapse`)
    orientation  how the query had to be turned to match best, where it was asked for
    box          the part of this image that matched, where parts were compared or it was verified
    inliers      keypoints that agree with the question's picture on one movement (`Query.verify`)
    """

    rank: int
    id: int
    path: str
    root: Path
    similarity: float
    relevance: Relevance | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, float] = field(default_factory=dict)
    copies: int = 0
    orientation: str | None = None
    box: Box | None = None
    inliers: int = 0

    @property
    def file(self) -> Path:
        """Where the picture is now."""
        return self.root / self.path


@dataclass(frozen=True, slots=True)
class Hits:
    """The answer to one question, best hit first.

    by        what answered: an extractor, several joined by "+", "captions"
    exact     every stored vector was compared
    searched  how many images could have been hits
    best      the relevance of the best of them, `min_relevance` or not; None where none is judged
    seconds   by stage: "extract" (query → vectors), "search", "total"
    failure   in a batch, why this question could not be answered; "" if it was
    """

    hits: tuple[Hit, ...]
    by: str
    similarity: Similarity | None
    exact: bool
    searched: int
    seconds: Mapping[str, float]
    failure: str = ""
    best: Relevance | None = None

    def __len__(self) -> int:
        return len(self.hits)
