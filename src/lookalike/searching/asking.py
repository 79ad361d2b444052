"""From the pictures and words of a question to vectors, in the guarded workers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import ImageError, LookalikeError, Outcome, UsageError
from lookalike.extractors import load
from lookalike.extractors.contract import Extractor, FittedExtractor, TextExtractor, space_key
from lookalike.extractors.extraction import Extraction, Loaded, Task, extract_each
from lookalike.images.needs import Limits
from lookalike.images.pool import Pool
from lookalike.query import Picture, Term
from lookalike.stores.contract import Image, Root, Space, View

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


class Asker:
    """Turns query pictures into vectors of one space; its worker starts on the first question."""

    def __init__(self, extractor: Extractor, limits: Limits) -> None:
        self.extractor = extractor
        self._key = space_key(extractor)
        work = Extraction.of([extractor], limits=limits)
        self._pool: Pool[Task, Loaded] = Pool(
            work, workers=1, limits=limits, on_lost=Extraction.lost
        )

    def vectors(self, tasks: Sequence[Task], name: str) -> NDArray[np.float32]:
        """(n, dim), a row a task; `UsageError` that says why where the picture cannot be used."""
        made = []
        for loaded in self._pool.map(tasks):
            if loaded.outcome is not Outcome.INDEXED:
                raise UsageError(f"cannot search with {name}: {loaded.reason}")
            vector: NDArray[np.float32] | ImageError | None = loaded.vectors.get(self._key)
            if vector is None:
                (vector,) = extract_each(self.extractor, [loaded.pixels[self._key]])
            if isinstance(vector, ImageError):
                raise UsageError(f"cannot search with {name}: {vector.reason}")
            made.append(vector)
        return np.stack(made)

    def close(self) -> None:
        self._pool.close()


class Askers:
    """One asker a space, made when it is first needed; extractor objects that users gave are kept,
    because nobody else could make them again."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._given: dict[str, Extractor] = {}
        self._askers: dict[str, Asker] = {}

    def give(self, extractors: Iterable[Extractor]) -> None:
        self._given.update({extractor.name: extractor for extractor in extractors})

    def asker(self, space: Space) -> Asker:
        if space.key not in self._askers:
            self._askers[space.key] = Asker(self._extractor(space), self._limits)
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
        for asker in self._askers.values():
            asker.close()
        self._askers.clear()

    def _extractor(self, space: Space) -> Extractor:
        extractor = self._given.get(space.name) or load(space.name)
        if isinstance(extractor, FittedExtractor) and space.fitted is not None:
            extractor = extractor.with_fitted(space.fitted)
        if extractor.revision != space.revision:
            raise UsageError(
                f"the {space.name} vectors of this library were made by revision {space.revision}, "
                f"this is {extractor.revision}: renew them with `lookalike index --with {space.name}`"
            )
        return extractor


def picture_vectors(
    view: View, askers: Askers, space: Space, term: Term, *, any_orientation: bool
) -> NDArray[np.float32]:
    """(1, dim) of a term's picture, (8, dim) in its eight orientations: the stored vector where the
    picture is an unchanged file of the library, else new ones."""
    assert term.picture is not None
    if isinstance(term.picture, Path) and term.region is None and not any_orientation:
        image = unchanged(view, term.picture)
        stored = None if image is None else stored_vector(view, space, image.id)
        if stored is not None:
            return stored
    return new_vectors(askers, space, term.picture, term, any_orientation=any_orientation)


def image_vector(
    view: View, askers: Askers, space: Space, term: Term, *, any_orientation: bool
) -> NDArray[np.float32]:
    """The same for an image of the library, by its id."""
    assert term.image is not None
    image = view.images([term.image]).get(term.image)
    if image is None:
        raise UsageError(f"the library has no image with the id {term.image}")
    if term.region is None and not any_orientation:
        stored = stored_vector(view, space, image.id)
        if stored is None:
            raise UsageError(
                f"{image.path} has no {space.name} vector: {image.reason or 'index it'}"
            )
        return stored
    folders = {root.id: root.path for root in view.roots()}
    file = folders[image.root] / image.path
    return new_vectors(askers, space, file, term, any_orientation=any_orientation)


def new_vectors(
    askers: Askers, space: Space, picture: Picture, term: Term, *, any_orientation: bool
) -> NDArray[np.float32]:
    tasks = [
        Task(
            path=os.fspath(picture) if isinstance(picture, Path) else None,
            data=picture if isinstance(picture, bytes) else None,
            pixels=picture if isinstance(picture, np.ndarray) else None,
            region=term.region,
            orientation=orientation,
        )
        for orientation in (ORIENTATIONS if any_orientation else (1,))
    ]
    name = str(picture) if isinstance(picture, Path) else "the picture given"
    return askers.asker(space).vectors(tasks, name)


def stored_vector(view: View, space: Space, id: int) -> NDArray[np.float32] | None:
    """(1, dim), None where the image has no vector in the space."""
    vector = view.vectors(space.key, np.array([id], np.int64))
    return None if np.isnan(vector).any() else vector


def unchanged(view: View, picture: Path) -> Image | None:
    """The image that this file is, if it has not changed since it was indexed."""
    try:
        path = picture.resolve(strict=True)
        stat = path.stat()
    except OSError:
        return None
    image = next(filter(None, (known(view, root, path) for root in view.roots())), None)
    if image is None or (image.size, image.mtime_ns) != (stat.st_size, stat.st_mtime_ns):
        return None
    return image


def known(view: View, root: Root, path: Path) -> Image | None:
    if not path.is_relative_to(root.path):
        return None
    return view.lookup(root.id, path.relative_to(root.path).as_posix())
