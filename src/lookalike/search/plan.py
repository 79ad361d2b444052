"""Query plans: what a query searches, where its vectors come from, and how many candidates it needs.

A query with images becomes one `SubQuery` per space; its text becomes one more in a space whose extractor
encodes text, or a search of the captions. Nothing is decoded here: an image without a stored vector becomes
an `EncodeRequest` for `encode`.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.extractors.extraction import Task
from lookalike.extractors.interface import TEXT_IN_IMAGES
from lookalike.images.metadata.facts import OCR_TEXT
from lookalike.query import Query, QueryImage, Term
from lookalike.search.batch_context import BatchContext, ResolvedTerm, find_spaces, summand
from lookalike.stores.interface import Ids, Space
from lookalike.stores.paths import existing_path, image_by_path, unchanged_image
from lookalike.stores.records import IMPORTED
from lookalike.stores.text_analysis import TEXT_MATCHES, mentions
from lookalike.vectors.calibration import MIN_SAMPLE
from lookalike.vectors.similarity import Similarity

if TYPE_CHECKING:
    from lookalike.search.word_query import WordScores

CANDIDATES_PER_HIT = 5
MIN_CANDIDATES = 200
"""Candidates of each ranking, as a multiple of k and at least, if rankings are fused or hits left out."""

CAPTIONS_CHECKED = 100_000
"""Images with the longest word of a text among which one with all its words is looked for."""

CAPTIONS_READ = 200
"""Images with the words that are looked at for whether a caption has them, or only text in the image."""

ORIENTATIONS = {
    1: "upright",
    2: "mirrored",
    3: "turned by 180°",
    4: "mirrored, turned by 180°",
    5: "mirrored, turned by 90° to the left",
    6: "turned by 90° to the right",
    7: "mirrored, turned by 90° to the right",
    8: "turned by 90° to the left",
}
"""How the query image is transformed for each EXIF orientation that is tried."""


@dataclass(frozen=True, slots=True)
class EncodeRequest:
    """An image to decode and encode; one task per orientation. `name` is how messages call it."""

    tasks: tuple[Task, ...]
    name: str


Source: TypeAlias = NDArray[np.float32] | EncodeRequest
"""Source of the vector of a term: known, (1, width), or to be computed."""


@dataclass(slots=True)
class SubQuery:
    """One search of one space; its result is one ranking.

    weight    share of the ranking when rankings are fused
    terms     all images and vectors, or all text
    sources   one per term, if any has to be encoded
    vectors   (n, width), set by `encode` where there are sources, or for text; the nearest of the n counts
              for each image (n is 1, or 8 with any orientation)
    scores    ranks the images that are nearest to the vectors anew, for words
    image_id  the image of the library that has the vector, if it is the vector of one image alone
    """

    space: Space
    similarity: Similarity
    weight: float
    terms: tuple[Term, ...]
    sources: tuple[Source, ...] = ()
    vectors: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))
    scores: WordScores | None = None
    image_id: int | None = None

    @property
    def is_text(self) -> bool:
        """Whether the terms are text."""
        return self.terms[0].text is not None

    @property
    def name(self) -> str:
        """The name of its ranking in `Hits.ranked_by`."""
        return f"content ({self.space.name})" if self.is_text else self.space.name


@dataclass(slots=True)
class QueryPlan:
    """A query made ready to run.

    images           the terms other than text
    captions         text to search in the captions, with weights
    captions_weight  share of the captions' ranking when rankings are fused
    filter_ids       ids of the images that pass the filter; None without one
    depth            number of candidates that each ranking must give
    searched_count   number of images that could be hits
    excluded         ids of images that are no hits (`Query.exclude_query`)
    """

    query: Query
    subqueries: tuple[SubQuery, ...]
    images: tuple[ResolvedTerm, ...]
    captions: tuple[tuple[str, float], ...]
    captions_weight: float
    filter_ids: Ids | None
    depth: int
    searched_count: int
    excluded: frozenset[int] = frozenset()


def plan_query(context: BatchContext, query: Query) -> QueryPlan:
    """Plan a query; `UsageError` if it cannot be answered."""
    spaces = context.spaces
    searched = find_spaces(spaces, query)
    images = tuple(
        resolve_term(context, term, whole=_is_whole(query, term))
        for term in query.terms
        if term.text is None
    )
    texts = tuple(term for term in query.terms if term.text is not None)
    image_weight, text_weight = fusion_weights(query.alpha, [one.term for one in images], texts)
    weight = image_weight / len(searched)
    subqueries = [
        image_subquery(context, space, images, query, weight) for space in searched if images
    ]
    check_min_relevance(query, subqueries)
    filter_ids = context.filter_ids(query.where)
    excluded = frozenset(
        id for one in images if query.exclude_query for id in context.exact_copies(one)
    )
    by_text = plan_text(context, query, searched, texts) if texts else []
    subqueries += [replace(one, weight=one.weight * text_weight) for one in by_text]
    captions = () if by_text else texts
    largest = max(space.count for space in spaces)
    searchable = largest if captions else max(one.space.count for one in subqueries)
    reranked = (
        query.diversity
        or query.collapse_duplicates
        or query.verify
        or any(one.scores for one in subqueries)
    )
    single = len(subqueries) + bool(captions) == 1 and not reranked
    depth = query.k if single else max(CANDIDATES_PER_HIT * query.k, MIN_CANDIDATES)
    count = searchable if filter_ids is None else min(searchable, len(filter_ids))
    if excluded:
        passing = len(excluded) if filter_ids is None else np.isin(list(excluded), filter_ids).sum()
        count = max(count - int(passing), 0)
    return QueryPlan(
        query=query,
        subqueries=tuple(subqueries),
        images=images,
        captions=tuple((term.text or "", term.weight) for term in captions),
        captions_weight=text_weight,
        filter_ids=filter_ids,
        depth=min(depth + len(excluded), max(largest, 1)),
        searched_count=count,
        excluded=excluded,
    )


def check_min_relevance(query: Query, subqueries: Sequence[SubQuery]) -> None:
    """Raise `UsageError` where `min_relevance` is asked for and nothing of the query can be judged."""
    images = [one.space for one in subqueries if not one.is_text]
    if query.min_relevance is None or any(space.count >= MIN_SAMPLE for space in images):
        return
    if not images:
        raise UsageError(
            "min_relevance judges the similarity of images, and this query has only words: add an image, "
            "or leave it out"
        )
    raise UsageError(
        f"min_relevance needs {MIN_SAMPLE} images with vectors to judge a similarity, and "
        f"{images[0].name} has {images[0].count}: leave it out"
    )


def plan_text(
    context: BatchContext, query: Query, searched: Sequence[Space], texts: tuple[Term, ...]
) -> list[SubQuery]:
    """Return the searches of spaces for text, with weights that add up to 1; none: search the captions.

    The first of these answers: text in images, if the query names their extractor; the extractors that the
    query names, if they know the words; a space whose extractor encodes text; the captions, if one has all
    words of a text; class words and colours, if they know all words; the captions, if one has any of the
    words. `UsageError` if none does.
    """
    if TEXT_IN_IMAGES in query.extractors:
        return []
    named = searched if query.extractors else ()
    others = [space for space in context.spaces if space not in searched]
    encoder = next((space for space in named if context.encodes_text(space)), None)
    if encoder is None and named:
        with suppress(UsageError):
            return _by_words(context, named, query, texts)
    ordered = [*searched, *others]
    encoder = encoder or next((space for space in ordered if context.encodes_text(space)), None)
    if encoder is not None:
        return [SubQuery(encoder, query.similarity or encoder.similarity, 1.0, texts)]
    has_text = context.snapshot.has_text()
    if has_text and any(_has_caption(context, query, term) for term in texts if term.weight > 0):
        return []
    try:
        return _by_words(context, ordered, query, texts)
    except UsageError as error:
        if not has_text:
            raise
        ids = context.filter_ids(query.where)
        some = any(
            len(context.snapshot.search_text(term.text or "", 1, among=ids, match=match)[0])
            for term in texts
            for match in TEXT_MATCHES
        )
        if some or all(context.words_of(space).classes is None for space in ordered):
            return []
        raise UsageError(f"no caption has these words, and {error}") from None


def _has_caption(context: BatchContext, query: Query, term: Term) -> bool:
    """Return whether the caption of an image has all words of a text, articles and the like aside.

    Text that was read in images is no caption: a shirt with the word "beach" must not hide all beaches.
    """
    from lookalike.extractors.vocabulary import FILLERS  # most searches have no words
    from lookalike.extractors.wordnet import fold

    folded = fold(term.text or "").split()
    words = [word for word in folded if word not in FILLERS] or folded
    ids = context.filter_ids(query.where)
    for word in sorted(words, key=len, reverse=True):
        ids = context.snapshot.search_text(word, CAPTIONS_CHECKED, among=ids)[0]
        if not len(ids):
            return False
    if all(space.name != TEXT_IN_IMAGES for space in context.spaces):
        return True
    images = context.snapshot.images([] if ids is None else ids[:CAPTIONS_READ].tolist())
    texts = (f"{one.path} {_captions({**one.facts, **one.metadata})}" for one in images.values())
    return any(all(mentions(text, word) for word in words) for text in texts)


def _captions(fields: Mapping[str, Any]) -> str:
    """Return all texts about an image but the one that was read in it."""
    return json.dumps({k: v for k, v in fields.items() if k != OCR_TEXT}, ensure_ascii=False)


def _by_words(
    context: BatchContext, spaces: Sequence[Space], query: Query, texts: tuple[Term, ...]
) -> list[SubQuery]:
    """Return the searches for class words and colours in some of these spaces."""
    from lookalike.search.word_query import search_words  # most searches have no words

    found = search_words([context.words_of(space) for space in spaces], texts)
    return [
        SubQuery(
            one.space,
            query.similarity or one.space.similarity,
            one.weight,
            texts,
            vectors=one.vector,
            scores=one.scores,
        )
        for one in found
    ]


def fusion_weights(
    alpha: float, images: Sequence[Term], texts: Sequence[Term]
) -> tuple[float, float]:
    """Return the weights of images and of text when their rankings are fused; their sum is 1."""
    if not (images and texts):
        return (1.0, 0.0) if images else (0.0, 1.0)
    image = alpha * sum(abs(term.weight) for term in images) / len(images)
    text = (1 - alpha) * sum(abs(term.weight) for term in texts) / len(texts)
    return image / (image + text), text / (image + text)


def resolve_term(context: BatchContext, term: Term, *, whole: bool) -> ResolvedTerm:
    """Look up the image of a term in the library; `UsageError` for a path that is nowhere.

    whole  the term is the whole upright image, so that a stored vector may stand for it
    """
    if term.id is not None:
        return ResolvedTerm(term, image_id=term.id)
    if not isinstance(term.image, Path):
        return ResolvedTerm(term, source=term.image)
    path = existing_path(term.image)
    if _exists(path):
        image = unchanged_image(context.snapshot, path) if whole else None
        return ResolvedTerm(term, image.id if image else None, path)
    image = image_by_path(context.snapshot, term.image)
    if image is None:
        raise UsageError(
            f"cannot search with {term.image}: there is no such file, and no such path in the library"
        )
    return ResolvedTerm(term, image.id)


def image_subquery(
    context: BatchContext,
    space: Space,
    images: Sequence[ResolvedTerm],
    query: Query,
    weight: float,
) -> SubQuery:
    """Return the search of one space for images; with its vectors if all of them are stored."""
    terms = tuple(one.term for one in images)
    sources = tuple(find_source(context, space, one, query) for one in images)
    similarity = query.similarity or space.similarity
    known = [one for one in sources if not isinstance(one, EncodeRequest)]
    if len(known) < len(sources):
        return SubQuery(space, similarity, weight, terms, sources)
    alone = len(images) == 1 and terms[0].weight == 1
    image_id = images[0].image_id if alone else None
    vectors = weighted_mean(space, terms, known)
    return SubQuery(space, similarity, weight, terms, vectors=vectors, image_id=image_id)


def weighted_mean(
    space: Space, terms: Sequence[Term], vectors: Sequence[NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Return Σ weight · vector / Σ |weight| as (n, width), a row per orientation that is tried.

    vectors  of each term: (1, width), or (n, width)
    """
    if len(vectors) == 1 and terms[0].weight == 1:
        return vectors[0]
    total = np.zeros((max(map(len, vectors)), space.width), np.float64)
    for term, rows in zip(terms, vectors, strict=True):
        total += term.weight * rows
    return np.asarray(total / sum(abs(term.weight) for term in terms), np.float32)


