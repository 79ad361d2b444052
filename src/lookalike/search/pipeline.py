"""Answers: questions against one consistent state of the library."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lookalike.errors import LibraryDamaged, UsageError
from lookalike.query import Box, Hit, Hits, Query
from lookalike.search.encode import Askers, Work
from lookalike.search.pausing import uncollected
from lookalike.search.plan import Draft, Shared, asked_spaces, draft
from lookalike.search.relevance import Backgrounds, at_least, collapsed, judged
from lookalike.search.retrieve import Ranking, completed, fused, probe
from lookalike.search.terms import ORIENTATIONS, sought
from lookalike.stores.interface import HitFields, Snapshot, Space
from lookalike.vectors.calibration import RELEVANCES, Relevance
from lookalike.vectors.fusion import rescaled
from lookalike.vectors.mmr import maximal_marginal_relevance
from lookalike.workers.limits import Limits

if TYPE_CHECKING:
    from lookalike.extractors.verification import Match


@dataclass(frozen=True, slots=True)
class Choice:
    """The images that answer one question, best first, and what is to be said of them."""

    draft: Draft
    rankings: Sequence[Ranking]
    order: Sequence[int]
    scores: Mapping[int, float]
    relevance: Mapping[int, Relevance]
    best: Relevance | None
    copies: Mapping[int, int] = field(default_factory=dict)
    matches: Mapping[int, Match] = field(default_factory=dict)


def answer(
    snapshot: Snapshot, askers: Askers, queries: Sequence[Query], *, tolerant: bool = False
) -> list[Hits]:
    """The hits of every question, in order. Probes that ask the same space in the same way share one
    matrix product.

    tolerant  a question that cannot be answered gets empty `Hits` with the reason instead of ending
              the batch
    """
    with uncollected(len(queries)):
        return _answered(snapshot, askers, queries, tolerant=tolerant)


def _answered(
    snapshot: Snapshot, askers: Askers, queries: Sequence[Query], *, tolerant: bool
) -> list[Hits]:
    started = time.perf_counter()
    shared = Shared(snapshot)
    with ahead(snapshot, askers, shared, queries):
        drafts = [drafted(snapshot, askers, shared, query, tolerant=tolerant) for query in queries]
    extracted = time.perf_counter()
    ready = [d for d in drafts if isinstance(d, Draft)]
    rankings = probe(snapshot, ready)
    backgrounds = Backgrounds(snapshot)
    backgrounds.look(p for d in ready for p in d.probes)
    chosen = [choose(snapshot, backgrounds, d, r) for d, r in zip(ready, rankings, strict=True)]
    chosen = [verify(snapshot, choice, askers.limits) for choice in chosen]
    wanted = {id for choice in chosen for id in choice.order}
    shown = snapshot.hit_fields(wanted)
    if len(shown) < len(wanted):
        raise LibraryDamaged(
            "the library's files name pictures that it does not know: `lookalike index` mends them"
        )
    folders = {root.id: root.path for root in snapshot.roots()}
    found = iter([found_by(choice, shown, folders) for choice in chosen])
    choices = iter(chosen)
    ended = time.perf_counter()
    share = 1 / len(queries) if queries else 0.0
    seconds = {
        "extract": (extracted - started) * share,
        "search": (ended - extracted) * share,
        "total": (ended - started) * share,
    }
    return [
        hits(next(choices), next(found), seconds) if isinstance(d, Draft) else refusal(d, seconds)
        for d in drafts
    ]


@contextmanager
def ahead(
    snapshot: Snapshot, askers: Askers, shared: Shared, queries: Sequence[Query]
) -> Iterator[None]:
    """Reads the pictures of a batch on all cores, and the stored vectors that it asks with, before its
    questions are drafted one by one."""
    spaces: dict[str, Space] = {}
    images: dict[str, list[int]] = {}
    work: dict[str, list[Work]] = {}
    for query in queries if len(queries) > 1 else ():
        turned = query.any_orientation
        try:
            for space in asked_spaces(shared.spaces, query):
                spaces[space.key] = space
                for term in query.terms:
                    if term.id is not None:
                        images.setdefault(space.key, []).append(term.id)
                    elif isinstance(term.image, Path | bytes):
                        found = sought(snapshot, shared.stored, space, term, any_orientation=turned)
                        if isinstance(found, Work):
                            work.setdefault(space.key, []).append(found)
        except UsageError:  # said when the question is drafted
            continue
    for key, ids in images.items():
        shared.stored.read(spaces[key], ids)
    with ExitStack() as stack:
        for key, works in work.items():
            try:
                asker = askers.asker(spaces[key])
            except UsageError:
                continue
            stack.enter_context(asker.ahead([task for one in works for task in one.tasks]))
        yield


def drafted(
    snapshot: Snapshot, askers: Askers, shared: Shared, query: Query, *, tolerant: bool
) -> Draft | str:
    """A draft, or why there is none."""
    try:
        return draft(snapshot, askers, shared, query)
    except UsageError as error:
        if not tolerant:
            raise
        return str(error)


def refusal(reason: str, seconds: Mapping[str, float]) -> Hits:
    return Hits(
        (),
        ranked_by="",
        similarity=None,
        exact=True,
        searched_count=0,
        seconds=seconds,
        failure=reason,
    )


def choose(
    snapshot: Snapshot, backgrounds: Backgrounds, draft: Draft, rankings: Sequence[Ranking]
) -> Choice:
    """Rankings as one: fused, cut at `min_relevance`, without near-copies, spread, cut to k."""
    query = draft.query
    if len(rankings) > 1:
        rankings = completed(snapshot, rankings)
        scores = fused(rankings, query.fusion)
    else:
        scores = rankings[0].scores
    order = sorted(scores, key=lambda id: (-scores[id], id))[: draft.depth]
    relevance = judged(backgrounds, rankings, order)
    best = max(relevance.values(), key=RELEVANCES.index, default=None)
    if query.min_relevance:
        lowest = query.min_relevance
        order = [id for id in order if at_least(relevance.get(id), lowest)]
    copies: dict[int, int] = {}
    if query.collapse_duplicates:
        first = draft.probes[0] if draft.probes else None
        order, copies = collapsed(snapshot, backgrounds, first, order, snapshot.images(order))
    if query.diversity:
        order = spread(snapshot, draft, order, scores)
    if not query.verify:
        order = order[: query.k]
    return Choice(draft, rankings, order, scores, relevance, best, copies)


def verify(snapshot: Snapshot, choice: Choice, limits: Limits) -> Choice:
    """The choice verified by geometry, where the question asks for it."""
    query = choice.draft.query
    if not query.verify:
        return choice
    from lookalike.search.geometric_rerank import verified  # it imports OpenCV

    order, matches = verified(snapshot, query, choice.order, limits)
    return replace(choice, order=order[: query.k], matches=matches)


def spread(
    snapshot: Snapshot, draft: Draft, order: Sequence[int], scores: Mapping[int, float]
) -> list[int]:
    """The order by maximal marginal relevance, in the first space that was asked."""
    if not draft.probes or not order:
        return list(order)
    probe = draft.probes[0]
    vectors = np.nan_to_num(snapshot.vectors(probe.space.key, np.array(order, np.int64)))
    # A cosine is on the scale on which likeness is measured; everything else is brought to it.
    cosine = probe.similarity == "cosine" and len(draft.probes) == 1 and not draft.words
    scale = scores if cosine else rescaled({id: scores[id] for id in order})
    relevance = np.array([scale[id] for id in order])
    chosen = maximal_marginal_relevance(
        relevance, vectors, draft.query.k, weight=draft.query.diversity
    )
    return [order[place] for place in chosen]


def found_by(
    choice: Choice, shown: Mapping[int, HitFields], folders: Mapping[int, Path]
) -> tuple[Hit, ...]:
    """The images that were chosen, as hits."""
    rankings = choice.rankings
    single = len(rankings) == 1
    turns = choice.draft.query.any_orientation
    parted = [ranking for ranking in rankings if ranking.parts]
    found = []
    for rank, id in enumerate(choice.order, start=1):
        (root, path, metadata), match = shown[id], choice.matches.get(id)
        found.append(
            Hit(  # in the order of its fields: a fifth faster than by their names
                rank,
                id,
                path,
                folders[root],
                choice.scores[id],
                choice.relevance.get(id),
                metadata,
                {} if single else {r.name: r.scores[id] for r in rankings if id in r.scores},
                choice.copies.get(id, 0),
                orientation(rankings, id) if turns else None,
                match.box if match else box(parted, id) if parted else None,
                match.inliers if match else 0,
            )
        )
    return tuple(found)


def hits(choice: Choice, found: tuple[Hit, ...], seconds: Mapping[str, float]) -> Hits:
    draft, rankings = choice.draft, choice.rankings
    alone = len(rankings) == 1 and bool(draft.probes)
    return Hits(
        hits=found,
        ranked_by="+".join(ranking.name for ranking in rankings),
        similarity=draft.probes[0].similarity if alone else None,
        exact=all(ranking.exact for ranking in rankings),
        searched_count=draft.searched,
        seconds=seconds,
        top_relevance=choice.best,
    )


def box(rankings: Sequence[Ranking], id: int) -> Box | None:
    """The part of the image that matched, in the first space that has parts."""
    for ranking in rankings:
        boxes = ranking.probe.space.boxes if ranking.probe else None
        if boxes is not None and id in ranking.parts:
            x, y, width, height = boxes[ranking.parts[id]].tolist()
            return x, y, width, height
    return None


def orientation(rankings: Sequence[Ranking], id: int) -> str | None:
    """How the question was turned to match the image best, in the first space that knows it."""
    turns = (r.turned[id] for r in rankings if r.probe and not r.probe.words and id in r.turned)
    turn = next(turns, None)
    return None if turn is None else ORIENTATIONS[turn + 1]
