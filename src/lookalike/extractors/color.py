"""Which colours a picture has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lookalike.extractors.contract import Place, Vectors
from lookalike.images.needs import Needs, Pixels
from lookalike.vectors.similarity import Similarity


class Color:
    """Joint histogram of hue, saturation and value, 12×4×4 bins, square-rooted: 192 numbers."""

    name = "color"
    revision = "0"
    dim = 192
    similarity: Similarity = "cosine"
    needs = Needs(mode="rgb", fit="any", min_side=128)
    place: Place = "worker"

    def extract(self, images: Sequence[Pixels]) -> Vectors:
        """RGB pictures of any size → (n, 192) float32 of unit length."""
        import cv2

        vectors = np.empty((len(images), self.dim), np.float32)
        for row, image in zip(vectors, images, strict=True):
            hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
            counts = cv2.calcHist([hsv], [0, 1, 2], None, [12, 4, 4], [0, 180, 0, 256, 0, 256])
            row[:] = np.sqrt(counts.reshape(-1) / (image.shape[0] * image.shape[1]))
        return vectors
