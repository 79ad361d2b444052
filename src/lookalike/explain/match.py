"""Why two pictures match: what drove their similarity, where on both, and whether that is true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.explain.color_attribution import (
    COUNTED,
    SharedColour,
    color_heat,
    histogram_heat,
    shared_colours,
)
from lookalike.explain.image_views import Look
from lookalike.explain.local_matches import (
    LINKS,
    Link,
    keypoint_links,
    link_heat,
    patch_links,
    shape_heat,
)
from lookalike.explain.occlusion import (
    Cells,
    Faithfulness,
    Heat,
    Measure,
    by_vectors,
    faithfulness,
    in_cells,
    marked,
    occlusion,
)
from lookalike.extractors.builtin import BuiltinExtractor
from lookalike.extractors.feature_maps import NetworkExtractor, feature_maps
from lookalike.extractors.interface import Extractor, TextExtractor
from lookalike.extractors.keypoints import Keypoints, detect
from lookalike.extractors.vlad import VladExtractor
from lookalike.images.pixel_spec import Pixels
from lookalike.images.resize import fit
from lookalike.query import Box
from lookalike.vectors.similarity import similarity_matrix

_COVERING = "the similarity falls most when these places are covered"
_COLOURS = "these pixels have the colours that the pictures share"
_EDGES = "here edges run in the same directions"
_KEYPOINTS = "keypoints that are found in both"


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One of the pictures.

    pixels  (h, w, 3) uint8 RGB, upright, at most 640 pixels long
    frame   the part of it that the extractor saw: x, y, width, height as fractions
    heat    (rows, columns) over that part: how much each place adds to the similarity
    marked  (8, 8) over that part: the cells that are marked as what drove it
    """

    pixels: Pixels
    frame: Box
    heat: Heat
    marked: Cells


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """What drove a similarity.

    by            the extractor
    similarity    of the two pictures (or of the words and the picture), as a search computes it
    kind          "cosine" or "euclidean"; "keypoints": how many go together, where no vocabulary has been
                  learnt that would give vectors
    sides         the query and the hit; the picture alone where it was asked for in words
    links         places that go together, strongest first
    shares        parts of the vector and what each adds to the cosine; their sum is the cosine
    colours       what both pictures have in common, most first
    method        how the places were found, in words
    faithfulness  whether covering them matters more than covering others
    """

    by: str
    similarity: float
    kind: str
    sides: tuple[Side, ...]
    method: str
    faithfulness: Faithfulness
    links: tuple[Link, ...] = ()
    shares: Mapping[str, float] = field(default_factory=dict)
    colours: tuple[SharedColour, ...] = ()
    words: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON: everything but the pixels; heats as 8 × 8 numbers, rows from the top."""
        faith = self.faithfulness
        return {
            "by": self.by,
            "similarity": self.similarity,
            "kind": self.kind,
            "method": self.method,
            "words": self.words,
            "pictures": [
                {
                    "frame": list(side.frame),
                    "heat": in_cells(side.heat).tolist(),
                    "marked": side.marked.tolist(),
                }
                for side in self.sides
            ],
            "links": [
                {"first": list(each.first), "second": list(each.second), "strength": each.strength}
                for each in self.links
            ],
            "shares": dict(self.shares),
            "colours": [
                {"rgb": list(each.rgb), "first": each.first, "second": each.second}
                for each in self.colours
            ],
            "faithfulness": {
                "faithful": faith.faithful,
                "marked": faith.marked,
                "others": faith.others,
                "beaten": faith.beaten,
                "share": faith.share,
                "trials": faith.trials,
            },
        }


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Two pictures to one extractor, and their vectors (2, dim)."""

    extractor: Extractor
    looks: tuple[Look, Look]
    vectors: NDArray[np.float32]

    @property
    def seen(self) -> tuple[Pixels, Pixels]:
        return self.looks[0].seen, self.looks[1].seen

    @property
    def measures(self) -> tuple[Measure, Measure]:
        """For versions of the first, and of the second."""
        first, second = self.vectors
        return by_vectors(self.extractor, second), by_vectors(self.extractor, first)


