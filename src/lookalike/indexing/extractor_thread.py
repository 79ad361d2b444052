"""Extractors that run in the main process, concurrently with the workers and the catalogue."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from lookalike.errors import ImageError, Outcome
from lookalike.extractors.extraction import ExtractionResult, Vector, extract_each
from lookalike.extractors.interface import Extractor, ImageText, TextReader, concurrency_of
from lookalike.extractors.runtime import single_threaded
from lookalike.images.metadata.facts import Facts
from lookalike.images.pixel_spec import Pixels

Extracted = Vector | ImageError | tuple[Vector, ImageText]
T = TypeVar("T")


class ExtractorThread:
    """Feeds one extractor with batches of images.

    A `ConcurrentExtractor` is called by several threads with a few images each, so no core waits until the
    others have finished. Any other extractor is called by the thread that adds the images, because a
    plug-in may hold objects bound to one thread.

    batch  images per call of an extractor that is not concurrent
    """

    def __init__(self, extractor: Extractor, batch: int) -> None:
        self._extractor = extractor
        concurrency = concurrency_of(extractor)
        threads, self._batch = concurrency or (1, batch)
        self.capacity = threads * self._batch  # images that all threads together work on
        self._pool = ThreadPoolExecutor(threads, "lookalike-extractor") if concurrency else None
        self._several = threads > 1
        self._collected: list[tuple[Pixels, Future[Extracted]]] = []

    def add(self, pixels: Pixels) -> Future[Extracted]:
        """Return the future vector of an image. Extraction starts with a full batch, or at `start`."""
        future: Future[Extracted] = Future()
        self._collected.append((pixels, future))
        if len(self._collected) >= self._batch:
            self.start()
        return future

    def start(self) -> None:
        """Start the extraction of the images collected so far."""
        batch, self._collected = self._collected, []
        if not batch:
            return
        if self._pool is None:
            self._extract(batch)
        else:
            self._pool.submit(self._extract_alone if self._several else self._extract, batch)

    def close(self) -> None:
        """Cancel batches that have not started, and wait for those that have."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _extract_alone(self, batch: list[tuple[Pixels, Future[Extracted]]]) -> None:
        with single_threaded():
            self._extract(batch)

    def _extract(self, batch: list[tuple[Pixels, Future[Extracted]]]) -> None:
        try:
            extracted: Sequence[Extracted] = _extract(self._extractor, [one for one, _ in batch])
        except BaseException as error:
            if self._pool is None:
                raise
            for _, future in batch:  # raised where the result is taken
                future.set_exception(error)
            return
        for (_, future), vector in zip(batch, extracted, strict=True):
            future.set_result(vector)


def _extract(extractor: Extractor, images: Sequence[Pixels]) -> Sequence[Extracted]:
    """Return the vector of each image, with its text if the extractor reads text, or the error."""
    if not isinstance(extractor, TextReader):
        return extract_each(extractor, images)
    texts = [extractor.read(image) for image in images]
    return list(zip(extractor.vectors(texts), texts, strict=True))


@dataclass(slots=True)
class Waiting(Generic[T]):
    """An image, its owner, and its future vectors by space key."""

    owner: T
    loaded: ExtractionResult
    vectors: dict[str, Future[Extracted]] = field(default_factory=dict)

    def done(self) -> bool:
        """Return whether all vectors are computed."""
        return all(future.done() for future in self.vectors.values())

    def failed(self) -> bool:
        """Return whether a finished future will raise an error instead of giving a result."""
        return any(future.exception() is not None for future in self.vectors.values())

    def result(self) -> ExtractionResult:
        """Return the worker's result with the vectors added, or with the reason why there are none."""
        loaded = self.loaded
        for key, future in self.vectors.items():
            extracted = future.result()
            if isinstance(extracted, ImageError):
                loaded = replace(
                    loaded, outcome=extracted.outcome, reason=extracted.reason, vectors={}
                )
            elif loaded.outcome is Outcome.INDEXED:
                vector, text = extracted if isinstance(extracted, tuple) else (extracted, None)
                if text is not None and loaded.facts is not None:
                    loaded = replace(loaded, facts=with_text(loaded.facts, text))
                loaded = replace(loaded, vectors={**loaded.vectors, key: vector})
        return loaded


def with_text(facts: Facts, read: ImageText) -> Facts:
    """Return the facts of an image with the text that was read in it."""
    return replace(
        facts,
        ocr_text=read.text or None,
        ocr_confidence=read.confidence,
        ocr_outcome=read.outcome,
    )


class ExtractorQueue(Generic[T]):
    """Takes loaded images and returns them in the same order with the vectors of all extractors.

    An extractor is not used, and no network loaded, before there is an image for it.

    batch        images per call of an extractor that is not concurrent
    max_waiting  images that may wait for their vectors, not counting those being extracted
    """

    def __init__(
        self, extractors: Mapping[str, Extractor], *, batch: int, max_waiting: int
    ) -> None:
        self._extractors = dict(extractors)
        self._batch = batch
        self._max_waiting = max_waiting
        self._threads: dict[str, ExtractorThread] = {}
        self._waiting: deque[Waiting[T]] = deque()

    def add(self, owner: T, loaded: ExtractionResult) -> None:
        """Queue an image as a worker returned it; one without pixels keeps its place in the order."""
        vectors = self._submit(loaded)
        # The threads own the pixels now: a long queue of finished images should not keep them alive.
        self._waiting.append(Waiting(owner, replace(loaded, pixels={}), vectors))

    def finished(self) -> Iterator[tuple[T, ExtractionResult]]:
        """Yield the images at the front that are done; wait while more are queued than allowed."""
        working = max((thread.capacity for thread in self._threads.values()), default=0)
        limit = self._max_waiting + working
        while self._waiting and (self._waiting[0].done() or len(self._waiting) > limit):
            if not self._waiting[0].done():
                self._start()
            yield self._pop()

    def rest(self) -> Iterator[tuple[T, ExtractionResult]]:
        """Yield all remaining images, waiting for each."""
        self._start()
        while self._waiting:
            yield self._pop()

    def finished_before_error(self) -> Iterator[tuple[T, ExtractionResult]]:
        """Yield the images at the front that were finished before an error, or before `close`."""
        while self._waiting and self._waiting[0].done() and not self._waiting[0].failed():
            yield self._pop()

    def extract_now(self, loaded: ExtractionResult) -> ExtractionResult:
        """Extract the vectors of one image ahead of those that wait."""
        vectors = self._submit(loaded)
        self._start()
        return Waiting(None, loaded, vectors).result()

    def close(self) -> None:
        """Cancel what has not started."""
        for thread in self._threads.values():
            thread.close()

    def _submit(self, loaded: ExtractionResult) -> dict[str, Future[Extracted]]:
        futures = {}
        for key, extractor in self._extractors.items():
            if key in loaded.pixels:
                if key not in self._threads:
                    self._threads[key] = ExtractorThread(extractor, self._batch)
                futures[key] = self._threads[key].add(loaded.pixels[key])
        return futures

    def _start(self) -> None:
        for thread in self._threads.values():
            thread.start()

    def _pop(self) -> tuple[T, ExtractionResult]:
        first = self._waiting[0]
        result = first.owner, first.result()
        self._waiting.popleft()
        return result
