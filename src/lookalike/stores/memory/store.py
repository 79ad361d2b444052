"""The store in memory: the simplest one, for tests and to be read. Nothing is saved.

The methods are described in `lookalike.stores.interface`.
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import numpy as np

from lookalike.errors import LibraryBusy, Outcome, UsageError
from lookalike.images.reading import InodeState
from lookalike.object_storage import resolve
from lookalike.stores.memory.snapshot import MemorySnapshot, State, Vector, stored_facts
from lookalike.stores.metadata import merge, metadata_json, plain_text, update_json
from lookalike.stores.records import (
    IMPORTED,
    Decision,
    Entry,
    FileState,
    Image,
    Repair,
    Root,
    Space,
    missing_vectors,
    opposite,
    unknown_space,
)
from lookalike.stores.write_plan import (
    Location,
    Step,
    StoredImage,
    check_entries,
    location_of,
    plan,
    prepare_vectors,
    restored_metadata,
    without_repeats,
)

if TYPE_CHECKING:
    from lookalike.ann.faiss_index import Progress
    from lookalike.stores.ann_index import IndexBuildOptions, IndexCheck


class MemoryStore:
    """Implements `Store`. A snapshot refers to the state of its moment, which never changes."""

    def __init__(self) -> None:
        self.state = State()
        self._lock = threading.Lock()

    @property
    def location(self) -> str:
        return "memory"

    @property
    def folder(self) -> None:
        return

    @property
    def thumbnails(self) -> None:
        return

    @property
    def read_only(self) -> bool:
        return False

    def reachable(self) -> dict[str, bool]:
        """See `Store`."""
        return {"library": True}

    def disk_bytes(self) -> int:
        """Return the bytes of the vectors."""
        return sum(space.bytes for space in MemorySnapshot(self.state).spaces())

    @contextmanager
    def snapshot(self) -> Iterator[MemorySnapshot]:
        yield MemorySnapshot(self.state)

    @contextmanager
    def writer(self) -> Iterator[MemoryWriter]:
        if not self._lock.acquire(blocking=False):
            raise LibraryBusy("another thread is writing to the library: wait until it is done")
        try:
            yield MemoryWriter(self)
        finally:
            self._lock.release()

    @property
    def indexes(self) -> NoIndexes:
        return NoIndexes()

    def check(self) -> list[str]:
        return []

    def repair(self) -> Repair:
        return Repair([], {})

    def close(self) -> None:
        return


class MemoryWriter:
    """Implements `Writer`: every method puts one new state in place, or none if it raises an error."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._seen: set[int] = set()
        self.sidecars = MemorySidecars(store)

    @property
    def _now(self) -> MemorySnapshot:
        return MemorySnapshot(self._store.state)

    # Roots and spaces

    def add_root(self, path: Path) -> Root:
        return self._add_root(resolve(path), imported=False)

    def add_imported_root(self) -> Root:
        return self._add_root(Path("/", IMPORTED), imported=True)

    def _add_root(self, path: Path, *, imported: bool) -> Root:
        state = self._store.state.copy()
        for root in state.roots:
            if (root.path, root.imported) == (path, imported):
                return root
        root = Root(len(state.roots) + 1, path, imported)
        state.roots.append(root)
        self._store.state = state
        return root

    def add_space(self, space: Space) -> None:
        state = self._store.state.copy()
        known = state.spaces.get(space.key)
        if known is None:
            current = all(other.name != space.name for other in state.spaces.values())
            state.spaces[space.key] = replace(space, current=current)
            state.vectors[space.key] = {}
            self._store.state = state
        elif (known.dim, known.similarity) != (space.dim, space.similarity):
            raise UsageError(
                f"space {space.key!r} is there with another dimension or similarity: an extractor "
                "whose numbers change needs a new revision"
            )

    def drop_space(self, name: str) -> int:
        state = self._store.state.copy()
        dropped = [key for key, space in state.spaces.items() if space.name == name]
        if not dropped:
            raise missing_vectors(name, dict.fromkeys(s.name for s in state.spaces.values()))
        for key in dropped:
            del state.spaces[key], state.vectors[key]
        imported = {root.id for root in state.roots if root.imported}
        bare = {id for id, image in state.images.items() if image.root in imported}
        bare -= set().union(*state.vectors.values())
        _remove(state, bare)
        self._store.state = state
        return len(bare)

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        before = self._store.state
        try:
            yield
        except BaseException:
            self._store.state = replace(before.copy(), version=self._store.state.version + 1)
            raise

    def promote(self, space: str) -> None:
        state = self._store.state.copy()
        if space not in state.spaces:
            raise unknown_space(space, state.spaces)
        name = state.spaces[space].name
        for key in [key for key, other in state.spaces.items() if other.name == name]:
            if key != space:
                del state.spaces[key], state.vectors[key]
        state.spaces[space] = replace(state.spaces[space], current=True)
        self._store.state = state

    # Images

    def file_states(self, root: int, paths: Sequence[str]) -> dict[str, FileState]:
        return self._now.file_states(root, paths)

    def pages(self, root: int, path: str) -> list[Image]:
        return self._now.pages(root, path)

    def same_content(
        self, size: int, *, hash: bytes | None = None, spaces: Collection[str] = ()
    ) -> list[Image]:
        return self._now.same_content(size, hash=hash, spaces=spaces)

    def hashes_by_size(
        self, sizes: Iterable[int], *, spaces: Collection[str] = (), failed: bool = True
    ) -> dict[int, tuple[bytes, ...]]:
        found = {}
        for size in sizes:
            images = self._now.same_content(size, spaces=spaces, failed=failed)
            if images:
                found[size] = tuple(dict.fromkeys(image.hash for image in images if image.hash))
        return found

    def put(self, entries: Sequence[Entry]) -> list[int]:
        state = self._store.state.copy()
        check_entries(entries, {key: space.dim for key, space in state.spaces.items()})
        ids: dict[Location, int] = {}
        for part in without_repeats(entries):
            ids |= _put(state, part)
        self._store.state = state
        self._seen |= set(ids.values())
        return [ids[location_of(entry)] for entry in entries]

    def set_inodes(self, inodes: Mapping[int, InodeState]) -> None:
        state = self._store.state.copy()
        state.inodes |= {id: inode for id, inode in inodes.items() if id in state.images}
        self._store.state = state

    def set_root_identity(self, root: int, identity: str) -> None:
        state = self._store.state.copy()
        state.roots = [
            replace(one, identity=identity) if one.id == root else one for one in state.roots
        ]
        self._store.state = state

    def set_exclude(self, root: int, globs: Sequence[str]) -> None:
        state = self._store.state.copy()
        state.roots = [
            replace(one, exclude=tuple(globs)) if one.id == root else one for one in state.roots
        ]
        self._store.state = state

    def mark_seen(self, ids: Iterable[int]) -> None:
        self._seen |= set(ids)

    def sweep(self, root: int, folder: str, *, dry_run: bool = False) -> int:
        below = self._now.images_below(root, folder)
        unseen = {image.id: image for image in below if image.id not in self._seen}
        if dry_run:
            return sum(image.outcome is Outcome.INDEXED for image in unseen.values())
        return self.remove(unseen)

    def remove(self, ids: Iterable[int]) -> int:
        found = self._now.images(ids)
        if found:
            state = self._store.state.copy()
            _remove(state, found)
            self._store.state = state
        return len(found)

    def set_metadata(self, rows: Mapping[int, Mapping[str, Any]], *, merge: bool = False) -> None:
        state = self._store.state.copy()
        if not rows.keys() <= state.images.keys():
            raise UsageError("metadata is given for an image that is not in the library")
        before = state.tables if merge else {}
        state.tables |= {id: update_json(before.get(id), values) for id, values in rows.items()}
        _merge_metadata(state, rows)
        self._store.state = state

    # Comparisons

    def put_comparisons(self, found: Mapping[tuple[bytes, bytes], str], revision: str) -> None:
        state = self._store.state.copy()
        state.version -= 1  # what snapshots show is the same
        state.comparisons |= {pair: (revision, result) for pair, result in found.items()}
        self._store.state = state

    # Decisions

    def add_decisions(self, decisions: Iterable[Decision]) -> int:
        state, changed = self._store.state.copy(), 0
        for decision in decisions:
            other = opposite(decision.kind)
            if other is not None:
                state.decisions.pop(replace(decision, kind=other), None)
            before = state.decisions.pop(decision, None)  # equal whatever `who` and `when` say
            same = before is not None and (before.who, before.when) == (decision.who, decision.when)
            changed += not same
            state.decisions[decision] = decision
        if changed:
            self._store.state = state
        return changed

    def remove_decisions(self, decisions: Iterable[Decision]) -> int:
        state = self._store.state.copy()
        removed = sum(state.decisions.pop(one, None) is not None for one in decisions)
        if removed:
            self._store.state = state
        return removed


