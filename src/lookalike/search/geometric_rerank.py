"""Hits verified by geometry: does a candidate show the very thing that the question shows, and where?"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lookalike.errors import Outcome, UsageError
from lookalike.extractors.extraction import Extraction, Task
from lookalike.extractors.keypoints import PIXEL_SPECS, Detector, Keypoints, detect
from lookalike.extractors.verification import Match, rerank
from lookalike.images.pixel_spec import PixelSpec
from lookalike.query import Query, Term
from lookalike.stores.interface import Image, Snapshot
from lookalike.workers.limits import Limits
from lookalike.workers.pool import Pool

CANDIDATES = 50
"""So many of the best are looked at; each costs a decoding and a search for keypoints."""


@dataclass(frozen=True, slots=True)
class Detecting:
    """The work on one picture, as the workers do it: read, decode, find keypoints; None where the picture
    cannot be used."""

    extraction: Extraction
    detector: Detector

    def __call__(self, task: Task) -> Keypoints | None:
        loaded = self.extraction(task)
        if loaded.outcome is not Outcome.INDEXED:
            return None
        return detect(loaded.pixels[self.detector], detector=self.detector)


def verified(
    snapshot: Snapshot, query: Query, order: Sequence[int], limits: Limits
) -> tuple[list[int], dict[int, Match]]:
    """The order with those images first that show what the question's first picture shows, by the
    number of keypoints that agree, and their matches; the others follow as they came. Only the best
    50 are looked at. With any orientation, mirror images match too."""
    assert query.verify is not None
    term = next((t for t in query.terms if t.text is None and t.weight > 0), None)
    if term is None:
        raise UsageError("to verify, the question needs a picture")
    looked = list(order[:CANDIDATES])
    files = paths(snapshot, [*looked, *([term.id] if term.id is not None else [])])
    turns = (1, 2) if query.any_orientation else (1,)
    tasks = [asked(term, files, turn) for turn in turns]
    tasks += [Task(path=os.fspath(files[id])) for id in looked]
    needs: dict[str, PixelSpec] = {query.verify: PIXEL_SPECS[query.verify]}
    work = Detecting(Extraction((), needs, limits), query.verify)
    with Pool(work, limits=limits, on_failure=lambda failure: None) as pool:
        found = list(pool.map(tasks))
    matches: dict[int, Match] = {}
    there = [(id, points) for id, points in zip(looked, found[len(turns) :], strict=True) if points]
    for points in found[: len(turns)]:
        if points is None:
            continue
        for one in rerank(points, [candidate for _, candidate in there]):
            id = there[one.place][0]
            if one.match and (id not in matches or one.match.inliers > matches[id].inliers):
                matches[id] = one.match
    first = sorted(matches, key=lambda id: (-matches[id].inliers, looked.index(id)))
    return [*first, *(id for id in order if id not in matches)], matches


def paths(snapshot: Snapshot, ids: Sequence[int]) -> Mapping[int, Path]:
    folders = {root.id: root.path for root in snapshot.roots()}
    images: Mapping[int, Image] = snapshot.images(ids)
    return {id: folders[image.root] / image.path for id, image in images.items()}


def asked(term: Term, files: Mapping[int, Path], orientation: int) -> Task:
    """The question's picture as a task."""
    picture = files.get(term.id) if term.id is not None else term.image
    return Task(
        path=os.fspath(picture) if isinstance(picture, Path) else None,
        data=picture if isinstance(picture, bytes) else None,
        pixels=picture if isinstance(picture, np.ndarray) else None,
        region=term.region,
        orientation=orientation,
    )
