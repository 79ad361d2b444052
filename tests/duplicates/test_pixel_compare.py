"""Comparison of two images by their pixels."""

from __future__ import annotations

import io
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image
from tests.duplicates.image_builders import scene

from lookalike.duplicates.pixel_compare import (
    MIN_ROUGH_AGREEMENT,
    PIXELS,
    GreyImage,
    PixelMatch,
    compare_aligned,
    compare_overlap,
    compare_whole,
    mirror_keypoints,
    tile_agreement,
)
from lookalike.evaluation.edits import EDITS, Edit
from lookalike.extractors.keypoints import detect
from lookalike.images.pixel_spec import Pixels
from lookalike.images.resize import fit


def grey(pixels: Pixels) -> GreyImage:
    return GreyImage(fit(pixels, PIXELS))


def compare_pixels(one: GreyImage, other: GreyImage) -> PixelMatch | None:
    """Return what two images have in common, or None if nothing suggests that they show the same."""
    direct = compare_whole(one, other)
    if direct is not None and direct.is_promising:
        return direct
    aligned = compare_aligned(one, other)
    if direct is not None and (aligned is None or direct.agreement > aligned.agreement):
        return replace(direct, inliers=aligned.inliers if aligned else 0)
    return aligned


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.name)
def test_every_edit_is_recognised_as_a_copy(edit: Edit) -> None:
    image = scene(1)
    changed = np.asarray(Image.open(io.BytesIO(edit.saved(image))).convert("RGB"))
    found = compare_pixels(grey(image), grey(changed))
    assert found is not None
    assert found.is_promising, found


def test_different_images_are_not_copies() -> None:
    images = [grey(scene(number)) for number in range(6)]
    for at, one in enumerate(images):
        for other in images[at + 1 :]:
            found = compare_pixels(one, other)
            assert found is None or not found.is_promising


def test_a_scene_that_changed_in_part_is_not_a_copy() -> None:
    image = scene(3)
    later = image.copy()
    later[40:160, 20:140] = scene(4)[40:160, 20:140]  # 45 % of the image is replaced
    found = compare_pixels(grey(image), grey(later))
    assert found is None or not found.is_promising


def test_the_matching_orientation_is_reported() -> None:
    image = scene(5)
    turned = compare_pixels(grey(image), grey(np.ascontiguousarray(np.rot90(image, -1))))
    flipped = compare_pixels(grey(image), grey(np.ascontiguousarray(image[:, ::-1])))
    assert turned is not None and turned.orientation == 6
    assert flipped is not None and flipped.orientation == 2


def test_a_mirrored_crop_is_found_by_keypoints() -> None:
    image = scene(6)
    part = np.ascontiguousarray(image[20:150, 30:210][:, ::-1])
    found = compare_pixels(grey(image), grey(part))
    assert found is not None and found.is_promising
    assert found.orientation == 0 and found.inliers >= 8


def test_parts_are_aligned_without_keypoints_and_other_scenes_are_not() -> None:
    image = scene(6)
    part = np.ascontiguousarray(image[20:150, 30:210])
    framed = np.pad(part, ((18, 18), (18, 18), (0, 0)), constant_values=255)
    for changed, x, y in ((part, 30, 20), (part[:, ::-1], 30, 20), (framed, 12, 2)):
        one, other = grey(np.ascontiguousarray(changed)), grey(image)
        found = compare_overlap(one, other)
        assert found is not None and found.agreement > 0.6 and found.transform is not None
        expected = np.array([[14, 0, 14 * x], [0, 14, 14 * y]]) / 15  # the image is shrunk to 14/15
        assert found.transform == pytest.approx(expected, abs=0.6)
        back = compare_overlap(other, one)
        assert back is not None and back.agreement > 0.6
    other_scene = compare_overlap(grey(image), grey(scene(7)))
    assert other_scene is None or other_scene.agreement < MIN_ROUGH_AGREEMENT


def test_a_small_detail_is_not_a_copy() -> None:
    image = scene(7, width=480, height=360)
    found = compare_pixels(grey(image), grey(image[100:220, 100:260].copy()))  # 11 % of the area
    assert found is None or not found.is_promising


def test_flat_images_do_not_match() -> None:
    white, middle = np.full((80, 80), 255, np.uint8), np.full((80, 80), 128, np.uint8)
    assert compare_pixels(GreyImage(white), GreyImage(white)) is None
    assert compare_pixels(GreyImage(white), GreyImage(middle)) is None


def test_mirrored_keypoints_equal_those_of_the_mirrored_image() -> None:
    pixels = fit(scene(8), PIXELS)
    mirrored = mirror_keypoints(detect(pixels))
    real = detect(np.ascontiguousarray(pixels[:, ::-1]))
    distances = np.linalg.norm(mirrored.points[:, None] - real.points, axis=2)
    angles = np.abs((mirrored.angles[:, None] - real.angles + 180) % 360 - 180)
    pairs = np.argwhere((distances < 0.5) & (angles < 3))
    assert len(pairs) > 30  # of 146: half a pixel is much for the smallest
    ones, others = (
        mirrored.descriptors[pairs[:, 0]].astype(float),
        real.descriptors[pairs[:, 1]].astype(float),
    )
    cosines = (ones * others).sum(axis=1)
    cosines /= np.linalg.norm(ones, axis=1) * np.linalg.norm(others, axis=1)
    assert np.median(cosines) > 0.98


def test_tiles_agree_regardless_of_brightness() -> None:
    pixels = cv2.resize(fit(scene(9), PIXELS), (96, 96)).astype(np.float32)
    assert tile_agreement(pixels, pixels, None) == 1.0
    darker = tile_agreement(pixels, 0.5 * pixels + 40, None)
    assert darker is not None and darker > 0.9  # tiles with little texture are less certain
    half = pixels.copy()
    half[:48] = 255 - half[:48]
    assert tile_agreement(pixels, half, None) == pytest.approx(0.5, abs=0.1)
    covered = np.zeros((96, 96), bool)
    covered[48:] = True
    assert tile_agreement(pixels, half, covered) == 1.0
    assert tile_agreement(np.full_like(pixels, 9), np.full_like(pixels, 9), None) is None


def test_the_order_of_the_two_images_does_not_matter() -> None:
    """The larger image is warped onto the smaller one; enlarged, the smaller one would look soft."""
    edits = {edit.name: edit for edit in EDITS}
    image = scene(2)
    framed, lettered = (grey(edits[name].change(image)) for name in ("border", "text"))
    one, other = compare_pixels(framed, lettered), compare_pixels(lettered, framed)
    assert one is not None and other is not None
    assert one.orientation == other.orientation == 0  # by keypoints
    assert one.agreement == pytest.approx(other.agreement, abs=0.05)
