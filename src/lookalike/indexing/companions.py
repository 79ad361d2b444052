"""Finds the image that a raw file or a video may belong to: one of the same name in the same folder."""

from __future__ import annotations

import os

from lookalike.errors import ObjectStorageError
from lookalike.images.formats import FORMATS, RAW_SUFFIXES, VIDEO_SUFFIXES
from lookalike.images.globs import Globs
from lookalike.images.walk import FoundFile
from lookalike.indexing.sources import Source, is_folder
from lookalike.object_storage import is_url, is_web

STILL_SUFFIXES = tuple(
    end for kind in ("jpeg", "heic", "avif", "tiff", "png") for end in FORMATS[kind].suffixes
)
"""Suffixes of images beside which a raw file or a video may lie, the likeliest first."""

COMPANION_SUFFIXES = RAW_SUFFIXES | VIDEO_SUFFIXES


class StillFinder:
    """Finds stills below one source. Lists each folder that has raw files or videos once.

    Images that the run does not take, because of its globs, are no stills.
    """

    def __init__(self, source: Source, include: tuple[str, ...]) -> None:
        self._active = not is_web(source.root.path) and is_folder(source.path)
        self._globs = Globs(include, root_exclude=source.root.exclude, below=source.below)
        self._start = len(os.path.join(source.path, ""))  # noqa: PTH118
        self._listed: tuple[str, dict[str, list[str]]] = ("", {})

    def find(self, found: FoundFile) -> str | None:
        """Return the path of the still that a file may belong to, or None."""
        stem, suffix = os.path.splitext(found.path)  # noqa: PTH122
        if not self._active or suffix.lower() not in COMPANION_SUFFIXES:
            return None
        folder, name = os.path.split(stem)
        if self._listed[0] != folder:
            self._listed = folder, _stems(folder)
        others = self._listed[1].get(name.lower(), [])
        order = {end: number for number, end in enumerate(STILL_SUFFIXES)}
        stills = [one for one in others if os.path.splitext(one)[1].lower() in order]  # noqa: PTH122
        for one in sorted(stills, key=lambda one: order[os.path.splitext(one)[1].lower()]):  # noqa: PTH122
            path = os.path.join(folder, one)  # noqa: PTH118
            if self._globs.includes_file(path[self._start :].replace(os.sep, "/"), one):
                return path
        return None


def _stems(folder: str) -> dict[str, list[str]]:
    """Return the names in a folder by their part before the extension, in lower case."""
    found: dict[str, list[str]] = {}
    try:
        for name in sorted(_names(folder)):
            if not name.startswith("."):
                found.setdefault(os.path.splitext(name)[0].lower(), []).append(name)  # noqa: PTH122
    except (OSError, ObjectStorageError):
        return {}
    return found


def _names(folder: str) -> list[str]:
    if not is_url(folder):
        return os.listdir(folder)  # noqa: PTH208 - names only, for speed
    from lookalike.images.remote import names_in  # needs http.client: 60 ms

    return names_in(folder)
