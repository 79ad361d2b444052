"""Re-ranking of candidates: minimum relevance, near-copies, diversity, geometric verification.

Workers import this module for verification, so that it imports only light modules at the top.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import Outcome, UsageError
from lookalike.extractors.extraction import Extraction, Task
from lookalike.search.relevance import RelevanceScale, at_least
from lookalike.search.stages import stage
from lookalike.vectors import RELEVANCES
from lookalike.vectors.fusion import min_max_scaled
from lookalike.vectors.mmr import maximal_marginal_relevance
from lookalike.vectors.similarity import similarity_matrix
from lookalike.workers.limits import Limits

if TYPE_CHECKING:
    from lookalike.extractors.keypoints import Detector, Keypoints
    from lookalike.extractors.verification import Match
    from lookalike.search.plan import SubQuery
    from lookalike.search.retrieve import Candidates
    from lookalike.stores.interface import Snapshot

VERIFIED_CANDIDATES = 50
"""Candidates that are verified geometrically; each costs decoding an image and detecting keypoints."""


def rerank(
    snapshot: Snapshot, scale: RelevanceScale, candidates: Candidates, limits: Limits
) -> Candidates:
    """Judge, filter and reorder candidates as the query asks for, and keep the first k."""
    query, order = candidates.plan.query, candidates.order
    relevance = scale.levels(candidates.rankings, order)
    top = max(relevance.values(), key=RELEVANCES.index, default=None)
    if query.min_relevance:
        order = [id for id in order if at_least(relevance.get(id), query.min_relevance)]
    copies: Mapping[int, int] = {}
    if query.collapse_duplicates:
        with stage("rerank/near-copies", candidates=len(order)):
            order, copies = collapse_near_copies(snapshot, scale, candidates, order)
    if query.diversity:
        with stage("rerank/diversity", candidates=len(order)):
            order = diversify(snapshot, candidates, order)
    matches: Mapping[int, Match] = {}
    if query.verify:
        with stage("rerank/verify", candidates=min(len(order), VERIFIED_CANDIDATES)):
            order, matches = verify(snapshot, candidates, order, limits)
    return type(
        candidates
    )(  # in the order of its fields
        candidates.plan,
        candidates.rankings,
        order[: query.k],
        candidates.scores,
        scale.judged(candidates.rankings),
        relevance,
        top,
        copies,
        matches,
    )


def collapse_near_copies(
    snapshot: Snapshot,
    scale: RelevanceScale,
    candidates: Candidates,
    order: Sequence[int],
) -> tuple[list[int], dict[int, int]]:
    """Return the order without near-copies of earlier images, and how many were left out for each.

    Near-copies have the same content (by hash) or, in the first space searched, are as similar as
    re-saved images are.
    """
    subqueries = candidates.plan.subqueries
    near = (
        near_copies(snapshot, scale, subqueries[0], order)
        if subqueries
        else np.eye(len(order), dtype=bool)
    )
    images = snapshot.images(order)
    hashes = [images[id].hash for id in order]
    kept: list[int] = []
    copies: dict[int, int] = {}
    for place in range(len(order)):
        first = next(
            (p for p in kept if near[place, p] or hashes[p] == hashes[place] is not None), None
        )
        if first is None:
            kept.append(place)
        else:
            copies[order[first]] = copies.get(order[first], 0) + 1
    return [order[place] for place in kept], copies


def near_copies(
    snapshot: Snapshot,
    scale: RelevanceScale,
    subquery: SubQuery,
    order: Sequence[int],
) -> NDArray[np.bool_]:
    """Return which images are near-copies of each other (n, n), judged by the backgrounds of both."""
    if not order:
        return np.zeros((0, 0), np.bool_)
    vectors = np.nan_to_num(snapshot.vectors(subquery.space.key, np.array(order, np.int64)))
    similarity = subquery.similarity
    similarities = similarity_matrix(vectors, vectors, similarity=similarity)
    thresholds = scale.of_images(subquery, order)
    lowest = [found[-1] if (found := thresholds[id]) else np.inf for id in order]
    near: NDArray[np.bool_] = similarities >= np.array(lowest)[:, None]
    return near & near.T


def diversify(snapshot: Snapshot, candidates: Candidates, order: Sequence[int]) -> list[int]:
    """Return the order by maximal marginal relevance, in the first space searched."""
    plan = candidates.plan
    if not plan.subqueries or not order:
        return list(order)
    first = plan.subqueries[0]
    vectors = np.nan_to_num(snapshot.vectors(first.space.key, np.array(order, np.int64)))
    # A cosine is on the scale of the similarities between hits; any other score is rescaled to it.
    single = len(candidates.rankings) == 1 and not first.scores
    cosine = first.similarity == "cosine" and single
    scores = candidates.scores
    scale = scores if cosine else min_max_scaled({id: scores[id] for id in order})
    relevance = np.array([scale[id] for id in order])
    chosen = maximal_marginal_relevance(
        relevance, vectors, plan.query.k, weight=plan.query.diversity
    )
    return [order[place] for place in chosen]


@dataclass(frozen=True, slots=True)
class DetectKeypoints:
    """The work of a worker: decode an image and detect its keypoints; None if it cannot be used."""

    extraction: Extraction
    detector: Detector

    def __call__(self, task: Task) -> Keypoints | None:
        from lookalike.extractors.keypoints import detect

        loaded = self.extraction(task)
        if loaded.outcome is not Outcome.INDEXED:
            return None
        return detect(loaded.pixels[self.detector], detector=self.detector)


def verify(
    snapshot: Snapshot, candidates: Candidates, order: Sequence[int], limits: Limits
) -> tuple[list[int], dict[int, Match]]:
    """Return the order with geometrically verified images first, by inliers, and their matches.

    The best 50 are compared with the first image of the query; the others follow in their order. With
    any orientation, mirrored images match too.
    """
    # Imported on use: they import OpenCV and the start of processes.
    from lookalike.extractors.keypoints import PIXEL_SPECS
    from lookalike.extractors.verification import rerank as match_keypoints
    from lookalike.search.plan import image_task
    from lookalike.workers.pool import Pool

    query = candidates.plan.query
    assert query.verify is not None
    images_of_query = (one for one in candidates.plan.images if one.term.vector is None)
    first = next((one for one in images_of_query if one.term.weight > 0), None)
    if first is None:
        raise UsageError("to verify, the query needs an image")
    checked = list(order[:VERIFIED_CANDIDATES])
    folders = {root.id: root.path for root in snapshot.roots()}
    images = snapshot.images([*checked, *([] if first.image_id is None else [first.image_id])])
    files = {id: folders[image.root] / image.path for id, image in images.items()}
    source = files[first.image_id] if first.image_id is not None else first.source
    assert source is not None
    orientations = (1, 2) if query.any_orientation else (1,)
    tasks = [image_task(source, first.term, orientation) for orientation in orientations]
    tasks += [Task(path=os.fspath(files[id])) for id in checked]
    extraction = Extraction((), {query.verify: PIXEL_SPECS[query.verify]}, limits)
    work = DetectKeypoints(extraction, query.verify)
    with Pool(work, limits=limits, on_failure=lambda failure: None) as pool:
        found = list(pool.map(tasks))
    usable = [
        (id, keypoints)
        for id, keypoints in zip(checked, found[len(orientations) :], strict=True)
        if keypoints
    ]
    matches: dict[int, Match] = {}
    for keypoints in found[: len(orientations)]:
        if keypoints is None:
            continue
        for one in match_keypoints(keypoints, [candidate for _, candidate in usable]):
            id = usable[one.index][0]
            if one.match and (id not in matches or one.match.inliers > matches[id].inliers):
                matches[id] = one.match
    verified = sorted(matches, key=lambda id: (-matches[id].inliers, checked.index(id)))
    return [*verified, *(id for id in order if id not in matches)], matches
