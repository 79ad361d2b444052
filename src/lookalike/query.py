"""Queries and hits: `Library.search` takes a `Query` and returns `Hits`.

The fields of `Query` are the options of a search everywhere: command line, HTTP parameters, the Python client
and the key of the result cache are made from `OPTIONS`. The fields of `Hit` and `Hits` are the keys of JSON.
NumPy is only imported on use, because the command line reads `OPTIONS` before it starts workers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, TypedDict, Unpack, overload

from lookalike.errors import UsageError
from lookalike.field_options import Option, options_of
from lookalike.vectors import Relevance, Similarity

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from lookalike.images.pixel_spec import Pixels

QueryImage: TypeAlias = "Path | bytes | Pixels"
"""An image in a term: a file, the bytes of one, or upright RGB pixels (height, width, 3) uint8."""

ImageLike: TypeAlias = "QueryImage | str | Image.Image"
"""Types accepted as an image: also the path of a file as a string, and an image of Pillow."""

Box: TypeAlias = tuple[float, float, float, float]
"""(x, y, width, height) of a part of an upright image, as fractions of its size."""

Fusion: TypeAlias = Literal["scores", "ranks"]
Verification: TypeAlias = Literal["orb", "sift"]


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
        if not isinstance(self.image, Path | bytes | None) and not _is_array(self.image):
            raise UsageError(
                "an image is a Path, the bytes of a file, or an array (height, width, 3) of uint8, not "
                f"a {type(self.image).__name__}; for text write Term(text=…)"
            )
        if isinstance(self.image, Path) and "\0" in str(self.image):
            raise UsageError(f"{str(self.image)!r} has a zero byte, as no name of a file has")
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


class QueryOptions(TypedDict, total=False):
    """The options of `Query` as keyword arguments of `Library.search`, beside `extractor`."""

    k: int
    similarity: Similarity | None
    exact: bool
    where: str | None
    alpha: float
    fusion: Fusion
    diversity: float
    collapse_duplicates: bool
    any_orientation: bool
    min_relevance: Relevance | None
    feedback: bool
    verify: Verification | None
    exclude_query: bool
    sort: str | None
    reverse: bool
    explain_plan: bool


SIMILARITY = "similarity"
"""The order of the hits of a query, unless `Query.sort` names a field."""

_OF_LISTS = frozenset({"k", "where", "sort", "reverse", "exact", "explain_plan"})
"""Options that have a meaning without terms."""


@dataclass(frozen=True, slots=True)
class Query:
    """A query: what to search for, and how.

    terms                What to look for, not only negative terms. Without terms, the images that pass the
                         filter are listed.
    """

    terms: tuple[Term, ...]
    k: int = field(default=10, metadata={"help": "Number of hits.", "low": 1, "flags": ("-k",)})
    extractors: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "Extractors whose vectors are searched; several are fused. Default: the library's "
            "first.",
            "flags": ("--extractor", "-e"),
            "parameter": "extractor",
            "metavar": "NAME",
        },
    )
    similarity: Similarity | None = field(
        default=None,
        metadata={
            "help": "How vectors are compared; euclidean is minus the distance. Default: what the "
            "extractor was made for."
        },
    )
    exact: bool = field(
        default=False,
        metadata={"help": "Compare with every vector, even where an ANN index could be used."},
    )
    where: str | None = field(
        default=None,
        metadata={
            "help": "Only images that match this filter: \"kind = 'shoe' and price < 50\".",
            "metavar": "EXPR",
        },
    )
    alpha: float = field(
        default=0.5,
        metadata={"help": "Weight of images against text (1: images only).", "low": 0, "high": 1},
    )
    fusion: Fusion = field(
        default="scores",
        metadata={
            "help": "How several rankings are combined: by scores on one scale, or by ranks (RRF)."
        },
    )
    diversity: float = field(
        default=0.0,
        metadata={
            "help": "0 to 1: prefer hits that differ from each other, at some cost of similarity "
            "(MMR); 0.3 is a good start.",
            "low": 0,
            "high": 1,
            "metavar": "WEIGHT",
        },
    )
    collapse_duplicates: bool = field(
        default=False, metadata={"help": "Count near-copies of a hit instead of listing them."}
    )
    any_orientation: bool = field(
        default=False,
        metadata={"help": "Try the eight rotations and reflections of the images."},
    )
    min_relevance: Relevance | None = field(
        default=None,
        metadata={
            "help": "Leave out hits below this relevance. It judges images: words alone have none."
        },
    )
    feedback: bool = field(
        default=False,
        metadata={
            "help": "Let stored judgements of the query images, relevant or not, move the query."
        },
    )
    verify: Verification | None = field(
        default=None,
        metadata={
            "help": "Match keypoints in the best 50 and rank first those that show the same object "
            "as the first image; orb is fast, sift finds more."
        },
    )
    exclude_query: bool = field(
        default=False,
        metadata={"help": "Leave out the images of the query and their exact copies."},
    )
    sort: str | None = field(
        default=None,
        metadata={
            "help": "Order of the hits: similarity, path, taken or another field; images without a value "
            "come last. Default: similarity, and path without a query.",
            "metavar": "FIELD",
        },
    )
    reverse: bool = field(default=False, metadata={"help": "Reverse the order of the hits."})
    explain_plan: bool = field(
        default=False,
        metadata={"help": "Also say what each stage of the search did and how long it took."},
    )

    def __post_init__(self) -> None:
        if not self.terms:
            self._check_list()
        if not all(isinstance(term, Term) for term in self.terms):
            raise UsageError(
                "the terms of a query are `Term`s; Query.of(image) makes them from images"
            )
        if self.terms and all(term.weight < 0 for term in self.terms):
            raise UsageError("only negative terms: say also what to look for")
        for option, value in zip(OPTIONS, option_values(self), strict=True):
            if value is not option.default:
                option.check(value)

    def _check_list(self) -> None:
        """Raise `UsageError` unless the query lists images: by a filter, in an order, or both."""
        if self.where is None and self.sort in (None, SIMILARITY):
            raise UsageError(
                "the query is empty: give an image or text, or a filter (where) to list images"
            )
        for option in OPTIONS:
            if option.name not in _OF_LISTS and getattr(self, option.name) != option.default:
                name = option.parameter or option.name
                raise UsageError(
                    f"{name} needs an image or text to search for; a list of images has none"
                )
        if self.sort == SIMILARITY:
            raise UsageError("to sort by similarity, give an image or text to be similar to")

    @classmethod
    def of(
        cls,
        images: ImageLike | Sequence[ImageLike] | None = None,
        *,
        text: str | Sequence[str] | None = None,
        extractor: str | Sequence[str] | None = None,
        **options: Unpack[QueryOptions],
    ) -> Self:
        """Return a query for these images and texts, all with the same weight.

        images     one or several; a string is the path of a file
        text       one or several
        extractor  name of an extractor, or several, which are fused
        options    fields of `Query`
        """
        terms = [Term(image=to_query_image(image)) for image in _as_list(images)]
        terms += [Term(text=one) for one in _as_list(text)]
        return cls(tuple(terms), extractors=tuple(_as_list(extractor)), **options)


OPTIONS: tuple[Option, ...] = tuple(one for one in options_of(Query) if one.name != "terms")
"""The options of a query, in the order of the fields."""

option_values = attrgetter(*(one.name for one in OPTIONS))
"""Returns the values of the options of a query, as a tuple."""

if Query.__doc__:  # `python -OO` removes docstrings
    Query.__doc__ += "".join(f"\n    {each.name:<20} {each.help}" for each in OPTIONS)


def to_query(
    images: Query | ImageLike | Sequence[ImageLike] | None,
    *,
    text: str | Sequence[str] | None,
    extractor: str | Sequence[str] | None,
    **options: Unpack[QueryOptions],
) -> Query:
    """Return the query that the arguments of `Library.search` describe."""
    if not isinstance(images, Query):
        return Query.of(images, text=text, extractor=extractor, **options)
    if text is not None or extractor is not None or options:
        raise UsageError("a Query has its own options: change it with dataclasses.replace")
    return images


def to_query_image(image: ImageLike) -> QueryImage:
    """Return an image as a term takes it; `UsageError` for what is not an image."""
    if isinstance(image, str):
        return Path(image)
    if isinstance(image, Path | bytes) or _is_array(image):
        return image  # type: ignore[return-value]  # mypy does not know _is_array
    from PIL import Image, ImageOps

    if isinstance(image, Image.Image):
        import numpy as np

        from lookalike.images.convert import to_pixels

        return np.ascontiguousarray(to_pixels(ImageOps.exif_transpose(image)))
    raise UsageError(
        "an image is a path, the bytes of a file, an array (height, width, 3) of uint8, or an image of "
        f"Pillow, not a {type(image).__name__}"
    )


def _as_list(value: Any) -> list[Any]:
    """Return the items of a list or tuple; anything else is a list of one, None of none."""
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _is_array(value: object) -> bool:
    import numpy as np

    return isinstance(value, np.ndarray)


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Vectors of images and texts in one space, (n, dim) and (m, dim) float32 of unit length.

    extractor, revision  made them; vectors of other revisions are not comparable
    similarity           what the extractor was made for
    """

    extractor: str
    revision: str
    similarity: Similarity
    images: NDArray[np.float32]
    texts: NDArray[np.float32]


