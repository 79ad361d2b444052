"""Relevance of candidates: their similarities judged against unrelated images, from both sides.

The mathematics is in `vectors.calibration`. Words and captions are not judged: no image is ever as similar to
a text as to a copy of itself.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

import lookalike.extractors
from lookalike.extractors.interface import REGIONS
from lookalike.vectors import RELEVANCES, Relevance, Similarity
from lookalike.vectors.blocks import Floats
from lookalike.vectors.calibration import Background, Unrelated
from lookalike.vectors.similarity import dot_products, normalise, similarity_matrix

if TYPE_CHECKING:
    from lookalike.search.plan import SubQuery
    from lookalike.search.retrieve import Ranking
    from lookalike.stores.interface import Ids, Snapshot, Space

BACKGROUND_SAMPLE = 500
"""Images to which an image is compared to judge relevance: the 99 % quantile then rests on five."""

MAX_KEPT = 100_000
"""Images whose thresholds are kept until the library changes, in about ten megabytes."""

UNRELATED_FILE = Path(lookalike.extractors.__file__).parent / "models" / "unrelated.json"
"""Similarities of unrelated images in the extractors for which they were measured, by name and revision."""

REFERENCE_FILE = UNRELATED_FILE.with_name("reference.npz")
"""Vectors of images of many kinds in some extractors, by key of the space (tools/distill/calibrate.py)."""

Thresholds: TypeAlias = tuple[float, float, float]
"""Least similarities of the bands plausible, strong and near-copy."""

STRONG = RELEVANCES.index("strong")


@cache
def _shipped() -> Mapping[str, Unrelated]:
    document = json.loads(UNRELATED_FILE.read_text(encoding="utf-8"))
    return {key: Unrelated(tuple(cosines)) for key, cosines in document["cosines"].items()}


@cache
def _references() -> Mapping[str, NDArray[np.float32]]:
    with np.load(REFERENCE_FILE, allow_pickle=False) as found:
        return {key: normalise(found[key].astype(np.float32)) for key in found.files}


def reference_of(space: Space) -> NDArray[np.float32] | None:
    """Return the vectors (r, dim) of the reference images in a space, None where they are not known."""
    return _references().get(_extractor_key(space))


def _extractor_key(space: Space) -> str:
    """Return the key of the space without regions, "" if vectors of extractors are not comparable with it.

    Regions are images, too: a space of regions has the numbers of its extractor.
    """
    if space.similarity != "cosine" or not space.normalised:
        return ""
    revision = space.revision.partition("+")[0] if space.boxes is not None else space.revision
    return f"{space.name.removesuffix(REGIONS)}@{revision}"


def unrelated_of(space: Space) -> Unrelated | None:
    """Return the distribution of unrelated images in a space, None where it is not known."""
    return _shipped().get(_extractor_key(space))


class BackgroundSamples:
    """Samples of the spaces of one state of a library, and thresholds of its images, each computed once.

    Threads may share it: at worst two compute the same.
    """

    def __init__(self) -> None:
        self._samples: dict[str, tuple[Ids, Floats]] = {}
        self._unit_samples: dict[str, NDArray[np.float32]] = {}
        self._thresholds: dict[tuple[str, Similarity], dict[int, Thresholds | None]] = {}

    def sample(self, snapshot: Snapshot, space: str) -> tuple[Ids, Floats]:
        """Return ids and vectors of at most BACKGROUND_SAMPLE images of a space."""
        if space not in self._samples:
            ids = snapshot.sample(space, BACKGROUND_SAMPLE)
            self._samples[space] = ids, snapshot.vectors(space, ids)
        return self._samples[space]

    def unit_sample(self, snapshot: Snapshot, space: str) -> NDArray[np.float32]:
        """Return the vectors of the sample, of length 1."""
        if space not in self._unit_samples:
            self._unit_samples[space] = normalise(self.sample(snapshot, space)[1])
        return self._unit_samples[space]

    def thresholds(
        self, snapshot: Snapshot, space: Space, similarity: Similarity, ids: Collection[int]
    ) -> dict[int, Thresholds | None]:
        """Return the thresholds of images of the library, each judged by its own background."""
        kept = self._thresholds.setdefault((space.key, similarity), {})
        found = {id: kept[id] for id in ids if id in kept}
        missing = [id for id in ids if id not in found]
        if missing:
            vectors = snapshot.vectors(space.key, np.array(missing, np.int64))
            vectors[np.isnan(vectors)] = 0
            backgrounds = self.backgrounds(snapshot, space, similarity, vectors)
            thresholds = thresholds_of(space, similarity, backgrounds, variants=1)
            new = dict(zip(missing, thresholds, strict=True))
            found |= new
            if len(kept) < MAX_KEPT:
                kept |= new
        return found

    def backgrounds(
        self,
        snapshot: Snapshot,
        space: Space,
        similarity: Similarity,
        vectors: Floats,
        starts: NDArray[np.int64] | None = None,
        *,
        unit: bool = False,
    ) -> Sequence[Background | None]:
        """Return the background of each vector (n, width); None if the library is too small.

        starts  first rows of runs of vectors that belong together; by default each stands alone
        unit    they have length 1, as far as float32 can say
        """
        ids, sample = self.sample(snapshot, space.key)
        starts = np.arange(len(vectors)) if starts is None else starts
        known = reference_of(space)
        cosines = space.boxes is None and similarity == "cosine"
        if (cosines or known is not None) and not unit:
            vectors = normalise(vectors)
        if cosines:
            found = dot_products(vectors, self.unit_sample(snapshot, space.key))
        elif space.boxes is None:
            found = similarity_matrix(vectors, sample, similarity=similarity)
        else:  # the best of many regions is more similar by chance: the sample is compared by regions too
            count = max(len(ids), 1)
            near = snapshot.search(
                space.key, vectors, count, similarity=similarity, among=ids, exact=True
            )
            found = np.take_along_axis(near.similarities, np.argsort(near.ids, axis=1), axis=1)
        reference = None if known is None else dot_products(vectors, known)
        return Background.from_similarities(
            found, starts, similarity=similarity, count=space.count, reference=reference
        )


def thresholds_of(
    space: Space,
    similarity: Similarity,
    backgrounds: Iterable[Background | None],
    *,
    variants: int,
) -> list[Thresholds | None]:
    """Return the thresholds of each background; `variants` vectors of the query were compared."""
    unrelated = unrelated_of(space)
    variants *= 1 if space.boxes is None else len(space.boxes)
    return [
        one.thresholds(similarity, unrelated, variants=variants) if one else None
        for one in backgrounds
    ]


class RelevanceScale:
    """Thresholds of the queries of a batch, in one snapshot."""

    def __init__(self, snapshot: Snapshot, samples: BackgroundSamples) -> None:
        self._snapshot = snapshot
        self._samples = samples
        self._found: dict[int, Thresholds | None] = {}

    def compute(self, subqueries: Iterable[SubQuery]) -> None:
        """Compare many subqueries with the sample at once; text is not judged."""
        groups: dict[tuple[str, Similarity, int, bool], list[SubQuery]] = {}
        for one in subqueries:
            if not one.is_text:
                stored = one.image_id is not None
                key = one.space.key, one.similarity, len(one.vectors), stored
                groups.setdefault(key, []).append(one)
        for (_, similarity, variants, stored), group in groups.items():
            space = group[0].space
            vectors = np.concatenate([one.vectors for one in group])
            starts = np.arange(0, len(vectors), variants)
            unit = stored and space.normalised
            backgrounds = self._samples.backgrounds(
                self._snapshot, space, similarity, vectors, starts, unit=unit
            )
            found = thresholds_of(space, similarity, backgrounds, variants=variants)
            self._found |= {id(one): each for one, each in zip(group, found, strict=True)}

    def of(self, subquery: SubQuery) -> Thresholds | None:
        """Return the thresholds of a subquery; None for text and in libraries that are too small."""
        if id(subquery) not in self._found:
            self.compute([subquery])
        return self._found.get(id(subquery))

    def of_images(self, subquery: SubQuery, ids: Collection[int]) -> dict[int, Thresholds | None]:
        """Return the thresholds of images of the library in the space of a subquery."""
        return self._samples.thresholds(self._snapshot, subquery.space, subquery.similarity, ids)

    def judged(self, rankings: Sequence[Ranking]) -> str:
        """Return the names of the rankings that can be judged, joined by "+"."""
        return "+".join(r.name for r in rankings if r.subquery and self.of(r.subquery))

    def levels(self, rankings: Sequence[Ranking], ids: Collection[int]) -> dict[int, Relevance]:
        """Return the highest relevance that any space gives each image; images without any are left out.

        What is strong or better from the side of the query is judged from the side of the image, too, and
        the lower of both counts.
        """
        levels: list[dict[int, int]] = []
        for ranking in rankings:
            thresholds = self.of(ranking.subquery) if ranking.subquery else None
            if ranking.subquery is None or thresholds is None:
                continue
            scores = ranking.scores
            found = {id: bisect_right(thresholds, scores[id]) for id in ids if id in scores}
            itself = ranking.subquery.image_id  # judged already
            high = [id for id, level in found.items() if level >= STRONG and id != itself]
            for id, own in self.of_images(ranking.subquery, high).items():
                if own is not None:
                    found[id] = min(found[id], bisect_right(own, scores[id]))
            levels.append(found)
        highest = levels[0] if levels else {}
        for found in levels[1:]:
            highest |= {id: level for id, level in found.items() if level > highest.get(id, -1)}
        return {id: RELEVANCES[level] for id, level in highest.items()}


def at_least(relevance: Relevance | None, lowest: Relevance) -> bool:
    """Return whether an image is known to be that relevant."""
    return relevance is not None and RELEVANCES.index(relevance) >= RELEVANCES.index(lowest)
