"""Hits judged: how relevant, and which are near-copies of each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lookalike.searching.drafts import Probe
from lookalike.searching.rankings import Ranking
from lookalike.stores.contract import Image, View
from lookalike.vectors.calibration import RELEVANCES, Background, Relevance
from lookalike.vectors.exact import Floats
from lookalike.vectors.similarity import similarity_matrix

SAMPLE = 500
"""Pictures of the background: the 99 % quantile then rests on five, and reading them costs nothing."""


class Backgrounds:
    """The samples of the spaces, read once for all questions that one state of the library answers."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._samples: dict[str, Floats] = {}

    def sample(self, space: str) -> Floats:
        """(m, dim), m at most SAMPLE."""
        if space not in self._samples:
            ids = self._view.sample(space, SAMPLE)
            self._samples[space] = self._view.vectors(space, ids)
        return self._samples[space]

    def of(self, probe: Probe, vectors: Floats) -> Background | None:
        """The background of some vectors of the probe's space."""
        sample = self.sample(probe.space.key)
        return Background.of(vectors, sample, similarity=probe.similarity)


def judged(backgrounds: Backgrounds, rankings: Sequence[Ranking]) -> dict[int, Relevance]:
    """The best relevance that any space gives each image; captions judge nothing, and a library too
    small to have a background is not judged."""
    found: dict[int, Relevance] = {}
    for ranking in rankings:
        probe = ranking.probe
        background = backgrounds.of(probe, probe.vectors) if probe else None
        if probe is None or background is None:
            continue
        for id, similarity in ranking.scores.items():
            relevance = background.judge(similarity, probe.similarity)
            if at_least(relevance, found.get(id, "weak")):
                found[id] = relevance
    return found


def at_least(relevance: Relevance | None, lowest: Relevance) -> bool:
    """Whether it is that relevant. What cannot be judged is let through."""
    return relevance is None or RELEVANCES.index(relevance) >= RELEVANCES.index(lowest)


def collapsed(
    view: View,
    backgrounds: Backgrounds,
    probe: Probe | None,
    order: list[int],
    images: Mapping[int, Image],
) -> tuple[list[int], dict[int, int]]:
    """The order without near-copies of earlier images, and how many of them each that stays has.

    Near-copies are the same content (by hash) or, in the space of the probe, as alike as re-saved
    pictures are.
    """
    alike = likeness(view, backgrounds, probe, order) if probe else np.eye(len(order), dtype=bool)
    kept: list[int] = []
    copies: dict[int, int] = {}
    for place, id in enumerate(order):
        first = next(
            (
                order[other]
                for other in kept
                if alike[place, other] or images[order[other]].hash == images[id].hash
            ),
            None,
        )
        if first is None:
            kept.append(place)
        else:
            copies[first] = copies.get(first, 0) + 1
    return [order[place] for place in kept], copies


def likeness(
    view: View, backgrounds: Backgrounds, probe: Probe, order: list[int]
) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """(n, n): which images are near-copies of which, each judged against its own background."""
    vectors = np.nan_to_num(view.vectors(probe.space.key, np.array(order, np.int64)))
    table = similarity_matrix(vectors, vectors, similarity=probe.similarity)
    alike = np.zeros(table.shape, bool)
    for row, vector in enumerate(vectors):
        background = backgrounds.of(probe, vector[None])
        if background is not None:
            alike[row] = [
                background.judge(float(value), probe.similarity) == "near-copy"
                for value in table[row]
            ]
    return alike | alike.T