@dataclass(slots=True)
class Hit:
    """One result. `path` is relative to the folder `root`; `file` joins both.

    score            what ranks the hits, larger is better: the similarity, else the BM25 of captions or the
                     common score of several rankings; None in a list
    similarity       larger is closer; None if the score is not one
    relevance        similarities of images judged against those of unrelated images; None if they cannot be
                     judged. `Hits.judged_by` names them
    copies           near-copies that were left out (`Query.collapse_duplicates`)
    orientation      how the query was turned to match best (`Query.any_orientation`)
    box              the part of this image that matched, if regions were compared or it was verified
    inliers          keypoints consistent with one geometric transform of the query image (`Query.verify`)
    scores_by_space  the score in each ranking, if there are several: {"color": 0.93, "captions": 4.1}
    coverage         the share of this image that was compared, where that is only its centre: extractors see
                     3:1 at most, unless regions are compared. None: all of it
    width, height    of the upright image in pixels; None if they are not known
    matched_in       metadata that has a word of the query's text: "caption", "ocr_text" (text in the image) …
    dominant_color   of this image, "#rrggbb"; None if it is not known

    "digits" is the precision of a float in JSON and CSV. Not frozen, which would take ten times as long to
    make, a twentieth of a search; but hits are cached: change a copy (`dataclasses.replace`).
    """

    rank: int
    id: int
    path: str
    root: Path
    score: float | None = field(metadata={"digits": 6})
    similarity: float | None = field(default=None, metadata={"digits": 6})
    relevance: Relevance | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    copies: int = 0
    orientation: str | None = None
    box: Box | None = field(default=None, metadata={"digits": 4})
    inliers: int = 0
    scores_by_space: Mapping[str, float] = field(default_factory=dict, metadata={"digits": 6})
    coverage: float | None = field(default=None, metadata={"digits": 4})
    width: int | None = None
    height: int | None = None
    matched_in: tuple[str, ...] = ()
    dominant_color: str | None = None

    @property
    def file(self) -> Path:
        """Path of the image file."""
        return self.root / self.path


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a search, or a part of one ("plan/filter" is a part of "plan").

    started  seconds after the search began
    details  numbers and names: {"space": "color", "compared": 50000}; those of a batch count all its queries
    """

    name: str
    started: float = field(metadata={"digits": 6})
    seconds: float = field(metadata={"digits": 6})
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hits(Sequence[Hit]):
    """The hits of one query, best first; a sequence of `Hit`.

    ranked_by       what ranked the hits: an extractor, "captions", "captions (similar words)" where none has
                    the words, but one with a typo less, "content (EXTRACTOR)" for text that is
                    compared with what images show, or several joined by "+"; the field
                    by which a list is sorted
    exact           every stored vector was compared
    searched_count  number of images that could have been hits
    seconds         by stage: "extract" (query to vectors), "search", "total"
    failure         in a batch, why this query could not be answered; else ""
    top_relevance   relevance of the best candidate, even if below `min_relevance`; None if not judged
    judged_by       the part of `ranked_by` that relevance judges: similarities of images; "" if none
    plan            the stages of the search, in order, if `Query.explain_plan` asks for them
    """

    hits: tuple[Hit, ...]
    ranked_by: str
    similarity: Similarity | None
    exact: bool
    searched_count: int
    seconds: Mapping[str, float] = field(metadata={"digits": 6})
    failure: str = ""
    top_relevance: Relevance | None = None
    judged_by: str = ""
    plan: tuple[Stage, ...] = ()

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
