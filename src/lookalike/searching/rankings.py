"""Rankings: what each space and the captions say to a question, before it is made into one answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from lookalike.query import Fusion
from lookalike.searching.drafts import Draft, Probe
from lookalike.stores.contract import Neighbours, View
from lookalike.vectors.fusion import reciprocal_rank, weighted
from lookalike.vectors.similarity import similarity_matrix

CAPTIONS = "captions"


@dataclass(frozen=True, slots=True)
class Ranking:
    """What one probe or the captions found: scores by id; `turned` is the row of the probe's vectors
    (an orientation) that was nearest."""

    name: str
    weight: float
    scores: dict[int, float]
    exact: bool
    probe: Probe | None = None
    turned: Mapping[int, int] = field(default_factory=dict)


def probe(view: View, drafts: Sequence[Draft]) -> list[list[Ranking]]:
    """The rankings of every draft; one search of the store for all probes alike."""
    alike: dict[tuple[object, ...], list[tuple[int, Probe]]] = {}
    for number, d in enumerate(drafts):
        for p in d.probes:
            filtered = number if d.among is not None else None
            key = (p.space.key, p.similarity, d.query.exact, filtered)
            alike.setdefault(key, []).append((number, p))
    found: list[list[Ranking]] = [[] for _ in drafts]
    for group in alike.values():
        first = drafts[group[0][0]]
        stack = np.concatenate([p.vectors for _, p in group])
        near = view.search(
            group[0][1].space.key,
            stack,
            max(drafts[number].depth for number, _ in group),
            similarity=group[0][1].similarity,
            among=first.among,
            exact=first.query.exact,
        )
        row = 0
        for number, p in group:
            found[number].append(ranking(p, near, row, drafts[number].depth))
            row += len(p.vectors)
    for number, d in enumerate(drafts):
        if d.words:
            found[number].append(captions(view, d))
    return found


def ranking(probe: Probe, near: Neighbours, first: int, depth: int) -> Ranking:
    """The rows of a probe in a shared search: the best of its vectors counts for each image."""
    scores: dict[int, float] = {}
    turned: dict[int, int] = {}
    for turn in range(len(probe.vectors)):
        ids = near.ids[first + turn].tolist()
        similarities = near.similarities[first + turn].tolist()
        for id, similarity in zip(ids[:depth], similarities[:depth], strict=True):
            if id >= 0 and similarity > scores.get(id, -np.inf):
                scores[id], turned[id] = similarity, turn
    return Ranking(probe.space.name, probe.weight, scores, near.exact, probe, turned)


def captions(view: View, draft: Draft) -> Ranking:
    """Σ weight · BM25 on one scale, over the texts of the question."""
    scores: dict[int, float] = {}
    for words, weight in draft.words:
        ids, found = view.captions(words, draft.depth, among=draft.among)
        part = dict(zip(ids.tolist(), found.tolist(), strict=True))
        if weight > 0 and not scores:
            scores = {id: weight * score for id, score in part.items()}
            continue
        for id, score in part.items():
            if weight > 0 or id in scores:
                scores[id] = scores.get(id, 0.0) + weight * score
    return Ranking(CAPTIONS, draft.words_weight, scores, True)


def completed(view: View, rankings: Sequence[Ranking]) -> list[Ranking]:
    """The rankings over all their images together: a space says of every candidate of another how
    similar it is, so that an image does not count as unlike because it was not among the first."""
    together = sorted(set().union(*(ranking.scores for ranking in rankings)))
    return [complete(view, ranking, together) for ranking in rankings]


def complete(view: View, ranking: Ranking, ids: Sequence[int]) -> Ranking:
    missing = np.array([id for id in ids if id not in ranking.scores], np.int64)
    if ranking.probe is None or not len(missing):
        return ranking
    probe = ranking.probe
    vectors = view.vectors(probe.space.key, missing)
    there = ~np.isnan(vectors).any(axis=1)
    if not there.any():
        return ranking
    table = similarity_matrix(probe.vectors, vectors[there], similarity=probe.similarity)
    found = missing[there].tolist()
    return replace(
        ranking,
        scores=ranking.scores | dict(zip(found, table.max(axis=0).tolist(), strict=True)),
        turned={**ranking.turned, **dict(zip(found, table.argmax(axis=0).tolist(), strict=True))},
    )


def fused(rankings: Sequence[Ranking], how: Fusion) -> dict[int, float]:
    """One score an image."""
    pairs = [(ranking.weight, ranking.scores) for ranking in rankings]
    return weighted(pairs) if how == "scores" else reciprocal_rank(pairs)
