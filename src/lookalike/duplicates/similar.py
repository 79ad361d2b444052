"""Groups of similar images, copies or not: bursts, one scene, one product."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from lookalike.duplicates.candidates import HASHES
from lookalike.duplicates.group_builder import GroupBuilder
from lookalike.duplicates.grouping import Exclusions, Pair, group_links, pair
from lookalike.duplicates.report import Duplicates, Link
from lookalike.stores.interface import Ids, Snapshot, Space
from lookalike.stores.records import missing_vectors
from lookalike.vectors.blocks import Floats
from lookalike.vectors.calibration import RELEVANCES, Background, Relevance
from lookalike.vectors.similarity import similarity_matrix

NEIGHBOURS = 10
QUERY_BATCH = 512
# Vectors that estimate the similarity of unrelated images.
SAMPLE_SIZE = 500


def find_similar(
    snapshot: Snapshot,
    ids: Ids,
    *,
    extractor: str | None,
    min_relevance: Relevance,
    min_similarity: float | None,
) -> Duplicates:
    """Return groups in which every image is similar to the best one.

    extractor       defines what is similar; None: the first one that is not a hash
    min_relevance   minimum similarity, calibrated against the library
    min_similarity  minimum similarity as a number; takes precedence over `min_relevance`, and is needed
                    where the library is too small for calibration
    """
    started = time.perf_counter()
    space = select_space(snapshot, extractor)
    pairs_of = SimilarPairs(snapshot, space, min_relevance, min_similarity)
    known: dict[Pair, float] = {}
    for start in range(0, len(ids), QUERY_BATCH):
        known |= pairs_of.nearest(ids[start : start + QUERY_BATCH], ids)
    builder = GroupBuilder(snapshot, need_files=False)
    builder.load({id for p in known for id in p})
    exclusions = Exclusions(snapshot)

    def find_links(pairs: Sequence[Pair]) -> set[Pair]:
        found = pairs_of.select(pairs)
        known.update(found)
        return {*exclusions.allowed(found)}

    def link(one: int, other: int) -> Link:
        value = known[pair(one, other)]
        return Link("near", value, f"{space.name} similarity {value:.3f}")

    found = group_links(exclusions.allowed(known), builder.best, find_links)
    return Duplicates(
        groups=builder.groups(found, link),
        searched=len(ids),
        compared=0,
        unreadable=0,
        hidden=len(exclusions.hidden),
        missing="",
        seconds={"total": time.perf_counter() - started},
    )


class SimilarPairs:
    """Selects pairs of images that are similar enough in a space."""

    def __init__(
        self, snapshot: Snapshot, space: Space, relevance: Relevance, similarity: float | None
    ) -> None:
        self._snapshot = snapshot
        self._space = space
        self._relevance = RELEVANCES.index(relevance)
        self._similarity = similarity
        self._sample = snapshot.vectors(space.key, snapshot.sample(space.key, SAMPLE_SIZE))

    def nearest(self, queries: Ids, ids: Ids) -> dict[Pair, float]:
        """Return the pairs of each query and its nearest neighbours that are similar enough."""
        vectors = self._snapshot.vectors(self._space.key, queries)
        present = ~np.isnan(vectors).any(axis=1)
        queries, vectors = queries[present], vectors[present]
        if not len(queries):
            return {}
        near = self._snapshot.search(self._space.key, vectors, NEIGHBOURS + 1, among=ids)
        backgrounds = self._backgrounds(vectors)
        found: dict[Pair, float] = {}
        for row, id in enumerate(queries.tolist()):
            for other, value in zip(
                near.ids[row].tolist(), near.similarities[row].tolist(), strict=True
            ):
                if other >= 0 and other != id and self._is_similar(value, backgrounds[row]):
                    found[pair(id, other)] = value
        return found

    def select(self, pairs: Sequence[Pair]) -> dict[Pair, float]:
        """Return those of the pairs that are similar enough, with their similarities."""
        firsts: dict[int, list[int]] = {one: [] for one, _ in pairs}
        for one, other in pairs:
            firsts[one].append(other)
        found: dict[Pair, float] = {}
        for one, others in firsts.items():
            vectors = self._snapshot.vectors(self._space.key, np.array([one, *others], np.int64))
            (values,) = similarity_matrix(
                vectors[:1], vectors[1:], similarity=self._space.similarity
            )
            background = self._backgrounds(vectors[:1])[0]
            for other, value in zip(others, values.tolist(), strict=True):
                if self._is_similar(value, background):
                    found[pair(one, other)] = value
        return found

    def _backgrounds(self, vectors: Floats) -> Sequence[Background | None]:
        found = similarity_matrix(vectors, self._sample, similarity=self._space.similarity)
        return Background.from_similarities(
            found,
            np.arange(len(vectors)),
            similarity=self._space.similarity,
            count=self._space.count,
        )

    def _is_similar(self, value: float, background: Background | None) -> bool:
        if self._similarity is not None:
            return value >= self._similarity
        if background is None:
            return False
        relevance = background.relevance(value, self._space.similarity)
        return RELEVANCES.index(relevance) >= self._relevance


def select_space(snapshot: Snapshot, extractor: str | None) -> Space:
    """Return the current space of an extractor, or the first one that is not a hash.

    Raises UsageError if the library has none.
    """
    spaces = [space for space in snapshot.spaces() if space.current]
    if extractor is None:
        space = next((space for space in spaces if space.name not in HASHES), None)
    else:
        space = next((space for space in spaces if extractor in (space.name, space.key)), None)
    if space is None:
        raise missing_vectors(extractor or "lookalike", (space.name for space in spaces))
    return space
