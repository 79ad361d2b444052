"""Where the vector of a term's picture comes from: the store, if it holds one, or work to be done."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.extractors.extraction import Task
from lookalike.images.reading import mtime_ns_of
from lookalike.query import QueryImage, Term
from lookalike.search.encode import Askers, Work
from lookalike.search.stored_vectors import Stored, addable
from lookalike.stores.interface import Image, Root, Snapshot, Space
from lookalike.stores.paths import relative_path

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


def term_vectors(
    snapshot: Snapshot,
    stored: Stored,
    askers: Askers,
    space: Space,
    term: Term,
    *,
    any_orientation: bool,
) -> NDArray[np.float32]:
    """(1, dim) of a term's picture, (8, dim) in its eight orientations, `addable`: the stored vector
    where the picture is an unchanged file of the library or a copy of one, else new ones."""
    found = sought(snapshot, stored, space, term, any_orientation=any_orientation)
    if not isinstance(found, Work):
        return found
    return addable(space, askers.asker(space).vectors(found))


def sought(
    snapshot: Snapshot, stored: Stored, space: Space, term: Term, *, any_orientation: bool
) -> NDArray[np.float32] | Work:
    """The stored vector (1, dim) of a term's picture, or what must be done to get vectors."""
    whole = term.region is None and not any_orientation
    if term.vector is not None:
        return addable(space, given_vector(space, term.vector))
    if term.id is not None:
        return of_image(snapshot, stored, space, term, term.id, any_orientation=any_orientation)
    picture = term.image
    assert picture is not None
    if isinstance(picture, Path):
        if not is_there(picture):
            image = in_library(snapshot, picture)
            if image is None:
                raise UsageError(
                    f"cannot search with {picture}: there is no such file, and no such path in the "
                    "library"
                )
            return of_image(
                snapshot, stored, space, term, image.id, any_orientation=any_orientation
            )
        image = unchanged(snapshot, picture) if whole else None
        vector = None if image is None else stored.of(space, image.id)
        if vector is not None:
            return vector
    if whole and not isinstance(picture, np.ndarray):
        image = stored.twin(space, picture)
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
    if projection is not None and vector.shape == (projection.input_dim,):
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
    snapshot: Snapshot, stored: Stored, space: Space, term: Term, id: int, *, any_orientation: bool
) -> NDArray[np.float32] | Work:
    """The same for an image of the library."""
    if term.region is None and not any_orientation:
        vector = stored.of(space, id)
        if vector is not None:
            return vector
    image = snapshot.images([id]).get(id)
    if image is None:
        raise UsageError(f"the library has no image with the id {id}")
    if term.region is None and not any_orientation:
        why = image.reason or f"`lookalike index --with {space.name}` makes it"
        raise UsageError(f"cannot search with {image.path}: it has no {space.name} vector: {why}")
    folders = {root.id: root.path for root in snapshot.roots()}
    return work(folders[image.root] / image.path, term, any_orientation=any_orientation)


def work(picture: QueryImage, term: Term, *, any_orientation: bool) -> Work:
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


def in_library(snapshot: Snapshot, path: Path) -> Image | None:
    """The image that a path means that is not there: as the library shows it, or where it was."""
    for root in snapshot.roots():
        image = known(snapshot, root, path.absolute()) or snapshot.lookup(root.id, path.as_posix())
        if image is not None:
            return image
    return None


def unchanged(snapshot: Snapshot, picture: Path) -> Image | None:
    """The image that this file is, if it has not changed since it was indexed."""
    try:
        path = picture.resolve(strict=True)
        stat = path.stat()
    except (OSError, RuntimeError):
        return None
    image = next(filter(None, (known(snapshot, root, path) for root in snapshot.roots())), None)
    if image is None or (image.size, image.mtime_ns) != (stat.st_size, mtime_ns_of(stat)):
        return None
    return image


def known(snapshot: Snapshot, root: Root, path: Path) -> Image | None:
    place = relative_path(path, root.path)
    return None if place is None else snapshot.lookup(root.id, place)
