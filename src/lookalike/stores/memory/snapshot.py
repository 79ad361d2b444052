"""The data of a memory library, and reading it: every method looks at everything."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from math import log
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import Outcome, UsageError
from lookalike.files import compose
from lookalike.images.reading import InodeState
from lookalike.stores.filter_parser import parse
from lookalike.stores.filter_semantics import is_date, matches, sorted_ids
from lookalike.stores.filters import (
    Field,
    FieldKind,
    FieldStats,
    Value,
    check_types,
    field_names,
    resolve_field,
    resolve_fields,
    tests_of,
)
from lookalike.stores.metadata import WEIGHTS, field_values, metadata_sources, searchable_texts
from lookalike.stores.records import (
    SAME_CONTENT_LIMIT,
    Decision,
    DecisionKind,
    FileState,
    HitFields,
    Ids,
    Image,
    MetadataSources,
    Neighbours,
    Root,
    Space,
    pages_of,
    unknown_space,
)
from lookalike.stores.text_analysis import Phrase, TextMatch, matching_phrases, occurrences
from lookalike.vectors.multi_vector import nearest
from lookalike.vectors.similarity import Similarity

Vector: TypeAlias = NDArray[np.floating[Any]]


@dataclass(slots=True)
class State:
    """Everything that a library holds. A writer changes a copy, which then takes its place.

    newest     the highest id that was ever given
    images     by id; `metadata` is merged from `tables` and `sidecars`
    inodes     by image id, where the state of the inode is known
    tables     by image id, the JSON of `Writer.set_metadata`
    sidecars   by image id, mark and JSON
    kept       by content, root and path of images that were removed, the JSON of `tables`
    vectors    by space key and image id
    comparisons  by the two contents, revision and result
    """

    version: int = 0
    newest: int = 0
    roots: list[Root] = field(default_factory=list)
    spaces: dict[str, Space] = field(default_factory=dict)
    images: dict[int, Image] = field(default_factory=dict)
    inodes: dict[int, InodeState] = field(default_factory=dict)
    tables: dict[int, str] = field(default_factory=dict)
    sidecars: dict[int, tuple[str, str]] = field(default_factory=dict)
    kept: dict[tuple[bytes, int, str], str] = field(default_factory=dict)
    vectors: dict[str, dict[int, Vector]] = field(default_factory=dict)
    decisions: dict[Decision, Decision] = field(default_factory=dict)
    comparisons: dict[tuple[bytes, bytes], tuple[str, str]] = field(default_factory=dict)

    def copy(self) -> State:
        """Return a copy of a new version. Images, vectors and decisions themselves never change."""
        return State(
            self.version + 1,
            self.newest,
            list(self.roots),
            dict(self.spaces),
            dict(self.images),
            dict(self.inodes),
            dict(self.tables),
            dict(self.sidecars),
            dict(self.kept),
            {key: dict(held) for key, held in self.vectors.items()},
            dict(self.decisions),
            dict(self.comparisons),
        )


class MemorySnapshot:
    """Implements `Snapshot`, which describes the methods."""

    def __init__(self, state: State) -> None:
        self._state = state

    @property
    def version(self) -> int:
        return self._state.version

    def roots(self) -> list[Root]:
        return list(self._state.roots)

    def spaces(self) -> list[Space]:
        held = self._state.vectors
        return [
            replace(space, count=len(held[key]), bytes=sum(v.nbytes for v in held[key].values()))
            for key, space in self._state.spaces.items()
        ]

    # Vectors

    def search(
        self,
        space: str,
        queries: NDArray[np.float32],
        k: int,
        *,
        similarity: Similarity | None = None,
        among: Ids | None = None,
        exact: bool = False,
    ) -> Neighbours:
        """Search exactly, whatever `exact` says."""
        found = self._space(space)
        allowed = None if among is None else set(among.tolist())
        ids = [id for id in sorted(self._state.vectors[space]) if allowed is None or id in allowed]
        matrix = np.array([self._state.vectors[space][id] for id in ids], np.float32)
        rows, similarities, regions = nearest(
            matrix.reshape(len(ids), found.dim),
            queries,
            k,
            similarity=similarity or found.similarity,
            rows=None,
            exclude=None,
            normalised=found.normalised,
            regions=found.dim // found.width,
        )
        near = np.append(np.array(ids, np.int64), -1)[rows]  # row -1 is the -1 at the end
        return Neighbours(near, similarities, True, None if found.boxes is None else regions)

    def vectors(self, space: str, ids: Ids, *, whole_rows: bool = False) -> NDArray[np.float32]:
        found, held = self._space(space), self._state.vectors[space]
        width = found.dim if whole_rows else found.width
        missing = np.full(width, np.nan)
        rows = [held[id][:width] if id in held else missing for id in np.asarray(ids).tolist()]
        return np.array(rows, np.float32).reshape(len(rows), width)

    def sample(self, space: str, count: int) -> Ids:
        self._space(space)
        ids = np.array(sorted(self._state.vectors[space]), np.int64)
        return ids[np.linspace(0, len(ids) - 1, min(count, len(ids))).astype(np.int64)]

    def _space(self, key: str) -> Space:
        if key not in self._state.spaces:
            raise unknown_space(key, self._state.spaces)
        return self._state.spaces[key]

    # Filters and texts

    def select(self, where: str) -> Ids:
        expression = parse(where)
        values = {id: _values_of(image) for id, image in self._state.images.items()}
        fields = resolve_fields(expression, self._field_names(values.values()))
        for test in tests_of(expression):
            held = [v for own in values.values() for v in own.get(fields[test.field], ())]
            texts = [value for value in held if isinstance(value, str)]
            numbers = [value for value in held if not isinstance(value, str)]
            check_types(test, number=next(iter(numbers), None), text=next(iter(texts), None))
        if ("outcome", True) not in fields.values():
            values = {id: values[id] for id in self._indexed()}
        found = [
            id
            for id, own in values.items()
            if matches(expression, lambda name, own=own: own.get(fields[name], ()))  # type: ignore[misc]
        ]
        return np.array(found, np.int64)

    def sort(self, ids: Ids, field: str, *, reverse: bool = False) -> Ids:
        values = {id: _values_of(image) for id, image in self._state.images.items()}
        found = resolve_field(field, self._field_names(values.values()))
        smallest = {
            id: min(own[found], key=lambda value: (isinstance(value, str), value))
            for id, own in values.items()
            if own.get(found)
        }
        return np.array(sorted_ids(ids.tolist(), smallest, reverse=reverse), np.int64)

    def fields(self) -> dict[str, FieldStats]:
        names = self._field_names(map(_values_of, self._state.images.values()))
        indexed = [_values_of(image) for image in self._indexed().values()]
        return {
            name: _stats([own[field] for own in indexed if field in own])
            for name, field in names.items()
        }

    def search_text(
        self, text: str, k: int, *, among: Ids | None = None, match: TextMatch = "words"
    ) -> tuple[Ids, NDArray[np.float32]]:
        """See `Snapshot`. The score is the sum of weight times inverse document frequency of each match."""
        if k < 1:
            raise UsageError(f"k is {k}; ask for at least 1 hit")
        documents = {
            id: [own.split() for own in texts]
            for id, image in self._indexed().items()
            if (texts := _texts(image))
        }
        phrases = matching_phrases(text, match, partial(_known_words, documents))
        scores = _scores(documents, phrases)
        allowed = scores.keys() if among is None else set(among.tolist())
        best = sorted((-score, id) for id, score in scores.items() if id in allowed)[:k]
        return (
            np.array([id for _, id in best], np.int64),
            np.array([-score for score, _ in best], np.float32),
        )

    def has_text(self) -> bool:
        return any(map(_texts, self._indexed().values()))

    def _indexed(self) -> dict[int, Image]:
        images = self._state.images.items()
        return {id: image for id, image in images if image.outcome is Outcome.INDEXED}

    def _field_names(self, values: Iterable[Mapping[Field, Any]]) -> dict[str, Field]:
        return field_names(name for own in values for name, of_file in own if not of_file)

    # Images

    def images(self, ids: Iterable[int]) -> dict[int, Image]:
        known = self._state.images
        return {int(id): known[int(id)] for id in ids if int(id) in known}

    def metadata_sources(self, ids: Iterable[int]) -> dict[int, MetadataSources]:
        sidecars, tables = self._state.sidecars, self._state.tables
        given = {id: (*sidecars.get(id, ("", "")), tables.get(id)) for id in self.images(ids)}
        return {id: metadata_sources(*texts) for id, texts in given.items()}

    def hit_fields(self, ids: Iterable[int]) -> dict[int, HitFields]:
        images = self.images(ids).items()
        return {
            id: HitFields(
                *(image.root, image.path, image.metadata),
                *(image.width, image.height, image.dominant_color),
            )
            for id, image in images
        }

    def lookup(self, root: int, path: str) -> Image | None:
        images = self._state.images.values()
        return next((i for i in images if (i.root, i.path) == (root, path)), None)

    def file_states(self, root: int, paths: Sequence[str]) -> dict[str, FileState]:
        found, wanted = {}, set(paths)
        for i in self._state.images.values():
            if i.root == root and i.path in wanted:
                spaces = frozenset(key for key, held in self._state.vectors.items() if i.id in held)
                found[i.path] = FileState(
                    i.id,
                    i.size,
                    i.mtime_ns,
                    i.hash,
                    i.outcome,
                    spaces,
                    i.reason,
                    self._state.inodes.get(i.id),
                )
        return found

    def images_below(self, root: int, folder: str, limit: int | None = None) -> list[Image]:
        folder = folder.strip("/")
        start = "" if folder in ("", ".") else f"{folder}/"
        every = (i for i in self.iter_files() if i.root == root)
        return list(islice((i for i in every if f"{i.path}/".startswith(start)), limit))

    def pages(self, root: int, path: str) -> list[Image]:
        return pages_of((i for i in self.iter_files() if i.root == root), path)

    def same_content(
        self,
        size: int,
        *,
        hash: bytes | None = None,
        spaces: Collection[str] = (),
        failed: bool = True,
    ) -> list[Image]:
        """`failed`: also images that are not indexed."""

        def usable(image: Image) -> bool:
            if image.outcome is not Outcome.INDEXED:
                return failed
            return all(image.id in self._state.vectors.get(key, ()) for key in spaces)

        same = (i for i in self._state.images.values() if i.size == size and i.hash is not None)
        return [i for i in same if hash in (None, i.hash) and usable(i)][:SAME_CONTENT_LIMIT]

    def by_hash(self, hash: bytes) -> list[Image]:
        return [image for image in self._state.images.values() if image.hash == hash]

    def exact_duplicates(self) -> list[list[int]]:
        groups: dict[bytes, list[int]] = {}
        for id, image in self._indexed().items():
            if image.hash is not None:
                groups.setdefault(image.hash, []).append(id)
        return [ids for ids in groups.values() if len(ids) > 1]

    def iter_files(self, *, outcomes: Iterable[Outcome] | None = None) -> Iterator[Image]:
        wanted = set(Outcome if outcomes is None else outcomes)
        found = [image for image in self._state.images.values() if image.outcome in wanted]
        yield from sorted(found, key=lambda image: (image.root, image.path))

    def counts(self) -> dict[Outcome, int]:
        return dict(Counter(image.outcome for image in self._state.images.values()))

    def decisions(
        self, kinds: Iterable[DecisionKind] | None = None, *, about: bytes | None = None
    ) -> list[Decision]:
        wanted = None if kinds is None else set(kinds)
        found = [
            decision
            for decision in self._state.decisions.values()
            if (wanted is None or decision.kind in wanted)
            and about in (None, decision.first, decision.second)
        ]
        return sorted(found, key=lambda one: (one.kind, one.first, one.second or b""))

    def comparisons(
        self, pairs: Iterable[tuple[bytes, bytes]], revision: str
    ) -> dict[tuple[bytes, bytes], str]:
        known = self._state.comparisons
        return {
            pair: known[pair][1] for pair in pairs if pair in known and known[pair][0] == revision
        }


def _stats(values: Sequence[Sequence[Value]]) -> FieldStats:
    """Return the statistics of one field, from its values in each image that has one."""
    every = [value for own in values for value in own]
    counts = Counter(every)
    numbers = sorted(value for value in counts if not isinstance(value, str))
    texts = sorted(value for value in counts if isinstance(value, str))
    ordered: list[Value] = [*numbers, *texts]
    examples = tuple(sorted(ordered, key=lambda value: -counts[value])[:5])  # a stable sort
    if numbers and texts:
        return FieldStats("mixed", len(values), None, None, examples)
    if numbers:
        return FieldStats("number", len(values), numbers[0], numbers[-1], examples)
    if not texts:
        return FieldStats("none", 0, None, None, ())
    kind: FieldKind = "date" if all(map(is_date, texts)) else "text"
    return FieldStats(kind, len(values), texts[0], texts[-1], examples)


def stored_facts(image: Image) -> str | None:
    """Return as JSON what the file says about itself; None if it says nothing."""
    return json.dumps(dict(image.facts)) if image.facts else None


def _values_of(image: Image) -> dict[Field, list[Value]]:
    """Return all values of all fields of an image, for filters."""
    path = compose(image.path)
    folder, _, name = path.rpartition("/")
    file: dict[str, Value | None] = {
        "id": float(image.id), "path": path, "name": name, "folder": folder,
        "size": float(image.size), "width": image.width, "height": image.height,
        "format": image.format, "outcome": image.outcome.value,
    }  # fmt: skip
    given = field_values(stored_facts(image), image.metadata)
    own = {(name, True): [value] for name, value in file.items() if value is not None}
    return own | {(name, False): values for name, values in given.items() if values}


def _texts(image: Image) -> tuple[str, ...] | None:
    return searchable_texts(image.path, stored_facts(image), image.metadata)


def _known_words(
    documents: Mapping[int, Sequence[Sequence[str]]],
    *,
    parts: Sequence[str] = (),
    lengths: Sequence[int] = (),
) -> list[str]:
    """Return all words, whatever is asked for."""
    return sorted({word for texts in documents.values() for own in texts for word in own})


def _scores(
    documents: Mapping[int, Sequence[Sequence[str]]], phrases: Iterable[Phrase]
) -> dict[int, float]:
    scores: defaultdict[int, float] = defaultdict(float)
    for phrase in phrases:
        counts = {
            id: sum(w * occurrences(phrase, own) for w, own in zip(WEIGHTS, texts, strict=True))
            for id, texts in documents.items()
        }
        hits = {id: count for id, count in counts.items() if count}
        for id, count in hits.items():
            scores[id] += count * log(1 + len(documents) / len(hits))
    return scores
