"""Groups of duplicates that were found, kept up to date: after feedback, or when images went, only the groups
that these concern are looked for again."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lookalike.errors import Outcome
from lookalike.server.jobs.results import JobResultCache
from lookalike.server.jobs.runner import JobRunner
from lookalike.stores.interface import Decision, Snapshot

# Sheets that are kept: each kind, and each choice of folders, is one.
MAX_SHEETS = 8


@dataclass(frozen=True, slots=True)
class LibraryState:
    """The state of the library that groups of duplicates depend on.

    contents   of the indexed images, by id
    files      their absolute paths
    """

    version: Hashable
    decisions: frozenset[Decision]
    contents: Mapping[int, bytes | None]
    files: Mapping[int, str]

    @classmethod
    def of(cls, snapshot: Snapshot) -> LibraryState:
        """Return the state of a library."""
        roots = {root.id: root.path for root in snapshot.roots()}
        images = list(snapshot.iter_files(outcomes=[Outcome.INDEXED]))
        return cls(
            version=snapshot.version,
            decisions=frozenset(snapshot.decisions()),
            contents={image.id: image.hash for image in images},
            files={image.id: os.fspath(roots[image.root] / image.path) for image in images},
        )


@dataclass(frozen=True, slots=True)
class Sheet:
    """The groups that one search found.

    search    arguments of `Library.duplicates` or `similar_groups`
    document  of `Duplicates`
    """

    kind: str
    search: Mapping[str, Any]
    document: Mapping[str, Any]
    state: LibraryState

    @property
    def groups(self) -> list[dict[str, Any]]:
        """The documents of the groups."""
        groups: list[dict[str, Any]] = self.document["groups"]
        return groups


class DuplicateSheets:
    """The sheets of one server process. Thread-safe."""

    def __init__(self, jobs: JobRunner, results: JobResultCache) -> None:
        self._jobs = jobs
        self._results = results
        self._sheets: OrderedDict[Hashable, Sheet] = OrderedDict()
        self._lock = threading.Lock()

    async def get(
        self,
        kind: str,
        search: Mapping[str, Any],
        version: Hashable,
        read_state: Callable[[], Awaitable[LibraryState]],
        *,
        wait: float,
    ) -> Sheet | None:
        """Return the sheet of a search as the library is now; None while a job makes it.

        version     of the library now
        read_state  returns its whole `LibraryState`, awaited if the version is new
        """
        key = (kind, repr(sorted(search.items())))
        known = self._sheets.get(key)
        if known is not None and known.state.version == version:
            with self._lock:
                self._sheets.move_to_end(key)
            return known
        state = await read_state()
        touched = None if known is None else concerned(known, state)
        if known is None or touched is None:
            found = await self._run(kind, search, state, wait)
        else:
            found = await self._again(known, state, touched, wait)
        if found is None:
            return None
        sheet = Sheet(kind, dict(search), found, state)
        with self._lock:
            self._sheets[key] = sheet
            self._sheets.move_to_end(key)
            while len(self._sheets) > MAX_SHEETS:
                self._sheets.popitem(last=False)
        return sheet

    def latest(self) -> Sheet | None:
        """Return the sheet that was made last."""
        return next(reversed(self._sheets.values()), None)

    def sheet_with(self, group: str) -> Sheet | None:
        """Return the newest sheet that has a group of this id."""
        for sheet in reversed(self._sheets.values()):
            if any(one["id"] == group for one in sheet.groups):
                return sheet
        return None

    async def _run(
        self, kind: str, search: Mapping[str, Any], state: LibraryState, wait: float
    ) -> Any:
        key = (kind, repr(sorted(search.items())), state.version, state.decisions)
        return await self._results.get(key, lambda: self._jobs.run(kind, dict(search)), wait=wait)

    async def _again(
        self, known: Sheet, state: LibraryState, touched: set[int], wait: float
    ) -> Mapping[str, Any] | None:
        """Return the document of a sheet in which the groups of these images were looked for again."""
        ids = sorted(id for id in touched if id in state.contents)
        groups: list[dict[str, Any]] = []
        if len(ids) > 1:
            paths = {"paths": tuple(state.files[id] for id in ids)}
            found = await self._run(known.kind, {**known.search, **paths}, state, wait)
            if found is None:
                return None
            groups = found["groups"]
        return {**known.document, "groups": replaced(known.groups, touched, groups)}


def concerned(sheet: Sheet, state: LibraryState) -> set[int] | None:
    """Return the ids of images whose groups may have changed since a sheet was made; None if new images or
    contents make it necessary to compare all."""
    before, now = sheet.state.contents, state.contents
    if any(before.get(id, b"") != content for id, content in now.items()):
        return None
    hashes = {
        hash
        for decision in sheet.state.decisions ^ state.decisions
        for hash in (decision.first, decision.second)
    }
    changed = {id for id, hash in before.items() if id not in now or hash in hashes}
    return changed | {
        id
        for group in sheet.groups
        if not changed.isdisjoint(ids_of(group))
        for id in ids_of(group)
    }


def replaced(
    groups: Iterable[Mapping[str, Any]], touched: set[int], found: Iterable[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return groups in their order, with those of the touched images replaced by the ones found instead."""
    new = list(found)
    result: list[dict[str, Any]] = []
    for group in groups:
        ids = ids_of(group)
        if touched.isdisjoint(ids):
            result.append(dict(group))
            continue
        result += [one for one in new if not ids.isdisjoint(ids_of(one))]
        new = [one for one in new if ids.isdisjoint(ids_of(one))]
    return result + new


def ids_of(group: Mapping[str, Any]) -> set[int]:
    """Return the ids of a group's images."""
    return {member["id"] for member in group["members"]}


def trash_request(sheet: Sheet, groups: Iterable[str]) -> dict[str, Any]:
    """Return the arguments of the job that moves the spare files of these groups to the trash."""
    wanted = set(groups)
    ids = sorted(id for group in sheet.groups if group["id"] in wanted for id in ids_of(group))
    paths = [str(Path(sheet.state.files[id])) for id in ids if id in sheet.state.files]
    return {"groups": sorted(wanted), "search": {**sheet.search, "paths": paths}}
