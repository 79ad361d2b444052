"""Twelve ways in which people change a picture and still have the same picture.

Who looks for copies must find these. Each edit is a pure function of pixels, and says how its result
is saved; the same pixels give the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lookalike.images.pixel_spec import Pixels

CROPPED = 0.1
"""Cut off at every edge, as a part of the side: 64 % of the area stays."""

BORDER = 0.08
"""Width of the frame, as a part of the shorter side."""

BRIGHTER = 1.35
BLUR = 1 / 250
"""Standard deviation of the blur, as a part of the longer side: 2.6 pixels of 640."""

DEGREES = 5.0
TEXT_BAND = 0.2
"""Height of the band that holds the text, as a part of the picture's."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One way to change a picture: `change` its pixels (upright RGB (h, w, 3) uint8), then save them
    as `ending` says, JPEG in that `quality`."""

    name: str
    change: Callable[[Pixels], Pixels]
    ending: str = ".jpg"
    quality: int = 90

    def saved(self, pixels: Pixels) -> bytes:
        """The file that somebody has after the edit."""
        from PIL import Image

        file = io.BytesIO()
        picture = Image.fromarray(np.ascontiguousarray(self.change(pixels)))
        if self.ending == ".png":
            picture.save(file, "PNG", compress_level=1)
        else:
            picture.save(file, "JPEG", quality=self.quality)
        return file.getvalue()


def same(pixels: Pixels) -> Pixels:
    """Nothing: only the file is another."""
    return pixels


def half(pixels: Pixels) -> Pixels:
    """Half as wide and high, at least one pixel."""
    import cv2

    height, width = pixels.shape[:2]
    size = (max(1, width // 2), max(1, height // 2))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def cropped(pixels: Pixels) -> Pixels:
    """10 % cut off at every edge."""
    height, width = pixels.shape[:2]
    y, x = int(height * CROPPED), int(width * CROPPED)
    return np.ascontiguousarray(pixels[y : height - y, x : width - x])


def turned(pixels: Pixels) -> Pixels:
    """Turned by 90° to the left."""
    return np.ascontiguousarray(np.rot90(pixels))


def mirrored(pixels: Pixels) -> Pixels:
    """Left is right."""
    return np.ascontiguousarray(pixels[:, ::-1])


def brighter(pixels: Pixels) -> Pixels:
    """Every value 1.35 times as large; what would be too large becomes white."""
    return np.asarray((pixels * BRIGHTER).clip(0, 255).round(), np.uint8)


def blurred(pixels: Pixels) -> Pixels:
    """Out of focus: a Gaussian blur."""
    import cv2

    sigma = BLUR * max(pixels.shape[:2])
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), max(sigma, 0.5)), np.uint8)


def captioned(pixels: Pixels) -> Pixels:
    """White text with a dark edge over the lower part, as on pictures that are passed around."""
    import cv2

    made = pixels.copy()
    height, width = pixels.shape[:2]
    text, font = "LOOK AT THIS!", cv2.FONT_HERSHEY_DUPLEX
    (wide, tall), _ = cv2.getTextSize(text, font, 1.0, 2)
    scale = min(0.9 * width / wide, 0.8 * TEXT_BAND * height / tall)
    thick = max(1, round(2 * scale))
    x = round((width - wide * scale) / 2)
    y = round(height * (1 - TEXT_BAND / 2) + tall * scale / 2)
    for colour, weight in (((0, 0, 0), 3 * thick), ((255, 255, 255), thick)):
        cv2.putText(made, text, (x, y), font, scale, colour, weight, cv2.LINE_AA)
    return made


def bordered(pixels: Pixels) -> Pixels:
    """In a white frame."""
    edge = max(1, round(BORDER * min(pixels.shape[:2])))
    return np.pad(pixels, ((edge, edge), (edge, edge), (0, 0)), constant_values=255)


def grey(pixels: Pixels) -> Pixels:
    """Without colour (ITU-R 601 luma), still in three channels."""
    luma = (pixels @ np.array([0.299, 0.587, 0.114])).round().astype(np.uint8)
    return np.ascontiguousarray(np.repeat(luma[:, :, None], 3, axis=2))


def warmer(pixels: Pixels) -> Pixels:
    """In warmer light: 15 % more red, 15 % less blue."""
    return np.asarray((pixels * np.array([1.15, 1.0, 0.85])).clip(0, 255).round(), np.uint8)


def tilted(pixels: Pixels) -> Pixels:
    """Turned by 5° to the left about its middle; the corners that come in are black."""
    import cv2

    height, width = pixels.shape[:2]
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), DEGREES, 1.0)
    return np.asarray(cv2.warpAffine(pixels, turn, (width, height)), np.uint8)


EDITS: tuple[Edit, ...] = (
    Edit("jpeg-30", same, quality=30),
    Edit("half-size", half),
    Edit("crop-10", cropped),
    Edit("turned-90", turned),
    Edit("mirrored", mirrored),
    Edit("brighter", brighter),
    Edit("blurred", blurred),
    Edit("text", captioned),
    Edit("border", bordered),
    Edit("grey", grey),
    Edit("tilted-5", tilted),
    Edit("png", same, ending=".png"),
)
"""All of them, in a fixed order."""

WARMER = Edit("warmer", warmer)
"""A change of colours that leaves them colours. Not among the twelve by which copies are measured."""
