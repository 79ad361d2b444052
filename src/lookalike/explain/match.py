"""Explains the similarity of two images: where it comes from, and whether the explanation is faithful."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.explain.attribution import (
    COUNT_PIXELS,
    MAX_MATCHES,
    LocalMatch,
    SharedColour,
    color_heatmap,
    histogram_heatmap,
    match_heatmap,
    match_keypoints,
    match_patches,
    shape_heatmap,
    shared_colours,
)
from lookalike.explain.image_views import ImageView
from lookalike.explain.occlusion import (
    CellMask,
    Faithfulness,
    Heatmap,
    SimilarityTo,
    cell_means,
    measure_faithfulness,
    occlusion_heatmap,
    salient_cells,
    similarity_to,
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

_OCCLUSION = "the similarity drops most when these places are covered"
_COLOURS = "these pixels have the colours that the images share"
_EDGES = "edges run in the same directions here"
_KEYPOINTS = {
    True: "keypoints that match and agree on one transform",
    False: "keypoints that match, without a common transform",
}


@dataclass(frozen=True, slots=True, eq=False)
class ExplainedImage:
    """One of the images.

    pixels   (h, w, 3) uint8 RGB, upright, at most 640 pixels a side
    frame    the part of it that the extractor received: x, y, width, height as fractions
    heatmap  (rows, columns) over that part: the contribution of each place to the similarity
    marked   (8, 8) over that part: the cells that contribute most
    """

    pixels: Pixels
    frame: Box
    heatmap: Heatmap
    marked: CellMask


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """An explanation of a similarity.

    similarity    of the two images (or of the text and the image), as a search computes it
    kind          "cosine" or "euclidean"; "keypoints": the number of matches, for a keypoint extractor
                  without a vocabulary, which has no vectors
    images        the query and the hit; only the image for a text query
    method        how the places were found, for people
    faithfulness  whether occluding the marked cells matters more than occluding others
    matches       local matches, strongest first
    shares        contribution of each part of the vector; their sum is the cosine
    colours       shared colours, the largest first
    """

    extractor: str
    similarity: float
    kind: str
    images: tuple[ExplainedImage, ...]
    method: str
    faithfulness: Faithfulness
    matches: tuple[LocalMatch, ...] = ()
    shares: Mapping[str, float] = field(default_factory=dict)
    colours: tuple[SharedColour, ...] = ()
    text: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON document without pixels; heatmaps are reduced to 8 × 8, rows from the top."""
        return {
            "extractor": self.extractor,
            "similarity": self.similarity,
            "kind": self.kind,
            "method": self.method,
            "text": self.text,
            "images": [
                {
                    "frame": list(image.frame),
                    "heatmap": cell_means(image.heatmap).tolist(),
                    "marked": image.marked.tolist(),
                }
                for image in self.images
            ],
            "matches": [
                {"first": list(each.first), "second": list(each.second), "strength": each.strength}
                for each in self.matches
            ],
            "shares": dict(self.shares),
            "colours": [
                {"rgb": list(each.rgb), "first": each.first, "second": each.second}
                for each in self.colours
            ],
            "faithfulness": {
                "faithful": self.faithfulness.faithful,
                **asdict(self.faithfulness),
            },
        }


@dataclass(frozen=True, slots=True, eq=False)
class _ViewPair:
    """The views of two images by one extractor, and their vectors (2, dim)."""

    extractor: Extractor
    views: tuple[ImageView, ImageView]
    vectors: NDArray[np.float32]

    @property
    def inputs(self) -> tuple[Pixels, Pixels]:
        return self.views[0].input, self.views[1].input

    @property
    def similarities(self) -> tuple[SimilarityTo, SimilarityTo]:
        """Similarity functions for versions of the first image, and of the second."""
        first, second = self.vectors
        return similarity_to(self.extractor, second), similarity_to(self.extractor, first)


def explain_match(extractor: Extractor, first: ImageView, second: ImageView) -> Explanation:
    """Explain the similarity of two images. The views must have been made for this extractor.

    Costs about 120 extractions for black-box extractors (networks, hashes, pixels), and 20 for the others.
    """
    if isinstance(extractor, VladExtractor):
        return _explain_keypoints(extractor, first, second)
    vectors = extractor.extract([first.input, second.input])
    pair = _ViewPair(extractor, (first, second), np.asarray(vectors, np.float32))
    heatmaps, method = _heatmaps(pair)
    images, faith = _mark((first, second), heatmaps, pair.similarities)
    (value,) = similarity_matrix(vectors[:1], vectors[1:], similarity=extractor.similarity)[0]
    return Explanation(
        extractor=extractor.name,
        similarity=float(value),
        kind=extractor.similarity,
        images=images,
        method=method,
        faithfulness=faith,
        matches=match_patches(feature_maps(extractor, pair.inputs))
        if isinstance(extractor, NetworkExtractor)
        else (),
        shares=_shares(extractor, pair.vectors),
        colours=_colours(first, second) if extractor.name in ("histogram", "color") else (),
    )


