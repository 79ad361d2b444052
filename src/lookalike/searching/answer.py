"""Answers: questions against one consistent state of the library."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lookalike.errors import UsageError
from lookalike.query import Hit, Hits, Query
from lookalike.searching.asking import ORIENTATIONS, Askers
from lookalike.searching.drafts import Draft, draft
from lookalike.searching.rankings import Ranking, completed, fused, probe
from lookalike.searching.relevance import Backgrounds, at_least, collapsed, judged
from lookalike.stores.contract import View
from lookalike.vectors.diversity import maximal_marginal_relevance
from lookalike.vectors.fusion import rescaled


def answer(
    view: View, askers: Askers, queries: Sequence[Query], *, tolerant: bool = False
) -> list[Hits]:
    """The hits of every question, in order. Probes that ask the same space in the same way share one
    matrix product.

    tolerant  a question that cannot be answered gets empty `Hits` with the reason instead of ending
              the batch
    """
    started = time.perf_counter()
    drafts = [drafted(view, askers, query, tolerant=tolerant) for query in queries]
    extracted = time.perf_counter()
    rankings = probe(view, [d for d in drafts if isinstance(d, Draft)])
    searched = time.perf_counter()
    ready = iter(rankings)
    backgrounds = Backgrounds(view)
    answers = [
        refusal(d) if isinstance(d, str) else hits(view, backgrounds, d, next(ready))
        for d in drafts
    ]
    ended = time.perf_counter()
    share = 1 / len(queries) if queries else 0.0
    seconds = {
        "extract": (extracted - started) * share,
        "search": (searched - extracted) * share,
        "total": (ended - started) * share,
    }
    return [replace(found, seconds=seconds) for found in answers]


def drafted(view: View, askers: Askers, query: Query, *, tolerant: bool) -> Draft | str:
    try:
        return draft(view, askers, query)
    except UsageError as error:
        if not tolerant:
            raise
        return str(error)


def refusal(reason: str) -> Hits:
    return Hits((), by="", similarity=None, exact=True, searched=0, seconds={}, failure=reason)


def hits(view: View, backgrounds: Backgrounds, draft: Draft, rankings: list[Ranking]) -> Hits:
    """Rankings as one answer: fused, spread, cut to k."""
    query = draft.query
    if len(rankings) > 1:
        rankings = completed(view, rankings)
        scores = fused(rankings, query.fusion)
    else:
        scores = rankings[0].scores
    order = sorted(scores, key=lambda id: (-scores[id], id))
    images = view.images(order[: draft.depth])
    order = [id for id in order[: draft.depth] if id in images]
    relevance = judged(backgrounds, rankings)
    if query.min_relevance:
        lowest = query.min_relevance
        order = [id for id in order if at_least(relevance.get(id), lowest)]
    first = draft.probes[0] if draft.probes else None
    copies: dict[int, int] = {}
    if query.collapse:
        order, copies = collapsed(view, backgrounds, first, order, images)
    if query.diverse:
        order = spread(view, draft, order, scores)
    folders = {root.id: root.path for root in view.roots()}
    single = len(rankings) == 1
    found = tuple(
        Hit(
            rank=rank,
            id=id,
            path=images[id].path,
            file=folders[images[id].root] / images[id].path,
            similarity=scores[id],
            relevance=relevance.get(id),
            metadata=images[id].metadata,
            parts={} if single else {r.name: r.scores[id] for r in rankings if id in r.scores},
            copies=copies.get(id, 0),
            orientation=orientation(rankings, id) if query.any_orientation else None,
        )
        for rank, id in enumerate(order[: query.k], start=1)
    )
    probes = draft.probes
    return Hits(
        hits=found,
        by="+".join(ranking.name for ranking in rankings),
        similarity=probes[0].similarity if single and probes else None,
        exact=all(ranking.exact for ranking in rankings),
        searched=searched(draft),
        seconds={},
    )


def searched(draft: Draft) -> int:
    """How many images could have been hits."""
    if draft.among is not None:
        return len(draft.among)
    return max((p.space.count for p in draft.probes), default=0)


def orientation(rankings: Sequence[Ranking], id: int) -> str | None:
    turns = [ranking.turned[id] for ranking in rankings if id in ranking.turned]
    return ORIENTATIONS[turns[0] + 1] if turns else None


def spread(view: View, draft: Draft, order: list[int], scores: dict[int, float]) -> list[int]:
    """The order by maximal marginal relevance, in the first space that was asked."""
    if not draft.probes or not order:
        return order
    probe = draft.probes[0]
    vectors = np.nan_to_num(view.vectors(probe.space.key, np.array(order, np.int64)))
    # A cosine is on the scale on which likeness is measured; everything else is brought to it.
    cosine = probe.similarity == "cosine" and len(draft.probes) == 1 and not draft.words
    scale = scores if cosine else rescaled({id: scores[id] for id in order})
    relevance = np.array([scale[id] for id in order])
    chosen = maximal_marginal_relevance(
        relevance, vectors, draft.query.k, weight=draft.query.diverse
    )
    return [order[place] for place in chosen]
