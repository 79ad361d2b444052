"""Find the files that belong to an image: raw file, video of a live photo, sidecars, captions and ratings."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lookalike.images.formats import RAW_SUFFIXES
from lookalike.images.sniff import IMAGE_SUFFIXES, MAYBE_SIDECAR_SUFFIXES, SIDECAR_SUFFIXES
from lookalike.stores.interface import Image

# The video of a live or motion photo.
VIDEO_SUFFIXES = frozenset({".mov", ".mp4"})

# Fields that people fill in.
WRITTEN = (
    *("caption", "keywords", "rating", "title", "color_label", "people", "hierarchical_keywords"),
)


@dataclass(frozen=True, slots=True)
class Companions:
    """The files that belong to one image.

    raw       raw files of the same name
    videos    videos of the same name
    sidecars  files beside it that describe it and no other image
    of_raw    sidecars with the full name of a raw file
    """

    raw: tuple[Path, ...] = ()
    videos: tuple[Path, ...] = ()
    sidecars: tuple[Path, ...] = ()
    of_raw: tuple[Path, ...] = ()


class FolderListings:
    """Finds companions. Lists each folder once."""

    def __init__(self) -> None:
        self._names: dict[Path, dict[str, list[str]]] = {}

    def companions(self, file: Path) -> Companions:
        """Return the companions of an image. Symbolic links are not followed, and not returned."""
        like = [name for name in self._named_like(file) if name != file.name]
        raw = [name for name in like if _suffix(name) in RAW_SUFFIXES]
        videos = [name for name in like if _suffix(name) in VIDEO_SUFFIXES]
        others = [name for name in like if _suffix(name) in IMAGE_SUFFIXES | VIDEO_SUFFIXES]
        sidecars = [
            name
            for name in like
            if _suffix(name) in SIDECAR_SUFFIXES | MAYBE_SIDECAR_SUFFIXES
            # photo.xmp describes photo.cr2 as well as photo.jpg.
            and (
                name.lower().startswith(file.name.lower() + ".")
                or (_stem(name) == file.stem.lower() and not others)
            )
        ]
        of_raw = [
            name
            for name in like
            if _suffix(name) in SIDECAR_SUFFIXES | MAYBE_SIDECAR_SUFFIXES
            and any(name.lower().startswith(f"{one.lower()}.") for one in raw)
        ]
        kinds = (raw, videos, sidecars, of_raw)
        return Companions(*(_files(file.parent, names) for names in kinds))

    def sidecar_name(self, sidecar: Path, image: Path, other: Path) -> Path:
        """Return the name that a sidecar of an image has as a sidecar of the other image."""
        if other.name == image.name:
            return other.with_name(sidecar.name)
        full = sidecar.name.startswith(image.name + ".")
        ending = sidecar.name[len(image.name if full else image.stem) :]
        return other.with_name((other.name if full else other.stem) + ending)

    def _named_like(self, file: Path) -> Sequence[str]:
        """Return the names in the folder of a file that begin with its stem and a dot."""
        folder = file.parent
        if folder not in self._names:
            found: dict[str, list[str]] = {}
            try:
                names = sorted(os.listdir(folder))  # noqa: PTH208 - names only, for speed
            except OSError:
                names = []
            for name in names:
                found.setdefault(_first_part(name), []).append(name)
            self._names[folder] = found
        stem = file.stem.lower() + "."
        names = self._names[folder].get(_first_part(file.name), [])
        return [name for name in names if name.lower().startswith(stem)]


def _files(folder: Path, names: Sequence[str]) -> tuple[Path, ...]:
    files = (folder / name for name in names)
    return tuple(file for file in files if file.is_file() and not file.is_symlink())


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122


def _stem(name: str) -> str:
    return os.path.splitext(name)[0].lower()  # noqa: PTH122


def _first_part(name: str) -> str:
    """Return the part before the first dot, in lower case: a key of files that may belong together."""
    return name.partition(".")[0].lower()


def inherited_metadata(kept: Image, spare: Image) -> dict[str, Any]:
    """Return what the kept image gets from a spare one: fields that it lacks, captions and keywords.

    Empty if it lacks nothing.
    """
    mine, theirs = (
        {name: image.facts[name] for name in WRITTEN if image.facts.get(name)}
        | dict(image.metadata)
        for image in (kept, spare)
    )
    found: dict[str, Any] = {}
    for name, value in theirs.items():
        have = mine.get(name)
        if have in (None, "", [], ()):
            if value not in (None, "", [], ()):
                found[name] = value
        elif (
            name == "keywords"
            and isinstance(have, list | tuple)
            and isinstance(value, list | tuple)
        ):
            if more := [word for word in value if word not in have]:
                found[name] = [*have, *more]
        elif name == "caption" and str(value) not in str(have):
            found[name] = f"{have}\n{value}"
    return found
