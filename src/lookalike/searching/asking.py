"""From the pictures of a question to vectors, in the guarded workers."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import ImageError, Outcome, UsageError
from lookalike.extractors import load
from lookalike.extractors.contract import Extractor, FittedExtractor, space_key
from lookalike.extractors.extraction import Extraction, Loaded, Task, extract_each
from lookalike.images.needs import Limits
from lookalike.images.pool import Pool
from lookalike.query import Picture, Query
from lookalike.stores.contract import Image, Root, Space, View
from lookalike.vectors.similarity import normalise


class Asker:
    """Turns query pictures into vectors of one space; its worker starts on the first question."""

    def __init__(self, extractor: Extractor, limits: Limits) -> None:
        self._extractor = extractor
        self._key = space_key(extractor)
        work = Extraction.of([extractor], limits=limits)
        self._pool: Pool[Task, Loaded] = Pool(
            work, workers=1, limits=limits, on_lost=Extraction.lost
        )

    def vector(self, picture: Picture) -> NDArray[np.float32]:
        """(dim,) of a picture; `UsageError` that says why where it cannot be used."""
        loaded = self._pool.run(task(picture))
        if loaded.outcome is not Outcome.INDEXED:
            raise UsageError(f"cannot search with {named(picture)}: {loaded.reason}")
        if self._key in loaded.vectors:
            return loaded.vectors[self._key]
        (made,) = extract_each(self._extractor, [loaded.pixels[self._key]])
        if isinstance(made, ImageError):
            raise UsageError(f"cannot search with {named(picture)}: {made.reason}")
        return made

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

    def vector(self, space: Space, picture: Picture) -> NDArray[np.float32]:
        """(dim,) of a picture in that space."""
        if space.key not in self._askers:
            self._askers[space.key] = Asker(self._extractor(space), self._limits)
        return self._askers[space.key].vector(picture)

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


def query_vector(view: View, askers: Askers, space: Space, query: Query) -> NDArray[np.float32]:
    """(dim,) float32: the mean of the pictures' vectors, each at unit length first where the space
    is, so that no picture weighs more than another."""
    made = np.stack([picture_vector(view, askers, space, picture) for picture in query.pictures])
    if len(made) == 1:
        return np.asarray(made[0])
    return np.asarray((normalise(made) if space.normalised else made).mean(axis=0))


def picture_vector(
    view: View, askers: Askers, space: Space, picture: Picture
) -> NDArray[np.float32]:
    """The stored vector where the picture is an unchanged file of the library, else a new one."""
    if isinstance(picture, Path):
        stored = stored_vector(view, space, picture)
        if stored is not None:
            return stored
    return askers.vector(space, picture)


def stored_vector(view: View, space: Space, picture: Path) -> NDArray[np.float32] | None:
    try:
        path = picture.resolve(strict=True)
        stat = path.stat()
    except OSError:
        return None
    image = next(filter(None, (known(view, root, path) for root in view.roots())), None)
    if image is None or (image.size, image.mtime_ns) != (stat.st_size, stat.st_mtime_ns):
        return None
    vector = view.vectors(space.key, np.array([image.id], np.int64))[0]
    return None if np.isnan(vector).any() else np.asarray(vector)


def known(view: View, root: Root, path: Path) -> Image | None:
    if not path.is_relative_to(root.path):
        return None
    return view.lookup(root.id, path.relative_to(root.path).as_posix())


def task(picture: Picture) -> Task:
    if isinstance(picture, Path):
        return Task(path=os.fspath(picture))
    if isinstance(picture, bytes):
        return Task(data=picture)
    return Task(pixels=picture)


def named(picture: Picture) -> str:
    return str(picture) if isinstance(picture, Path) else "the picture given"
