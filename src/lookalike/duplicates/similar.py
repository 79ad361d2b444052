"""Groups of similar images, copies or not: bursts, one scene, one product."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from lookalike.duplicates.group_builder import GroupBuilder
from lookalike.duplicates.grouping import Exclusions, Pair, group_links, pair
from lookalike.duplicates.report import Duplicates, Link
from lookalike.errors import UsageError
from lookalike.extractors.registry import HASHES
from lookalike.field_options import check_choice
from lookalike.search.relevance import BackgroundSamples
from lookalike.stores.interface import Ids, Snapshot, Space
from lookalike.stores.records import missing_vectors
from lookalike.vectors import RELEVANCES, Relevance
from lookalike.vectors.calibration import MIN_SAMPLE
from lookalike.vectors.similarity import similarity_matrix

NEIGHBOURS = 10
QUERY_BATCH = 512


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
    check_choice("min_relevance", min_relevance, RELEVANCES)
    space = select_space(snapshot, extractor)
    if len(ids) < 2:
        return Duplicates((), len(ids), 0, 0, 0, "", {"total": time.perf_counter() - started})
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
        if similarity is None and space.count < MIN_SAMPLE:
            raise UsageError(
                f"a relevance needs {MIN_SAMPLE} images with vectors to be judged, and {space.name} has "
                f"{space.count}: give a minimum similarity instead (min_similarity)"
            )
        self._snapshot = snapshot
        self._space = space
        self._level = RELEVANCES.index(relevance)
        self._similarity = similarity
        self._samples = BackgroundSamples()

    def nearest(self, queries: Ids, ids: Ids) -> dict[Pair, float]:
        """Return the pairs of each query and its nearest neighbours that are similar enough."""
        vectors = self._snapshot.vectors(self._space.key, queries)
        present = ~np.isnan(vectors).any(axis=1)
        queries, vectors = queries[present], vectors[present]
        if not len(queries):
            return {}
        near = self._snapshot.search(self._space.key, vectors, NEIGHBOURS + 1, among=ids)
        rows = zip(queries.tolist(), near.ids.tolist(), near.similarities.tolist(), strict=True)
        return self._similar(
            {
                pair(id, other): value
                for id, others, values in rows
                for other, value in zip(others, values, strict=True)
                if other >= 0 and other != id
            }
        )

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
            found |= {pair(one, two): v for two, v in zip(others, values.tolist(), strict=True)}
        return self._similar(found)

    def _similar(self, pairs: dict[Pair, float]) -> dict[Pair, float]:
        """Return the pairs that are similar enough, judged from both sides."""
        if self._similarity is not None:
            return {both: value for both, value in pairs.items() if value >= self._similarity}
        for side in (0, 1):
            least = self._least({both[side] for both in pairs})
            pairs = {both: value for both, value in pairs.items() if value >= least[both[side]]}
        return pairs

    def _least(self, ids: set[int]) -> dict[int, float]:
        """Return the least similarity of each image that has the relevance, by its own background."""
        found = self._samples.thresholds(
            self._snapshot, self._space, self._space.similarity, sorted(ids)
        )
        return {
            id: (-np.inf, *thresholds)[self._level] if thresholds else np.inf
            for id, thresholds in found.items()
        }


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
