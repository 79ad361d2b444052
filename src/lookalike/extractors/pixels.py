"""The pixels of a small grey image as a vector."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lookalike.extractors.interface import RunsIn, Vectors
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.vectors.similarity import Similarity

_SIDE = 64


class PixelsGrey:
    """64×64 grey values from 0 to 1, row by row: 4,096 numbers.

    Images with light and dark areas in the same positions are similar. All black gives zero.
    """

    name = "pixels"
    revision = "1"
    dim = _SIDE * _SIDE
    similarity: Similarity = "cosine"
    pixels = PixelSpec(mode="grey", fit="stretch", height=_SIDE, width=_SIDE, resample="area")
    runs_in: RunsIn = "worker"

    def extract(self, images: Sequence[Pixels]) -> Vectors:
        """Return (n, 4096) float32 in 0..1 for grey images (64, 64)."""
        vectors = np.empty((len(images), self.dim), np.float32)
        for row, image in zip(vectors, images, strict=True):
            np.divide(image.reshape(-1), np.float32(255), out=row)
        return vectors
