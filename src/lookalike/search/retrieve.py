"""Retrieval: each subquery ranks the images of one space, text ranks by captions; rankings are fused.

Subqueries of a batch that search the same space in the same way share one matrix product.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from lookalike.extractors.interface import TEXT_IN_IMAGES
from lookalike.images.metadata.facts import OCR_TEXT
from lookalike.query import Fusion
from lookalike.search.plan import QueryPlan, SubQuery
from lookalike.search.stages import stage
from lookalike.stores.interface import Ids, Neighbours, Snapshot
from lookalike.stores.text_analysis import TEXT_MATCHES, TextMatch, mentions
from lookalike.vectors import Relevance
from lookalike.vectors.fusion import reciprocal_rank_fusion, weighted_sum
from lookalike.vectors.similarity import normalise

if TYPE_CHECKING:
    from lookalike.extractors.verification import Match

CAPTIONS = "captions"
"""Name of the ranking by captions in `Hits.ranked_by`."""

TEXT_RANKING = "text in images"
"""Its name where only text in images is searched."""

PARTS_OF_WORDS: tuple[tuple[float, TextMatch], ...] = (
    *((1.0, "words"), (0.5, "parts"), (0.25, "inside")),
)

SIMILAR_WORDS = "captions (similar words)"
"""Its name where a text has a typo, and captions with similar words are found."""


@dataclass(slots=True)
class Ranking:
    """Scores by image id, from one subquery or from the captions.

    orientations  the row of the subquery's vectors that was nearest
    regions       the region of the image that was nearest, in spaces that have them
    """

    name: str
    weight: float
    scores: dict[int, float]
    exact: bool
    subquery: SubQuery | None = None
    orientations: Mapping[int, int] = field(default_factory=dict)
    regions: Mapping[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class Candidates:
    """The images that may become hits of one query.

    order          image ids, best first; `rerank` shortens and reorders it
    scores         by image id: that of the only ranking, or fused
    judged         names of the rankings that relevance judges, joined by "+"; "" if it judges none
    relevance      by image id; empty where nothing can be judged
    top_relevance  the best of them, even if below `Query.min_relevance`
    copies         number of near-copies of an image that were left out
    matches        geometric verification, of the images that passed it
    """

    plan: QueryPlan
    rankings: Sequence[Ranking]
    order: Sequence[int]
    scores: Mapping[int, float]
    judged: str = ""
    relevance: Mapping[int, Relevance] = field(default_factory=dict)
    top_relevance: Relevance | None = None
    copies: Mapping[int, int] = field(default_factory=dict)
    matches: Mapping[int, Match] = field(default_factory=dict)


def retrieve(snapshot: Snapshot, plans: Sequence[QueryPlan]) -> list[Candidates]:
    """Return the candidates of each plan, at most `depth` of them."""
    rankings = search_spaces(snapshot, plans)
    for plan, found in zip(plans, rankings, strict=True):
        if plan.captions:
            with stage("retrieve/captions") as details:
                found.append(search_captions(snapshot, plan))
                details["candidates"] = len(found[-1].scores)
        found[:] = [score_words(snapshot, ranking) for ranking in found]
    return [combine(snapshot, *each) for each in zip(plans, rankings, strict=True)]


def search_spaces(snapshot: Snapshot, plans: Sequence[QueryPlan]) -> list[list[Ranking]]:
    """Return the rankings of the subqueries of each plan, in their order."""
    groups: dict[tuple[object, ...], list[tuple[int, int]]] = {}
    for number, plan in enumerate(plans):
        for place, subquery in enumerate(plan.subqueries):
            # The deepest query of a group sets its depth: few hits and many are searched separately.
            size = plan.depth.bit_length()
            query = plan.query
            key = (subquery.space.key, subquery.similarity, query.exact, query.where, size)
            groups.setdefault(key, []).append((number, place))
    found: dict[tuple[int, int], Ranking] = {}
    for group in groups.values():
        subqueries = [plans[number].subqueries[place] for number, place in group]
        neighbours = _search_space(snapshot, [plans[number] for number, _ in group], subqueries)
        row = 0
        for (number, place), one in zip(group, subqueries, strict=True):
            found[number, place] = to_ranking(one, neighbours, row, plans[number].depth)
            row += len(one.vectors)
    return [
        [found[number, place] for place in range(len(plan.subqueries))]
        for number, plan in enumerate(plans)
    ]


def _search_space(
    snapshot: Snapshot, plans: Sequence[QueryPlan], subqueries: Sequence[SubQuery]
) -> Neighbours:
    """Return the neighbours of the vectors of subqueries of one group, each with its plan."""
    first, space = plans[0], subqueries[0].space
    vectors = np.concatenate([one.vectors for one in subqueries])
    k = max(plan.depth for plan in plans)
    with stage("retrieve/space", space=space.name, k=k) as details:
        found = snapshot.search(
            space.key,
            vectors,
            k,
            similarity=subqueries[0].similarity,
            among=first.filter_ids,
            exact=first.query.exact,
        )
        details["method"] = "exact" if found.exact else "ANN index"
        details["vectors"] = len(vectors)
        passing = space.count if first.filter_ids is None else len(first.filter_ids)
        details["images"] = min(space.count, passing)
    return found


def to_ranking(subquery: SubQuery, neighbours: Neighbours, first: int, depth: int) -> Ranking:
    """Return the ranking of a subquery from its rows, which begin at `first`, of a shared search.

    Of the several vectors of a subquery (orientations), the nearest counts for each image.
    """
    scores: dict[int, float] = {}
    orientations: dict[int, int] = {}
    regions: dict[int, int] = {}
    for orientation in range(len(subquery.vectors)):
        row = first + orientation
        ids = neighbours.ids[row, :depth].tolist()
        similarities = neighbours.similarities[row, :depth].tolist()
        if ids and ids[-1] < 0:
            ids = [id for id in ids if id >= 0]
        found = dict(zip(ids, similarities, strict=False))
        if orientation:
            found = {id: s for id, s in found.items() if s > scores.get(id, -math.inf)}
        scores |= found
        orientations |= dict.fromkeys(found, orientation)
        if neighbours.regions is not None:
            nearest = zip(ids, neighbours.regions[row].tolist(), strict=False)
            regions |= {id: region for id, region in nearest if id in found}
    return Ranking(
        subquery.name, subquery.weight, scores, neighbours.exact, subquery, orientations, regions
    )


def score_words(snapshot: Snapshot, ranking: Ranking) -> Ranking:
    """Return a ranking by words with the scores that rank them better than the nearness to a vector."""
    scores = ranking.subquery.scores if ranking.subquery else None
    if scores is None or ranking.subquery is None or not ranking.scores:
        return ranking
    ids = np.array(sorted(ranking.scores), np.int64)
    vectors = normalise(np.nan_to_num(snapshot.vectors(ranking.subquery.space.key, ids)))
    found = dict(zip(ids.tolist(), scores.of(vectors).tolist(), strict=True))
    return replace(ranking, scores=found)


def search_captions(snapshot: Snapshot, plan: QueryPlan) -> Ranking:
    """Return Σ weight · BM25 over the texts of a query.

    A query that names the extractor of text in images finds only what they show, by parts of words, too.

    Ranked are the images that match a positive text; if there is none, those that match a negative one.
    """
    if TEXT_IN_IMAGES in plan.query.extractors:
        return search_text_in_images(snapshot, plan)
    sign = 1 if any(weight > 0 for _, weight in plan.captions) else -1
    how = {
        text: _text_match(snapshot, text) if weight * sign > 0 else "words"
        for text, weight in plan.captions
    }
    matching = [
        snapshot.search_text(text, plan.depth, among=plan.filter_ids, match=how[text])[0]
        for text, weight in plan.captions
        if weight * sign > 0
    ]
    candidates = np.array(sorted({int(id) for ids in matching for id in ids}), np.int64)
    scores = dict.fromkeys(candidates.tolist(), 0.0)
    for text, weight in plan.captions if len(candidates) else ():
        # Searched again among these: what matches one text best may be far down in the list of another.
        ids, found = snapshot.search_text(text, len(candidates), among=candidates, match=how[text])
        for id, score in zip(ids.tolist(), found.tolist(), strict=True):
            scores[id] += weight * score
    name = SIMILAR_WORDS if "similar" in how.values() else CAPTIONS
    return Ranking(name, plan.captions_weight, scores, True)


def search_text_in_images(snapshot: Snapshot, plan: QueryPlan) -> Ranking:
    """Return Σ weight · BM25 of whole words; parts of words count half, the inside of words a quarter."""
    scores: dict[int, float] = {}
    for text, weight in plan.captions:
        best: dict[int, float] = {}
        for share, match in PARTS_OF_WORDS:
            ids, found = snapshot.search_text(text, plan.depth, among=plan.filter_ids, match=match)
            for id, score in zip(ids.tolist(), found.tolist(), strict=True):
                best[id] = max(best.get(id, 0.0), share * score)
        images = snapshot.images(best)
        for id, score in best.items():
            read = images[id].facts.get(OCR_TEXT)
            if isinstance(read, str) and mentions(read, text):
                scores[id] = scores.get(id, 0.0) + weight * score
    return Ranking(TEXT_RANKING, plan.captions_weight, scores, True)


def _text_match(snapshot: Snapshot, text: str) -> TextMatch:
    """Return how a text is searched: the strictest way that finds something."""
    return next(
        (how for how in TEXT_MATCHES if len(snapshot.search_text(text, 1, match=how)[0])), "words"
    )


def combine(snapshot: Snapshot, plan: QueryPlan, rankings: Sequence[Ranking]) -> Candidates:
    """Return the best of one ranking, or of several after fusion.

    In a query of words alone, only images that show what the words name are hits.
    """
    if len(rankings) > 1:
        rankings = score_missing(snapshot, rankings)
        scores = fuse(rankings, plan.query.fusion)
    else:
        scores = rankings[0].scores
    if not plan.images:
        shown = [one.scores for one in rankings if one.subquery and one.subquery.scores]
        scores = {id: score for id, score in scores.items() if all(one.get(id) for one in shown)}
    order = _ordered(scores, rankings)[: plan.depth]
    if plan.excluded:
        order = [id for id in order if id not in plan.excluded]
    return Candidates(plan, rankings, order, scores)


def _ordered(scores: Mapping[int, float], rankings: Sequence[Ranking]) -> list[int]:
    """Return the ids by falling score. Of equal ones, images alike as a whole precede those alike in a part.

    Equal means within rounding: one image decoded whole and as a part of another.
    """
    parts = rankings[0].regions if len(rankings) == 1 else {}
    if not parts:
        return sorted(scores, key=lambda id: (-scores[id], id))
    return sorted(
        scores, key=lambda id: (-round(scores[id], 5), parts.get(id, 0) > 0, -scores[id], id)
    )


def score_missing(snapshot: Snapshot, rankings: Sequence[Ranking]) -> list[Ranking]:
    """Return the rankings with scores for the images of all of them.

    An image that one space ranks high may be just below the depth of another: without its score there,
    it would count as not similar at all.
    """
    union = sorted(set().union(*(ranking.scores for ranking in rankings)))
    return [_score_missing(snapshot, ranking, union) for ranking in rankings]


def _score_missing(snapshot: Snapshot, ranking: Ranking, ids: Sequence[int]) -> Ranking:
    subquery = ranking.subquery
    missing: Ids = np.array([id for id in ids if id not in ranking.scores], np.int64)
    if subquery is None or not len(missing):
        return ranking
    neighbours = snapshot.search(
        subquery.space.key,
        subquery.vectors,
        len(missing),
        similarity=subquery.similarity,
        among=missing,
        exact=True,
    )
    rest = score_words(snapshot, to_ranking(subquery, neighbours, 0, len(missing)))
    return replace(
        ranking,
        scores=ranking.scores | rest.scores,
        orientations={**ranking.orientations, **rest.orientations},
        regions={**ranking.regions, **rest.regions},
    )


def fuse(rankings: Sequence[Ranking], fusion: Fusion) -> dict[int, float]:
    """Return one score per image, by rescaled scores or by reciprocal ranks."""
    if fusion == "ranks":
        return reciprocal_rank_fusion([(ranking.weight, ranking.scores) for ranking in rankings])
    union = set().union(*(ranking.scores for ranking in rankings))
    pairs = []
    for ranking in rankings:
        scores = ranking.scores
        if ranking.subquery is None:
            # BM25 has a true zero: no word matches. Without it, the last that matches would become 0.
            scores = dict.fromkeys(union, 0.0) | scores
        pairs.append((ranking.weight, scores))
    return weighted_sum(pairs)