def find_source(
    context: BatchContext, space: Space, resolved: ResolvedTerm, query: Query
) -> Source:
    """Return the stored vector of a term in a space, or what must be encoded to get one."""
    term, source, id = resolved.term, resolved.source, resolved.image_id
    whole = _is_whole(query, term)
    if term.vector is not None:
        return summand(space, check_vector(space, term.vector))
    if whole:
        vector = None if id is None else context.vector(space, id)
        if vector is None and isinstance(source, Path | bytes):
            id = context.same_content(space, source)
            vector = None if id is None else context.vector(space, id)
        if vector is not None:
            return vector
    if source is None:
        assert id is not None
        image = context.image(id)
        if whole:
            why = image.reason or (
                f"the {space.name} vectors were imported, and this image is not among them"
                if space.revision == IMPORTED
                else f"`lookalike index --extractor {shlex.quote(space.name)}` makes it"
            )
            raise UsageError(
                f"cannot search with {image.path}: it has no {space.name} vector: {why}"
            )
        source = context.file(image)
    orientations = ORIENTATIONS if query.any_orientation else (1,)
    name = str(source) if isinstance(source, Path) else "the image given"
    return EncodeRequest(
        tuple(image_task(source, term, orientation) for orientation in orientations), name
    )


def image_task(image: QueryImage, term: Term, orientation: int = 1) -> Task:
    """Return the task of decoding the image of a term."""
    return Task(
        path=os.fspath(image) if isinstance(image, Path) else None,
        data=image if isinstance(image, bytes) else None,
        pixels=image if isinstance(image, np.ndarray) else None,
        region=term.region,
        orientation=orientation,
    )


def check_vector(space: Space, vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a vector that was made elsewhere as (1, width); `UsageError` if it does not fit the space."""
    projection = space.projection
    if projection is not None and vector.shape == (projection.input_dim,):
        vector = projection.apply(vector[None], similarity=space.similarity)[0]
    if vector.shape != (space.width,):
        raise UsageError(
            f"the vector given has the shape {vector.shape}, {space.name} vectors have {space.width} "
            "dimensions"
        )
    if not np.isfinite(vector).all():
        raise UsageError("the vector given holds NaN or infinity: it is similar to nothing")
    return np.asarray(vector, np.float32)[None]


def _is_whole(query: Query, term: Term) -> bool:
    return term.region is None and not query.any_orientation


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:  # reading it will say so
        return True
    except OSError:  # too long a name
        return False
