"""Run queries on one snapshot of a library: plan, encode, retrieve, re-rank, hits."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lookalike.errors import LibraryDamaged, UsageError
from lookalike.extractors.regions import region_boxes
from lookalike.images.resize import MAX_ASPECT_RATIO, crop_box
from lookalike.query import SIMILARITY, Box, Hit, Hits, Query
from lookalike.search.batch_context import BatchContext
from lookalike.search.encode import QueryEncoders, encode_plans
from lookalike.search.listing import list_images
from lookalike.search.plan import ORIENTATIONS, EncodeRequest, QueryPlan, plan_query
from lookalike.search.relevance import BackgroundSamples, RelevanceScale
from lookalike.search.rerank import rerank
from lookalike.search.retrieve import SIMILAR_WORDS, Candidates, Ranking, retrieve
from lookalike.search.stages import record_stages, stage
from lookalike.stores.interface import HitFields, Snapshot
from lookalike.stores.records import IMPORTED
from lookalike.stores.text_analysis import mentions

if TYPE_CHECKING:
    from lookalike.extractors.verification import Match


def run_queries(
    snapshot: Snapshot,
    encoders: QueryEncoders,
    queries: Sequence[Query],
    *,
    samples: BackgroundSamples | None = None,
    tolerant: bool = False,
    slow: float = math.inf,
) -> list[Hits]:
    """Return the hits of each query, in order.

    samples   what relevance needs of the library, kept from one call to the next
    tolerant  a query that cannot be answered gets empty `Hits` with the reason; otherwise its
              `UsageError` is raised
    slow      seconds from which on their plan is logged
    """
    with_terms = [query for query in queries if query.terms]
    explain = any(query.explain_plan for query in queries)
    with record_stages(len(queries), slow, explain=explain) as stages:
        searched = iter(
            _search(
                snapshot, encoders, with_terms, samples or BackgroundSamples(), tolerant=tolerant
            )
            if with_terms
            else ()
        )
        found = [
            next(searched) if query.terms else _list(snapshot, query, tolerant=tolerant)
            for query in queries
        ]
    return [
        replace(hits, plan=tuple(stages)) if query.explain_plan else hits
        for query, hits in zip(queries, found, strict=True)
    ]


def _list(snapshot: Snapshot, query: Query, *, tolerant: bool) -> Hits:
    try:
        return list_images(snapshot, query)
    except UsageError as error:
        if not tolerant:
            raise
        return failed(str(error), {"extract": 0.0, "search": 0.0, "total": 0.0})


def _search(
    snapshot: Snapshot,
    encoders: QueryEncoders,
    queries: Sequence[Query],
    samples: BackgroundSamples,
    *,
    tolerant: bool,
) -> list[Hits]:
    """Return the hits of queries that have terms; see `run_queries`."""
    started = time.perf_counter()
    with stage("plan"):
        planned = plan_queries(snapshot, encoders, queries)
    with stage("encode") as details:
        plans = encode_plans(snapshot, encoders, planned)
        details |= _encoded_counts(planned)
    if not tolerant:
        for plan in plans:
            if isinstance(plan, UsageError):
                raise plan
    encoded = time.perf_counter()
    runnable = [plan for plan in plans if isinstance(plan, QueryPlan)]
    with stage("retrieve"):
        retrieved = retrieve(snapshot, runnable)
    scale = RelevanceScale(snapshot, samples)
    with stage("relevance"):
        scale.compute(subquery for plan in runnable for subquery in plan.subqueries)
    with stage("rerank", candidates=sum(len(each.order) for each in retrieved)):
        ranked = [
            sort_candidates(snapshot, rerank(snapshot, scale, each, encoders.limits))
            for each in retrieved
        ]
    with stage("hits", count=sum(len(each.order) for each in ranked)):
        found = iter(hits_of(snapshot, ranked))
    ended = time.perf_counter()
    share = 1 / len(queries) if queries else 0.0
    seconds = {
        "extract": (encoded - started) * share,
        "search": (ended - encoded) * share,
        "total": (ended - started) * share,
    }
    candidates = iter(ranked)
    return [
        to_hits(next(candidates), next(found), seconds)
        if isinstance(plan, QueryPlan)
        else failed(str(plan), seconds)
        for plan in plans
    ]


def _encoded_counts(plans: Sequence[QueryPlan | UsageError]) -> dict[str, int]:
    """Return how many images and texts have to be turned into vectors."""
    subqueries = [one for plan in plans if isinstance(plan, QueryPlan) for one in plan.subqueries]
    images = sum(isinstance(source, EncodeRequest) for one in subqueries for source in one.sources)
    texts = sum(one.is_text and one.scores is None for one in subqueries)
    return {"images": images, "texts": texts}


def sort_candidates(snapshot: Snapshot, candidates: Candidates) -> Candidates:
    """Return the hits in the order that the query asks for."""
    query, order = candidates.plan.query, candidates.order
    if query.sort not in (None, SIMILARITY):
        ids = np.array(order, np.int64)
        order = snapshot.sort(ids, query.sort, reverse=query.reverse).tolist()
    elif query.reverse:
        order = order[::-1]
    return candidates if order is candidates.order else replace(candidates, order=order)


def plan_queries(
    snapshot: Snapshot, encoders: QueryEncoders, queries: Sequence[Query]
) -> list[QueryPlan | UsageError]:
    """Return the plan of each query, or why it cannot be answered."""
    context = BatchContext(snapshot, encoders.encodes_text, encoders.words_of)
    if len(queries) > 1:
        context.load_vectors(queries)
    plans: list[QueryPlan | UsageError] = []
    for query in queries:
        try:
            plans.append(plan_query(context, query))
        except UsageError as error:
            plans.append(error)
    return plans


def failed(reason: str, seconds: Mapping[str, float]) -> Hits:
    """Return the hits of a query that could not be answered."""
    return Hits(
        (),
        ranked_by="",
        similarity=None,
        exact=True,
        searched_count=0,
        seconds=seconds,
        failure=reason,
    )


def hits_of(snapshot: Snapshot, ranked: Sequence[Candidates]) -> list[tuple[Hit, ...]]:
    """Return the hits of each query; paths and metadata are read once for all."""
    wanted = {id for candidates in ranked for id in candidates.order}
    fields = snapshot.hit_fields(wanted)
    if len(fields) < len(wanted):
        raise LibraryDamaged(
            "the library's files name images that it does not know: `lookalike index` repairs them"
        )
    folders = {root.id: root.path for root in snapshot.roots()}
    return [
        _hits(candidates, fields, folders, matched_in(snapshot, candidates))
        for candidates in ranked
    ]


def _hits(
    candidates: Candidates,
    fields: Mapping[int, HitFields],
    folders: Mapping[int, Path],
    matched: Mapping[int, tuple[str, ...]],
) -> tuple[Hit, ...]:
    rankings = candidates.rankings
    single = len(rankings) == 1
    first = rankings[0].subquery
    by_similarity = single and first is not None and not first.scores
    any_orientation = candidates.plan.query.any_orientation
    scores, relevance = candidates.scores, candidates.relevance
    copies, matches = candidates.copies, candidates.matches
    by_region = [ranking for ranking in rankings if ranking.regions]
    found = []
    for rank, id in enumerate(candidates.order, start=1):
        root, path, metadata, width, height, color = fields[id]
        match, score = matches.get(id), scores[id]
        long = (
            width
            and height
            and (width > MAX_ASPECT_RATIO * height or height > MAX_ASPECT_RATIO * width)
        )
        size = (width or 1, height or 1) if long else (1, 1)
        found.append(
            Hit(  # in the order of its fields: a fifth faster than by name
                rank,
                id,
                path,
                folders[root],
                score,
                score if by_similarity else None,
                relevance.get(id),
                metadata,
                copies.get(id, 0),
                _orientation(rankings, id) if any_orientation else None,
                _verified_box(match, size)
                if match
                else (_box(by_region, id, size) if by_region else None),
                match.inliers if match else 0,
                {} if single else {r.name: r.scores[id] for r in rankings if id in r.scores},
                _coverage(rankings, id, size) if long else None,
                width,
                height,
                matched.get(id, ()),
                color,
            )
        )
    return tuple(found)


def matched_in(snapshot: Snapshot, candidates: Candidates) -> dict[int, tuple[str, ...]]:
    """Return, by image id, the names of metadata in which words of the query's text are found."""
    texts = [text for text, weight in candidates.plan.captions if weight > 0]
    if not texts:
        return {}
    similar = any(ranking.name == SIMILAR_WORDS for ranking in candidates.rankings)
    found = {}
    for id, image in snapshot.images(candidates.order).items():
        fields = {**image.facts, **image.metadata}
        found[id] = tuple(
            name
            for name, value in fields.items()
            if isinstance(value, str | list)
            for said in [value if isinstance(value, str) else " ".join(map(str, value))]
            if any(mentions(said, text, similar=similar) for text in texts)
        )
    return found


