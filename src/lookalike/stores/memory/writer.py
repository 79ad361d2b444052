"""Change a memory library: every method puts one new state in place, or none if it raises an error."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lookalike.errors import UsageError
from lookalike.stores.memory.state import State, Vector, location_of_image, stored_facts
from lookalike.stores.metadata import merge, metadata_json, plain_text
from lookalike.stores.records import (
    IMPORTED,
    Decision,
    Entry,
    FileState,
    Image,
    Root,
    Space,
    opposite,
)
from lookalike.stores.write_plan import (
    Location,
    Step,
    StoredImage,
    check_entries,
    location_of,
    plan,
    prepare_vectors,
    without_repeats,
)


class CurrentState:
    """Holds the newest state, which is replaced as a whole."""

    def __init__(self) -> None:
        self.state = State()

    def put(self, state: State) -> None:
        """Put the next state in place."""
        self.state = replace(state, version=self.state.version + 1)


def _with_metadata(state: State) -> State:
    """Return the state with the metadata of all images merged again from `tables` and `sidecars`."""
    images = {
        id: replace(
            image, metadata=merge(state.sidecars.get(id, ("", ""))[1], state.tables.get(id))
        )
        for id, image in state.images.items()
    }
    return replace(state, images=images)


class MemorySidecars:
    """See `Sidecars`."""

    def __init__(self, current: CurrentState) -> None:
        self._current = current
        self._seen: set[int] = set()

    def marks(self, root: int, paths: Sequence[str]) -> dict[str, tuple[int, str]]:
        """See `Sidecars`."""
        state = self._current.state
        return {
            path: (image.id, state.sidecars.get(image.id, ("", ""))[0])
            for path, image in state.at(root, paths).items()
        }

    def put(self, rows: Mapping[int, tuple[str, Mapping[str, Any]]]) -> None:
        """See `Sidecars`."""
        state = self._current.state
        state.check_images(rows, "sidecars are given for an image that is not known")
        given = {id: (mark, metadata_json(values)) for id, (mark, values) in rows.items()}
        self._current.put(_with_metadata(replace(state, sidecars={**state.sidecars, **given})))
        self._seen |= rows.keys()

    def mark_seen(self, ids: Iterable[int]) -> None:
        """See `Sidecars`."""
        self._seen |= set(ids)

    def sweep(self, root: int, folder: str) -> int:
        """See `Sidecars`."""
        state = self._current.state
        below = {image.id for image in state.below(root, folder)} - self._seen
        unseen = below & state.sidecars.keys()
        kept = {id: given for id, given in state.sidecars.items() if id not in unseen}
        self._current.put(_with_metadata(replace(state, sidecars=kept)))
        return len(unseen)


class MemoryWriter:
    """See `Writer`."""

    def __init__(self, current: CurrentState) -> None:
        self._current = current
        self._seen: set[int] = set()
        self._sidecars = MemorySidecars(current)

    # Roots and spaces

    def add_root(self, path: Path) -> Root:
        """See `Writer`."""
        return self._add_root(path.resolve(), imported=False)

    def add_imported_root(self) -> Root:
        """See `Writer`."""
        return self._add_root(Path("/", IMPORTED), imported=True)

    def _add_root(self, path: Path, *, imported: bool) -> Root:
        state = self._current.state
        for root in state.roots:
            if (root.path, root.imported) == (path, imported):
                return root
        root = Root(len(state.roots) + 1, path, imported)
        self._current.put(replace(state, roots=(*state.roots, root)))
        return root

    def add_space(self, space: Space) -> None:
        """See `Writer`."""
        state = self._current.state
        known = state.spaces.get(space.key)
        if known is None:
            current = all(other.name != space.name for other in state.spaces.values())
            spaces = {**state.spaces, space.key: replace(space, current=current)}
            vectors = {**state.vectors, space.key: {}}
            self._current.put(replace(state, spaces=spaces, vectors=vectors))
        elif (known.dim, known.similarity) != (space.dim, space.similarity):
            raise UsageError(
                f"space {space.key!r} is there with another dimension or similarity: an extractor "
                "whose numbers change needs a new revision"
            )

    def promote(self, space: str) -> None:
        """See `Writer`."""
        state = self._current.state
        if space not in state.spaces:
            raise UsageError(
                f"no space {space!r} in this library; it has: {', '.join(state.spaces)}"
            )
        chosen = replace(state.spaces[space], current=True)
        spaces = {
            key: chosen if key == space else other
            for key, other in state.spaces.items()
            if key == space or other.name != chosen.name
        }
        vectors = {key: state.vectors[key] for key in spaces}
        self._current.put(replace(state, spaces=spaces, vectors=vectors))

    # Images

    def file_states(self, root: int, paths: Sequence[str]) -> dict[str, FileState]:
        """See `Writer`."""
        return self._current.state.file_states(root, paths)

    def same_content(
        self, size: int, *, hash: bytes | None = None, spaces: Collection[str] = ()
    ) -> list[Image]:
        """See `Writer`."""
        return self._current.state.same_content(size, hash, spaces)

    def hashes_by_size(
        self, sizes: Iterable[int], *, spaces: Collection[str] = (), failed: bool = True
    ) -> dict[int, tuple[bytes, ...]]:
        """See `Writer`."""
        state = self._current.state
        same = {size: state.same_content(size, None, spaces, failed=failed) for size in sizes}
        return {
            size: tuple(dict.fromkeys(image.hash for image in images if image.hash))
            for size, images in same.items()
            if images
        }

    def put(self, entries: Sequence[Entry]) -> list[int]:
        """See `Writer`."""
        state = self._current.state
        check_entries(entries, {key: space.dim for key, space in state.spaces.items()})
        ids: dict[Location, int] = {}
        for part in without_repeats(entries):
            state, added = _put(state, part)
            ids |= added
        self._current.put(state)
        self._seen |= set(ids.values())
        return [ids[location_of(entry)] for entry in entries]

    def mark_seen(self, ids: Iterable[int]) -> None:
        """See `Writer`."""
        self._seen |= set(ids)

    def sweep(self, root: int, folder: str, *, dry_run: bool = False) -> int:
        """See `Writer`."""
        unseen = {image.id for image in self._current.state.below(root, folder)} - self._seen
        return len(unseen) if dry_run else self.remove(unseen)

    def remove(self, ids: Iterable[int]) -> int:
        """See `Writer`."""
        state = self._current.state
        deleted = set(map(int, ids)) & state.images.keys()
        if deleted:
            self._current.put(_without(state, deleted))
        return len(deleted)

    def set_metadata(self, rows: Mapping[int, Mapping[str, Any]]) -> None:
        """See `Writer`."""
        state = self._current.state
        state.check_images(rows, "metadata is given for an image that is not in the library")
        given = {id: metadata_json(values) for id, values in rows.items()}
        self._current.put(_with_metadata(replace(state, tables={**state.tables, **given})))

    def add_decisions(self, decisions: Iterable[Decision]) -> int:
        """See `Writer`."""
        state = self._current.state
        known, changed = dict(state.decisions), 0
        for decision in decisions:
            other = opposite(decision.kind)
            if other is not None:
                known.pop(replace(decision, kind=other), None)
            before = known.pop(decision, None)  # equal whatever `who` and `when` say
            same = before is not None and (before.who, before.when) == (decision.who, decision.when)
            changed += not same
            known[decision] = decision
        if changed:
            self._current.put(replace(state, decisions=known))
        return changed

    def remove_decisions(self, decisions: Iterable[Decision]) -> int:
        """See `Writer`."""
        state = self._current.state
        known = dict(state.decisions)
        removed = sum(known.pop(decision, None) is not None for decision in decisions)
        if removed:
            self._current.put(replace(state, decisions=known))
        return removed

    @property
    def sidecars(self) -> MemorySidecars:
        """See `Writer`."""
        return self._sidecars


def _put(state: State, entries: Sequence[Entry]) -> tuple[State, dict[Location, int]]:
    """Return the state with these entries, no two of which have the same location, and their ids."""

    def read(
        column: Literal["id", "hash", "location"], values: Collection[Any]
    ) -> list[StoredImage]:
        """See `ReadImages`. The vectors are the vectors themselves."""
        return [
            StoredImage(
                image.id,
                location_of_image(image),
                image.hash,
                (image.width, image.height, image.format, stored_facts(image)),
                {key: held[image.id] for key, held in state.vectors.items() if image.id in held},
            )
            for image in state.images.values()
            if {"id": image.id, "hash": image.hash, "location": location_of_image(image)}[column]
            in values
        ]

    planned = plan(entries, read, next_id=state.newest + 1)
    vectors = {key: dict(held) for key, held in state.vectors.items()}
    for id, key in planned.stale:
        del vectors[key][id]
    for id, key, vector in planned.copies:
        vectors[key][id] = vector
    for step in planned.steps:
        for key, vector in step.entry.vectors.items():
            vectors[key][step.id] = _stored(vector, state.spaces[key])
    state = _without(state, planned.replaced)
    images = dict(state.images)
    for step in planned.steps:
        images[step.id] = _image(step, images.get(step.id))
    state = replace(state, images=images, vectors=vectors, newest=max(state.newest, *images))
    return state, {location_of(step.entry): step.id for step in planned.steps}


def _stored(vector: Vector, space: Space) -> Vector:
    """Return a vector as the space stores it."""
    copy = np.array(vector[None], np.float32)
    prepared = prepare_vectors(copy, key=space.key, normalised=space.normalised, dtype=space.dtype)
    stored: Vector = prepared[0].astype(np.float16 if space.dtype == "f16" else np.float32)
    return stored


def _image(step: Step, before: Image | None) -> Image:
    """Return the image that a step makes; its metadata stays."""
    entry, (width, height, format, facts) = step.entry, step.facts
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
    )


def _without(state: State, ids: Collection[int]) -> State:
    """Return the state without these images."""

    def kept(rows: Mapping[int, Any]) -> dict[int, Any]:
        return {id: row for id, row in rows.items() if id not in ids}

    return replace(
        state,
        images=kept(state.images),
        tables=kept(state.tables),
        sidecars=kept(state.sidecars),
        vectors={key: kept(held) for key, held in state.vectors.items()},
    )
