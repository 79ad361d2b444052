"""The images that paths on the disk mean."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

import numpy as np

from lookalike.errors import UsageError
from lookalike.images.reading import mtime_ns_of
from lookalike.stores.interface import Ids, Image, Snapshot

Paths: TypeAlias = Sequence[Path | str] | Path | str
"""Files and folders; one alone need not stand in a list."""


def path_list(paths: Paths) -> list[Path]:
    """The paths. A text is one path, though it is a sequence of texts too, its letters."""
    return [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]


def ids_below(snapshot: Snapshot, paths: Paths) -> Ids:
    """Ids, rising, of the images at or below these paths that can be compared; of all without any."""
    everything = [
        snapshot.sample(space.key, space.count) for space in snapshot.spaces() if space.current
    ]
    ids = np.unique(np.concatenate(everything)) if everything else np.empty(0, np.int64)
    if not paths:
        return ids
    below = [image.id for path in path_list(paths) for image in images_below(snapshot, path)]
    return ids[np.isin(ids, below)]


def relative_path(path: Path, folder: Path) -> str | None:
    """`path` below a folder, with forward slashes, "." for the folder itself; None where it lies elsewhere.
    Links on the way to either do not hide it: a folder that was moved leaves one in its place."""
    place = _below(Path(os.path.abspath(path)), folder)  # noqa: PTH100 - as it is written
    if place is None:
        with suppress(OSError, RuntimeError):  # a link that leads to itself
            place = _below(path.resolve(), folder.resolve())
    return place


def _below(path: Path, folder: Path) -> str | None:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else None


def images_below(snapshot: Snapshot, path: Path) -> list[Image]:
    """The images that a path means: one file, or all below a folder, whether or not they still exist.
    `UsageError` where the library has none there."""
    images = [
        image
        for root in snapshot.roots()
        if (place := relative_path(path, root.path)) is not None
        for image in snapshot.images_below(root.id, place)
    ]
    if not images:
        raise UsageError(f"the library has no picture at {path}")
    return images


def image_at(snapshot: Snapshot, path: Path) -> Image | None:
    """Return the image that the library has at this path, whether or not the file still exists."""
    for root in snapshot.roots():
        place = relative_path(path, root.path)
        image = None if place is None else snapshot.lookup(root.id, place)
        if image is not None:
            return image
    return None


def image_by_path(snapshot: Snapshot, path: Path) -> Image | None:
    """Return the image at this path, or at this path relative to one of the roots."""
    image = image_at(snapshot, path.absolute())
    if image is not None:
        return image
    relative = (snapshot.lookup(root.id, path.as_posix()) for root in snapshot.roots())
    return next((image for image in relative if image is not None), None)


def unchanged_image(snapshot: Snapshot, path: Path) -> Image | None:
    """Return the image that this file is, if its size and date are as they were when it was indexed."""
    try:
        resolved = path.resolve(strict=True)
        stat = resolved.stat()
    except (OSError, RuntimeError):  # gone, or a link that leads to itself
        return None
    image = image_at(snapshot, resolved)
    if image is None or (image.size, image.mtime_ns) != (stat.st_size, mtime_ns_of(stat)):
        return None
    return image
