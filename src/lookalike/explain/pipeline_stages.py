"""How a picture becomes a vector: what each extractor looks at on the way, as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.explain.image_views import Look
from lookalike.extractors import color
from lookalike.extractors.feature_maps import FeatureMap, NetworkExtractor, feature_maps
from lookalike.extractors.interface import Extractor, FittedExtractor
from lookalike.extractors.keypoints import detect
from lookalike.extractors.shape import BLOCK_GRID, hog
from lookalike.extractors.vlad import VladExtractor
from lookalike.images.pixel_spec import Pixels

Kind: TypeAlias = Literal[
    "picture", "levels", "colours", "edges", "keypoints", "bits", "channels", "vector"
]

LAYERS = 3
CHANNELS = 6
"""Of each layer: those that differ most from place to place, because a channel that is the same everywhere
says nothing about this picture."""


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """One step on the way.

    title    a few words
    caption  what happens here, for somebody who has not heard of it
    kind     what `values` are:
             "picture"    (h, w) or (h, w, 3) uint8: what the extractor gets
             "levels"     (3, bins): how often each level of red, green and blue occurs
             "colours"    (2, 12, 4, 4): how much of each hue, saturation and value, whole and middle
             "edges"      (rows, columns, 9): how strong the edges of nine directions are in each cell;
                          number d holds gradients of 20 d to 20 d + 20 degrees, x to the right and y
                          down, and the edge runs across it
             "keypoints"  (n, 4): x, y, diameter in pixels of the picture, and angle in degrees
             "bits"       (8, 8): 0 and 1
             "channels"   (channels, h, w): what some channels of a layer answer at each place
             "vector"     (dim,)
    """

    title: str
    caption: str
    kind: Kind
    values: NDArray[np.generic]


@dataclass(frozen=True, slots=True, eq=False)
class Journey:
    """The way of one picture through one extractor, from what it gets to the vector."""

    by: str
    stages: tuple[Stage, ...]


def journey(extractor: Extractor, look: Look) -> Journey:
    """The stages of a picture. The look must be the one that this extractor needs."""
    stages = [_picture(extractor, look.seen), *_between(extractor, look)]
    unfitted = isinstance(extractor, FittedExtractor) and extractor.fitted is None
    if not unfitted:
        stages.append(_vector(extractor, extractor.extract([look.seen])[0]))
    return Journey(extractor.name, tuple(stages))


def _picture(extractor: Extractor, seen: Pixels) -> Stage:
    height, width = seen.shape[:2]
    grey = "grey " if seen.ndim == 2 else ""
    fit = {
        "stretch": "squeezed to fit, whatever its shape",
        "cover": "its shorter side scaled, the middle cut out",
        "inside": "made smaller, its shape kept",
        "any": "made smaller while it is decoded",
    }[extractor.pixels.fit]
    return Stage(
        f"{width} × {height} {grey}pixels",
        f"What this extractor gets of the picture: {fit}.",
        "picture",
        seen,
    )


def _vector(extractor: Extractor, vector: NDArray[np.float32]) -> Stage:
    length = float(np.linalg.norm(vector))
    unit = " Scaled to length 1, so that only its direction counts." if length else ""
    return Stage(
        f"{extractor.dim:,} numbers",
        f"The vector, one bar a number.{unit}",
        "vector",
        vector / length if length and extractor.similarity == "cosine" else vector,
    )


def _between(extractor: Extractor, look: Look) -> list[Stage]:
    """What lies between the pixels and the vector."""
    if isinstance(extractor, NetworkExtractor):
        return _channels(feature_maps(extractor, [look.seen]))
    if isinstance(extractor, VladExtractor):
        return [_keypoints(extractor, look.seen)]
    match extractor.name:
        case "pixels":
            return []
        case "histogram":
            levels = extractor.extract([look.seen])[0].reshape(3, -1)
            text = "Pixels are counted by their red, green and blue; where they are is forgotten."
            return [Stage("Levels of red, green and blue", text, "levels", levels)]
        case "color":
            counted = color.histograms(look.seen, gain=color.GAIN).reshape(2, color.HUES, -1)
            values = counted.reshape(2, color.HUES, color.SATURATIONS, color.VALUES)
            text = (
                "Pixels are counted by hue, saturation and brightness together, in the whole picture "
                "and once more with the middle counting most."
            )
            return [Stage("12 × 4 × 4 colours, twice", text, "colours", values)]
        case "shape":
            cells = hog(look.seen[None])[0].reshape(*BLOCK_GRID, 4, 9)[:, :, 0]
            text = (
                "In each cell: how strong edges of each direction are. Colour and light are gone."
            )
            return [Stage("Directions of edges", text, "edges", cells)]
        case "phash" | "dhash":
            return [_bits(extractor, look.seen)]
    return []


def _bits(extractor: Extractor, seen: Pixels) -> Stage:
    bits = (extractor.extract([seen])[0].reshape(8, 8) > 0).astype(np.uint8)
    text = {
        "phash": "Is each of the 64 lowest frequencies (coarse ones upper left) above their median?",
        "dhash": "Is each pixel darker than its right neighbour?",
    }[extractor.name]
    return Stage("64 yes or no", text, "bits", bits)


def _keypoints(extractor: VladExtractor, seen: Pixels) -> Stage:
    found = detect(seen, detector=extractor.detector)
    values = np.column_stack([found.points, found.sizes, found.angles])
    length = found.descriptors.shape[1] * (8 if extractor.detector == "orb" else 1)
    what = "bits" if extractor.detector == "orb" else "numbers"
    text = (
        f"{len(found):,} places that can be found again, each with a size, a direction and {length} "
        f"{what} that describe its surroundings."
    )
    if extractor.fitted is None:
        text += " How they become one vector is learnt from a library."
    return Stage(f"{extractor.detector.upper()} keypoints", text, "keypoints", values)


def _channels(maps: Sequence[FeatureMap]) -> list[Stage]:
    """An early, a middle and a late layer."""
    wanted = [maps[place] for place in _spread(len(maps))] if maps else []
    stages = []
    for number, layer in enumerate(wanted):
        values = layer.values[0]
        order = np.argsort(-values.std(axis=(1, 2)), kind="stable")[:CHANNELS]
        rows, columns = layer.positions
        text = [
            "An early layer still sees the picture: edges, colours, textures.",
            "Further on, places answer to parts and patterns.",
            "At the end few places are left, and channels answer to things; their mean goes on.",
        ][number if len(wanted) == LAYERS else -1]
        title = f"{values.shape[0]} channels of {columns} × {rows}"
        stages.append(Stage(title, text, "channels", values[order]))
    return stages


def _spread(layers: int) -> list[int]:
    """The places of an early, a middle and the last layer."""
    if layers < LAYERS:
        return list(range(layers))
    return [max(0, layers // 12), layers // 2, layers - 1]
