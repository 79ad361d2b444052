"""Saved searches, and groups of duplicates marked as done: stored in the library beside its images."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from filelock import FileLock

from lookalike.errors import PARSE_ERRORS, LibraryDamaged
from lookalike.files import atomic_write, make_folder, mode_in
from lookalike.server.responses import HTTPError, storage_error
from lookalike.wire.http import SavedSearch

FILE = "saved.json"

# Saved searches of one library, and groups of duplicates people are done with.
MAX_SEARCHES, MAX_DONE = 1000, 100_000


class Saved:
    """A JSON file in the library's folder, {"searches": {NAME: QUERY}, "done": [GROUP, …]}; it is read
    whenever it has changed, so that all processes of the server agree. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE
        self._lock = threading.Lock()
        self._known: tuple[tuple[int, int], dict[str, Any]] = ((0, 0), empty())

    def searches(self) -> tuple[SavedSearch, ...]:
        """Return the saved searches, by name."""
        found = self._read()["searches"]
        return tuple(SavedSearch(name, found[name]) for name in sorted(found, key=str.casefold))

    def save_search(self, name: str, query: str) -> None:
        """Save a search under a name; it replaces the one of that name."""

        def change(document: dict[str, Any]) -> None:
            document["searches"][name] = query
            if len(document["searches"]) > MAX_SEARCHES:
                raise HTTPError(409, f"there are {MAX_SEARCHES} saved searches: delete some first")

        self._change(change)

    def delete_search(self, name: str) -> bool:
        """Delete a saved search; return whether there was one."""
        removed: list[str] = []
        self._change(lambda document: removed.append(document["searches"].pop(name, "")))
        return bool(removed[0])

    def done(self) -> frozenset[str]:
        """Return the ids of the groups that people are done with."""
        return frozenset(self._read()["done"])

    def mark_done(self, groups: Iterable[str], *, done: bool) -> None:
        """Note that people are done with groups, or not."""
        wanted = list(groups)

        def change(document: dict[str, Any]) -> None:
            others = [one for one in document["done"] if one not in set(wanted)]
            document["done"] = [*others, *(wanted if done else ())][-MAX_DONE:]

        self._change(change)

    def _read(self) -> dict[str, Any]:
        try:
            stat = self._file.stat()
            stamp = (stat.st_mtime_ns, stat.st_size)
            if self._known[0] != stamp:
                self._known = stamp, _checked({**empty(), **json.loads(self._file.read_bytes())})
        except FileNotFoundError:
            return empty()
        except (OSError, *PARSE_ERRORS):
            raise LibraryDamaged(f"{self._file} cannot be read: move it away") from None
        return self._known[1]

    def _change(self, change: Callable[[dict[str, Any]], None]) -> None:
        try:
            make_folder(self._file.parent)
            with self._lock, FileLock(f"{self._file}.lock", mode=mode_in(self._file.parent)):
                document: dict[str, Any] = json.loads(json.dumps(self._read()))
                change(document)
                with atomic_write(self._file, durable=True) as out:
                    out.write(json.dumps(document).encode())
        except OSError as error:
            raise storage_error("this", error) from None


def _checked(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document that was read. TypeError for values that the program does not write."""
    searches, done = document["searches"], document["done"]
    if not isinstance(searches, dict) or not isinstance(done, list):
        raise TypeError("a value of the wrong type")
    if not all(isinstance(text, str) for text in (*searches.values(), *done)):
        raise TypeError("a value of the wrong type")
    return document


def empty() -> dict[str, Any]:
    """Return the document of a library in which nothing was saved."""
    return {"searches": {}, "done": []}
