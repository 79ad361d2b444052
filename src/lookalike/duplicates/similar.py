"""Groups of pictures that look alike, copies or not: bursts, one scene, one product."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from lookalike.duplicates.candidates import HASHES
from lookalike.duplicates.find_duplicates import Found, contents, refused
from lookalike.duplicates.grouping import Showing
from lookalike.duplicates.links import Pair, grouped, pair
from lookalike.duplicates.report import Duplicates
from lookalike.errors import UsageError
from lookalike.stores.interface import Ids, Snapshot, Space
from lookalike.stores.records import NO_VECTORS
from lookalike.vectors.blocks import Floats
from lookalike.vectors.calibration import RELEVANCES, Background, Relevance
from lookalike.vectors.similarity import similarity_matrix

NEIGHBOURS = 10
ASKED = 512
SAMPLE = 500


def similar(
    snapshot: Snapshot,
    ids: Ids,
    *,
    by: str | None,
    min_relevance: Relevance,
    min_similarity: float | None,
) -> Duplicates:
    """Groups in which every image is similar to the best one.

    by              the space that says what is similar; None: the first that is no hash
    min_relevance   how similar, judged against the library's own background
    min_similarity  how similar, as a number; goes before `min_relevance`, and is needed where the
                    library is too small to have a background
    """
    started = time.perf_counter()
    space = chosen(snapshot, by)
    judge = Judge(snapshot, space, min_relevance, min_similarity)
    known: dict[Pair, float] = {}
    for start in range(0, len(ids), ASKED):
        known |= judge.near(ids[start : start + ASKED], ids)
    no = refused(snapshot)
    showing = Showing(snapshot)
    showing.load({id for p in known for id in p})
    hidden = {p for p in known if no and _contents(snapshot, p) in no}

    def fitting(pairs: Sequence[Pair]) -> set[Pair]:
        found = judge.similar(pairs)
        known.update(found)
        kept = {p for p in found if not (no and _contents(snapshot, p) in no)}
        hidden.update(set(found) - kept)
        return kept

    found = grouped([p for p in known if p not in hidden], showing.best, fitting)

    def why(one: int, other: int) -> Found:
        value = known[pair(one, other)]
        return Found("near", value, f"{space.name} similarity {value:.3f}")

    return Duplicates(
        groups=showing.groups(found, {}, why),
        searched=len(ids),
        compared=0,
        unreadable=0,
        hidden=len(hidden),
        missing="",
        seconds={"total": time.perf_counter() - started},
    )


class Judge:
    """Says which images are similar in a space, each judged against its own background."""

    def __init__(
        self, snapshot: Snapshot, space: Space, relevance: Relevance, similarity: float | None
    ) -> None:
        self._view = snapshot
        self._space = space
        self._relevance = RELEVANCES.index(relevance)
        self._similarity = similarity
        self._sample = snapshot.vectors(space.key, snapshot.sample(space.key, SAMPLE))

    def near(self, asked: Ids, ids: Ids) -> dict[Pair, float]:
        """The nearest of each image that are similar enough."""
        vectors = self._view.vectors(self._space.key, asked)
        there = ~np.isnan(vectors).any(axis=1)
        asked, vectors = asked[there], vectors[there]
        if not len(asked):
            return {}
        near = self._view.search(self._space.key, vectors, NEIGHBOURS + 1, among=ids)
        backgrounds = self._backgrounds(vectors)
        found: dict[Pair, float] = {}
        for row, id in enumerate(asked.tolist()):
            for other, value in zip(
                near.ids[row].tolist(), near.similarities[row].tolist(), strict=True
            ):
                if other >= 0 and other != id and self._enough(value, backgrounds[row]):
                    found[pair(id, other)] = value
        return found

    def similar(self, pairs: Sequence[Pair]) -> dict[Pair, float]:
        """Those of the pairs that are similar enough."""
        firsts: dict[int, list[int]] = {one: [] for one, _ in pairs}
        for one, other in pairs:
            firsts[one].append(other)
        found: dict[Pair, float] = {}
        for one, others in firsts.items():
            vectors = self._view.vectors(self._space.key, np.array([one, *others], np.int64))
            (values,) = similarity_matrix(
                vectors[:1], vectors[1:], similarity=self._space.similarity
            )
            background = self._backgrounds(vectors[:1])[0]
            for other, value in zip(others, values.tolist(), strict=True):
                if self._enough(value, background):
                    found[pair(one, other)] = value
        return found

    def _backgrounds(self, vectors: Floats) -> Sequence[Background | None]:
        found = similarity_matrix(vectors, self._sample, similarity=self._space.similarity)
        return Background.of_each(
            found,
            np.arange(len(vectors)),
            similarity=self._space.similarity,
            count=self._space.count,
        )

    def _enough(self, value: float, background: Background | None) -> bool:
        if self._similarity is not None:
            return value >= self._similarity
        if background is None:
            return False
        judged = background.judge(value, self._space.similarity)
        return RELEVANCES.index(judged) >= self._relevance


def chosen(snapshot: Snapshot, by: str | None) -> Space:
    """The space of that name, or the first that is no hash."""
    spaces = [space for space in snapshot.spaces() if space.current]
    if by is None:
        space = next((space for space in spaces if space.name not in HASHES), None)
    else:
        space = next((space for space in spaces if by in (space.name, space.key)), None)
    if not spaces:
        raise UsageError(NO_VECTORS)
    if space is None:
        names = ", ".join(space.name for space in spaces)
        wanted = by or "lookalike"
        raise UsageError(
            f"the library has no {wanted} vectors, only {names}; "
            f"add them with `lookalike index --with {wanted}`"
        )
    return space


def _contents(snapshot: Snapshot, p: Pair) -> tuple[bytes, bytes]:
    images = snapshot.images(p)
    return contents(images[p[0]], images[p[1]])
