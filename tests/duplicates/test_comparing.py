"""Two pictures laid upon each other."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image
from tests.duplicates.drawing import scene

from lookalike.duplicates.pixel_compare import NEEDS, Look, agreeing, likeness, mirrored
from lookalike.evaluation.edits import EDITS, Edit
from lookalike.extractors.keypoints import detect
from lookalike.images.pixel_spec import Pixels
from lookalike.images.resize import fit


def look(pixels: Pixels) -> Look:
    return Look(fit(pixels, NEEDS))


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.name)
def test_a_picture_is_known_after_every_edit(edit: Edit) -> None:
    picture = scene(1)
    changed = np.asarray(Image.open(io.BytesIO(edit.saved(picture))).convert("RGB"))
    found = likeness(look(picture), look(changed))
    assert found is not None
    assert found.copy, found


def test_other_pictures_are_no_copies() -> None:
    looks = [look(scene(number)) for number in range(6)]
    for at, one in enumerate(looks):
        for other in looks[at + 1 :]:
            found = likeness(one, other)
            assert found is None or not found.copy


def test_a_scene_in_which_much_has_moved_is_no_copy() -> None:
    picture = scene(3)
    later = picture.copy()
    later[40:160, 20:140] = scene(4)[40:160, 20:140]  # 45 % of the picture is another
    found = likeness(look(picture), look(later))
    assert found is None or not found.copy


def test_the_orientation_that_fits_is_told() -> None:
    picture = scene(5)
    turned = likeness(look(picture), look(np.ascontiguousarray(np.rot90(picture, -1))))
    flipped = likeness(look(picture), look(np.ascontiguousarray(picture[:, ::-1])))
    assert turned is not None and turned.orientation == 6
    assert turned.words.endswith("turned by 90°")
    assert flipped is not None and flipped.orientation == 2
    assert flipped.words.endswith("mirrored")


def test_a_mirrored_crop_is_found_by_keypoints() -> None:
    picture = scene(6)
    part = np.ascontiguousarray(picture[20:150, 30:210][:, ::-1])
    found = likeness(look(picture), look(part))
    assert found is not None and found.copy
    assert found.orientation == 0 and found.inliers >= 8


def test_a_small_detail_is_not_the_picture() -> None:
    picture = scene(7, width=480, height=360)
    found = likeness(look(picture), look(picture[100:220, 100:260].copy()))  # 11 % of the area
    assert found is None or not found.copy


def test_flat_pictures_have_nothing_in_common() -> None:
    white, grey = np.full((80, 80), 255, np.uint8), np.full((80, 80), 128, np.uint8)
    assert likeness(Look(white), Look(white)) is None
    assert likeness(Look(white), Look(grey)) is None


def test_the_keypoints_of_a_mirror_image_need_not_be_looked_for() -> None:
    grey = fit(scene(8), NEEDS)
    made = mirrored(detect(grey))
    real = detect(np.ascontiguousarray(grey[:, ::-1]))
    apart = np.linalg.norm(made.points[:, None] - real.points, axis=2)
    turned = np.abs((made.angles[:, None] - real.angles + 180) % 360 - 180)
    pairs = np.argwhere((apart < 0.5) & (turned < 3))
    assert len(pairs) > 30  # of 146: half a pixel is much for the smallest
    ones, others = (
        made.descriptors[pairs[:, 0]].astype(float),
        real.descriptors[pairs[:, 1]].astype(float),
    )
    cosines = (ones * others).sum(axis=1)
    cosines /= np.linalg.norm(ones, axis=1) * np.linalg.norm(others, axis=1)
    assert np.median(cosines) > 0.98


def test_tiles_agree_by_what_they_show_and_not_by_brightness() -> None:
    grey = cv2.resize(fit(scene(9), NEEDS), (96, 96)).astype(np.float32)
    assert agreeing(grey, grey, None) == 1.0
    darker = agreeing(grey, 0.5 * grey + 40, None)
    assert darker is not None and darker > 0.9  # tiles that show little are told apart less surely
    half = grey.copy()
    half[:48] = 255 - half[:48]
    assert agreeing(grey, half, None) == pytest.approx(0.5, abs=0.1)
    covered = np.zeros((96, 96), bool)
    covered[48:] = True
    assert agreeing(grey, half, covered) == 1.0
    assert agreeing(np.full_like(grey, 9), np.full_like(grey, 9), None) is None


def test_it_does_not_matter_which_of_two_pictures_comes_first() -> None:
    """The larger of two is laid upon the other, never the smaller enlarged: it would look soft there."""
    edits = {edit.name: edit for edit in EDITS}
    picture = scene(2)
    framed, lettered = (look(edits[name].change(picture)) for name in ("border", "text"))
    one, other = likeness(framed, lettered), likeness(lettered, framed)
    assert one is not None and other is not None
    assert one.orientation == other.orientation == 0  # by keypoints
    assert one.agreement == pytest.approx(other.agreement, abs=0.05)