def why(extractor: Extractor, first: Look, second: Look) -> Explanation:
    """What drove the similarity of two pictures. The looks must be those that this extractor needs.

    Costs about 120 extractions for extractors of which nothing is known but their answers (networks, hashes,
    pixels), and 20 for the others.
    """
    if isinstance(extractor, VladExtractor):
        return _by_keypoints(extractor, first, second)
    vectors = extractor.extract([first.seen, second.seen])
    pair = Pair(extractor, (first, second), np.asarray(vectors, np.float32))
    heats, method = _heats(pair)
    sides, faith = _judged((first, second), heats, pair.measures)
    (value,) = similarity_matrix(vectors[:1], vectors[1:], similarity=extractor.similarity)[0]
    return Explanation(
        by=extractor.name,
        similarity=float(value),
        kind=extractor.similarity,
        sides=sides,
        method=method,
        faithfulness=faith,
        links=patch_links(feature_maps(extractor, pair.seen))
        if isinstance(extractor, NetworkExtractor)
        else (),
        shares=_shares(extractor, pair.vectors),
        colours=_shared(first, second) if extractor.name in ("histogram", "color") else (),
    )


def why_words(extractor: Extractor, words: str, look: Look) -> Explanation:
    """Where in a picture words are found: the word–patch map, by covering. For extractors that put words
    and pictures into one space (`TextExtractor`)."""
    assert isinstance(extractor, TextExtractor)
    text = extractor.extract_text([words])
    measure = by_vectors(extractor, text[0])
    sides, faith = _judged((look,), (occlusion(measure, look.seen),), (measure,))
    return Explanation(
        by=extractor.name,
        similarity=float(measure([look.seen])[0]),
        kind=extractor.similarity,
        sides=sides,
        method=_COVERING,
        faithfulness=faith,
        words=words,
    )


def _heats(pair: Pair) -> tuple[tuple[Heat, Heat], str]:
    """Where each picture's similarity comes from: computed where the formula is ours, else by covering."""
    (one, two), (a, b) = pair.seen, pair.vectors
    match pair.extractor.name:
        case "histogram":
            return (histogram_heat(one, a, b), histogram_heat(two, b, a)), _COLOURS
        case "color":
            return (color_heat(one, b), color_heat(two, a)), _COLOURS
        case "shape":
            return (shape_heat(a, b), shape_heat(b, a)), _EDGES
    first, second = pair.measures
    return (occlusion(first, one), occlusion(second, two)), _COVERING


def _by_keypoints(extractor: VladExtractor, first: Look, second: Look) -> Explanation:
    detector = extractor.detector
    looks = (first, second)
    points = [detect(look.seen, detector=detector) for look in looks]
    links, agree = keypoint_links(*points)
    heats = link_heat(links, 0), link_heat(links, 1)
    if extractor.fitted is None:
        kind, value = "keypoints", float(len(links))
        measures = _counting(points[1], extractor), _counting(points[0], extractor)
    else:
        vectors = extractor.describe(points)
        kind, value = "cosine", float(vectors[0] @ vectors[1])
        measures = by_vectors(extractor, vectors[1]), by_vectors(extractor, vectors[0])
    sides, faith = _judged(looks, heats, measures)
    said = f"{_KEYPOINTS}{' and agree on one movement' if agree else ', without one movement'}"
    return Explanation(
        by=extractor.name,
        similarity=value,
        kind=kind,
        sides=sides,
        method=said,
        faithfulness=faith,
        links=links[:LINKS],
    )


def _counting(other: Keypoints, extractor: VladExtractor) -> Measure:
    """How many keypoints of a picture go with one of the other's."""

    def measure(versions: Sequence[Pixels]) -> NDArray[np.float64]:
        found = (detect(version, detector=extractor.detector) for version in versions)
        return np.array([len(keypoint_links(each, other)[0]) for each in found], np.float64)

    return measure


def _judged(
    looks: Sequence[Look], heats: Sequence[Heat], measures: Sequence[Measure]
) -> tuple[tuple[Side, ...], Faithfulness]:
    """What the heats mark of each picture, and whether it matters."""
    sides = tuple(
        Side(look.shown, look.frame, heat, marked(heat))
        for look, heat in zip(looks, heats, strict=True)
    )
    judged = faithfulness(
        [
            (measure, look.seen, side.marked)
            for measure, look, side in zip(measures, looks, sides, strict=True)
        ]
    )
    return sides, judged


def _shares(extractor: Extractor, vectors: NDArray[np.float32]) -> dict[str, float]:
    if not isinstance(extractor, BuiltinExtractor):
        return {}
    return {
        name: float(vectors[0, part] @ vectors[1, part]) for name, part in extractor.parts().items()
    }


def _shared(first: Look, second: Look) -> tuple[SharedColour, ...]:
    return shared_colours(fit(first.shown, COUNTED), fit(second.shown, COUNTED))
