"""Twelve common edits whose results a search for copies must find.

Each edit is a pure function of pixels and defines how its result is saved; equal pixels give equal bytes.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lookalike.images.pixel_spec import Pixels

# Part of the side that is cut off at every edge; 64 % of the area remains.
CROP = 0.1

# Width of the frame relative to the shorter side.
BORDER = 0.08

BRIGHTNESS = 1.35

# Standard deviation of the blur relative to the longer side: 2.6 pixels of 640.
BLUR = 1 / 250

TILT_DEGREES = 5.0

# Height of the band that holds the text, relative to the image.
TEXT_BAND = 0.2


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit of an image.

    change   maps pixels to pixels (upright RGB (h, w, 3) uint8)
    suffix   format in which the result is saved, ".jpg" or ".png"
    quality  of a JPEG
    """

    name: str
    change: Callable[[Pixels], Pixels]
    suffix: str = ".jpg"
    quality: int = 90

    def saved(self, pixels: Pixels) -> bytes:
        """Return the bytes of the edited file."""
        from PIL import Image

        file = io.BytesIO()
        image = Image.fromarray(np.ascontiguousarray(self.change(pixels)))
        if self.suffix == ".png":
            image.save(file, "PNG", compress_level=1)
        else:
            image.save(file, "JPEG", quality=self.quality)
        return file.getvalue()


def same(pixels: Pixels) -> Pixels:
    """Return the pixels unchanged: only the file differs."""
    return pixels


def half(pixels: Pixels) -> Pixels:
    """Scale to half the width and height, at least one pixel."""
    import cv2

    height, width = pixels.shape[:2]
    size = (max(1, width // 2), max(1, height // 2))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def cropped(pixels: Pixels) -> Pixels:
    """Cut off 10 % at every edge."""
    height, width = pixels.shape[:2]
    y, x = int(height * CROP), int(width * CROP)
    return np.ascontiguousarray(pixels[y : height - y, x : width - x])


def rotated(pixels: Pixels) -> Pixels:
    """Rotate by 90° to the left."""
    return np.ascontiguousarray(np.rot90(pixels))


def mirrored(pixels: Pixels) -> Pixels:
    """Mirror left and right."""
    return np.ascontiguousarray(pixels[:, ::-1])


def brighter(pixels: Pixels) -> Pixels:
    """Multiply every value by 1.35 and clip it."""
    return np.asarray((pixels * BRIGHTNESS).clip(0, 255).round(), np.uint8)


def blurred(pixels: Pixels) -> Pixels:
    """Apply a Gaussian blur."""
    import cv2

    sigma = BLUR * max(pixels.shape[:2])
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), max(sigma, 0.5)), np.uint8)


def captioned(pixels: Pixels) -> Pixels:
    """Draw white text with a dark outline over the lower part, as on memes."""
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
    """Add a white frame."""
    edge = max(1, round(BORDER * min(pixels.shape[:2])))
    return np.pad(pixels, ((edge, edge), (edge, edge), (0, 0)), constant_values=255)


def grey(pixels: Pixels) -> Pixels:
    """Remove the colour (ITU-R 601 luma), still in three channels."""
    luma = (pixels @ np.array([0.299, 0.587, 0.114])).round().astype(np.uint8)
    return np.ascontiguousarray(np.repeat(luma[:, :, None], 3, axis=2))


def warmer(pixels: Pixels) -> Pixels:
    """Add 15 % of red and remove 15 % of blue, as in warmer light."""
    return np.asarray((pixels * np.array([1.15, 1.0, 0.85])).clip(0, 255).round(), np.uint8)


def tilted(pixels: Pixels) -> Pixels:
    """Rotate by 5° to the left about the centre, with black corners."""
    import cv2

    height, width = pixels.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), TILT_DEGREES, 1.0)
    return np.asarray(cv2.warpAffine(pixels, matrix, (width, height)), np.uint8)


EDITS: tuple[Edit, ...] = (
    Edit("jpeg-30", same, quality=30),
    Edit("half-size", half),
    Edit("crop-10", cropped),
    Edit("turned-90", rotated),
    Edit("mirrored", mirrored),
    Edit("brighter", brighter),
    Edit("blurred", blurred),
    Edit("text", captioned),
    Edit("border", bordered),
    Edit("grey", grey),
    Edit("tilted-5", tilted),
    Edit("png", same, suffix=".png"),
)
"""All edits in a fixed order."""

# A change of colours. Not one of the twelve edits that define copies.
WARMER = Edit("warmer", warmer)
