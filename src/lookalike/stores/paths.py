"""Find the images at paths on the disk.

A name may be typed in composed form and stored decomposed, as macOS writes it, or the other way round. Names
are compared in both forms where the one given is not found; no file is ever renamed.
"""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import TypeAlias

import numpy as np

from lookalike.errors import UsageError
from lookalike.files import compose
from lookalike.images.formats import still_of
from lookalike.images.pages import file_of
from lookalike.images.reading import inode_of, mtime_ns_of
from lookalike.object_storage import is_url
from lookalike.stores.interface import Ids, Image, Root, Snapshot

Paths: TypeAlias = Sequence[Path | str] | Path | str
"""One file or folder, or a sequence of them."""


MAX_SPELLINGS = 32
"""Spellings of a path that are tried: four or five names in it, each composed or decomposed."""


def spellings(path: str) -> list[str]:
    """Return the forms that a path may have on the disk: as it is, and each name composed or decomposed."""
    if path.isascii():
        return [path]
    forms = [
        dict.fromkeys((name, compose(name), unicodedata.normalize("NFD", name)))
        for name in path.split("/")
    ]
    found = dict.fromkeys((path, compose(path), unicodedata.normalize("NFD", path)))
    for names in product(*forms):
        if len(found) >= MAX_SPELLINGS:
            break
        found["/".join(names)] = None
    return list(found)


def existing_path(path: Path) -> Path:
    """Return the path, or the spelling of it that exists; the path itself if none does."""
    if str(path).isascii() or os.path.lexists(path):
        return path
    return next((Path(one) for one in spellings(str(path)) if os.path.lexists(one)), path)


def path_list(paths: Paths) -> list[Path]:
    """Return paths as a list; a single one may be given by itself."""
    return [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]


def ids_below(snapshot: Snapshot, paths: Paths) -> Ids:
    """Return the rising ids of images with vectors, at or below these paths; without paths, of all."""
    everything = [
        snapshot.sample(space.key, space.count) for space in snapshot.spaces() if space.current
    ]
    ids = np.unique(np.concatenate(everything)) if everything else np.empty(0, np.int64)
    if not paths:
        return ids
    below = [image.id for path in path_list(paths) for image in images_below(snapshot, path)]
    return ids[np.isin(ids, below)]


def relative_path(path: Path, folder: Path) -> str | None:
    """Return a path relative to a folder, with forward slashes ("." for the folder itself); None outside it.

    Symbolic links are followed if the paths as written do not match: a folder that was moved may have left a
    link behind.
    """
    if is_url(path) or is_url(folder):
        return _below(path, folder)
    relative = _below(Path(os.path.abspath(path)), folder)  # noqa: PTH100 - without following links
    if relative is None:
        with suppress(OSError, RuntimeError):  # a link to itself
            relative = _below(path.resolve(), folder.resolve())
    return relative


def _below(path: Path, folder: Path) -> str | None:
    if path.is_relative_to(folder):
        return path.relative_to(folder).as_posix()
    above = len(folder.parts)
    if str(folder).isascii() or [*map(compose, path.parts[:above])] != [
        *map(compose, folder.parts)
    ]:
        return None
    return Path(*path.parts[above:]).as_posix()


def images_below(snapshot: Snapshot, path: Path, limit: int | None = None) -> list[Image]:
    """Return the images at a path: one file, or all below a folder, whether or not they still exist.

    One image may also be named as hits show it, relative to one of the roots, or by `id:N`. A folder may not:
    what is done to many images needs a path that exists once. Raises `UsageError` if the library has none
    there, or if several roots have such a path.

    limit  how many at most below each root; None: all
    """
    images = [
        image
        for root in snapshot.roots()
        if (relative := relative_path(path, root.path)) is not None
        for image in _images_below(snapshot, root.id, relative, limit)
    ]
    if len(images) == 1 and images[0].facts.get("frames", 1) > 1:
        images += snapshot.pages(images[0].root, images[0].path)
    if images:
        return images
    if (image := named_by_id(snapshot, path)) is not None:
        return [image]
    shown = {
        root.path / relative: image
        for root, relative in _as_shown(snapshot, path)
        if (image := _lookup(snapshot, root.id, relative)) is not None
    }
    if len(shown) > 1:
        raise UsageError(
            f"several folders of the library have {path}: {', '.join(map(str, shown))}"
        )
    if not shown:
        raise UsageError(f"the library has no image at {path}: name it as a hit does, or by id:N")
    return list(shown.values())


