"""Extractor for spectrograms: pitch, change of pitch, and rhythm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lookalike.images.pixel_spec import PixelSpec

_HEIGHT, _WIDTH = 48, 96
_BEATS = 32


class Sounds:
    """Finds sounds of similar timbre and rhythm; loudness does not matter.

    128 numbers from a spectrogram of 48 bands and 96 time steps: the mean loudness of each band (timbre and
    pitch), its standard deviation over time (change), and the first 32 frequencies of the total loudness
    over time (rhythm). Each part has the same weight. Silence gives the zero vector.
    """

    name = "sounds"
    revision = "1"
    dim = 2 * _HEIGHT + _BEATS
    similarity: Literal["cosine", "euclidean"] = "cosine"
    pixels = PixelSpec(mode="grey", fit="stretch", height=_HEIGHT, width=_WIDTH, resample="area")
    runs_in: Literal["worker", "main"] = "worker"

    def extract(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Return (n, 128) float32 of unit length, or zero, for grey spectrograms (48, 96)."""
        vectors = np.zeros((len(images), self.dim), np.float32)
        for row, image in enumerate(images):
            loud = image.astype(np.float32) / 255
            level = loud.mean(axis=1)
            parts = (
                level - level.mean(),  # a constant in decibels is loudness, which is ignored
                loud.std(axis=1),
                np.abs(np.fft.rfft(loud.mean(axis=0) - loud.mean()))[1 : _BEATS + 1],
            )
            vectors[row] = np.concatenate([_unit(part) for part in parts])
            vectors[row] = _unit(vectors[row])
        return vectors


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    length = float(np.linalg.norm(vector))
    # Rounding leaves traces of a constant, which are not content.
    return np.asarray(vector / length if length > 1e-4 else np.zeros_like(vector), np.float32)
