"""Work out what a batch of entries changes, before anything is written. The same for every store.

All entries of a batch see the library as it was before the batch, so that two files that have swapped
names both find their old vectors.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import Outcome, UsageError
from lookalike.stores.metadata import facts_json
from lookalike.stores.records import DType, Entry
from lookalike.vectors.similarity import normalise

T = TypeVar("T")

UNIT_TOLERANCE: dict[DType, float] = {"f32": 1e-6, "f16": 5e-4}
"""Vectors whose length is this close to 1 are stored unchanged: rounding makes that of a unit vector."""

ROUNDED_UNIT: dict[DType, float] = {"f32": 1e-4, "f16": 4e-3}
"""Difference from 1 that rounding alone may cause in the length of a stored unit vector."""

Location: TypeAlias = tuple[int, str]
"""Root id and path."""

FileFacts: TypeAlias = tuple[int | None, int | None, str | None, str | None, str | None]
"""Width, height, format, dominant colour, and the JSON of what else the file says about itself."""


@dataclass(slots=True)
class StoredImage:
    """An image as it was before the batch.

    vectors  by space key, what the store needs to copy the vector: a row number, or the vector itself
    """

    id: int
    location: Location
    hash: bytes | None
    facts: FileFacts
    vectors: Mapping[str, Any]


class ReadImages(Protocol):
    """Reads stored images; each store has one of its own."""

    def __call__(
        self, column: Literal["id", "hash", "location"], values: Collection[Any]
    ) -> Iterable[StoredImage]:
        """Return the images with one of these values, by rising id."""
        ...


@dataclass(slots=True)
class Step:
    """Planned change for one entry: the image `id` at the entry's location.

    before  the image before the batch, possibly at another location; None: it is new
    source  the image that the entry is a copy of
    """

    id: int
    entry: Entry
    before: StoredImage | None
    source: StoredImage | None

    @property
    def moved(self) -> bool:
        """Whether an image that was there before changes its location."""
        return self.before is not None and self.before.location != location_of(self.entry)

    @property
    def same_content(self) -> bool:
        """Whether the content of the image stays as it was."""
        return self.before is not None and _same_content(self.before, self.entry)

    @property
    def facts(self) -> FileFacts:
        """The entry's facts, else what is known about the same content."""
        facts = self.entry.facts
        if facts is not None:
            size = facts.width, facts.height
            return *size, facts.format, facts.dominant_color, facts_json(facts)
        if self.source is not None:
            return self.source.facts
        if self.before is not None and self.same_content:
            return self.before.facts
        return None, None, None, None, None


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a batch changes.

    steps     one for each entry, in their order
    replaced  ids of images whose location another image moves to; they are forgotten
    stale     (image id, space key): vectors that are deleted
    copies    (image id, space key, value of `StoredImage.vectors`): vectors that are copied
    """

    steps: list[Step]
    replaced: list[int]
    stale: list[tuple[int, str]]
    copies: list[tuple[int, str, Any]]

    @property
    def changed_contents(self) -> set[bytes]:
        """Hashes of contents that images had before the batch and do not have after it."""
        steps = ((step.before, step.entry.hash) for step in self.steps)
        return {one.hash for one, hash in steps if one and one.hash and one.hash != hash}


def location_of(entry: Entry) -> Location:
    """Return the root id and the path of an entry."""
    return entry.root, entry.path


def without_repeats(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Split a batch so that no part names a location twice: later entries see what earlier ones left."""
    part: dict[Location, Entry] = {}
    for entry in entries:
        if location_of(entry) in part:
            yield list(part.values())
            part = {}
        part[location_of(entry)] = entry
    if part:
        yield list(part.values())


def plan(entries: Sequence[Entry], read: ReadImages, *, next_id: int) -> Plan:
    """Return what these entries change, no two of which have the same location.

    next_id  the id of the first new image; further ones count up
    """
    present = {image.location: image for image in read("location", [*map(location_of, entries)])}
    sources = _sources(entries, read)
    targets = _move_targets(entries, sources)
    steps: list[Step] = []
    replaced: list[StoredImage] = []
    for entry in entries:
        location = location_of(entry)
        here, source = present.get(location), sources.get(location)
        if here is not None and targets.get(here.id, location) != location:
            here = None  # it moves away, so a new image may take its location
        if source is not None and targets.get(source.id) == location:
            if here is not None and here.id != source.id:
                replaced.append(here)
            steps.append(Step(source.id, entry, source, source))
        elif here is not None:
            steps.append(Step(here.id, entry, here, source))
        else:
            steps.append(Step(next_id, entry, None, source))
            next_id += 1
    stale = [(image.id, space) for image in replaced for space in image.vectors]
    copies: list[tuple[int, str, Any]] = []
    for step in steps:
        deleted, copied = _vector_changes(step)
        stale += deleted
        copies += copied
    return Plan(steps, [image.id for image in replaced], stale, copies)


