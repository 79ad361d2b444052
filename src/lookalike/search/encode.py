"""Encoding: images and text of queries become vectors, in the worker processes that indexing uses."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import ImageError, LookalikeError, Outcome, UsageError
from lookalike.extractors import load
from lookalike.extractors.color_words import color_vectors
from lookalike.extractors.extraction import Extraction, ExtractionResult, Task, Vector, extract_each
from lookalike.extractors.interface import (
    ClassifierExtractor,
    ColorExtractor,
    Extractor,
    FittedExtractor,
    TextExtractor,
    space_key,
)
from lookalike.extractors.pca_extractor import PcaExtractor
from lookalike.extractors.regions import RegionExtractor
from lookalike.query import Embeddings, Term
from lookalike.search.batch_context import summand
from lookalike.search.plan import EncodeRequest, QueryPlan, SubQuery, image_task, weighted_mean
from lookalike.stores.interface import Snapshot, Space
from lookalike.stores.records import IMPORTED
from lookalike.vectors.similarity import normalise
from lookalike.workers.limits import Limits
from lookalike.workers.pool import Pool

if TYPE_CHECKING:
    from lookalike.search.word_query import SpaceWords

MANY = 8
"""Number of images for which starting a worker on every core (a quarter of a second) pays."""

INFERENCE_BATCH = 32
"""Images that an extractor in the main process gets at once."""

Encoded: TypeAlias = NDArray[np.float32] | UsageError
"""The vectors (orientations, width) of one request, or why there are none."""


def encode_plans(
    snapshot: Snapshot, encoders: QueryEncoders, plans: Sequence[QueryPlan | UsageError]
) -> list[QueryPlan | UsageError]:
    """Return the plans with the vectors of their subqueries.

    All images of the batch that must be decoded are decoded together. Where one cannot be used, the
    error takes the place of its plan.
    """
    subqueries = [one for plan in plans if isinstance(plan, QueryPlan) for one in plan.subqueries]
    requests: dict[str, tuple[Space, list[EncodeRequest]]] = {}
    for subquery in subqueries:
        for source in subquery.sources:
            if isinstance(source, EncodeRequest):
                requests.setdefault(subquery.space.key, (subquery.space, []))[1].append(source)
    encoded: dict[int, Encoded] = {}
    for space, wanted in requests.values():
        try:
            found = encoders.of(space).encode(wanted, all_cores=len(plans) > 1)
        except UsageError as error:
            encoded |= {id(request): error for request in wanted}
        else:
            encoded |= {id(request): one for request, one in zip(wanted, found, strict=True)}
    return [
        _encode_plan(snapshot, encoders, plan, encoded) if isinstance(plan, QueryPlan) else plan
        for plan in plans
    ]


def _encode_plan(
    snapshot: Snapshot, encoders: QueryEncoders, plan: QueryPlan, encoded: Mapping[int, Encoded]
) -> QueryPlan | UsageError:
    if not plan.query.feedback and all(len(one.vectors) for one in plan.subqueries):
        return plan
    subqueries = []
    try:
        for one in plan.subqueries:
            if len(one.vectors):  # stored, or of words
                vectors = one.vectors
            elif one.is_text:
                vectors = _text_vector(encoders, one)
            else:
                vectors = _image_vectors(one, encoded)
            if plan.query.feedback and not one.is_text:
                from lookalike.feedback import apply_feedback

                vectors = apply_feedback(snapshot, one.space, one.terms, vectors)
            subqueries.append(replace(one, vectors=vectors, image_id=None))
    except UsageError as error:
        return error
    return replace(plan, subqueries=tuple(subqueries))


def _image_vectors(subquery: SubQuery, encoded: Mapping[int, Encoded]) -> NDArray[np.float32]:
    """Return the mean of the vectors of the terms, a row per orientation that is tried."""
    space = subquery.space
    vectors: list[NDArray[np.float32]] = []
    for source in subquery.sources:
        found = encoded[id(source)] if isinstance(source, EncodeRequest) else source
        if isinstance(found, UsageError):
            raise found
        vectors.append(summand(space, found) if found is not source else found)
    return weighted_mean(space, subquery.terms, vectors)


def _text_vector(encoders: QueryEncoders, subquery: SubQuery) -> NDArray[np.float32]:
    """Return the same for text, as (1, width)."""
    texts = [term.text or "" for term in subquery.terms]
    vectors = normalise(encoders.encode_text(subquery.space, texts))
    weights = np.array([term.weight for term in subquery.terms])
    return np.asarray((weights @ vectors / np.abs(weights).sum())[None], np.float32)


class QueryEncoder:
    """Turns images into vectors of one space. Its workers start with the first image. Thread-safe."""

    def __init__(self, extractor: Extractor, limits: Limits, readers: int) -> None:
        self.extractor = extractor
        self._key = space_key(extractor)
        self._limits = limits
        self._pool = self._workers(readers)
        self._warm = False

    def encode(
        self, requests: Sequence[EncodeRequest], *, all_cores: bool = False
    ) -> list[Encoded]:
        """Return the vectors of each request, a row per task, or the error that says why not.

        all_cores  start a worker on every core for this call if there are many images
        """
        # Tasks with pixels cannot be hashed: each counts as different.
        tasks = {_task_key(task): task for request in requests for task in request.tasks}
        many = sum(task.pixels is None for task in tasks.values()) >= MANY
        if all_cores and many:
            with self._workers(None) as pool:
                vectors = self._extract(pool, list(tasks.values()))
        else:
            vectors = self._extract(self._pool, list(tasks.values()))
        found = dict(zip(tasks, vectors, strict=True))
        return [
            _stack(request, [found[_task_key(task)] for task in request.tasks])
            for request in requests
        ]

    def close(self) -> None:
        """End the workers."""
        self._pool.close()

    def _workers(self, count: int | None) -> Pool[Task, ExtractionResult]:
        limits = self._limits
        work = Extraction.of([self.extractor], limits=limits)
        return Pool(work, workers=count, limits=limits, on_failure=ExtractionResult.failed)

    def _warm_up(self) -> None:
        """Load the network of the first query while a worker decodes its image."""
        if self._warm or self.extractor.runs_in != "main":
            return
        self._warm = True

        def load_network() -> None:
            with suppress(Exception):  # the query itself will meet the error and report it
                self.extractor.extract([])

        threading.Thread(target=load_network, daemon=True).start()

    def _extract(
        self, pool: Pool[Task, ExtractionResult], tasks: Sequence[Task]
    ) -> list[Vector | ImageError]:
        self._warm_up()
        results = iter(pool.map(tasks))
        vectors: list[Vector | ImageError] = []
        while batch := list(islice(results, INFERENCE_BATCH)):
            pixels = [loaded.pixels[self._key] for loaded in batch if self._key in loaded.pixels]
            extracted = iter(extract_each(self.extractor, pixels))
            for loaded in batch:
                if loaded.outcome is not Outcome.INDEXED:
                    vectors.append(ImageError(loaded.outcome, loaded.reason))
                elif self._key in loaded.pixels:
                    vectors.append(next(extracted))
                else:
                    vectors.append(loaded.vectors[self._key])
        return vectors


def _task_key(task: Task) -> Task | int:
    return task if task.pixels is None else id(task)


def _stack(request: EncodeRequest, vectors: Sequence[Vector | ImageError]) -> Encoded:
    rows = []
    for vector in vectors:
        if isinstance(vector, ImageError):
            return UsageError(f"cannot search with {request.name}: {vector.reason}")
        rows.append(vector)
    return np.stack(rows)


class QueryEncoders:
    """One encoder per space, made when it is first needed. Thread-safe.

    Extractor objects that users registered are kept, because they cannot be loaded by name.
    """

    def __init__(self, limits: Limits, *, readers: int = 1) -> None:
        self.limits = limits
        self._readers = readers
        self._lock = threading.Lock()
        self._registered: dict[str, Extractor] = {}
        self._encoders: dict[str, QueryEncoder] = {}
        self._words: dict[str, SpaceWords] = {}

    def register(self, extractors: Iterable[Extractor]) -> None:
        """Use these objects for the spaces of their names."""
        self._registered.update({extractor.name: extractor for extractor in extractors})

    def of(self, space: Space) -> QueryEncoder:
        """Return the encoder of a space; `UsageError` if its extractor is missing or has changed."""
        with self._lock:  # two made at once would be two sets of workers
            if space.key not in self._encoders:
                encoder = QueryEncoder(self._extractor(space), self.limits, self._readers)
                self._encoders[space.key] = encoder
            return self._encoders[space.key]

    def encodes_text(self, space: Space) -> bool:
        """Return whether any text can be encoded in the space."""
        try:
            return isinstance(self.of(space).extractor, TextExtractor)
        except LookalikeError:  # the space of a model that is no longer installed
            return False

    def encode_text(self, space: Space, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors (n, dim) of texts, in a space for which `encodes_text` is true."""
        extractor = self.of(space).extractor
        assert isinstance(extractor, TextExtractor)
        return extractor.extract_text(texts)

    def embed(self, space: Space, terms: Sequence[Term]) -> Embeddings:
        """Return the vectors of images and texts in a space; see `Library.embed`."""
        texts = [term.text for term in terms if term.text is not None]
        if texts and not self.encodes_text(space):
            raise UsageError(
                f"{space.name} embeds images only: name the extractor of a model that embeds text (clip)"
            )
        requests = [
            EncodeRequest((image_task(term.image, term),), f"image {number}")
            for number, term in enumerate(terms, start=1)
            if term.image is not None
        ]
        rows = self.of(space).encode(requests)
        for row in rows:
            if isinstance(row, UsageError):
                raise UsageError(str(row).replace("cannot search with", "cannot embed", 1))
        vectors = [row for row in rows if not isinstance(row, UsageError)]
        nothing = np.empty((0, space.width), np.float32)
        return Embeddings(
            space.name,
            space.revision,
            space.similarity,
            normalise(np.concatenate([nothing, *vectors])),
            normalise(self.encode_text(space, texts)) if texts else nothing,
        )

    def words_of(self, space: Space) -> SpaceWords:
        """Return the class words and colour words of a space; without any where its extractor has none."""
        if space.key not in self._words:
            self._words[space.key] = self._find_words(space)
        return replace(self._words[space.key], space=space)

    def close(self) -> None:
        """End all workers and free the networks."""
        with self._lock:
            encoders = list(self._encoders.values())
            # Nothing else holds the networks: their memory is freed with the last reference.
            self._encoders.clear()
            self._words.clear()
            self._registered.clear()
        for encoder in encoders:
            encoder.close()

    def _find_words(self, space: Space) -> SpaceWords:
        from lookalike.search.word_query import SpaceWords  # most searches have no words

        try:
            extractor = self.of(space).extractor
        except LookalikeError as error:
            return SpaceWords(space, reason=str(error))
        if isinstance(extractor, PcaExtractor):
            extractor = extractor.base
        classes, colors, reason = None, None, ""
        if isinstance(extractor, ClassifierExtractor):
            try:
                classes = extractor.class_words()
            except LookalikeError as error:
                reason = str(error)
        if isinstance(extractor, ColorExtractor):
            colors = cache(partial(color_vectors, extractor))
        return SpaceWords(space, classes, colors, reason)

    def _extractor(self, space: Space) -> Extractor:
        if space.revision == IMPORTED and space.name not in self._registered:
            raise UsageError(
                f"the {space.name} vectors of this library were imported and cannot be computed from "
                "images or text here: search with id:N, with a path of the library, or with "
                "--vector FILE.npy"
            )
        extractor = self._registered.get(space.name) or load(space.name)
        if isinstance(extractor, FittedExtractor) and space.fitted is not None:
            extractor = extractor.with_fitted(space.fitted)
        if extractor.revision != space.revision:
            raise UsageError(
                f"the {space.name} vectors of this library were made by revision {space.revision}, "
                f"this is {extractor.revision}: renew them with `lookalike index --extractor "
                f"{shlex.quote(space.name)}`"
            )
        return extractor.base if isinstance(extractor, RegionExtractor) else extractor