def to_hits(candidates: Candidates, hits: tuple[Hit, ...], seconds: Mapping[str, float]) -> Hits:
    """Return hits with what is known of the whole result."""
    plan, rankings = candidates.plan, candidates.rankings
    single = len(rankings) == 1 and bool(plan.subqueries) and not plan.subqueries[0].scores
    return Hits(
        hits=hits,
        ranked_by="+".join(dict.fromkeys(ranking.name for ranking in rankings)),
        similarity=plan.subqueries[0].similarity if single else None,
        exact=all(ranking.exact for ranking in rankings),
        searched_count=plan.searched_count,
        seconds=seconds,
        top_relevance=candidates.top_relevance,
        judged_by=candidates.judged,
    )


def _verified_box(match: Match, size: tuple[int, int]) -> Box:
    """Return the part of the whole image that was matched in its centre."""
    left, top, width, height = crop_box(*size)
    x, y, wide, high = match.box
    return (
        (left + x * width) / size[0],
        (top + y * height) / size[1],
        wide * width / size[0],
        high * height / size[1],
    )


def _coverage(rankings: Sequence[Ranking], id: int, size: tuple[int, int]) -> float | None:
    """Return the share of a long image that the spaces saw which ranked it; None if one saw all of it."""
    spaces = [r.subquery.space for r in rankings if r.subquery and id in r.scores]
    if not spaces or any(s.boxes is not None or s.revision == IMPORTED for s in spaces):
        return None
    return MAX_ASPECT_RATIO * min(size) / max(size)


def _box(rankings: Sequence[Ranking], id: int, size: tuple[int, int]) -> Box | None:
    """Return the region of the image that matched, in the first space with regions.

    size  width and height, of which only the ratio counts
    """
    for ranking in rankings:
        boxes = ranking.subquery.space.boxes if ranking.subquery else None
        if boxes is not None and id in ranking.regions:
            regions = region_boxes(boxes, *size)
            x, y, width, height = regions[ranking.regions[id]].tolist()
            return x, y, width, height
    return None


def _orientation(rankings: Sequence[Ranking], id: int) -> str | None:
    """Return how the query was turned to match the image best, in the first space that knows it."""
    for ranking in rankings:
        if ranking.subquery and not ranking.subquery.is_text and id in ranking.orientations:
            return ORIENTATIONS[ranking.orientations[id] + 1]
    return None
