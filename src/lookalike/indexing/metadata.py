"""Metadata from a table: finds the image of each row, and stores what the table says about it."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PureWindowsPath
from typing import Any
from urllib.parse import unquote

from lookalike.files import compose
from lookalike.indexing.tables import CheckedTable, path_key
from lookalike.stores.interface import Root, Snapshot, Store, Writer
from lookalike.stores.metadata import CAPTION_NAMES
from lookalike.stores.paths import spellings

CHUNK = 900  # rows per transaction

_FILE_URL = re.compile("file:(//[^/]*)?", re.IGNORECASE)

MAX_LOOKED_UP = 100_000
"""Rows without an image whose paths are compared once more, without regard to upper and lower case."""


@dataclass(slots=True)
class Described:
    """What became of the rows of a table.

    images     images that got metadata
    repeated   rows that describe an image again
    unmatched  rows that match no image of the library; `example` is the path of the first
    fields     names of the columns that the images got
    """

    images: int = 0
    repeated: int = 0
    unmatched: int = 0
    example: str = ""
    fields: set[str] = field(default_factory=set)


def describe(
    store: Store, writer: Writer, table: CheckedTable, *, replace: bool = False
) -> Described:
    """Store the metadata of a table.

    Rows of one image are joined (`join`). What earlier tables said about an image stays where this one is
    silent, unless `replace`.
    """
    result = Described()
    joined: dict[int, dict[str, Any]] = {}  # images with several rows
    unmatched: list[tuple[str, dict[str, Any]]] = []
    with store.snapshot() as snapshot:
        places = Places(snapshot, table.folder)
    rows = table.rows()
    while chunk := list(islice(rows, CHUNK)):
        with store.snapshot() as snapshot:
            found = places.locate(snapshot, [path for path, _ in chunk])
        single: dict[int, dict[str, Any]] = {}
        for path, cells in chunk:
            id = found.get(path)
            if id is None:
                result.unmatched += 1
                result.example = result.example or path
                if len(unmatched) < MAX_LOOKED_UP:
                    unmatched.append((path, cells))
            elif id in single or id in joined or path_key(table.folder, path) in table.repeated:
                before = single.pop(id, None) or joined.get(id)
                result.repeated += before is not None
                joined[id] = cells if before is None else join(before, cells)
            else:
                single[id] = cells
        writer.set_metadata(single, merge=not replace)
        result.images += len(single)
        result.fields.update(*single.values())
    with store.snapshot() as snapshot:
        other_case = places.locate_any_case(snapshot, [path for path, _ in unmatched])
    for path, cells in unmatched:
        if (id := other_case.get(path)) is not None:
            result.unmatched -= 1
            joined[id] = join(joined[id], cells) if id in joined else cells
    if other_case:
        result.example = next((path for path, _ in unmatched if path not in other_case), "")
    for ids in _chunks(joined):
        writer.set_metadata({id: joined[id] for id in ids}, merge=not replace)
        result.fields.update(*(joined[id] for id in ids))
    result.images += len(joined)
    return result


def mixed_notes(snapshot: Snapshot, names: Collection[str]) -> tuple[str, ...]:
    """Return a sentence for each of these fields that has numbers in some images and texts in others."""
    if not names:
        return ()
    return tuple(
        f"{name} has numbers in some images and texts in others, as tables or other metadata differ: filters "
        "compare numbers with numbers and texts with texts"
        for name, found in snapshot.fields().items()
        if found.kind == "mixed" and name.partition(".")[0] in names
    )


def _chunks(ids: Iterable[int]) -> Iterator[list[int]]:
    rest = iter(ids)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


def join(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Return what two rows of one image say: captions on lines of their own, other values as lists."""
    both = dict(first)
    for name, value in second.items():
        before = both.get(name)
        if before is None or before == value:
            both[name] = value
        elif value is None:
            continue
        elif name in CAPTION_NAMES and isinstance(before, str) and isinstance(value, str):
            if value not in before.split("\n"):
                both[name] = f"{before}\n{value}"
        else:
            several = before if isinstance(before, list) else [before]
            more = value if isinstance(value, list) else [value]
            both[name] = [*several, *(one for one in more if one not in several)]
    return both


