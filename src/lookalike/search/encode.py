"""From pictures and words to vectors, in the guarded workers."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import ImageError, LookalikeError, Outcome, UsageError
from lookalike.extractors import load
from lookalike.extractors.extraction import Extraction, ExtractionResult, Task, Vector, extract_each
from lookalike.extractors.interface import Extractor, FittedExtractor, TextExtractor, space_key
from lookalike.extractors.regions import RegionExtractor
from lookalike.stores.interface import Space
from lookalike.stores.records import IMPORTED
from lookalike.workers.limits import Limits
from lookalike.workers.pool import Pool

Made: TypeAlias = Vector | ImageError

MANY = 8
"""Pictures that are worth the start of a worker for every core: a quarter of a second."""

INFERENCE = 32
"""Pictures that an extractor in the parent gets at once."""


@dataclass(frozen=True, slots=True)
class Work:
    """What must be read and extracted for one term: a task for every way it is turned."""

    tasks: tuple[Task, ...]
    name: str


class Asker:
    """Turns query pictures into vectors of one space; its workers start on the first questions. For any
    number of threads."""

    def __init__(self, extractor: Extractor, limits: Limits, readers: int) -> None:
        self.extractor = extractor
        self._key = space_key(extractor)
        self._limits = limits
        self._pool = self._workers(readers)
        # What a batch did ahead is its own: another thread may answer another batch.
        self._ahead = threading.local()
        self._warm = False

    def vectors(self, work: Work) -> NDArray[np.float32]:
        """(n, dim), a row a task; `UsageError` that says why where the picture cannot be used."""
        done: Mapping[Task, Made] = getattr(self._ahead, "made", {})
        if done and work.tasks[0].pixels is None and work.tasks[0] in done:
            made = [done[task] for task in work.tasks]
        else:
            made = self._make(self._pool, work.tasks)
        rows = []
        for vector in made:
            if isinstance(vector, ImageError):
                raise UsageError(f"cannot search with {work.name}: {vector.reason}")
            rows.append(vector)
        return np.stack(rows)

    @contextmanager
    def ahead(self, tasks: Sequence[Task]) -> Iterator[None]:
        """Does the work on many pictures at once, on all cores; `vectors` then takes it from here."""
        different = [task for task in tasks if task.pixels is None]  # pixels cannot be looked up
        different = list(dict.fromkeys(different))
        if len(different) >= MANY:
            with self._workers(None) as pool:
                made = self._make(pool, different)
            self._ahead.made = dict(zip(different, made, strict=True))
        try:
            yield
        finally:
            self._ahead.made = {}

    def close(self) -> None:
        self._pool.close()

    def _workers(self, count: int | None) -> Pool[Task, ExtractionResult]:
        limits = self._limits
        work = Extraction.of([self.extractor], limits=limits)
        return Pool(work, workers=count, limits=limits, on_failure=ExtractionResult.failed)

    def _warm_up(self) -> None:
        """Loads the network of the first question while a worker decodes its picture."""
        if self._warm or self.extractor.runs_in != "main":
            return
        self._warm = True

        def load_it() -> None:
            with suppress(Exception):  # the question itself will meet it, and say so
                self.extractor.extract([])

        threading.Thread(target=load_it, daemon=True).start()

    def _make(self, pool: Pool[Task, ExtractionResult], tasks: Sequence[Task]) -> list[Made]:
        self._warm_up()
        loads = iter(pool.map(tasks))
        made: list[Made] = []
        while some := list(islice(loads, INFERENCE)):
            here = [loaded.pixels[self._key] for loaded in some if self._key in loaded.pixels]
            extracted = iter(extract_each(self.extractor, here))
            for loaded in some:
                if loaded.outcome is not Outcome.INDEXED:
                    made.append(ImageError(loaded.outcome, loaded.reason))
                elif self._key in loaded.pixels:
                    made.append(next(extracted))
                else:
                    made.append(loaded.vectors[self._key])
        return made


class Askers:
    """One asker a space, made when it is first needed; extractor objects that users gave are kept,
    because nobody else could make them again. For any number of threads."""

    def __init__(self, limits: Limits, *, readers: int = 1) -> None:
        self.limits = limits
        self._readers = readers
        self._lock = threading.Lock()
        self._given: dict[str, Extractor] = {}
        self._askers: dict[str, Asker] = {}

    def give(self, extractors: Iterable[Extractor]) -> None:
        self._given.update({extractor.name: extractor for extractor in extractors})

    def asker(self, space: Space) -> Asker:
        with self._lock:  # two made at once would be two sets of workers
            if space.key not in self._askers:
                made = Asker(self._extractor(space), self.limits, self._readers)
                self._askers[space.key] = made
            return self._askers[space.key]

    def reads(self, space: Space) -> bool:
        """Whether the space understands words."""
        try:
            return isinstance(self.asker(space).extractor, TextExtractor)
        except LookalikeError:  # a space of a model that is no longer here answers nothing
            return False

    def text(self, space: Space, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, dim) of words, in a space that `reads`."""
        extractor = self.asker(space).extractor
        assert isinstance(extractor, TextExtractor)
        return extractor.extract_text(texts)

    def close(self) -> None:
        with self._lock:
            askers = list(self._askers.values())
            # Nobody else holds the networks: their memory is free with the last reference.
            self._askers.clear()
            self._given.clear()
        for asker in askers:
            asker.close()

    def _extractor(self, space: Space) -> Extractor:
        if space.revision == IMPORTED and space.name not in self._given:
            raise UsageError(
                f"the {space.name} vectors of this library were imported, and cannot be made of pictures "
                "or words here: ask with id:N, with a path of the library, or with --vector FILE.npy"
            )
        extractor = self._given.get(space.name) or load(space.name)
        if isinstance(extractor, FittedExtractor) and space.fitted is not None:
            extractor = extractor.with_fitted(space.fitted)
        if extractor.revision != space.revision:
            raise UsageError(
                f"the {space.name} vectors of this library were made by revision {space.revision}, "
                f"this is {extractor.revision}: renew them with `lookalike index --with {space.name}`"
            )
        return extractor.base if isinstance(extractor, RegionExtractor) else extractor
