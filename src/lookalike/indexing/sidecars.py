"""Files beside the pictures that describe them.

    photo.jpg.json, photo.json   an object: fields, and "caption"
    photo.jpg.txt, photo.txt     the caption

They pass by when the folder is walked, so looking for them costs nothing. Those with the whole name
of the picture go before those without its ending, and a text goes before an object's caption. A link is
followed only to what lies below the root: else whoever may add pictures could put any file that this
program can read into a caption.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lookalike.images.sniff import PICTURE_ENDINGS
from lookalike.images.walk import Found
from lookalike.stores.interface import Root, Sidecars

MAX_BYTES = 1 << 20
"""Of a sidecar: a larger file of that name is something else."""

ENDINGS = (".json", ".txt")

NAMED = 20
"""Broken sidecars that are named; more are only counted."""


@dataclass(slots=True)
class Group:
    """Files of one folder whose names are alike but for their endings."""

    stem: str
    pictures: list[str] = field(default_factory=list)
    beside: dict[str, Found] = field(default_factory=dict)

    def pairs(self) -> Iterator[tuple[str, dict[str, Found]]]:
        """Each picture with its sidecars: "stem.json", "json", "stem.txt", "txt" → file, weakest
        first; pictures without any are left out."""
        for picture in self.pictures:
            names = {}
            for ending in ENDINGS:
                names[f"stem{ending}"] = self.stem + ending
                names[ending[1:]] = picture + ending
            found = {kind: self.beside[name] for kind, name in names.items() if name in self.beside}
            if found:
                yield picture, found


class Pairing:
    """Pairs pictures with the files beside them, as they pass by in the byte order of their paths.

    All files whose paths begin with "photo." come one after the other. So a group is complete as
    soon as a path comes that does not begin like it, and only a handful are open at a time.
    """

    def __init__(self) -> None:
        self._open: list[Group] = []

    def add(self, path: str, found: Found) -> Iterator[tuple[str, dict[str, Found]]]:
        """Take the next file (`path` below the root); pairs that are complete now."""
        while self._open and not path.startswith(self._open[-1].stem + "."):
            yield from self._closed()
        stem, ending = split(path)
        if ending in ENDINGS:
            inner, picture = split(stem)
            self._group(inner if picture in PICTURE_ENDINGS else stem).beside[stem + ending] = found
        elif ending in PICTURE_ENDINGS:
            self._group(stem).pictures.append(path)

    def end(self) -> Iterator[tuple[str, dict[str, Found]]]:
        """No file comes any more."""
        while self._open:
            yield from self._closed()

    def _closed(self) -> Iterable[tuple[str, dict[str, Found]]]:
        group = self._open.pop()
        return group.pairs() if group.beside else ()  # nearly all have nothing beside them

    def _group(self, stem: str) -> Group:
        if not self._open or self._open[-1].stem != stem:
            self._open.append(Group(stem))
        return self._open[-1]


class Descriptions:
    """Reads the sidecars of pictures that are stored; those that are not yet wait."""

    def __init__(self, store: Sidecars) -> None:
        self._store = store
        self._pairing = Pairing()
        self._waiting: dict[int, dict[str, dict[str, Found]]] = {}
        self._homes: dict[int, Path] = {}
        self.read = 0
        self.broken = 0
        self.named: list[tuple[str, str]] = []

    def pass_by(self, root: Root, paths: Sequence[str], chunk: Sequence[Found]) -> None:
        """Files of the walk, in its order, and their paths below the root."""
        waiting = self._waiting.setdefault(root.id, {})
        self._homes.setdefault(root.id, root.path.resolve())
        for path, found in zip(paths, chunk, strict=True):
            waiting.update(self._pairing.add(path, found))

    def end(self, root: Root) -> None:
        """The walk of one source is over."""
        self._waiting.setdefault(root.id, {}).update(self._pairing.end())

    def settle(self) -> None:
        """Store what is new for pictures that the store knows by now."""
        for root, waiting in self._waiting.items():
            known = self._store.marks(root, list(waiting))
            rows: dict[int, tuple[str, Mapping[str, Any]]] = {}
            kept: list[int] = []
            for path, (id, mark) in known.items():
                files = waiting.pop(path)
                new = mark_of(files)
                if mark == new:
                    kept.append(id)
                else:
                    rows[id] = (new, self._values(files, self._homes[root]))
            if kept:
                self._store.mark_seen(kept)
            if rows:
                self._store.put(rows)
                self.read += len(rows)

    def _values(self, files: Mapping[str, Found], home: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for kind, found in files.items():
            try:
                refuse_elsewhere(Path(found.path), home)
                values |= read(found, text=kind.endswith("txt"))
            except (OSError, ValueError, RuntimeError) as error:
                self.broken += 1
                if len(self.named) < NAMED:
                    self.named.append((found.path, reason(error)))
        return values


def split(path: str) -> tuple[str, str]:
    """A path without its ending, and the ending in lower case ("" without one)."""
    place = path.rfind(".")
    if place <= path.rfind("/") + 1:
        return path, ""
    return path[:place], path[place:].lower()


def mark_of(files: Mapping[str, Found]) -> str:
    """Differs when a sidecar was changed, added or taken away; not when all of them were moved."""
    return ";".join(f"{kind}:{file.size}:{file.mtime_ns}" for kind, file in files.items())


def refuse_elsewhere(path: Path, home: Path) -> None:
    """Raises ValueError for a link that leads out of the folder `home`."""
    if not path.resolve(strict=True).is_relative_to(home):
        raise ValueError("a link to a file outside the folder")


def read(found: Found, *, text: bool) -> dict[str, Any]:
    """What a sidecar says. Raises OSError, or ValueError with the reason in words."""
    with Path(found.path).open("rb") as handle:
        data = handle.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES >> 20} MB")
    try:
        plain = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    if "\x00" in plain:
        raise ValueError("not a text")
    if text:
        return {"caption": plain.strip()} if plain.strip() else {}
    try:
        values = json.loads(plain, parse_constant=refuse_constant)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} in line {error.lineno}") from None
    if not isinstance(values, dict):
        raise ValueError("JSON, but not an object")
    return values


def refuse_constant(name: str) -> None:
    """NaN and Infinity, which Python reads but JSON does not have."""
    raise ValueError(f"not JSON: {name}")


def reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return (error.strerror or "cannot be read").lower()
    return "nested too deep" if isinstance(error, RecursionError) else str(error)
