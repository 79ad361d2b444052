"""From the pictures and words of a question to vectors, in the guarded workers."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import ImageError, LookalikeError, Outcome, UsageError
from lookalike.extractors import load
from lookalike.extractors.contract import Extractor, FittedExtractor, TextExtractor, space_key
from lookalike.extractors.extraction import Extraction, Loaded, Task, Vector, extract_each
from lookalike.extractors.regions import Regions
from lookalike.images.needs import Limits
from lookalike.images.pool import Pool
from lookalike.query import Picture, Term
from lookalike.searching.stored import Stored, addable
from lookalike.stores.contract import Image, Root, Space, View
from lookalike.stores.records import IMPORTED

Made: TypeAlias = Vector | ImageError

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
"""What is done to the query picture to try each, by EXIF's number."""


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

    def _workers(self, count: int | None) -> Pool[Task, Loaded]:
        limits = self._limits
        work = Extraction.of([self.extractor], limits=limits)
        return Pool(work, workers=count, limits=limits, on_lost=Extraction.lost)

    def _warm_up(self) -> None:
        """Loads the network of the first question while a worker decodes its picture."""
        if self._warm or self.extractor.place != "parent":
            return
        self._warm = True

        def load_it() -> None:
            with suppress(Exception):  # the question itself will meet it, and say so
                self.extractor.extract([])

        threading.Thread(target=load_it, daemon=True).start()

    def _make(self, pool: Pool[Task, Loaded], tasks: Sequence[Task]) -> list[Made]:
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
        return extractor.whole if isinstance(extractor, Regions) else extractor


def term_vectors(
    view: View, stored: Stored, askers: Askers, space: Space, term: Term, *, any_orientation: bool
) -> NDArray[np.float32]:
    """(1, dim) of a term's picture, (8, dim) in its eight orientations, `addable`: the stored vector
    where the picture is an unchanged file of the library, else new ones."""
    found = sought(view, stored, space, term, any_orientation=any_orientation)
    if not isinstance(found, Work):
        return found
    return addable(space, askers.asker(space).vectors(found))


def sought(
    view: View, stored: Stored, space: Space, term: Term, *, any_orientation: bool
) -> NDArray[np.float32] | Work:
    """The stored vector (1, dim) of a term's picture, or what must be done to get vectors."""
    whole = term.region is None and not any_orientation
    if term.vector is not None:
        return addable(space, given_vector(space, term.vector))
    if term.image is not None:
        return of_image(view, stored, space, term, term.image, any_orientation=any_orientation)
    picture = term.picture
    assert picture is not None
    if isinstance(picture, Path):
        if not is_there(picture):
            image = in_library(view, picture)
            if image is None:
                raise UsageError(
                    f"cannot search with {picture}: there is no such file, and no such path in the "
                    "library"
                )
            return of_image(view, stored, space, term, image.id, any_orientation=any_orientation)
        image = unchanged(view, picture) if whole else None
        vector = None if image is None else stored.of(space, image.id)
        if vector is not None:
            return vector
    return work(picture, term, any_orientation=any_orientation)


def is_there(picture: Path) -> bool:
    """Whether there is such a file; where that may not be asked, reading it will tell why."""
    try:
        return picture.exists()
    except PermissionError:
        return True


def given_vector(space: Space, vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """(1, dim) of a vector that was made elsewhere; `UsageError` where it is none of the space's."""
    projection = space.projection
    if projection is not None and vector.shape == (projection.whole,):
        vector = projection.apply(vector[None], similarity=space.similarity)[0]
    if vector.shape != (space.width,):
        raise UsageError(
            f"the vector given has the shape {vector.shape}, {space.name} vectors have {space.width} "
            "numbers"
        )
    if not np.isfinite(vector).all():
        raise UsageError("the vector given holds NaN or infinity: it is similar to nothing")
    return np.asarray(vector, np.float32)[None]


def of_image(
    view: View, stored: Stored, space: Space, term: Term, id: int, *, any_orientation: bool
) -> NDArray[np.float32] | Work:
    """The same for an image of the library."""
    if term.region is None and not any_orientation:
        vector = stored.of(space, id)
        if vector is not None:
            return vector
    image = view.images([id]).get(id)
    if image is None:
        raise UsageError(f"the library has no image with the id {id}")
    if term.region is None and not any_orientation:
        why = image.reason or f"`lookalike index --with {space.name}` makes it"
        raise UsageError(f"cannot search with {image.path}: it has no {space.name} vector: {why}")
    folders = {root.id: root.path for root in view.roots()}
    return work(folders[image.root] / image.path, term, any_orientation=any_orientation)


def work(picture: Picture, term: Term, *, any_orientation: bool) -> Work:
    tasks = tuple(
        Task(
            path=os.fspath(picture) if isinstance(picture, Path) else None,
            data=picture if isinstance(picture, bytes) else None,
            pixels=picture if isinstance(picture, np.ndarray) else None,
            region=term.region,
            orientation=orientation,
        )
        for orientation in (ORIENTATIONS if any_orientation else (1,))
    )
    return Work(tasks, str(picture) if isinstance(picture, Path) else "the picture given")


def in_library(view: View, path: Path) -> Image | None:
    """The image that a path means that is not there: as the library shows it, or where it was."""
    for root in view.roots():
        image = known(view, root, path.absolute()) or view.lookup(root.id, path.as_posix())
        if image is not None:
            return image
    return None


def unchanged(view: View, picture: Path) -> Image | None:
    """The image that this file is, if it has not changed since it was indexed."""
    try:
        path = picture.resolve(strict=True)
        stat = path.stat()
    except (OSError, RuntimeError):
        return None
    image = next(filter(None, (known(view, root, path) for root in view.roots())), None)
    if image is None or (image.size, image.mtime_ns) != (stat.st_size, stat.st_mtime_ns):
        return None
    return image


def known(view: View, root: Root, path: Path) -> Image | None:
    if not path.is_relative_to(root.path):
        return None
    return view.lookup(root.id, path.relative_to(root.path).as_posix())
