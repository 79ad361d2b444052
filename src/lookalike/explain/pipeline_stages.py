"""How an image becomes a vector: the intermediate results of each extractor, as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.explain.image_views import ImageView
from lookalike.extractors import color
from lookalike.extractors.feature_maps import FeatureMap, NetworkExtractor, feature_maps
from lookalike.extractors.interface import Extractor, FittedExtractor
from lookalike.extractors.keypoints import detect
from lookalike.extractors.shape import BLOCK_GRID, hog
from lookalike.extractors.vlad import VladExtractor
from lookalike.images.pixel_spec import Pixels

Kind: TypeAlias = Literal[
    "image", "levels", "colours", "edges", "keypoints", "bits", "channels", "vector"
]

LAYERS = 3
# Channels shown of each layer: those that vary most over the image, because a constant channel says nothing
# about it.
CHANNELS = 6


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """One step.

    title    a few words
    caption  what happens here, for beginners
    kind     the meaning of `values`:
             "image"      (h, w) or (h, w, 3) uint8: the pixels that the extractor receives
             "levels"     (3, bins): frequency of each level of red, green and blue
             "colours"    (2, 12, 4, 4): amount of each hue, saturation and value, of the whole and of the
                          centre
             "edges"      (rows, columns, 9): strength of edges in nine directions per cell; number d holds
                          gradients of 20 d to 20 d + 20 degrees, x to the right and y down; the edge runs
                          across it
             "keypoints"  (n, 4): x, y, diameter in pixels of the image, and angle in degrees
             "bits"       (8, 8): 0 and 1
             "channels"   (channels, h, w): activations of some channels of a layer
             "vector"     (dim,)
    """

    title: str
    caption: str
    kind: Kind
    values: NDArray[np.generic]


@dataclass(frozen=True, slots=True, eq=False)
class Pipeline:
    """The stages of one image through one extractor, from pixels to the vector."""

    extractor: str
    stages: tuple[Stage, ...]


def pipeline(extractor: Extractor, view: ImageView) -> Pipeline:
    """Return the stages of an image. The view must have been made for this extractor."""
    stages = [_input_stage(extractor, view.input), *_intermediate_stages(extractor, view.input)]
    unfitted = isinstance(extractor, FittedExtractor) and extractor.fitted is None
    if not unfitted:
        stages.append(_vector_stage(extractor, extractor.extract([view.input])[0]))
    return Pipeline(extractor.name, tuple(stages))


def _input_stage(extractor: Extractor, pixels: Pixels) -> Stage:
    height, width = pixels.shape[:2]
    grey = "grey " if pixels.ndim == 2 else ""
    fit = {
        "stretch": "stretched to this size, whatever its shape",
        "cover": "the shorter side scaled, the centre cropped",
        "inside": "reduced, its shape preserved",
        "any": "reduced while it is decoded",
    }[extractor.pixels.fit]
    return Stage(
        f"{width} × {height} {grey}pixels",
        f"What this extractor receives of the image: {fit}.",
        "image",
        pixels,
    )


def _vector_stage(extractor: Extractor, vector: NDArray[np.float32]) -> Stage:
    length = float(np.linalg.norm(vector))
    unit = " Scaled to length 1, so only its direction counts." if length else ""
    return Stage(
        f"{extractor.dim:,} numbers",
        f"The vector, one bar per number.{unit}",
        "vector",
        vector / length if length and extractor.similarity == "cosine" else vector,
    )


def _intermediate_stages(extractor: Extractor, pixels: Pixels) -> list[Stage]:
    if isinstance(extractor, NetworkExtractor):
        return _channel_stages(feature_maps(extractor, [pixels]))
    if isinstance(extractor, VladExtractor):
        return [_keypoint_stage(extractor, pixels)]
    match extractor.name:
        case "pixels":
            return []
        case "histogram":
            levels = extractor.extract([pixels])[0].reshape(3, -1)
            text = "Pixels are counted by their red, green and blue; their position is discarded."
            return [Stage("Levels of red, green and blue", text, "levels", levels)]
        case "color":
            counted = color.histograms(pixels, gain=color.GAIN).reshape(2, color.HUES, -1)
            values = counted.reshape(2, color.HUES, color.SATURATIONS, color.VALUES)
            text = (
                "Pixels are counted by hue, saturation and brightness together, in the whole image "
                "and once more with a higher weight in the centre."
            )
            return [Stage("12 × 4 × 4 colours, twice", text, "colours", values)]
        case "shape":
            cells = hog(pixels[None])[0].reshape(*BLOCK_GRID, 4, 9)[:, :, 0]
            text = (
                "The strength of edges of each direction, per cell. Colour and light are discarded."
            )
            return [Stage("Directions of edges", text, "edges", cells)]
        case "phash" | "dhash":
            return [_bit_stage(extractor, pixels)]
    return []


def _bit_stage(extractor: Extractor, pixels: Pixels) -> Stage:
    bits = (extractor.extract([pixels])[0].reshape(8, 8) > 0).astype(np.uint8)
    text = {
        "phash": "Is each of the 64 lowest frequencies (coarse ones top left) above their median?",
        "dhash": "Is each pixel darker than its right neighbour?",
    }[extractor.name]
    return Stage("64 bits", text, "bits", bits)


def _keypoint_stage(extractor: VladExtractor, pixels: Pixels) -> Stage:
    found = detect(pixels, detector=extractor.detector)
    values = np.column_stack([found.points, found.sizes, found.angles])
    length = found.descriptors.shape[1] * (8 if extractor.detector == "orb" else 1)
    unit = "bits" if extractor.detector == "orb" else "numbers"
    text = (
        f"{len(found):,} distinctive places, each with a size, a direction and {length} {unit} that "
        "describe its surroundings."
    )
    if extractor.fitted is None:
        text += " How they become one vector is learned from a library."
    return Stage(f"{extractor.detector.upper()} keypoints", text, "keypoints", values)


def _channel_stages(maps: Sequence[FeatureMap]) -> list[Stage]:
    """Return an early, a middle and the last layer."""
    chosen = [maps[number] for number in _spaced_layers(len(maps))] if maps else []
    stages = []
    for number, layer in enumerate(chosen):
        values = layer.values[0]
        order = np.argsort(-values.std(axis=(1, 2)), kind="stable")[:CHANNELS]
        rows, columns = layer.positions
        text = [
            "An early layer still resembles the image: edges, colours, textures.",
            "Later, positions respond to parts and patterns.",
            "In the end few positions remain, and channels respond to objects; their mean is used.",
        ][number if len(chosen) == LAYERS else -1]
        title = f"{values.shape[0]} channels of {columns} × {rows}"
        stages.append(Stage(title, text, "channels", values[order]))
    return stages


def _spaced_layers(layers: int) -> list[int]:
    """Return the numbers of an early, a middle and the last layer."""
    if layers < LAYERS:
        return list(range(layers))
    return [max(0, layers // 12), layers // 2, layers - 1]