class Places:
    """Finds images by the paths of a table.

    Paths are relative to the table's folder, or else to a root, or absolute; with backslashes or as file://
    URLs, too. Composed and decomposed names are the same. A path of another Windows computer means the image
    whose path continues in the same way below a folder with the root's name.
    """

    def __init__(self, snapshot: Snapshot, folder: Path) -> None:
        self._roots = snapshot.roots()
        bases = (folder, folder.resolve(), *(root.path for root in self._roots))
        self._bases = list(dict.fromkeys(bases))
        self._resolved: dict[str, str] = {}

    def locate(self, snapshot: Snapshot, paths: Sequence[str]) -> dict[str, int]:
        """Return the ids of images by paths."""
        found: dict[str, int] = {}
        for base in self._bases:
            for root in self._roots:
                missing = [path for path in paths if path not in found]
                found |= _look_up(
                    snapshot, root, {p: [relative(base / p, root.path)] for p in missing}
                )
        for root in self._roots:
            missing = [path for path in paths if path not in found]
            found |= _look_up(snapshot, root, {p: self._other_places(p, root) for p in missing})
        return found

    def locate_any_case(self, snapshot: Snapshot, paths: Sequence[str]) -> dict[str, int]:
        """Return the ids of images whose paths differ in upper and lower case alone, and only one each."""
        wanted: dict[tuple[int, str], list[str]] = {}
        for path in paths:
            for root in self._roots:
                for place in dict.fromkeys(self._other_places(path, root)):
                    wanted.setdefault((root.id, place.casefold()), []).append(path)
        found: dict[str, set[int]] = {}
        for image in snapshot.iter_files() if wanted else ():
            for path in wanted.get((image.root, compose(image.path).casefold()), ()):
                found.setdefault(path, set()).add(image.id)
        return {path: ids.pop() for path, ids in found.items() if len(ids) == 1}

    def _other_places(self, path: str, root: Root) -> list[str]:
        """Return where an image may be below a root, in all spellings of its path."""
        plain = path.strip().replace("\\", "/")
        if found := _FILE_URL.match(plain):
            plain = unquote(plain[found.end() :])
            if "\0" in plain:
                return []
        places = [relative(base / one, root.path) for base in self._bases for one in (plain, path)]
        if Path(plain).is_absolute():
            places.append(relative(self._resolve(plain), root.path))
        names = plain.split("/")
        elsewhere = plain.startswith("//") or PureWindowsPath(plain.lstrip("/")).drive
        if elsewhere and root.path.name in names:
            last = len(names) - 1 - names[::-1].index(root.path.name)
            places.append("/".join(names[last + 1 :]))
        return [one for place in dict.fromkeys(places) if place for one in spellings(place)]

    def _resolve(self, path: str) -> str:
        """Return an absolute path with the symbolic links of its folder followed."""
        folder, name = os.path.split(path)
        if folder not in self._resolved:
            self._resolved[folder] = os.path.realpath(folder)
        return os.path.join(self._resolved[folder], name)  # noqa: PTH118


def _look_up(
    snapshot: Snapshot, root: Root, places: Mapping[str, Sequence[str | None]]
) -> dict[str, int]:
    """Return the ids of the images at the first of several places below a root that has one."""
    every = {place for several in places.values() for place in several if place is not None}
    known = snapshot.file_states(root.id, list(every)) if every else {}
    return {
        path: known[place].id
        for path, several in places.items()
        if (place := next((one for one in several if one in known), None)) is not None
    }


def relative(path: str | Path, folder: Path) -> str | None:
    """Return `path` relative to `folder` with forward slashes, None if it is elsewhere. Reads no file."""
    try:
        return Path(os.path.normpath(path)).relative_to(folder).as_posix()
    except ValueError:
        return None
