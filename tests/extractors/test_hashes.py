"""Tests of the perceptual hashes against independent computations."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from lookalike.extractors.hashes import DHash, PHash
from lookalike.vectors.similarity import cosine


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


def test_dhash_compares_each_grey_value_with_its_right_neighbour() -> None:
    rising = np.tile(np.arange(9, dtype=np.uint8), (8, 1))
    mixed = rising.copy()
    mixed[0] = [5, 5, 4, 9, 9, 9, 0, 1, 0]
    vectors = DHash().extract([rising, rising[:, ::-1].copy(), mixed])
    assert (vectors[0] == 1).all() and (vectors[1] == -1).all()
    assert vectors[2, :8].tolist() == [-1, -1, 1, -1, -1, -1, 1, -1]
    assert (vectors[2, 8:] == 1).all()


def test_phash_takes_the_lowest_frequencies_of_the_dct_against_their_median() -> None:
    for seed in range(5):
        grey = noise(32, 32, seed)
        low = cv2.dct(grey.astype(np.float64))[:8, :8]
        # OpenCV scales the DCT to be orthonormal, the published algorithm does not: the first row
        # and column are smaller there by the square root of 2.
        low[0] *= np.sqrt(2)
        low[:, 0] *= np.sqrt(2)
        expected = np.where(low > np.median(low), 1, -1).ravel()
        assert PHash().extract([grey])[0].tolist() == expected.tolist()


def test_phash_of_one_wave_by_hand() -> None:
    # cos(π·2·(2y+1)/64): only the second vertical frequency and the mean.
    wave = 128 + 100 * np.cos(np.pi * 2 * (2 * np.arange(32) + 1) / 64)
    grey = np.repeat(np.rint(wave).astype(np.uint8)[:, None], 32, axis=1)
    bits = PHash().extract([grey])[0].reshape(8, 8)
    assert bits[0, 0] == 1 and bits[2, 0] == 1
    assert (bits[:, 1:] == -1).all()


@pytest.mark.parametrize("level", [0, 1, 128, 255])
def test_a_flat_image_has_no_hash_and_is_similar_to_nothing(level: int) -> None:
    for extractor, shape in ((DHash(), (8, 9)), (PHash(), (32, 32))):
        flat, other = extractor.extract([np.full(shape, level, np.uint8), noise(*shape)])
        assert not flat.any()
        assert cosine(flat, other) == 0.0


def test_the_cosine_is_one_minus_twice_the_share_of_differing_bits() -> None:
    for extractor, shape in ((DHash(), (8, 9)), (PHash(), (32, 32))):
        a, b = extractor.extract([noise(*shape, 1), noise(*shape, 2)])
        assert cosine(a, b) == pytest.approx(1 - 2 * (a != b).sum() / 64)
