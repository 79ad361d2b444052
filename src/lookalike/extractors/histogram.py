"""How often each level of red, green and blue occurs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from lookalike.extractors.interface import RunsIn, Vectors
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.vectors.similarity import Similarity

_BINS = 32

_PIXELS = 1 << 14
"""About so many are counted of a picture that has twice as many or more: counting all took half as long
as decoding it. On corel1k the cosine to counting all is .9997 in the mean, .9991 at worst, and every metric
of the plain formula comes out within .003 (on groceries P@1 within .006)."""

_LARGEST_STEP = 32
"""Beyond it more pixels are counted than about so many: every 32nd of 12 megapixels are still quick."""


class Histogram:
    """32 bins each of red, green and blue over 0..256, one after the other: 96 numbers, sum 1.

    The plain formula, of large pictures on a part of their pixels: an all-black picture has its three
    first bins full, so it is like other black pictures. Where things are does not matter; mirrored and
    rotated pictures are alike to within that sampling, small ones equal.
    """

    name = "histogram"
    revision = "4"
    dim = 3 * _BINS
    similarity: Similarity = "cosine"
    # Decoding at a smaller scale averages neighbours and so narrows the peaks. Cosine to the
    # full-size histogram, worst of coco-mini: .963 with 128, .991 with 256; camera files .997.
    pixels = PixelSpec(mode="rgb", fit="any", min_side=256)
    runs_in: RunsIn = "worker"

    def extract(self, images: Sequence[Pixels]) -> Vectors:
        """RGB pictures of any size → (n, 96) float32."""
        import cv2

        vectors = np.empty((len(images), 3, _BINS), np.float32)
        for row, image in zip(vectors, images, strict=True):
            sample = _sample(image)
            for channel in range(3):
                counts = cv2.calcHist([sample], [channel], None, [_BINS], [0, 256])
                row[channel] = counts.reshape(-1)
            row /= 3.0 * sample.shape[0] * sample.shape[1]
        return vectors.reshape(len(images), self.dim)


def _sample(image: Pixels) -> Pixels:
    """The picture, or every nth pixel of a large one, row after row: (1, m, 4), the first three numbers
    of each place count.

    n has no divisor in common with the width, so that in n rows each column has its turn: neither rows
    nor columns of a pattern keep step with it.
    """
    height, width = image.shape[:2]
    step = min(height * width // _PIXELS, _LARGEST_STEP)
    if step < 2:
        return image
    while math.gcd(step, width) > 1:
        step += 1
    places = height * width // step
    flat = np.ascontiguousarray(image).reshape(-1)
    # Four bytes a time: the picture is gone through once, not for each colour, and NumPy copies whole
    # numbers several times as fast as groups of three.
    words = np.ndarray((places,), np.uint32, buffer=flat.data, strides=(3 * step,))
    return words.copy().view(np.uint8).reshape(1, places, 4)
