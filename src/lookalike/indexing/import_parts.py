"""Loads parts into a library: each row once, in any order, again and again without harm."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from lookalike.errors import LookalikeError, ObjectStorageError, Outcome, UsageError
from lookalike.extractors import load
from lookalike.extractors.interface import FittedExtractor
from lookalike.indexing.part_writer import manifest_names, read_manifest
from lookalike.indexing.parts import (
    Manifest,
    PartRecord,
    PartRow,
    entry_state,
    read_part,
    read_states,
    rows_of,
    state_of,
)
from lookalike.indexing.sources import Source, find_source
from lookalike.object_storage import Location, join, open_file, read, resolve, shown
from lookalike.stores.interface import FileState, Space, Store, Writer


@dataclass(frozen=True, slots=True)
class PartsReport:
    """What became of parts.

    parts       parts read, those included that the library had already
    known       parts of which the library had every row
    images      files whose rows were stored, by outcome
    unchanged   rows that the library had already, or that are older than what it has
    refused     parts and manifests that were not loaded, each with the reason
    incomplete  shards that are missing or not complete, such as "5/16"
    """

    parts: int = 0
    known: int = 0
    images: dict[str, int] = field(default_factory=dict)
    unchanged: int = 0
    refused: tuple[tuple[str, str], ...] = ()
    incomplete: tuple[str, ...] = ()


Places = Sequence[Source]
"""Where the roots of a manifest are in the library."""


class PartsImport:
    """One import of the parts at a location into a store; `run` does it.

    root            folder or URL that holds the images now; None: where they were indexed
    keep_thumbnail  called with content (SHA-256) and JPEG
    """

    def __init__(
        self,
        store: Store,
        location: Location,
        *,
        root: Path | None = None,
        keep_thumbnail: Callable[[bytes, bytes], None] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self._store = store
        self._location = location
        self._root = root
        self._keep_thumbnail = keep_thumbnail
        self._progress = progress or (lambda done, total: None)
        self._images: dict[str, int] = defaultdict(int)
        self._known = self._unchanged = 0
        self._refused: list[tuple[str, str]] = []
        self._late: list[PartRow] = []
        self._installed: dict[str, str | None] = {}  # revisions by name

    def run(self) -> PartsReport:
        """Load the parts; return the report.

        Raises `UsageError` where there are none, `ObjectStorageError`, and what the writer raises.
        """
        manifests = self._manifests()
        parts = [(manifest, part) for manifest in manifests for part in manifest.parts]
        with self._store.writer() as writer:
            places = {one.shard: self._places(writer, one) for one in manifests}
            for done, (manifest, part) in enumerate(parts):
                self._progress(done, len(parts))
                reason = self._load(writer, manifest, part, places[manifest.shard])
                if reason:
                    self._refused.append((part.name, reason))
            self._store_sidecars(writer, self._late)
        self._progress(len(parts), len(parts))
        return PartsReport(
            len(parts),
            self._known,
            dict(self._images),
            self._unchanged,
            tuple(self._refused),
            _incomplete(manifests),
        )

    def _manifests(self) -> list[Manifest]:
        found = []
        for name in manifest_names(self._location):
            try:
                found.append(read_manifest(self._location, name))
            except UsageError as error:
                self._refused.append((name, str(error)))
        if not found and not self._refused:
            where = shown(self._location)
            raise UsageError(
                f"there are no parts at {where}: write them with "
                f"`lookalike index FOLDER --shard 1/1 --parts {where}`"
            )
        return sorted(found, key=lambda one: (one.shard.count, one.shard.number))

    def _places(self, writer: Writer, manifest: Manifest) -> Places:
        """Return where the roots of a manifest are in the library; new roots are made."""
        if self._root is not None and len(manifest.roots) > 1:
            raise UsageError("these parts are of several folders: leave out --root")
        with self._store.snapshot() as snapshot:
            roots = snapshot.roots()
        places = []
        for one in manifest.roots:
            path = resolve(Path(one.path) if self._root is None else self._root)
            source = find_source(path, [root for root in roots if not root.imported])
            if source is None:
                root = writer.add_root(path)
                writer.set_exclude(root.id, one.exclude)
                roots.append(root)
                source = Source(root, path, "")
            places.append(source)
        return places

    def _load(self, writer: Writer, manifest: Manifest, part: PartRecord, places: Places) -> str:
        """Load one part; return the reason why it is refused, or ""."""
        spaces = [space for space in manifest.spaces if space.key in part.spaces]
        try:
            reason = self._refusal(spaces)
            if reason:
                return reason
            if self._has_all(writer, part, places):
                self._known += 1
                self._unchanged += part.rows
                return ""
            data = read(join(self._location, part.name))
            if len(data) != part.bytes or sha256(data).hexdigest() != part.sha256:
                return (
                    f"has {len(data):,} bytes, not the {part.bytes:,} that were written, or other ones: "
                    f"write shard {manifest.shard} again"
                )
            for space in spaces:
                writer.add_space(replace(space, current=True))
            for rows in read_part(data):
                self._store_rows(writer, [self._placed(row, places) for row in rows])
        except (UsageError, ObjectStorageError) as error:
            return f"{error}; write shard {manifest.shard} again"
        return ""

    def _refusal(self, spaces: Sequence[Space]) -> str:
        """Return why vectors of these spaces do not fit the library; "" if they do."""
        with self._store.snapshot() as snapshot:
            held = {space.name: space for space in snapshot.spaces() if space.current}
        for space in spaces:
            if space.name in held:
                expected: str | None = held[space.name].revision
            else:
                if space.name not in self._installed:
                    self._installed[space.name] = _installed_revision(space.name)
                expected = self._installed[space.name]
            if expected not in (None, space.revision):
                whose = "the library has" if space.name in held else "this program makes"
                return (
                    f"holds {space.name} vectors of revision {space.revision}, {whose} {expected}: "
                    "index these files again with the same version and models"
                )
            if space.name in held and space.normalised != held[space.name].normalised:
                return f"differs from the library in --no-normalise for {space.name}"
        return ""

    def _has_all(self, writer: Writer, part: PartRecord, places: Places) -> bool:
        """Return whether the library has every row of a part, by its small columns."""
        with open_file(join(self._location, part.name)) as file:
            if rows_of(file) != part.rows:
                raise UsageError(f"has other rows than the {part.rows:,} that were written")
            rows = read_states(file)
        by_root: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for row in rows:
            by_root[row["root"]].append(row)
        for number, mine in by_root.items():
            place = places[number]
            paths = [_below(place, row["path"]) for row in mine]
            states = writer.file_states(place.root.id, paths)
            marks = writer.sidecars.marks(place.root.id, paths)
            for row, path in zip(mine, paths, strict=True):
                state = states.get(path)
                if state is None or (row["mark"] and marks[path][1] != row["mark"]):
                    return False
                if row["outcome"] is None:
                    continue
                if _replaces(state_of(row, part.spaces), state):
                    return False
        return True

    def _placed(self, row: PartRow, places: Places) -> PartRow:
        place = places[row.root]
        path = _below(place, row.path)
        entry = row.entry and replace(row.entry, root=place.root.id, path=path)
        return replace(row, root=place.root.id, path=path, entry=entry)

    def _store_rows(self, writer: Writer, rows: Sequence[PartRow]) -> None:
        """Store the rows of a batch that are new to the library, with their sidecars and thumbnails."""
        by_root: dict[int, list[str]] = defaultdict(list)
        for row in rows:
            by_root[row.root].append(row.path)
        states = {
            (root, path): state
            for root, paths in by_root.items()
            for path, state in writer.file_states(root, paths).items()
        }
        entries, sidecars = [], []
        for row in rows:
            if row.entry is None:
                self._late.append(row)
                continue
            known = states.get((row.root, row.path))
            offered = entry_state(row.entry)
            if known is not None and _order(offered) < _order(known):
                self._unchanged += 1
                continue
            sidecars.append(row)
            if known is not None and not _replaces(offered, known):
                self._unchanged += 1
                continue
            entries.append(row.entry)
            self._images[str(row.entry.outcome)] += 1
            if row.thumbnail and self._keep_thumbnail and row.entry.hash:
                self._keep_thumbnail(row.entry.hash, row.thumbnail)
        if entries:
            writer.put(entries)
        self._store_sidecars(writer, sidecars)

    def _store_sidecars(self, writer: Writer, rows: Sequence[PartRow]) -> None:
        """Store the metadata of sidecars that is new; a row of a file that is not known is left out."""
        by_root: dict[int, dict[str, PartRow]] = defaultdict(dict)
        for row in rows:
            if row.values is not None:
                by_root[row.root][row.path] = row
        for root, described in by_root.items():
            marks = writer.sidecars.marks(root, list(described))
            changed = {
                id: (described[path].mark, described[path].values or {})
                for path, (id, mark) in marks.items()
                if mark != described[path].mark
            }
            if changed:
                writer.sidecars.put(changed)


def _installed_revision(name: str) -> str | None:
    """Return the revision of the extractor that encodes queries here; None where that cannot be said."""
    try:
        extractor = load(name)
    except (
        LookalikeError
    ):  # its model is not installed here: the vectors can be stored all the same
        return None
    if isinstance(extractor, FittedExtractor):
        return None
    return extractor.revision


def _below(place: Source, path: str) -> str:
    return f"{place.below}/{path}" if place.below else path


def _order(state: FileState) -> tuple[int, bool, int]:
    """Return what orders the states of one file: the newest, and an indexed one before a failure, wins."""
    return state.mtime_ns, state.outcome is Outcome.INDEXED, state.size


def _replaces(offered: FileState, known: FileState) -> bool:
    """Return whether a row says more than the library knows of the file."""
    if _order(offered) != _order(known):
        return _order(offered) > _order(known)
    return bool(offered.spaces - known.spaces) and offered.hash == known.hash


def _incomplete(manifests: Sequence[Manifest]) -> tuple[str, ...]:
    """Return the shards that are missing or not complete, of every number of shards that occurs."""
    found = []
    for count in sorted({one.shard.count for one in manifests}):
        complete = {
            one.shard.number for one in manifests if one.complete and one.shard.count == count
        }
        found += [f"{number}/{count}" for number in range(1, count + 1) if number not in complete]
    return tuple(found)
