"""Sidecar files: text, XMP or JSON files next to images that describe them.

    photo.jpg.txt, photo.txt     the caption
    photo.jpg.xmp, photo.xmp     XMP, as Lightroom, darktable and digiKam write it
    photo.cr2.xmp                beside photo.jpg, too: they are one image, mostly
    photo.jpg.json, photo.json   an object with fields, one of which may be "caption"
    photo.jpg.supplemental-metadata.json and other names that Google Takeout gives (`takeout`)

darktable writes further versions of an image to photo_01.jpg.xmp and so on: other edits with ratings of
their own, which are not read. Apple's .aae files are edits for Apple's programs and say nothing about an
image: they are not read.

They are met during the walk, so finding them costs nothing. Kinds higher in this list take precedence, and
sidecars with the full name of the image over those without its extension. A symbolic link is
followed only below the root; otherwise anyone who may add images could copy any file that this process can
read into a caption.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lookalike.errors import ImageError
from lookalike.images.formats import RAW_SUFFIXES
from lookalike.images.metadata.read_metadata import sidecar_fields
from lookalike.images.reading import open_original
from lookalike.images.remote import fetch
from lookalike.images.sniff import IMAGE_SUFFIXES
from lookalike.images.walk import FoundFile
from lookalike.indexing.report import IndexReport
from lookalike.indexing.takeout import FALLBACKS, TakeoutPairing, is_takeout, takeout_fields
from lookalike.indexing.takeout import KIND as TAKEOUT
from lookalike.object_storage import is_url, resolve
from lookalike.stores.interface import Root, Sidecars

# Names of darktable's sidecars of further versions; the image is what precedes and follows the number.
VERSION = re.compile(r"_\d{2,4}(\.[^./]+)\.xmp$", re.IGNORECASE)

# Largest sidecar in bytes; a larger file of that name is something else.
MAX_BYTES = 1 << 20

EXTENSIONS = (".json", ".xmp", ".txt")

# Broken sidecars that are named in the report; the others are only counted.
MAX_EXAMPLES = 20


@dataclass(slots=True)
class Group:
    """Files of one folder whose names differ only in their extensions.

    of_other  a sidecar has the name of a file that is no image: of a video, say
    """

    stem: str
    of_other: bool = False
    images: list[str] = field(default_factory=list)
    sidecars: dict[str, FoundFile] = field(default_factory=dict)

    def pairs(self) -> Iterator[tuple[str, dict[str, FoundFile]]]:
        """Yield each image with its sidecars by kind, lowest precedence first.

        The kinds are "stem.json", "raw.json" (of a raw file of the same name), "json" and the same of xmp and
        txt. Images without sidecars are left out.
        """
        raw = [one for one in self.images if split_extension(one)[1] in RAW_SUFFIXES]
        for image in self.images:
            names = {}
            for extension in EXTENSIONS:
                names[f"stem{extension}"] = self.stem + extension
                if raw and image not in raw:
                    names[f"raw{extension}"] = raw[0] + extension
                names[extension[1:]] = image + extension
            found = {
                kind: self.sidecars[name] for kind, name in names.items() if name in self.sidecars
            }
            if found:
                yield image, found

    def orphans(self) -> Iterator[FoundFile]:
        """Yield the XMP sidecars that describe none of the images."""
        described = {self.stem if self.images else "", *self.images}
        for name, found in self.sidecars.items():
            named = name.removesuffix(".xmp")
            if named != name and named not in described and not self.of_other:
                yield found


class Pairing:
    """Pairs images with their sidecars from a stream of files in the byte order of their paths.

    All files whose paths begin with "photo." are adjacent. A group is therefore complete as soon as a path
    with another beginning comes, and only a few groups are open at a time.
    """

    def __init__(self) -> None:
        self._open: list[Group] = []
        self._other = ""  # the last file that is neither an image nor a sidecar
        self._remote: dict[str, set[str]] = {}  # images in the open folders of a storage
        self.orphans = 0
        self.orphan_example = ""

    def add(self, path: str, found: FoundFile) -> Iterator[tuple[str, dict[str, FoundFile]]]:
        """Take the next file (`path` is relative to the root); yield the pairs that are now complete."""
        while self._open and not path.startswith(self._open[-1].stem + "."):
            yield from self._close_group()
        stem, extension = split_extension(path)
        if extension in EXTENSIONS:
            inner, image_extension = split_extension(stem)
            group = self._group(inner if image_extension in IMAGE_SUFFIXES else stem)
            group.sidecars[stem + extension] = found
            group.of_other |= stem in (self._other, split_extension(self._other)[0])
        elif extension in IMAGE_SUFFIXES:
            self._group(stem).images.append(path)
            if is_url(found.path):
                self._remember(found.path)
        else:
            self._other = path

    def end(self) -> Iterator[tuple[str, dict[str, FoundFile]]]:
        """Yield the remaining pairs: no more files come."""
        while self._open:
            yield from self._close_group()

    def _close_group(self) -> Iterable[tuple[str, dict[str, FoundFile]]]:
        group = self._open.pop()
        for found in group.orphans() if group.sidecars else ():
            if not self._is_version(found.path):
                self.orphans += 1
                self.orphan_example = self.orphan_example or found.path
        return group.pairs() if group.sidecars else ()  # most groups have no sidecars

    def _is_version(self, path: str) -> bool:
        """Return whether an XMP sidecar is of a further version of an image here, as darktable names it."""
        image = VERSION.sub(r"\1", path)
        if image == path or not is_url(path):
            return image != path and Path(image).is_file()
        return any(image in images for images in self._remote.values())

    def _remember(self, path: str) -> None:
        folders = [(name, images) for name, images in self._remote.items() if path.startswith(name)]
        self._remote = dict(folders)
        self._remote.setdefault(path[: path.rfind("/") + 1], set()).add(path)

    def _group(self, stem: str) -> Group:
        if not self._open or self._open[-1].stem != stem:
            self._open.append(Group(stem))
        return self._open[-1]


class SidecarReader:
    """Reads the sidecars of stored images; those of images not stored yet wait."""

    def __init__(self, store: Sidecars) -> None:
        self._store = store
        self._pairing = Pairing()
        self._takeout = TakeoutPairing()
        self._waiting: dict[int, dict[str, dict[str, FoundFile]]] = {}
        self._root_paths: dict[int, Path] = {}
        self._read = 0
        self._broken = 0
        self._examples: list[tuple[str, str]] = []

    def add_files(self, root: Root, paths: Sequence[str], chunk: Sequence[FoundFile]) -> None:
        """Take files in the order of the walk, with their paths relative to the root."""
        waiting = self._waiting.setdefault(root.id, {})
        self._root_paths.setdefault(root.id, resolve(root.path))
        for path, found in zip(paths, chunk, strict=True):
            for pair in self._pairing.add(path, found):
                self._takeout.hold(*pair)
            waiting.update(self._takeout.add(path, found))

    def end_source(self, root: Root) -> None:
        """Complete the pairs: the walk of one source is over."""
        waiting = self._waiting.setdefault(root.id, {})
        for pair in self._pairing.end():
            self._takeout.hold(*pair)
        waiting.update(self._takeout.end())

    def store(self) -> None:
        """Store what new or changed sidecars say about images that are in the store by now."""
        for root, waiting in self._waiting.items():
            known = self._store.marks(root, list(waiting))
            rows: dict[int, tuple[str, Mapping[str, Any]]] = {}
            unchanged: list[int] = []
            for path, (id, stamp) in known.items():
                files = waiting.pop(path)
                new_stamp = stamp_of(files)
                if stamp == new_stamp:
                    unchanged.append(id)
                else:
                    rows[id] = (new_stamp, self._values(id, files, self._root_paths[root]))
            if unchanged:
                self._store.mark_seen(unchanged)
            if rows:
                self._store.put(rows)
                self._read += len(rows)

    def add_to(self, report: IndexReport) -> IndexReport:
        """Return the report with the fields about sidecars."""
        return replace(
            report,
            sidecars=self._read,
            broken_sidecars=self._broken,
            broken_examples=tuple(self._examples),
            orphan_sidecars=self._pairing.orphans,
            orphan_example=self._pairing.orphan_example,
        )

    def _values(self, id: int, files: Mapping[str, FoundFile], root: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for kind, found in files.items():
            try:
                check_inside(Path(found.path), root)
                fields = read_sidecar(found, kind)
                if (kind.endswith("json") and is_takeout(fields)) or kind == TAKEOUT:
                    fields = takeout_fields(fields) if is_takeout(fields) else {}
                    stated = self._store.facts([id])[id]
                    fields = {
                        k: v for k, v in fields.items() if k not in FALLBACKS or k not in stated
                    }
                values |= fields
            except (OSError, ValueError, RuntimeError, ImageError) as error:
                self._broken += 1
                if len(self._examples) < MAX_EXAMPLES:
                    self._examples.append((found.path, reason(error)))
        return values


def split_extension(path: str) -> tuple[str, str]:
    """Split a path into the part before its extension and the extension in lower case, "" if none."""
    dot = path.rfind(".")
    if dot <= path.rfind("/") + 1:
        return path, ""
    return path[:dot], path[dot:].lower()


def stamp_of(files: Mapping[str, FoundFile]) -> str:
    """Return a text that differs when a sidecar was changed, added or removed, but not when all moved."""
    return ";".join(f"{kind}:{file.size}:{file.mtime_ns}" for kind, file in files.items())


def check_inside(path: Path, root: Path) -> None:
    """Raise ValueError for a link that leads out of the folder `root`."""
    if is_url(root):  # there are no links
        return
    if not path.resolve(strict=True).is_relative_to(root):
        raise ValueError("a link to a file outside the folder")


def read_sidecar(found: FoundFile, kind: str) -> dict[str, Any]:
    """Return the fields of a sidecar of this kind. Raises OSError, or ValueError with the reason."""
    if is_url(found.path):
        data = b"" if found.size > MAX_BYTES else fetch(found.path)
    else:
        with os.fdopen(open_original(found.path), "rb") as handle:
            data = handle.read(MAX_BYTES + 1)
    if max(len(data), found.size) > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES >> 20} MB")
    if kind.endswith("xmp"):
        return sidecar_fields(data)
    try:
        content = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    if "\x00" in content:
        raise ValueError("not a text")
    if kind.endswith("txt"):
        return {"caption": content.strip()} if content.strip() else {}
    try:
        values = strict_json(content)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} in line {error.lineno}") from None
    if not isinstance(values, dict):
        raise ValueError("JSON, but not an object")
    return values


def strict_json(text: str) -> Any:
    """Return the value of a JSON text, with "?" for lone surrogates. ValueError also for NaN and Infinity,
    which Python's parser accepts but JSON does not have, and for numbers so large that they would become
    infinite."""

    def refuse(name: str) -> None:
        raise ValueError(f"not JSON: {name}")

    def finite(number: str) -> float:
        value = float(number)
        if math.isinf(value):
            raise ValueError(f"too large a number: {number[:20]}")
        return value

    value = json.loads(text, parse_constant=refuse, parse_float=finite)
    if "\\ud" in text.lower():
        value = json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    return value


def reason(error: Exception) -> str:
    """Return the reason of a broken sidecar as a short text."""
    if isinstance(error, ImageError):
        return error.reason
    if isinstance(error, OSError):
        return (error.strerror or "cannot be read").lower()
    return "nested too deep" if isinstance(error, RecursionError) else str(error)