def explain_text(extractor: Extractor, text: str, view: ImageView) -> Explanation:
    """Explain where in an image a text is found, by occlusion. The extractor must be a `TextExtractor`."""
    assert isinstance(extractor, TextExtractor)
    vectors = extractor.extract_text([text])
    similarity = similarity_to(extractor, vectors[0])
    heatmap = occlusion_heatmap(similarity, view.input)
    images, faith = _mark((view,), (heatmap,), (similarity,))
    return Explanation(
        extractor=extractor.name,
        similarity=float(similarity([view.input])[0]),
        kind=extractor.similarity,
        images=images,
        method=_OCCLUSION,
        faithfulness=faith,
        text=text,
    )


def _heatmaps(pair: _ViewPair) -> tuple[tuple[Heatmap, Heatmap], str]:
    """Return both heatmaps and the method: by formula for our own descriptors, else by occlusion."""
    (one, two), (a, b) = pair.inputs, pair.vectors
    match pair.extractor.name:
        case "histogram":
            return (histogram_heatmap(one, a, b), histogram_heatmap(two, b, a)), _COLOURS
        case "color":
            return (color_heatmap(one, b), color_heatmap(two, a)), _COLOURS
        case "shape":
            return (shape_heatmap(a, b), shape_heatmap(b, a)), _EDGES
    first, second = pair.similarities
    return (occlusion_heatmap(first, one), occlusion_heatmap(second, two)), _OCCLUSION


def _explain_keypoints(
    extractor: VladExtractor, first: ImageView, second: ImageView
) -> Explanation:
    detector = extractor.detector
    views = (first, second)
    points = [detect(view.input, detector=detector) for view in views]
    matches, agree = match_keypoints(*points)
    heatmaps = match_heatmap(matches, 0), match_heatmap(matches, 1)
    similarities: tuple[SimilarityTo, SimilarityTo]
    if extractor.fitted is None:
        kind, value = "keypoints", float(len(matches))
        similarities = _match_count(points[1], extractor), _match_count(points[0], extractor)
    else:
        vectors = extractor.describe(points)
        kind, value = "cosine", float(vectors[0] @ vectors[1])
        similarities = similarity_to(extractor, vectors[1]), similarity_to(extractor, vectors[0])
    images, faith = _mark(views, heatmaps, similarities)
    return Explanation(
        extractor=extractor.name,
        similarity=value,
        kind=kind,
        images=images,
        method=_KEYPOINTS[bool(agree)],
        faithfulness=faith,
        matches=matches[:MAX_MATCHES],
    )


def _match_count(other: Keypoints, extractor: VladExtractor) -> SimilarityTo:
    """Return a function that counts the keypoints of an image that match one of the other's."""

    def count(versions: Sequence[Pixels]) -> NDArray[np.float64]:
        found = (detect(version, detector=extractor.detector) for version in versions)
        return np.array([len(match_keypoints(each, other)[0]) for each in found], np.float64)

    return count


def _mark(
    views: Sequence[ImageView],
    heatmaps: Sequence[Heatmap],
    similarities: Sequence[SimilarityTo],
) -> tuple[tuple[ExplainedImage, ...], Faithfulness]:
    """Mark the most important cells of each image, and measure whether they matter."""
    images = tuple(
        ExplainedImage(view.display, view.frame, heatmap, salient_cells(heatmap))
        for view, heatmap in zip(views, heatmaps, strict=True)
    )
    faithfulness = measure_faithfulness(
        [
            (similarity, view.input, image.marked)
            for similarity, view, image in zip(similarities, views, images, strict=True)
        ]
    )
    return images, faithfulness


def _shares(extractor: Extractor, vectors: NDArray[np.float32]) -> dict[str, float]:
    if not isinstance(extractor, BuiltinExtractor):
        return {}
    return {
        name: float(vectors[0, part] @ vectors[1, part]) for name, part in extractor.parts().items()
    }


def _colours(first: ImageView, second: ImageView) -> tuple[SharedColour, ...]:
    return shared_colours(fit(first.display, COUNT_PIXELS), fit(second.display, COUNT_PIXELS))