def _vector_changes(step: Step) -> tuple[list[tuple[int, str]], list[tuple[int, str, Any]]]:
    """Return the `stale` and the `copies` of one step."""
    held = step.before.vectors if step.before is not None else {}
    if step.entry.outcome is not Outcome.INDEXED:
        return [(step.id, space) for space in held], []
    given = step.entry.vectors.keys()
    kept = held.keys() - given if step.same_content else set()
    stale = [(step.id, space) for space in held if space not in kept]
    if step.source is None or step.source.id == step.id:
        return stale, []
    return stale, [
        (step.id, space, vector)
        for space, vector in step.source.vectors.items()
        if space not in given and space not in kept
    ]


def _same_content(image: StoredImage, entry: Entry) -> bool:
    return entry.hash is not None and image.hash == entry.hash


def _move_targets(
    entries: Iterable[Entry], sources: Mapping[Location, StoredImage]
) -> dict[int, Location]:
    """Return the new location of each image that moves. Of several files with its content the first is
    that image; the others become copies."""
    targets: dict[int, Location] = {}
    for entry in entries:
        source = sources.get(location_of(entry))
        if entry.moved and source is not None and source.id == entry.same_as:
            targets.setdefault(source.id, location_of(entry))
    return targets


def _sources(entries: Iterable[Entry], read: ReadImages) -> dict[Location, StoredImage]:
    """Return, by location of the entry, the image that it names with `same_as`.

    An earlier batch may have changed or removed that image since the caller saw it. Then any other image
    with the same content serves; without one the entry has no vectors, which `file_states` shows to the
    next run.
    """
    copies = [entry for entry in entries if entry.same_as is not None and entry.hash is not None]
    if not copies:
        return {}
    named = {image.id: image for image in read("id", {entry.same_as for entry in copies})}
    lost = {
        entry.hash
        for entry in copies
        if entry.same_as not in named or not _same_content(named[entry.same_as], entry)
    }
    others: dict[bytes | None, StoredImage] = {}
    for image in read("hash", lost) if lost else ():
        others.setdefault(image.hash, image)
    found: dict[Location, StoredImage] = {}
    for entry in copies:
        source = others.get(entry.hash) if entry.hash in lost else named[entry.same_as or 0]
        if source is not None:
            found[location_of(entry)] = source
    return found


def restored_metadata(
    kept: Mapping[bytes, dict[Location, T]], steps: Iterable[Step]
) -> tuple[dict[int, T], list[Step]]:
    """Return what new images are given of the metadata that was kept of removed ones with their content.

    kept  by content and place, the newest last; what an image at the same place had is taken out
    Returns the metadata by image, and the steps of those at the same place.
    """
    found: dict[int, T] = {}
    same_place, others = [], []
    for step in steps:
        places = kept.get(step.entry.hash or b"", {})
        if location_of(step.entry) in places:
            found[step.id] = places.pop(location_of(step.entry))
            same_place.append(step)
        else:
            others.append((step.id, places))
    found |= {id: [*places.values()][-1] for id, places in others if places}
    return found, same_place


def check_entries(entries: Iterable[Entry], dims: Mapping[str, int]) -> None:
    """Raise `UsageError` for entries that no library can hold; `dims`: dimension by space key."""
    for entry in entries:
        where = f"entry {entry.path!r}"
        if entry.vectors and entry.outcome is not Outcome.INDEXED:
            raise UsageError(f"{where} is {entry.outcome}, so it cannot have vectors")
        if entry.same_as is not None and entry.hash is None:
            raise UsageError(f"{where} is the same as another, so it needs that one's hash")
        for key, vector in entry.vectors.items():
            if key not in dims:
                raise UsageError(f"{where} has a vector for {key!r}: add that space first")
            if vector.shape != (dims[key],):
                raise UsageError(
                    f"{where} has a vector of shape {vector.shape} for {key!r}, "
                    f"which holds vectors of {dims[key]} numbers"
                )


def impossible_vectors(
    vectors: NDArray[np.float32], *, normalised: bool, dtype: DType
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which stored vectors (n, dim) hold a number that none can have, and which a wrong length."""
    squares = np.einsum("ij,ij->i", vectors, vectors)
    finite = np.isfinite(squares)
    if not normalised:
        return ~finite, np.zeros(len(vectors), np.bool_)
    off = np.abs(np.sqrt(squares) - 1.0) > ROUNDED_UNIT[dtype]
    return ~finite, off & finite & (squares != 0.0)


def prepare_vectors(
    vectors: NDArray[np.float32], *, key: str, normalised: bool, dtype: DType
) -> NDArray[np.float32]:
    """Return vectors (n, dim) as the space `key` stores them: of unit length where it is normalised.

    May change `vectors` in place. Raises `UsageError` for NaN and for numbers beyond the dtype.
    """
    squares = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
    if np.isfinite(squares).all() and normalised:
        off = (squares > 0) & (np.abs(np.sqrt(squares) - 1.0) > UNIT_TOLERANCE[dtype])
        if off.any():
            vectors[off] = normalise(vectors[off])
    limit = np.finfo(np.float16 if dtype == "f16" else np.float32).max
    if not (np.abs(vectors) <= limit).all():
        raise UsageError(f"a vector for {key!r} holds NaN, or a number above {limit:g}")
    return vectors
