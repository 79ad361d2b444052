"""Hits judged: how relevant, and which are near-copies of each other."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lookalike.search.plan import Probe
from lookalike.search.retrieve import Ranking
from lookalike.stores.interface import Ids, Image, Snapshot
from lookalike.vectors.blocks import Floats
from lookalike.vectors.calibration import RELEVANCES, Background, Relevance
from lookalike.vectors.similarity import similarity_matrix

SAMPLE = 500
"""Pictures of the background: the 99 % quantile then rests on five, and reading them costs nothing."""


class Backgrounds:
    """What the probes of one batch are judged against; the sample of a space is read once."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._view = snapshot
        self._samples: dict[str, tuple[Ids, Floats]] = {}
        self._found: dict[int, Background | None] = {}

    def look(self, probes: Iterable[Probe]) -> None:
        """Compare many probes with the sample at once; words are not judged (see `of`)."""
        groups: dict[tuple[str, str], list[Probe]] = {}
        for probe in probes:
            if not probe.words:
                groups.setdefault((probe.space.key, probe.similarity), []).append(probe)
        for group in groups.values():
            starts = np.cumsum([0, *(len(probe.vectors) for probe in group[:-1])])
            stack = np.concatenate([probe.vectors for probe in group])
            made = self.rows(group[0], stack, starts)
            self._found.update({id(p): b for p, b in zip(group, made, strict=True)})

    def of(self, probe: Probe) -> Background | None:
        """The background of a probe; None where there is none: of words, which no picture is ever as
        similar to as to a copy of itself, and in libraries that are too small."""
        if id(probe) not in self._found:
            self.look([probe])
        return self._found.get(id(probe))

    def rows(
        self, probe: Probe, vectors: Floats, starts: NDArray[np.int64] | None = None
    ) -> Sequence[Background | None]:
        """The background of each of the vectors (n, dim) in the probe's space, or of each run of them
        that begins at `starts`."""
        key = probe.space.key
        if key not in self._samples:
            ids = self._view.sample(key, SAMPLE)
            self._samples[key] = ids, self._view.vectors(key, ids)
        ids, sample = self._samples[key]
        starts = np.arange(len(vectors)) if starts is None else starts
        if probe.space.boxes is None:
            found = similarity_matrix(vectors, sample, similarity=probe.similarity)
        else:  # the best of many parts is more alike by chance, so it must be in the background
            count = max(len(ids), 1)
            near = self._view.search(
                key, vectors, count, similarity=probe.similarity, among=ids, exact=True
            )
            found = np.take_along_axis(near.similarities, np.argsort(near.ids, axis=1), axis=1)
        return Background.of_each(
            found, starts, similarity=probe.similarity, count=probe.space.count
        )


def judged(
    backgrounds: Backgrounds, rankings: Sequence[Ranking], ids: Collection[int]
) -> dict[int, Relevance]:
    """The best relevance that any space gives each of these images."""
    levels: dict[int, int] = {}
    for ranking in rankings:
        background = backgrounds.of(ranking.probe) if ranking.probe else None
        if ranking.probe is None or background is None:
            continue
        bars, scores = background.bars(ranking.probe.similarity), ranking.scores
        for id_ in ids:
            if id_ in scores:
                levels[id_] = max(bisect_right(bars, scores[id_]), levels.get(id_, 0))
    return {id_: RELEVANCES[level] for id_, level in levels.items()}


def at_least(relevance: Relevance | None, lowest: Relevance) -> bool:
    """Whether it is that relevant. What cannot be judged is let through."""
    return relevance is None or RELEVANCES.index(relevance) >= RELEVANCES.index(lowest)


def collapsed(
    snapshot: Snapshot,
    backgrounds: Backgrounds,
    probe: Probe | None,
    order: Sequence[int],
    images: Mapping[int, Image],
) -> tuple[list[int], dict[int, int]]:
    """The order without near-copies of earlier images, and how many of them each that stays has.

    Near-copies are the same content (by hash) or, in the space of the probe, as alike as re-saved
    pictures are.
    """
    alike = (
        likeness(snapshot, backgrounds, probe, order) if probe else np.eye(len(order), dtype=bool)
    )
    hashes = [images[id].hash for id in order]
    kept: list[int] = []
    copies: dict[int, int] = {}
    for place in range(len(order)):
        first = next(
            (p for p in kept if alike[place, p] or hashes[p] == hashes[place] is not None), None
        )
        if first is None:
            kept.append(place)
        else:
            copies[order[first]] = copies.get(order[first], 0) + 1
    return [order[place] for place in kept], copies


def likeness(
    snapshot: Snapshot, backgrounds: Backgrounds, probe: Probe, order: Sequence[int]
) -> NDArray[np.bool_]:
    """(n, n): which images are near-copies of which, each judged against its own background."""
    if not order:
        return np.zeros((0, 0), np.bool_)
    vectors = np.nan_to_num(snapshot.vectors(probe.space.key, np.array(order, np.int64)))
    table = similarity_matrix(vectors, vectors, similarity=probe.similarity)
    made = backgrounds.rows(probe, vectors)
    bars = [b.bars(probe.similarity)[-1] if b else np.inf for b in made]
    alike: NDArray[np.bool_] = table >= np.array(bars)[:, None]
    return alike | alike.T