_BY_ID = re.compile(r"id:(\d{1,18})", re.ASCII)


def named_by_id(snapshot: Snapshot, path: Path) -> Image | None:
    """Return the image that `id:N` names."""
    match = _BY_ID.fullmatch(str(path))
    return snapshot.images([int(match[1])]).get(int(match[1])) if match else None


def _as_shown(snapshot: Snapshot, path: Path) -> Iterator[tuple[Root, str]]:
    """Yield the roots in which a path that a hit shows may be, with the path relative to each.

    Images that were imported without a file have no folder: they count as inside that of the library.
    """
    relative = os.path.normpath(path).replace(os.sep, "/")
    outside = relative == "." or relative.startswith("../") or relative == ".."
    for root in snapshot.roots():
        if not outside and not path.is_absolute():
            yield root, relative
        if root.imported:
            inside = relative_path(path, root.path.parent.parent)
            if inside is not None and inside not in (".", relative):
                yield root, inside


def _images_below(snapshot: Snapshot, root: int, folder: str, limit: int | None) -> list[Image]:
    found = (snapshot.images_below(root, spelling, limit) for spelling in spellings(folder))
    return next(filter(None, found), [])


def _lookup(snapshot: Snapshot, root: int, path: str) -> Image | None:
    """Return the image at a path; for a raw file or video that belongs to an image, that image."""
    found = (snapshot.lookup(root, spelling) for spelling in spellings(path))
    image = next((image for image in found if image is not None), None)
    still = None if image is None else still_of(image.reason)
    if image is None or still is None:
        return image
    beside = image.path[: image.path.rfind("/") + 1] + still
    return snapshot.lookup(root, beside) or image


def image_at(snapshot: Snapshot, path: Path) -> Image | None:
    """Return the image that the library has at this path, whether or not the file still exists."""
    for root in snapshot.roots():
        place = relative_path(path, root.path)
        if place is None:
            continue
        image = _lookup(snapshot, root.id, place)
        if image is None and sys.platform in ("win32", "darwin") and os.path.lexists(path):
            image = _lookup(snapshot, root.id, listed_path(root.path, place))
        if image is not None:
            return image
    return None


def listed_path(folder: Path, relative: str) -> str:
    """Return a path below a folder with the letters that its names are listed in, large or small."""
    for name in relative.split("/"):
        with suppress(OSError):
            names = os.listdir(folder)  # noqa: PTH208 - names
            if name not in names:
                name = next(
                    one
                    for one in (*names, name)
                    if one.casefold() == name.casefold() and (folder / one).samefile(folder / name)
                )
        folder /= name
    return "/".join(folder.parts[-1 - relative.count("/") :])


def image_by_path(snapshot: Snapshot, path: Path) -> Image | None:
    """Return the image at this path, at this path relative to one of the roots, or with this `id:N`."""
    place = path if is_url(path) else path.absolute()
    image = image_at(snapshot, place) or named_by_id(snapshot, path)
    if image is not None:
        return image
    shown = (_lookup(snapshot, root.id, relative) for root, relative in _as_shown(snapshot, path))
    return next((image for image in shown if image is not None), None)


def unchanged_image(snapshot: Snapshot, path: Path) -> Image | None:
    """Return the image that this file is, if it has not been changed since it was indexed."""
    try:
        resolved = existing_path(path).resolve()
        stat = Path(file_of(resolved)).stat()
    except (OSError, RuntimeError):  # missing, or a link to itself
        return None
    image = image_at(snapshot, resolved)
    if image is None or (image.size, image.mtime_ns) != (stat.st_size, mtime_ns_of(stat)):
        return None
    inode = snapshot.file_states(image.root, [image.path])[image.path].inode
    return image if inode in (None, inode_of(stat)) else None
