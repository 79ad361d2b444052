"""The most frequent colour of an image, which a page shows until the thumbnail has arrived."""

from __future__ import annotations

import math

import numpy as np

from lookalike.images.pixel_spec import Pixels

# Pixels that are looked at, spread over the image: under 0.1 ms beside some milliseconds of decoding.
SAMPLE = 1024

# Leading bits of each channel in which pixels of one colour agree.
BITS = 3


def dominant_color(pixels: Pixels) -> str:
    """Return the most frequent colour of (h, w, 3) RGB pixels as "#rrggbb": the mean of those in the fullest
    of 512 cells of the RGB cube; of cells equally full, the darker one."""
    step = max(1, round(math.sqrt(pixels.shape[0] * pixels.shape[1] / SAMPLE)))
    sample = pixels[::step, ::step].reshape(-1, 3)
    red, green, blue = (sample >> (8 - BITS)).astype(np.intp).T
    cells = (red << 2 * BITS) | (green << BITS) | blue
    fullest = sample[cells == np.bincount(cells).argmax()]
    return "#" + bytes(fullest.mean(axis=0).round().astype(np.uint8)).hex()
