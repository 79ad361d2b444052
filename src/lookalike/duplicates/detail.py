"""How much real detail an image has: what enlarging, blurring or saving again does not add.

An image that was enlarged has almost nothing in its finest octave. Compared with the octave below, that of
a sharp photo has at least two fifths of the amplitude; of one enlarged by 1.5 to 4 times, mostly less. The
image is therefore halved in area until its finest octave is filled: the pixels left are its detail.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.duplicates.tone import palette
from lookalike.images.pixel_spec import Pixels

Grey = NDArray[np.float32]

# Formats that keep every pixel.
LOSSLESS = frozenset({"png", "bmp", "tiff"})

# Amplitude of the finest octave, relative to the one below, of an image that is not enlarged. Sharp photos
# (corel1k, groceries, COCO) have .35 to 1.1, 95 % of them .41 or more; the same enlarged twice .2 to .45.
FILLED = 0.43

# Amplitude in grey values up to which an octave holds nothing but the rounding of values.
ROUNDING = 1.5

# Share of the pixels that have at least the amplitude: edges say more than flat parts and noise.
PERCENTILE = 99.5

# Side of the part that is examined, the one with most texture of five.
CROP = 384

# Smallest factor of the sides that is tried.
SMALLEST = 1 / 24

# The differences of pixels that were repeated, relative to those between the repeats.
REPEATED = 2.0

# Side of the cells, and standard deviation of the grey values in one, that count as texture: a plain frame
# adds pixels, but no detail.
CELL, TEXTURE = 8, 2.0
OVERVIEW = 512

# Mean difference of the largest and the smallest channel above which an image is in color.
COLOR = 3.0

# Pixels that are compared to tell whether two images of one size have the same values, on a side.
SAMPLES = 16

# Median difference of these values (of 255) up to which an image was saved again, not changed.
SAME_VALUES = 5

# The steps of coefficients that a JPEG leaves in pixels: the mean cosine from which a step is there, the
# coefficients of a frequency that are needed, the frequencies, and the smallest step that rounding leaves.
COMB, COMB_COEFFICIENTS, COMB_FREQUENCIES, COMB_STEP = 0.6, 60, 3, 3
COMB_BLOCKS = 1500


@dataclass(frozen=True, slots=True)
class Detail:
    """The amount of real detail in one image.

    pixels   pixels that hold detail
    filled   share of the pixels that an image without enlargement would need: 1, or 1/2, 1/4 …
    color    whether it is in color
    was_jpeg whether its pixels were decoded from a JPEG, by the steps of the coefficients
    reduced  whether it is a photo that was reduced to a palette
    sample   pixel values at fixed places
    """

    pixels: float
    filled: float
    color: bool
    was_jpeg: bool
    sample: bytes
    reduced: bool = False

    def has_values_of(self, other: Detail) -> bool:
        """Return whether both have the same pixel values, but for the rounding of decoders."""
        one, two = (np.frombuffer(d.sample, np.uint8).astype(np.int16) for d in (self, other))
        return one.shape == two.shape and float((np.abs(one - two) > 2).mean()) < 0.01

    def resembles(self, other: Detail) -> bool:
        """Return whether both have about the same values in the same places, whatever their sizes."""
        one, two = (np.frombuffer(d.sample, np.uint8)[2:].astype(np.int16) for d in (self, other))
        return one.shape == two.shape and float(np.median(np.abs(one - two))) <= SAME_VALUES


def measure(pixels: Pixels, *, lossless: bool = True) -> Detail:
    """Measure an image (h, w, 3) in its full size.

    lossless  whether to look for traces of a JPEG, which a file of a lossy format may have of its own
    """
    import cv2

    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    height, width = grey.shape
    scale = _filled_scale(grey)
    rows = np.linspace(0, height - 1, min(height, SAMPLES)).astype(int)
    columns = np.linspace(0, width - 1, min(width, SAMPLES)).astype(int)
    return Detail(
        pixels=float(height * width * scale**2 * _textured_share(grey)),
        filled=float(scale**2),
        color=_is_colored(pixels),
        was_jpeg=lossless and _was_jpeg(grey),
        sample=np.array((height % 256, width % 256), np.uint8).tobytes()
        + pixels[np.ix_(rows, columns)].tobytes(),
        reduced=palette(pixels) is not None,
    )


def _filled_scale(grey: Grey) -> float:
    """Return the factor by which the sides can shrink until the finest octave is filled."""
    import cv2

    part = _part_with_texture(grey)
    repeats = _repeats(part)
    scale = 1.0 / repeats
    while scale > SMALLEST:
        size = (max(8, round(part.shape[1] * scale)), max(8, round(part.shape[0] * scale)))
        small = cv2.resize(part, size, interpolation=cv2.INTER_AREA) if scale < 1 else part
        if _finest_octave(np.asarray(small, np.float32)) >= FILLED:
            return scale
        scale /= np.sqrt(2)
    return SMALLEST


def _part_with_texture(grey: Grey) -> Grey:
    height, width = grey.shape
    h, w = min(CROP, height), min(CROP, width)
    bottom, right = height - h, width - w
    starts = {(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)}
    parts = [grey[y : y + h, x : x + w] for y, x in sorted(starts)]
    return max(parts, key=lambda part: float(part[::4, ::4].std()))


def _finest_octave(grey: Grey) -> float:
    """Return the amplitude of the finest octave relative to the one below."""
    import cv2

    height, width = (cv2.getOptimalDFTSize(side) for side in grey.shape)
    padded = cv2.copyMakeBorder(
        grey - grey.mean(), 0, height - grey.shape[0], 0, width - grey.shape[1], cv2.BORDER_REFLECT
    )
    spectrum = cv2.dct(padded[: height // 2 * 2, : width // 2 * 2])
    height, width = spectrum.shape
    frequency = np.maximum(
        np.arange(height)[:, None] / height, np.arange(width)[None] / width
    ).astype(np.float32)
    finest = cv2.idct(np.where(frequency > 0.5, spectrum, 0))
    below = cv2.idct(np.where((frequency > 0.25) & (frequency <= 0.5), spectrum, 0))
    amplitude, coarser = (
        float(np.percentile(np.abs(octave), PERCENTILE)) for octave in (finest, below)
    )
    return amplitude / max(coarser, 0.5) if amplitude >= ROUNDING else 0.0


def _repeats(grey: Grey) -> int:
    """Return how many times each pixel is repeated on both sides: enlarged without interpolation."""
    for times in (4, 3, 2):
        if all(
            _differs_in_steps(np.abs(np.diff(grey, axis=axis)).mean(axis=1 - axis), times)
            for axis in (0, 1)
        ):
            return times
    return 1


def _differs_in_steps(differences: Grey, times: int) -> bool:
    if len(differences) < 4 * times:
        return False
    phases = sorted(float(differences[phase::times].mean()) for phase in range(times))
    return phases[-1] > REPEATED * max(phases[-2], 1e-6)


def _textured_share(grey: Grey) -> float:
    import cv2

    height, width = grey.shape
    scale = min(1.0, OVERVIEW / max(height, width))
    size = (max(CELL, round(width * scale)), max(CELL, round(height * scale)))
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    cells = _blocks(np.asarray(small, np.float32))
    return max(0.05, float((cells.reshape(len(cells), -1).std(axis=1) >= TEXTURE).mean()))


def _is_colored(pixels: Pixels) -> bool:
    some = pixels[:: max(1, len(pixels) // 96), :: max(1, pixels.shape[1] // 96)]
    spread = some.max(axis=2).astype(np.int16) - some.min(axis=2)
    return float(spread.mean()) >= COLOR


def _was_jpeg(grey: Grey) -> bool:
    """Return whether the coefficients of 8 × 8 pixels are multiples of steps, as a JPEG leaves them."""
    blocks = _blocks(grey)
    chosen = np.linspace(0, len(blocks) - 1, min(len(blocks), COMB_BLOCKS)).astype(int)
    k = np.arange(8)
    basis = np.sqrt(2 / 8) * np.cos((2 * k[None] + 1) * k[:, None] * np.pi / 16)
    basis[0] /= np.sqrt(2)
    basis = basis.astype(np.float32)
    coefficients = (basis @ blocks[chosen] @ basis.T).reshape(-1, 64)
    steps = np.arange(COMB_STEP, 41)
    found = 0
    for u, v in (
        (0, 1),
        (1, 0),
        (1, 1),
        (0, 2),
        (2, 0),
        (1, 2),
        (2, 1),
        (2, 2),
        (0, 3),
        (3, 0),
        (3, 3),
    ):
        values = np.abs(coefficients[:, 8 * u + v])
        for step in steps:
            large = values[values > step / 2]
            if len(large) < COMB_COEFFICIENTS:
                break
            if float(np.cos(2 * np.pi * large / step).mean()) >= COMB:
                found += 1
                break
    return found >= COMB_FREQUENCIES


def _blocks(grey: Grey) -> NDArray[np.float32]:
    """Cut an image (h, w) into (n, 8, 8); what is incomplete at the right and the bottom is left out."""
    rows, columns = grey.shape[0] // 8, grey.shape[1] // 8
    cut = grey[: rows * 8, : columns * 8].reshape(rows, 8, columns, 8)
    return cut.transpose(0, 2, 1, 3).reshape(-1, 8, 8)
