"""What a batch of entries means for the library: worked out before anything is written.

All entries of a batch see the library as it was before the batch, so that two files that have
swapped names both find their old vectors.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from lookalike.errors import Outcome, UsageError
from lookalike.stores.interface import Entry
from lookalike.stores.local.database import chunks, marks, newest_image
from lookalike.stores.local.metadata_merge import details
from lookalike.stores.local.path_encoding import decode_path, encode_path

Place: TypeAlias = tuple[int, str]
"""Root and path."""

Placements: TypeAlias = Mapping[int, Mapping[int, int]]
"""Image → space → row."""

FactsRow: TypeAlias = tuple[int | None, int | None, str | None, str | None]
"""Width, height, format, and the JSON of what else the file says of itself."""


@dataclass(frozen=True, slots=True)
class Before:
    """An image as it was before the batch."""

    id: int
    place: Place
    hash: bytes | None
    facts: FactsRow


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of one entry: the image `id`, new if `before` is None, at the entry's place.

    source  the image that it is a copy of
    """

    id: int
    entry: Entry
    before: Before | None
    source: Before | None

    @property
    def moved(self) -> bool:
        return self.before is not None and self.before.place != (self.entry.root, self.entry.path)

    @property
    def same_content(self) -> bool:
        return self.before is not None and _same(self.before, self.entry)

    @property
    def facts(self) -> FactsRow:
        """As the entry says, else what is known of the same content."""
        told = self.entry.facts
        if told is not None:
            return told.width, told.height, told.format, details(told)
        if self.source is not None:
            return self.source.facts
        if self.before is not None and self.same_content:
            return self.before.facts
        return None, None, None, None


@dataclass(frozen=True, slots=True)
class Plan:
    """steps     one for each entry, in their order
    replaced   images that stood where another one has moved to
    stale      (image, space): the vector goes
    copies     (image, space, row): a copy of the vector in that row becomes the image's own
    """

    steps: list[Step]
    replaced: list[int]
    stale: list[tuple[int, int]]
    copies: list[tuple[int, int, int]]