class MemorySidecars:
    """Implements `Sidecars`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._seen: set[int] = set()

    def marks(self, root: int, paths: Sequence[str]) -> dict[str, tuple[int, str]]:
        state = self._store.state
        found = MemorySnapshot(state).file_states(root, paths)
        return {path: (i.id, state.sidecars.get(i.id, ("", ""))[0]) for path, i in found.items()}

    def facts(self, ids: Iterable[int]) -> dict[int, Mapping[str, Any]]:
        images = self._store.state.images
        return {id: images[id].facts for id in ids if id in images}

    def put(self, rows: Mapping[int, tuple[str, Mapping[str, Any]]]) -> None:
        state = self._store.state.copy()
        if not rows.keys() <= state.images.keys():
            raise UsageError("sidecars are given for an image that is not known")
        given = {id: (mark, metadata_json(values)) for id, (mark, values) in rows.items()}
        state.sidecars |= given
        _merge_metadata(state, rows)
        self._store.state = state
        self._seen |= rows.keys()

    def mark_seen(self, ids: Iterable[int]) -> None:
        self._seen |= set(ids)

    def sweep(self, root: int, folder: str) -> int:
        state = self._store.state.copy()
        below = {image.id for image in MemorySnapshot(state).images_below(root, folder)}
        unseen = (below & state.sidecars.keys()) - self._seen
        for id in unseen:
            del state.sidecars[id]
        _merge_metadata(state, unseen)
        if unseen:
            self._store.state = state
        return len(unseen)


class NoIndexes:
    """Implements `Indexes`. All searches are exact."""

    def build(
        self,
        space: str,
        options: IndexBuildOptions | None = None,
        *,
        progress: Progress | None = None,
    ) -> NoReturn:
        raise UsageError("a library in memory has no ANN indexes")

    def remove(self, space: str) -> bool:
        return False

    def check(self, space: str, *, queries: int = 500) -> NoReturn:
        raise UsageError("a library in memory has no ANN indexes")

    def compare(
        self, space: str, recipes: Sequence[str] = (), *, progress: Progress | None = None
    ) -> NoReturn:
        raise UsageError("a library in memory has no ANN indexes")

    def history(self, space: str) -> list[IndexCheck]:
        return []


def _put(state: State, entries: Sequence[Entry]) -> dict[Location, int]:
    """Store entries, no two of which have the same location, and return their ids."""

    def read(
        column: Literal["id", "hash", "location"], values: Collection[Any]
    ) -> list[StoredImage]:
        """See `ReadImages`. Vectors are passed as arrays."""
        images = [_stored_image(state, image) for image in state.images.values()]
        return [image for image in images if getattr(image, column) in values]

    planned = plan(entries, read, next_id=state.newest + 1)
    for id, key in planned.stale:
        del state.vectors[key][id]
    for id, key, vector in planned.copies:
        state.vectors[key][id] = vector
    _remove(state, planned.replaced)
    for step in planned.steps:
        for key, vector in step.entry.vectors.items():
            state.vectors[key][step.id] = _stored_vector(vector, state.spaces[key])
        state.images[step.id] = _image(step, state.images.get(step.id))
        state.inodes.pop(step.id, None)
        if step.entry.inode is not None:
            state.inodes[step.id] = step.entry.inode
        state.newest = max(state.newest, step.id)
    _forget_comparisons(state, planned.changed_contents)
    _restore_metadata(state, [step for step in planned.steps if step.before is None])
    return {location_of(step.entry): step.id for step in planned.steps}


def _stored_image(state: State, image: Image) -> StoredImage:
    return StoredImage(
        image.id,
        (image.root, image.path),
        image.hash,
        (image.width, image.height, image.format, image.dominant_color, stored_facts(image)),
        {key: held[image.id] for key, held in state.vectors.items() if image.id in held},
    )


def _stored_vector(vector: Vector, space: Space) -> Vector:
    """Return a vector as the space stores it."""
    copy = np.array(vector[None], np.float32)
    prepared = prepare_vectors(copy, key=space.key, normalised=space.normalised, dtype=space.dtype)
    stored: Vector = prepared[0].astype(np.float16 if space.dtype == "f16" else np.float32)
    return stored


def _image(step: Step, before: Image | None) -> Image:
    """Return the image that a step makes; its metadata stays."""
    entry, (width, height, format, color, facts) = step.entry, step.facts
    return Image(
        step.id,
        *location_of(entry),
        entry.size,
        entry.mtime_ns,
        entry.hash,
        entry.outcome,
        plain_text(entry.reason),
        width,
        height,
        format,
        before.metadata if before else {},
        json.loads(facts) if facts else {},
        color,
    )


def _remove(state: State, ids: Collection[int]) -> None:
    """Forget images; what tables said about them is kept by content."""
    hashes = {state.images[id].hash for id in ids}
    for id in ids:
        image = state.images[id]
        if id in state.tables and image.hash is not None:
            state.kept[image.hash, image.root, image.path] = state.tables[id]
        for rows in (
            state.images,
            state.inodes,
            state.tables,
            state.sidecars,
            *state.vectors.values(),
        ):
            rows.pop(id, None)  # type: ignore[attr-defined]
    _forget_comparisons(state, hashes)


def _forget_comparisons(state: State, hashes: Collection[bytes | None]) -> None:
    """Delete the comparisons with these contents, unless an image still has them."""
    gone = {*hashes} - {image.hash for image in state.images.values()}
    for pair in [pair for pair in state.comparisons if not gone.isdisjoint(pair)]:
        del state.comparisons[pair]


def _restore_metadata(state: State, steps: Sequence[Step]) -> None:
    """Give new images what tables said about their content, at best about the image at the same place."""
    kept: defaultdict[bytes, dict[Location, str]] = defaultdict(dict)
    for (hash, root, path), text in state.kept.items():
        kept[hash][root, path] = text
    found, same_place = restored_metadata(kept, steps)
    state.tables |= found
    for step in same_place:
        del state.kept[step.entry.hash or b"", *location_of(step.entry)]
    _merge_metadata(state, [step.id for step in steps])


def _merge_metadata(state: State, ids: Iterable[int]) -> None:
    """Merge the metadata of these images again from `tables` and `sidecars`."""
    for id in ids:
        metadata = merge(state.sidecars.get(id, ("", ""))[1], state.tables.get(id))
        state.images[id] = replace(state.images[id], metadata=metadata)
