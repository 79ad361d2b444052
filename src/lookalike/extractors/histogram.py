"""How often each level of red, green and blue occurs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from lookalike.extractors.contract import Place, Vectors
from lookalike.images.needs import Needs, Pixels
from lookalike.vectors.similarity import Similarity

_BINS = 32

_PIXELS = 1 << 15
"""So many are counted of a large picture: counting all took half as long as decoding it. On corel1k the
cosine to counting all is .9998 in the mean, .9989 at worst, and every metric of the plain formula
comes out within .003; with half as many P@1 is off by .004."""

_ROWS = 64
"""At least so many rows of it."""


class Histogram:
    """32 bins each of red, green and blue over 0..256, one after the other: 96 numbers, sum 1.

    The plain formula, of large pictures on a part of their rows: an all-black picture has its three
    first bins full, so it is like other black pictures. Where things are does not matter; mirrored and
    rotated pictures are alike to within that sampling, small ones equal.
    """

    name = "histogram"
    revision = "3"
    dim = 3 * _BINS
    similarity: Similarity = "cosine"
    # Decoding at a smaller scale averages neighbours and so narrows the peaks. Cosine to the
    # full-size histogram, worst of coco-mini: .963 with 128, .991 with 256; camera files .997.
    needs = Needs(mode="rgb", fit="any", min_side=256)
    place: Place = "worker"

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
    """The picture, or some of the rows of a large one: one out of each band, now higher now lower in it
    (by the golden ratio), so that no pattern of lines keeps step with them."""
    height, width = image.shape[:2]
    bands = max(_PIXELS // width, _ROWS)
    return image if 2 * bands > height else image[_rows(height, bands)]


@lru_cache(maxsize=64)
def _rows(height: int, bands: int) -> NDArray[np.intp]:
    numbers = np.arange(bands)
    within = (numbers * 0.6180339887498949) % 1.0
    return ((numbers + within) * (height / bands)).astype(np.intp)
