"""Tests of `color`: soft bins by hand, and against an independent computation per colour."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
from numpy.typing import NDArray

from lookalike.extractors.color import LEVELS, SIDE, Color, histograms
from lookalike.vectors.similarity import cosine


def flat(*rgb: int) -> NDArray[np.uint8]:
    return np.full((SIDE, SIDE, 3), rgb, np.uint8)


def halves(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.hstack([left[:, : SIDE // 2], right[:, SIDE // 2 :]])


def by_hand(rgb: tuple[int, int, int]) -> NDArray[np.float64]:
    """Return the share of each bin for one colour, computed with `colorsys`."""
    levels = [(int(level * LEVELS / 256) + 0.5) / LEVELS for level in rgb]
    hue, saturation, value = colorsys.rgb_to_hsv(*levels)
    made = np.zeros((12, 4, 4))
    for h in range(12):
        for s in range(4):
            for v in range(4):
                away = abs(hue * 12 - h - 0.5)
                made[h, s, v] = (
                    max(0.0, 1 - min(away, 12 - away))
                    * max(0.0, 1 - abs(min(max(saturation * 4, 0.5), 3.5) - s - 0.5))
                    * max(0.0, 1 - abs(min(max(value * 4, 0.5), 3.5) - v - 0.5))
                )
    return made.reshape(-1)


def test_red_is_between_the_last_and_the_first_hue() -> None:
    whole, middle = histograms(flat(255, 0, 0), gain=0)
    shares = whole.reshape(12, 4, 4)
    assert shares[0, 3, 3] + shares[11, 3, 3] == pytest.approx(1)
    assert shares[0, 3, 3] == pytest.approx(0.5)
    np.testing.assert_allclose(middle, whole)


@pytest.mark.parametrize(
    "rgb", [(0, 0, 0), (255, 255, 255), (90, 90, 90), (200, 100, 30), (10, 60, 200), (70, 140, 20)]
)
def test_a_colour_is_shared_between_the_nearest_bins(rgb: tuple[int, int, int]) -> None:
    whole, _ = histograms(flat(*rgb), gain=0)
    np.testing.assert_allclose(whole, by_hand(rgb), atol=1e-6)


def test_the_centre_counts_more_in_the_second_histogram() -> None:
    image = flat(0, 0, 255)
    image[36:60, 36:60] = (255, 255, 0)
    whole, middle = histograms(image, gain=0)
    blue = by_hand((0, 0, 255)) > 0
    assert whole[blue].sum() == pytest.approx(1 - (24 / 96) ** 2)
    assert middle[blue].sum() < 0.9
    assert middle.sum() == pytest.approx(1)


def test_a_darker_copy_is_nearer_than_without_common_brightness() -> None:
    rng = np.random.default_rng(0)
    image = np.repeat(np.repeat(rng.integers(0, 256, (8, 8, 3)), 12, 0), 12, 1).astype(np.uint8)
    darker = (image * 0.6).astype(np.uint8)
    plain = cosine(*(histograms(p, gain=0).reshape(-1) for p in (image, darker)))
    lit = cosine(*(histograms(p, gain=0.5).reshape(-1) for p in (image, darker)))
    assert lit > plain


def test_the_position_of_a_colour_matters_only_between_centre_and_edge() -> None:
    left, right = flat(200, 30, 30), flat(30, 200, 30)
    a, b = Color().extract([halves(left, right), halves(right, left)])
    np.testing.assert_allclose(a, b, atol=1e-6)
    inside, outside = flat(30, 200, 30), flat(200, 30, 30)
    inside[24:72, 24:72] = (200, 30, 30)
    outside[24:72, 24:72] = (30, 200, 30)
    assert cosine(*Color().extract([inside, outside])) < 0.98


def test_vectors_have_unit_length_and_unrelated_colours_are_dissimilar() -> None:
    vectors = Color().extract([flat(200, 30, 30), flat(30, 30, 200), flat(0, 0, 0)])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    assert cosine(vectors[0], vectors[1]) < 0.4
