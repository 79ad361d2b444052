"""Colour words as vectors: drawn images of a colour, as an extractor that tells colours sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.extractors.interface import ColorExtractor
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.vectors.similarity import normalise

# Greys behind a coloured subject, and the share of the image that the subject covers.
_GROUNDS, _SHARES = (255, 128, 0), (0.3, 0.6, 1.0)


@dataclass(frozen=True, slots=True)
class Shade:
    """A range of colours: hue in degrees (may pass 360), saturation and value from 0 to 1.

    subject  whether it names the colour of a thing, on any ground; else of the whole image
    """

    hue: tuple[float, float]
    saturation: tuple[float, float]
    value: tuple[float, float]
    subject: bool = True


_ANY = (0.0, 360.0)
_VIVID = (0.55, 1.0)

_SHADES: Mapping[str, Shade] = {
    "red": Shade((350, 370), (0.65, 1), (0.45, 1)),
    "orange": Shade((16, 36), (0.65, 1), (0.75, 1)),
    "brown": Shade((12, 38), (0.35, 0.8), (0.2, 0.6)),
    "yellow": Shade((46, 64), _VIVID, (0.7, 1)),
    "green": Shade((80, 155), (0.4, 1), (0.25, 0.9)),
    "turquoise": Shade((165, 190), (0.4, 1), (0.5, 1)),
    "blue": Shade((200, 250), (0.5, 1), (0.3, 1)),
    "purple": Shade((262, 305), (0.35, 1), (0.3, 0.9)),
    "pink": Shade((320, 352), (0.2, 0.7), (0.8, 1)),
    "beige": Shade((25, 48), (0.12, 0.35), (0.7, 0.95)),
    "white": Shade(_ANY, (0, 0.08), (0.88, 1)),
    "grey": Shade(_ANY, (0, 0.1), (0.35, 0.7)),
    "black": Shade(_ANY, (0, 0.3), (0, 0.15)),
    "dark": Shade(_ANY, (0, 0.8), (0, 0.25), subject=False),
    "bright": Shade(_ANY, (0, 0.35), (0.8, 1), subject=False),
    "black and white": Shade(_ANY, (0, 0.02), (0, 1), subject=False),
}

_SYNONYMS = {
    "gray": "grey",
    "violet": "purple",
    "lilac": "purple",
    "teal": "turquoise",
    "cyan": "turquoise",
    "monochrome": "black and white",
    "grayscale": "black and white",
    "greyscale": "black and white",
}

COLORS: Mapping[str, str] = {name: name for name in _SHADES} | _SYNONYMS
"""Colour words in folded form, with the one that stands for each."""


def color_vectors(extractor: ColorExtractor) -> Mapping[str, NDArray[np.float32]]:
    """Return the unit vector (dim,) of each word of `COLORS` among the vectors of an extractor.

    It is the mean over drawn images of that colour minus the mean over images of all colours; the part of the
    vector that tells no colours is 0.
    """
    part = extractor.color_part()
    means = []
    for number, shade in enumerate(_SHADES.values()):
        images = draw(shade, extractor.pixels, np.random.default_rng(number))
        means.append(extractor.extract(images)[:, part].mean(axis=0))
    plain = normalise(np.stack(means))
    vectors = np.zeros((len(plain), extractor.dim), np.float32)
    vectors[:, part] = normalise(plain - plain.mean(axis=0))
    by_name = dict(zip(_SHADES, vectors, strict=True))
    return {word: by_name[name] for word, name in COLORS.items()}


def draw(shade: Shade, spec: PixelSpec, rng: np.random.Generator) -> list[Pixels]:
    """Return images of a shade: a square in the middle, of several sizes and on several grounds."""
    import cv2

    images = []
    for share in _SHARES if shade.subject else (1.0,):
        for ground in _GROUNDS if share < 1 else (0,):
            hue, saturation, value = (
                rng.uniform(*limits, (spec.height, spec.width)).astype(np.float32)
                for limits in (shade.hue, shade.saturation, shade.value)
            )
            hsv = np.stack([hue % 360, saturation, value], axis=2)
            image = np.full((spec.height, spec.width, 3), ground, np.uint8)
            inside = tuple(
                slice(round(side * (1 - share**0.5) / 2), round(side * (1 + share**0.5) / 2))
                for side in (spec.height, spec.width)
            )
            colored = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB) * 255
            image[inside] = colored.round().astype(np.uint8)[inside]
            images.append(image)
    return images
