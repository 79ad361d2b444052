"""Read a memory library: every method looks at everything."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import Outcome, UsageError
from lookalike.stores.filter_parser import parse
from lookalike.stores.filter_semantics import is_date, matches
from lookalike.stores.filters import (
    Field,
    FieldKind,
    FieldStats,
    Value,
    check_types,
    field_names,
    resolve_fields,
    tests_of,
)
from lookalike.stores.memory.state import State, location_of_image, stored_facts, values_of
from lookalike.stores.records import (
    Decision,
    DecisionKind,
    FileState,
    HitFields,
    Ids,
    Image,
    Neighbours,
    Root,
    Space,
)
from lookalike.stores.texts import WEIGHTS, query_words, searchable_texts
from lookalike.vectors.multi_vector import nearest
from lookalike.vectors.similarity import Similarity


class MemorySnapshot:
    """See `Snapshot`."""

    def __init__(self, state: State) -> None:
        self._state = state

    @property
    def version(self) -> int:
        """See `Snapshot`."""
        return self._state.version

    def roots(self) -> list[Root]:
        """See `Snapshot`."""
        return list(self._state.roots)

    def spaces(self) -> list[Space]:
        """See `Snapshot`."""
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
        """See `Snapshot`. Always exact."""
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

    def vectors(self, space: str, ids: Ids) -> NDArray[np.float32]:
        """See `Snapshot`."""
        width, held = self._space(space).width, self._state.vectors[space]
        missing = np.full(width, np.nan)
        rows = [held[id][:width] if id in held else missing for id in np.asarray(ids).tolist()]
        return np.array(rows, np.float32).reshape(len(rows), width)

    def sample(self, space: str, count: int) -> Ids:
        """See `Snapshot`."""
        self._space(space)
        ids = np.array(sorted(self._state.vectors[space]), np.int64)
        return ids[np.linspace(0, len(ids) - 1, min(count, len(ids))).astype(np.int64)]

    def _space(self, key: str) -> Space:
        if key not in self._state.spaces:
            known = ", ".join(self._state.spaces) or "none yet"
            raise UsageError(f"no space {key!r} in this library; it has: {known}")
        return self._state.spaces[key]

    # Filters and texts

    def select(self, where: str) -> Ids:
        """See `Snapshot`."""
        expression = parse(where)
        values = {id: values_of(image) for id, image in self._state.images.items()}
        fields = resolve_fields(expression, self._field_names(values.values()))
        for test in tests_of(expression):
            held = [v for own in values.values() for v in own.get(fields[test.field], ())]
            texts = [isinstance(value, str) for value in held]
            check_types(test, numbers=not all(texts), texts=any(texts))
        if ("outcome", True) not in fields.values():
            values = {id: values[id] for id in self._indexed()}
        found = [
            id
            for id, own in values.items()
            if matches(expression, lambda name, own=own: own.get(fields[name], ()))  # type: ignore[misc]
        ]
        return np.array(found, np.int64)

    def fields(self) -> dict[str, FieldStats]:
        """See `Snapshot`."""
        names = self._field_names(map(values_of, self._state.images.values()))
        indexed = [values_of(image) for image in self._indexed().values()]
        return {
            name: _stats([own[field] for own in indexed if field in own])
            for name, field in names.items()
        }

    def search_text(
        self, text: str, k: int, *, among: Ids | None = None
    ) -> tuple[Ids, NDArray[np.float32]]:
        """See `Snapshot`. The score is the sum of weight times inverse document frequency of each match."""
        if k < 1:
            raise UsageError(f"k is {k}; ask for at least 1 hit")
        documents = {
            id: [_fold(text) for text in texts]
            for id, image in self._indexed().items()
            if (texts := _texts(image))
        }
        scores: defaultdict[int, float] = defaultdict(float)
        for word in set(_fold(" ".join(query_words(text)))):
            counts = {
                id: sum(w * own.count(word) for w, own in zip(WEIGHTS, texts, strict=True))
                for id, texts in documents.items()
            }
            hits = {id: count for id, count in counts.items() if count}
            for id, count in hits.items():
                scores[id] += count * log(1 + len(documents) / len(hits))
        allowed = scores.keys() if among is None else set(among.tolist())
        best = sorted((-score, id) for id, score in scores.items() if id in allowed)[:k]
        return (
            np.array([id for _, id in best], np.int64),
            np.array([-score for score, _ in best], np.float32),
        )

    def has_text(self) -> bool:
        """See `Snapshot`."""
        return any(map(_texts, self._indexed().values()))

    def _indexed(self) -> dict[int, Image]:
        images = self._state.images.items()
        return {id: image for id, image in images if image.outcome is Outcome.INDEXED}

    def _field_names(self, values: Iterable[Mapping[Field, Any]]) -> dict[str, Field]:
        return field_names(name for own in values for name, of_file in own if not of_file)

    # Images

    def images(self, ids: Iterable[int]) -> dict[int, Image]:
        """See `Snapshot`."""
        known = self._state.images
        return {int(id): known[int(id)] for id in ids if int(id) in known}

    def hit_fields(self, ids: Iterable[int]) -> dict[int, HitFields]:
        """See `Snapshot`."""
        images = self.images(ids).items()
        return {id: HitFields(image.root, image.path, image.metadata) for id, image in images}

    def lookup(self, root: int, path: str) -> Image | None:
        """See `Snapshot`."""
        return self._state.at(root, [path]).get(path)

    def file_states(self, root: int, paths: Sequence[str]) -> dict[str, FileState]:
        """See `Snapshot`."""
        return self._state.file_states(root, paths)

    def images_below(self, root: int, folder: str) -> list[Image]:
        """See `Snapshot`."""
        return self._state.below(root, folder)

    def same_content(
        self, size: int, *, hash: bytes | None = None, spaces: Collection[str] = ()
    ) -> list[Image]:
        """See `Snapshot`."""
        return self._state.same_content(size, hash, spaces)

    def by_hash(self, hash: bytes) -> list[Image]:
        """See `Snapshot`."""
        return [image for image in self._state.images.values() if image.hash == hash]

    def exact_duplicates(self) -> list[list[int]]:
        """See `Snapshot`."""
        groups: dict[bytes, list[int]] = {}
        for id, image in self._indexed().items():
            if image.hash is not None:
                groups.setdefault(image.hash, []).append(id)
        return [ids for ids in groups.values() if len(ids) > 1]

    def iter_files(self, *, outcomes: Iterable[Outcome] | None = None) -> Iterator[Image]:
        """See `Snapshot`."""
        wanted = set(Outcome if outcomes is None else outcomes)
        for image in sorted(self._state.images.values(), key=location_of_image):
            if image.outcome in wanted:
                yield image

    def counts(self) -> dict[Outcome, int]:
        """See `Snapshot`."""
        return dict(Counter(image.outcome for image in self._state.images.values()))

    def decisions(
        self, kinds: Iterable[DecisionKind] | None = None, *, about: bytes | None = None
    ) -> list[Decision]:
        """See `Snapshot`."""
        wanted = None if kinds is None else set(kinds)
        found = [
            decision
            for decision in self._state.decisions.values()
            if (wanted is None or decision.kind in wanted)
            and about in (None, decision.first, decision.second)
        ]
        return sorted(found, key=lambda one: (one.kind, one.first, one.second or b""))


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


def _texts(image: Image) -> tuple[str, ...] | None:
    return searchable_texts(image.path, stored_facts(image), image.metadata)


def _fold(text: str) -> list[str]:
    """Return the words of a text in lower case and without accents."""
    plain = unicodedata.normalize("NFKD", text.lower())
    return re.findall(r"[^\W_]+", "".join(c for c in plain if not unicodedata.combining(c)))