def without_repeats(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """The entries in parts that name no place twice: later ones see what earlier ones left."""
    part: dict[Place, Entry] = {}
    for entry in entries:
        if (entry.root, entry.path) in part:
            yield list(part.values())
            part = {}
        part[entry.root, entry.path] = entry
    if part:
        yield list(part.values())


def plan(
    connection: sqlite3.Connection, entries: Sequence[Entry], spaces: Mapping[str, int]
) -> Plan:
    """What to do for these entries, no two of which have the same place; `spaces`: ids by key."""
    standing = _standing(connection, entries)
    sources = _sources(connection, entries)
    moving = _moving(entries, sources)
    following = newest_image(connection) + 1
    steps: list[Step] = []
    replaced: list[int] = []
    for entry in entries:
        place = (entry.root, entry.path)
        here, source = standing.get(place), sources.get(place)
        if here is not None and here.id in moving and moving[here.id] != place:
            here = None  # it leaves: this place is free for a new image
        if source is not None and moving.get(source.id) == place:
            if here is not None and here.id != source.id:
                replaced.append(here.id)
            steps.append(Step(source.id, entry, source, source))
        elif here is not None:
            steps.append(Step(here.id, entry, here, source))
        else:
            steps.append(Step(following, entry, None, source))
            following += 1
    placements = _placements(connection, steps, replaced)
    stale = [(image, space) for image in replaced for space in placements.get(image, ())]
    copies: list[tuple[int, int, int]] = []
    for step in steps:
        if step.before is not None or step.source is not None:
            gone, copied = _vectors(step, placements, spaces)
            stale += gone
            copies += copied
    return Plan(steps, replaced, stale, copies)


def _vectors(
    step: Step, placements: Placements, spaces: Mapping[str, int]
) -> tuple[list[tuple[int, int]], list[tuple[int, int, int]]]:
    """The `stale` and the `copies` of one step."""
    held = placements.get(step.id, {}) if step.before is not None else {}
    if step.entry.outcome is not Outcome.INDEXED:
        return [(step.id, space) for space in held], []
    named = {spaces[key] for key in step.entry.vectors}
    kept = set(held) - named if step.same_content else set()
    stale = [(step.id, space) for space in held if space not in kept]
    if step.source is None or step.source.id == step.id:
        return stale, []
    lent = placements.get(step.source.id, {})
    return stale, [
        (step.id, space, row)
        for space, row in lent.items()
        if space not in named and space not in kept
    ]


def _same(image: Before, entry: Entry) -> bool:
    return entry.hash is not None and image.hash == entry.hash


def _moving(entries: Iterable[Entry], sources: Mapping[Place, Before]) -> dict[int, Place]:
    """Where each image goes that moves. Of several files with its content, the first is it; the
    others become copies."""
    moving: dict[int, Place] = {}
    for entry in entries:
        place = (entry.root, entry.path)
        if entry.moved and place in sources and sources[place].id == entry.same_as:
            moving.setdefault(sources[place].id, place)
    return moving


def _sources(connection: sqlite3.Connection, entries: Iterable[Entry]) -> dict[Place, Before]:
    """The image that each entry names with `same_as`.

    Between the caller's look and this batch that image may have been changed or removed by an
    earlier batch. Then any other with the same content will do; without one, the entry has no
    vectors, which `known` shows to the next run.
    """
    asking = [entry for entry in entries if entry.same_as is not None and entry.hash is not None]
    if not asking:
        return {}
    named = {
        image.id: image for image in _read(connection, "id", {entry.same_as for entry in asking})
    }
    lost = {
        entry.hash
        for entry in asking
        if entry.same_as not in named or not _same(named[entry.same_as], entry)
    }
    others: dict[bytes | None, Before] = {}
    for image in _read(connection, "hash", lost):
        others.setdefault(image.hash, image)
    found: dict[Place, Before] = {}
    for entry in asking:
        source = others.get(entry.hash) if entry.hash in lost else named[entry.same_as or 0]
        if source is not None:
            found[entry.root, entry.path] = source
    return found


def _standing(connection: sqlite3.Connection, entries: Iterable[Entry]) -> dict[Place, Before]:
    """The images at the places of the entries."""
    paths: defaultdict[int, list[str | bytes]] = defaultdict(list)
    for entry in entries:
        paths[entry.root].append(encode_path(entry.path))
    return {
        image.place: image
        for root, names in paths.items()
        for image in _read(connection, "path", names, root=root)
    }


def _read(
    connection: sqlite3.Connection,
    column: str,
    values: Iterable[object],
    *,
    root: int | None = None,
) -> Iterator[Before]:
    where = "" if root is None else "root = ? AND"
    first = [] if root is None else [root]
    for chunk in chunks(values):
        for row in connection.execute(
            "SELECT id, root, path, hash, width, height, format, json FROM images "  # noqa: S608
            "LEFT JOIN facts ON facts.image = images.id "
            f"WHERE {where} {column} IN ({marks(len(chunk))}) ORDER BY id",
            [*first, *chunk],
        ):
            yield Before(row[0], (row[1], decode_path(row[2])), row[3], tuple(row[4:8]))


def _placements(
    connection: sqlite3.Connection, steps: Iterable[Step], replaced: Iterable[int]
) -> Placements:
    """Where the vectors are of all images that existed before and are concerned."""
    concerned = set(replaced)
    for step in steps:
        concerned |= {image.id for image in (step.before, step.source) if image is not None}
    found: defaultdict[int, dict[int, int]] = defaultdict(dict)
    for chunk in chunks(concerned):
        for image, space, row in connection.execute(
            f"SELECT image, space, row FROM placements WHERE image IN ({marks(len(chunk))})",  # noqa: S608
            chunk,
        ):
            found[image][space] = row
    return found


def refuse_nonsense(entries: Iterable[Entry], dims: Mapping[str, int]) -> None:
    """`UsageError` for what no library can hold; `dims`: dimension by space key."""
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
