"""Tests of keypoint detection and descriptors, with values by hand where possible."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from numpy.typing import NDArray

from lookalike.extractors.keypoints import (
    PIXEL_SPECS,
    Detector,
    Keypoints,
    detect,
    unit_descriptors,
)

DETECTORS: list[Detector] = ["sift", "orb"]


def blobs(seed: int, height: int = 240, width: int = 320) -> NDArray[np.uint8]:
    """Return soft bright and dark spots of many sizes on grey."""
    chance = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    image = np.full((height, width), 128, dtype=np.float32)
    for _ in range(60):
        radius = chance.uniform(3, 15)
        squared = (x - chance.uniform(0, width)) ** 2 + (y - chance.uniform(0, height)) ** 2
        image += chance.uniform(-110, 110) * np.exp(-squared / (2 * radius**2))
    return np.asarray(image.clip(0, 255), dtype=np.uint8)


def made(detector: Detector, descriptors: list[list[int]]) -> Keypoints:
    count = len(descriptors)
    ones = np.ones(count, dtype=np.float32)
    points = np.zeros((count, 2), dtype=np.float32)
    return Keypoints(detector, 9, 9, points, ones, ones, np.array(descriptors, dtype=np.uint8))


@pytest.mark.parametrize("detector", DETECTORS)
def test_keypoints_are_inside_the_image_and_complete(detector: Detector) -> None:
    found = detect(blobs(1), detector=detector)
    assert (found.width, found.height) == (320, 240)
    assert len(found) > 30
    assert found.points.shape == (len(found), 2)
    assert found.descriptors.shape == (len(found), 128 if detector == "sift" else 32)
    assert found.descriptors.dtype == np.uint8
    assert (found.points >= 0).all()
    assert (found.points < [320, 240]).all()
    assert (found.sizes > 0).all()
    assert ((found.angles >= 0) & (found.angles <= 360)).all()


@pytest.mark.parametrize("detector", DETECTORS)
def test_flat_and_tiny_images_have_no_keypoints(detector: Detector) -> None:
    for shape in [(1, 1), (1, 300), (300, 1), (5, 7), (200, 300)]:
        found = detect(np.full(shape, 90, dtype=np.uint8), detector=detector)
        assert len(found) == 0
        assert unit_descriptors(found).shape == (0, 128 if detector == "sift" else 256)


@pytest.mark.parametrize("detector", DETECTORS)
def test_the_limit_bounds_the_number_of_keypoints(detector: Detector) -> None:
    assert 10 <= len(detect(blobs(2), detector=detector, limit=20)) <= 25


def test_one_round_spot_is_found_where_it_is() -> None:
    y, x = np.mgrid[:100, :140]
    spot = 200 * np.exp(-((x - 60) ** 2 + (y - 45) ** 2) / (2 * 5.0**2))
    found = detect(spot.astype(np.uint8))
    assert len(found) >= 1
    np.testing.assert_allclose(found.points[0], [60, 45], atol=0.6)


def test_keypoints_are_pickled_unchanged_and_compact() -> None:
    found = detect(blobs(3))
    carried = pickle.dumps(found)
    assert len(carried) < 160 * len(found) + 2000
    twin = pickle.loads(carried)
    np.testing.assert_array_equal(twin.descriptors, found.descriptors)
    np.testing.assert_array_equal(twin.points, found.points)


def test_root_sift_is_the_square_root_of_the_shares() -> None:
    histogram = [0] * 128
    histogram[0], histogram[5] = 9, 16
    one = unit_descriptors(made("sift", [histogram, [0] * 128]))
    assert one[0, 0] == pytest.approx(3 / 5)
    assert one[0, 5] == pytest.approx(4 / 5)
    assert not one[1].any()


def test_products_of_orb_descriptors_fall_with_the_hamming_distance() -> None:
    one = unit_descriptors(made("orb", [[0] * 32, [255] + [0] * 31, [255] * 32]))
    np.testing.assert_allclose(one @ one[0], [1, 1 - 8 / 128, -1], atol=1e-6)


def test_every_detector_has_a_pixel_spec() -> None:
    for detector in DETECTORS:
        assert PIXEL_SPECS[detector].mode == "grey"
        assert PIXEL_SPECS[detector].fit == "inside"
