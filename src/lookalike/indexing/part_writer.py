"""Writes what an indexing run finds to parts instead of a store."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lookalike.errors import ObjectMissing, Outcome, UsageError
from lookalike.images.reading import InodeState
from lookalike.indexing.parts import (
    MANIFEST_SUFFIX,
    Manifest,
    PartRecord,
    PartRoot,
    PartRow,
    decode_manifest,
    encode_manifest,
    encode_part,
    entry_state,
    manifest_name,
    pyarrow,
    read_states,
    state_of,
    stated_facts,
)
from lookalike.indexing.shards import Shard
from lookalike.object_storage import Location, join, names, open_file, read, shown, write
from lookalike.stores.interface import Entry, FileState, Image, Root, Space

# A part is held in memory until it is written: its rows, and the bytes of its vectors and thumbnails.
PART_ROWS = 8192
PART_BYTES = 64 << 20
PART_SECONDS = 60.0  # a kill loses at most what was found since the last part


def read_manifest(location: Location, name: str) -> Manifest:
    """Return a manifest. Raises UsageError that names it and the cause, and ObjectStorageError."""
    place = join(location, name)
    try:
        return decode_manifest(read(place))
    except UsageError as error:
        raise UsageError(f"{shown(place)} {error}") from None


def manifest_names(location: Location) -> list[str]:
    """Return the names of the manifests at a location. Raises ObjectStorageError."""
    found = names(location)
    return [one for one in found if one.startswith("shard-") and one.endswith(MANIFEST_SUFFIX)]


@dataclass(slots=True)
class _Known:
    """What is known of a file that has a row: its state, the mark of its sidecars, and its facts."""

    root: int
    path: str
    state: FileState
    mark: str
    facts: Mapping[str, Any]


class PartWriter:
    """Writes parts; an `IndexWriter`.

    Rows are collected and written as a part when they are many, large or old. The manifest names a part once
    it is written, so a part that was cut short does not count. A run that continues an earlier one knows the
    files of its parts.

    location        a folder or the URL of one
    keeps_manifest  False: the caller writes the manifest, from `manifest`
    """

    def __init__(self, location: Location, shard: Shard, *, keeps_manifest: bool = True) -> None:
        pyarrow()
        self.manifest = Manifest(shard)
        self._location = location
        self._keeps_manifest = keeps_manifest
        self._ids: dict[tuple[int, str], int] = {}
        self._known: dict[int, _Known] = {}
        self._rows: dict[int, PartRow] = {}  # of the next part, by id
        self._late: list[PartRow] = []
        self._thumbnails: dict[bytes, bytes] = {}
        self._bytes = 0
        self._since = time.monotonic()
        self.sidecars = PartSidecars(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.write_part()

    # Before the run

    def known_spaces(self) -> list[Space]:
        """Return the spaces of all shards at the location: an extractor is fitted for all of them once."""
        found: dict[str, Space] = {}
        for name in manifest_names(self._location):
            found |= {space.key: space for space in read_manifest(self._location, name).spaces}
        return list(found.values())

    def start(self, spaces: Sequence[Space]) -> int:
        """Continue what is there with these spaces; return how many parts of other revisions are dropped."""
        dropped = 0
        if self._keeps_manifest:
            with suppress(ObjectMissing):
                name = manifest_name(self.manifest.shard)
                self.manifest = read_manifest(self._location, name)
            keys = {space.key for space in spaces}
            kept = [part for part in self.manifest.parts if keys >= set(part.spaces)]
            dropped = len(self.manifest.parts) - len(kept)
            kept = [part for part in kept if self._read_states(part)]
            self.manifest = replace(self.manifest, parts=tuple(kept), complete=False)
        self.manifest = replace(self.manifest, spaces=tuple(spaces))
        self._save_manifest()  # a location that cannot be written is reported before the work
        return dropped

    def _read_states(self, part: PartRecord) -> bool:
        """Read the rows of an earlier part; False if it is damaged, and its files have to be read again."""
        try:
            with open_file(join(self._location, part.name)) as file:
                rows = read_states(file)
        except (UsageError, ObjectMissing):
            return False
        for row in rows:
            if row["outcome"] is None:
                continue
            id = self._id_of(row["root"], row["path"])
            state = state_of(row, part.spaces, id)
            facts = stated_facts(row["facts"])
            self._known[id] = _Known(row["root"], row["path"], state, row["mark"], facts)
        return True

    def set_exclude(self, root: int, globs: Sequence[str]) -> None:
        """See `Writer`."""
        roots = list(self.manifest.roots)
        roots[root] = replace(roots[root], exclude=tuple(globs))
        self.manifest = replace(self.manifest, roots=tuple(roots))

    # The run

    def keep_thumbnail(self, content: bytes, thumbnail: bytes) -> None:
        """Write the thumbnail of a content (SHA-256) with the row that has it."""
        self._thumbnails[content] = thumbnail
        self._bytes += len(thumbnail)

    def add_root(self, path: Path) -> Root:
        """See `Writer`."""
        known = [root.path for root in self.manifest.roots]
        text = str(path)
        if text not in known:
            self.manifest = replace(self.manifest, roots=(*self.manifest.roots, PartRoot(text)))
            known.append(text)
        return Root(known.index(text), path)

    def file_states(self, root: int, paths: Sequence[str]) -> dict[str, FileState]:
        """See `Writer`."""
        ids = {path: self._ids[root, path] for path in paths if (root, path) in self._ids}
        return {path: self._known[id].state for path, id in ids.items()}

    def pages(self, root: int, path: str) -> list[Image]:
        """Return nothing: parts only add."""
        return []

    def remove(self, ids: Iterable[int]) -> int:
        """Do nothing: parts only add."""
        return 0

    def same_content(
        self, size: int, *, hash: bytes | None = None, spaces: Collection[str] = ()
    ) -> list[Image]:
        """Return nothing: copies are recognised where the parts are imported."""
        return []

    def hashes_by_size(
        self, sizes: Iterable[int], *, spaces: Collection[str] = (), failed: bool = True
    ) -> dict[int, tuple[bytes, ...]]:
        """Return nothing, as `same_content`."""
        return {}

    def put(self, entries: Sequence[Entry]) -> list[int]:
        """See `Writer`. Entries are on the disk once the part is written that holds them."""
        # Written here and not below: sidecars that are stored after a batch belong to the same rows.
        old = time.monotonic() - self._since > PART_SECONDS
        if len(self._rows) >= PART_ROWS or self._bytes >= PART_BYTES or old:
            self.write_part()
        ids = []
        for entry in entries:
            id = self._id_of(entry.root, entry.path)
            ids.append(id)
            self._rows[id] = PartRow(entry.root, entry.path, entry)
            self._bytes += sum(vector.nbytes for vector in entry.vectors.values())
            facts = stated_facts(entry.facts)
            self._known[id] = _Known(entry.root, entry.path, entry_state(entry, id), "", facts)
        return ids

    def put_sidecars(self, rows: Mapping[int, tuple[str, Mapping[str, Any]]]) -> None:
        """Store the metadata of sidecars, with the rows of their files or, where those are written, alone."""
        for id, (mark, values) in rows.items():
            known = self._known[id]
            known.mark = mark
            if id in self._rows:
                self._rows[id] = replace(self._rows[id], mark=mark, values=values)
            else:
                self._late.append(PartRow(known.root, known.path, None, mark, values))

    def known(self, id: int) -> tuple[str, Mapping[str, Any]]:
        """Return the mark of a file's sidecars, and what the file says about itself."""
        return self._known[id].mark, self._known[id].facts

    def id_at(self, root: int, path: str) -> int | None:
        """Return the id of the file at a path, or None."""
        return self._ids.get((root, path))

    def set_inodes(self, inodes: Mapping[int, InodeState]) -> None:
        """Do nothing: the import compares the files of parts by size and date."""

    def set_root_identity(self, root: int, identity: str) -> None:
        """Do nothing: the parts may be imported on another machine."""

    def mark_seen(self, ids: Iterable[int]) -> None:
        """Do nothing: parts only add."""

    def sweep(self, root: int, folder: str, *, dry_run: bool = False) -> int:
        """Do nothing: parts only add."""
        return 0

    # Parts

    def write_part(self) -> None:
        """Write the collected rows as a part, and name it in the manifest."""
        rows = [self._with_thumbnail(row) for row in self._rows.values()] + self._late
        self._since = time.monotonic()
        if not rows:
            return
        data = encode_part(rows, self.manifest.spaces)
        digest = sha256(data).hexdigest()
        # Named by content: two processes that were started for one shard by mistake overwrite nothing.
        stem = manifest_name(self.manifest.shard).removesuffix(MANIFEST_SUFFIX)
        name = f"{stem}-{digest[:16]}.parquet"
        write(join(self._location, name), data)
        outcomes = Counter(str(row.entry.outcome) for row in rows if row.entry)
        keys = tuple(space.key for space in self.manifest.spaces)
        record = PartRecord(
            name, len(rows), len(data), digest, keys, dict(sorted(outcomes.items()))
        )
        self.manifest = replace(self.manifest, parts=(*self.manifest.parts, record))
        self._save_manifest()
        for row in self._rows.values():
            if row.entry is not None and row.entry.hash is not None:
                self._thumbnails.pop(row.entry.hash, None)
        self._rows.clear()
        self._late.clear()
        self._bytes = 0

    def add_parts(self, parts: Sequence[PartRecord]) -> None:
        """Name parts in the manifest that others wrote."""
        self.manifest = replace(self.manifest, parts=(*self.manifest.parts, *parts))
        self._save_manifest()

    def complete(self) -> None:
        """Write the rest, and mark the shard as complete."""
        self.write_part()
        self.manifest = replace(self.manifest, complete=True)
        self._save_manifest()

    def _save_manifest(self) -> None:
        if self._keeps_manifest:
            write(join(self._location, self.manifest.name), encode_manifest(self.manifest))

    def _with_thumbnail(self, row: PartRow) -> PartRow:
        entry = row.entry
        if entry is None or entry.hash is None or entry.outcome is not Outcome.INDEXED:
            return row
        return replace(row, thumbnail=self._thumbnails.get(entry.hash, b""))

    def _id_of(self, root: int, path: str) -> int:
        return self._ids.setdefault((root, path), len(self._ids) + 1)


class PartSidecars:
    """Metadata of sidecar files on its way to parts; see `Sidecars`."""

    def __init__(self, writer: PartWriter) -> None:
        self._writer = writer

    def marks(self, root: int, paths: Sequence[str]) -> dict[str, tuple[int, str]]:
        """See `Sidecars`."""
        ids = {path: self._writer.id_at(root, path) for path in paths}
        return {path: (id, self._writer.known(id)[0]) for path, id in ids.items() if id is not None}

    def facts(self, ids: Iterable[int]) -> dict[int, Mapping[str, Any]]:
        """See `Sidecars`."""
        return {id: self._writer.known(id)[1] for id in ids}

    def put(self, rows: Mapping[int, tuple[str, Mapping[str, Any]]]) -> None:
        """See `Sidecars`."""
        self._writer.put_sidecars(rows)

    def mark_seen(self, ids: Iterable[int]) -> None:
        """Do nothing: parts only add."""

    def sweep(self, root: int, folder: str) -> int:
        """Do nothing: parts only add."""
        return 0
