"""Rankings: what each space and the captions say to a question, before it is made into one answer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from lookalike.query import Fusion
from lookalike.search.plan import Draft, Probe
from lookalike.stores.interface import Ids, Neighbours, Snapshot
from lookalike.vectors.fusion import reciprocal_rank, weighted

CAPTIONS = "captions"


@dataclass(frozen=True, slots=True)
class Ranking:
    """What one probe or the captions found: scores by id; `turned` is the row of the probe's vectors
    (an orientation) that was nearest, `parts` the part of the image, in spaces that have them."""

    name: str
    weight: float
    scores: dict[int, float]
    exact: bool
    probe: Probe | None = None
    turned: Mapping[int, int] = field(default_factory=dict)
    parts: Mapping[int, int] = field(default_factory=dict)


def probe(snapshot: Snapshot, drafts: Sequence[Draft]) -> list[list[Ranking]]:
    """The rankings of every draft; one search of the store for all probes alike."""
    alike: dict[tuple[object, ...], list[tuple[int, Probe]]] = {}
    for number, d in enumerate(drafts):
        for p in d.probes:
            # The deepest question of a search sets its depth: few hits and many are asked apart.
            width = d.depth.bit_length()
            key = (p.space.key, p.similarity, d.query.exact, d.query.where, width)
            alike.setdefault(key, []).append((number, p))
    found: list[list[Ranking]] = [[] for _ in drafts]
    for group in alike.values():
        first, asked = drafts[group[0][0]], group[0][1]
        near = snapshot.search(
            asked.space.key,
            np.concatenate([p.vectors for _, p in group]),
            max(drafts[number].depth for number, _ in group),
            similarity=asked.similarity,
            among=first.among,
            exact=first.query.exact,
        )
        row, lists = 0, listed(near)
        for number, p in group:
            found[number].append(ranking_of(p, lists, row, drafts[number].depth))
            row += len(p.vectors)
    for number, d in enumerate(drafts):
        if d.words:
            found[number].append(captions(snapshot, d))
        # Groups follow the first question that asked them; a reader expects the question's order.
        order = [p.name for p in d.probes]
        found[number].sort(key=lambda r: order.index(r.name) if r.name in order else len(order))
    return found


@dataclass(frozen=True, slots=True)
class Lists:
    """`Neighbours` as Python's numbers: thousands of rows are quicker turned into them at once."""

    ids: list[list[int]]
    similarities: list[list[float]]
    parts: list[list[int]] | None
    exact: bool


def listed(near: Neighbours) -> Lists:
    parts = None if near.regions is None else near.regions.tolist()
    return Lists(near.ids.tolist(), near.similarities.tolist(), parts, near.exact)


def ranking_of(probe: Probe, near: Lists, first: int, depth: int) -> Ranking:
    """The rows of a probe in a shared search: the best of its vectors counts for each image."""
    scores: dict[int, float] = {}
    turned: dict[int, int] = {}
    parts: dict[int, int] = {}
    for turn in range(len(probe.vectors)):
        ids = near.ids[first + turn][:depth]
        similarities = near.similarities[first + turn][:depth]
        if ids and ids[-1] < 0:
            ids = [id for id in ids if id >= 0]
        found = dict(zip(ids, similarities, strict=False))
        if turn:
            found = {id: s for id, s in found.items() if s > scores.get(id, -math.inf)}
        scores |= found
        turned |= dict.fromkeys(found, turn)
        if near.parts is not None:
            of = zip(ids, near.parts[first + turn], strict=False)
            parts |= {id: part for id, part in of if id in found}
    return Ranking(probe.name, probe.weight, scores, near.exact, probe, turned, parts)


def captions(snapshot: Snapshot, draft: Draft) -> Ranking:
    """Σ weight · BM25 over the texts of the question, for the images that fit a positive text, or, where
    there is none, a negative one."""
    sign = 1 if any(weight > 0 for _, weight in draft.words) else -1
    parts = [
        snapshot.search_text(words, draft.depth, among=draft.among)
        for words, weight in draft.words
        if weight * sign > 0
    ]
    fitting = np.array(sorted({int(id) for ids, _ in parts for id in ids}), np.int64)
    scores = dict.fromkeys(fitting.tolist(), 0.0)
    for words, weight in draft.words if len(fitting) else ():
        # Asked again among these: what fits one text best may be far down in the list of another.
        ids, found = snapshot.search_text(words, len(fitting), among=fitting)
        for id, score in zip(ids.tolist(), found.tolist(), strict=True):
            scores[id] += weight * score
    return Ranking(CAPTIONS, draft.words_weight, scores, True)


def completed(snapshot: Snapshot, rankings: Sequence[Ranking]) -> list[Ranking]:
    """The rankings over all their images together: a space says of every candidate of another how
    similar it is, so that an image does not count as unlike because it was not among the first."""
    together = sorted(set().union(*(ranking.scores for ranking in rankings)))
    return [complete(snapshot, ranking, together) for ranking in rankings]


def complete(snapshot: Snapshot, ranking: Ranking, ids: Sequence[int]) -> Ranking:
    probe = ranking.probe
    missing: Ids = np.array([id for id in ids if id not in ranking.scores], np.int64)
    if probe is None or not len(missing):
        return ranking
    near = snapshot.search(
        probe.space.key,
        probe.vectors,
        len(missing),
        similarity=probe.similarity,
        among=missing,
        exact=True,
    )
    rest = ranking_of(probe, listed(near), 0, len(missing))
    return replace(
        ranking,
        scores=ranking.scores | rest.scores,
        turned={**ranking.turned, **rest.turned},
        parts={**ranking.parts, **rest.parts},
    )


def fused(rankings: Sequence[Ranking], how: Fusion) -> dict[int, float]:
    """One score an image."""
    if how == "ranks":
        return reciprocal_rank([(ranking.weight, ranking.scores) for ranking in rankings])
    together = set().union(*(ranking.scores for ranking in rankings))
    pairs = []
    for ranking in rankings:
        scores = ranking.scores
        if ranking.probe is None:
            # BM25 has a zero of its own: no word fits. Without it, the last that fits would be 0.
            scores = dict.fromkeys(together, 0.0) | scores
        pairs.append((ranking.weight, scores))
    return weighted(pairs)
