"""Perceptual hashes: 64 bits that are stable when an image is re-saved, resized or recompressed.

They find copies, not similar images. Bits become +1 and -1, so that the cosine of two hashes is
1 - 2 × Hamming distance / 64: equal hashes have 1, unrelated ones about 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from lookalike.extractors.interface import RunsIn, Vectors
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.vectors.similarity import Similarity

_BITS = 64


class DHash:
    """Difference hash: whether each grey value of an 8×9 image is darker than its right neighbour.

    N. Krawetz, Kind of Like That, 2013 (hackerfactor.com). A flat image gives zero.
    """

    name = "dhash"
    revision = "1"
    dim = _BITS
    similarity: Similarity = "cosine"
    pixels = PixelSpec(mode="grey", fit="stretch", height=8, width=9, min_side=64, resample="area")
    runs_in: RunsIn = "worker"

    def extract(self, images: Sequence[Pixels]) -> Vectors:
        """Return (n, 64) float32 of +1 and -1, row by row, for grey images (8, 9)."""
        grey = np.array(images, np.uint8).reshape(-1, 8, 9)
        flat = grey.min(axis=(1, 2), initial=255) == grey.max(axis=(1, 2), initial=0)
        return _signs((grey[:, :, 1:] > grey[:, :, :-1]).reshape(-1, _BITS), flat)


class PHash:
    """Perceptual hash: which of the 64 lowest frequencies of a 32×32 image exceed their median.

    C. Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010, as in
    N. Krawetz, Looks Like It, 2011, and in the package imagehash: DCT-II of the grey image, the upper
    left 8×8 coefficients including the constant one, compared with their median. A flat image gives zero.
    """

    name = "phash"
    revision = "1"
    dim = _BITS
    similarity: Similarity = "cosine"
    pixels = PixelSpec(
        mode="grey", fit="stretch", height=32, width=32, min_side=64, resample="area"
    )
    runs_in: RunsIn = "worker"

    def extract(self, images: Sequence[Pixels]) -> Vectors:
        """Return (n, 64) float32 of +1 and -1, by vertical, then horizontal frequency.

        Images are (32, 32) grey.
        """
        grey = np.array(images, np.float64).reshape(-1, 32, 32)
        flat = grey.min(axis=(1, 2), initial=255) == grey.max(axis=(1, 2), initial=0)
        low = (_cosines() @ grey @ _cosines().T).reshape(-1, _BITS)
        # Symmetric images have coefficients that are 0 up to rounding: those must not become bits.
        low[np.abs(low) < 1e-6] = 0.0
        return _signs(low > np.median(low, axis=1, keepdims=True), flat)


def _signs(bits: NDArray[np.bool_], flat: NDArray[np.bool_]) -> Vectors:
    vectors = np.where(bits, np.float32(1), np.float32(-1))
    vectors[flat] = 0.0
    return vectors


@cache
def _cosines() -> NDArray[np.float64]:
    """Return (8, 32): the lowest rows of the DCT-II, cos(π k (2 x + 1) / 64), scaled as in SciPy."""
    frequency, position = np.arange(8)[:, None], np.arange(32)
    return np.asarray(2.0 * np.cos(np.pi * frequency * (2 * position + 1) / 64))
