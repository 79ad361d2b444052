"""Occlusion, with similarities that can be computed by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from lookalike.explain.occlusion import (
    CELLS,
    FILL,
    MAX_MARKED,
    cell_means,
    measure_faithfulness,
    occlude,
    occlusion_heatmap,
    salient_cells,
    shifted_masks,
    similarity_to,
)
from lookalike.images.pixel_spec import Pixels


def brightness_of_a_corner(versions: Sequence[Pixels]) -> np.ndarray:
    """Return a similarity that depends only on the upper left cell."""
    return np.array([version[:2, :2].mean() / 255 for version in versions])


@pytest.fixture
def white() -> Pixels:
    """Return 16 × 16 pixels, two per cell, black below, so that the mean is not white."""
    pixels = np.full((16, 16, 3), 255, np.uint8)
    pixels[8:] = 0
    return pixels


def test_occlusion_fills_whole_cells(white: Pixels) -> None:
    cells = np.zeros((8, 8), np.bool_)
    cells[0, 7] = cells[7, 0] = True
    found = occlude(white, cells, 9)
    assert (found == 9).sum() == 2 * 2 * 2 * 3
    assert (found[:2, 14:] == 9).all()
    assert (found[14:, :2] == 9).all()
    assert (white != 9).all()


def test_cells_are_even_if_the_size_is_not_a_multiple_of_eight() -> None:
    cells = np.zeros((8, 8), np.bool_)
    cells[:, 3] = True
    found = occlude(np.zeros((8, 9), np.uint8), cells, 1)
    # Of 9 columns the first cell has two, the others one.
    assert found.sum(axis=0).tolist() == [0, 0, 0, 0, 8, 0, 0, 0, 0]


def test_the_heatmap_shows_where_the_similarity_comes_from(white: Pixels) -> None:
    heatmap = occlusion_heatmap(brightness_of_a_corner, white)
    # One window covers the corner, with the mean of half white, which halves the similarity. Its other cells
    # lie in two or four windows of which only that one matters.
    drop = 1 - 127 / 255
    assert heatmap[0, 0] == pytest.approx(drop)
    assert heatmap[0, 1] == pytest.approx(drop / 2)
    assert heatmap[1, 0] == pytest.approx(drop / 2)
    assert heatmap[1, 1] == pytest.approx(drop / 4)
    assert np.abs(heatmap[2:]).max() == 0
    assert np.abs(heatmap[:, 2:]).max() == 0


def test_at_most_a_quarter_is_marked_and_only_positive_cells() -> None:
    rising = np.arange(64, dtype=np.float32).reshape(8, 8)
    assert salient_cells(rising).sum() == MAX_MARKED == 16
    assert salient_cells(rising)[6:].all()
    few = np.full((8, 8), -1, np.float32)
    few[2, 3] = few[5, 5] = 1
    assert np.argwhere(salient_cells(few)).tolist() == [[2, 3], [5, 5]]
    nothing = np.full((8, 8), -1, np.float32)
    assert salient_cells(nothing).sum() == 1


def test_a_heatmap_of_any_size_is_averaged_over_cells() -> None:
    fine = np.zeros((16, 24), np.float32)
    fine[0:2, 3:6] = 6  # exactly the cell (0, 1)
    cells = cell_means(fine)
    assert cells[0, 1] == pytest.approx(6)
    assert np.abs(cells).sum() == pytest.approx(6)
    coarse = np.array([[1.0, 3.0]], np.float32)  # the left half, and the right
    assert cell_means(coarse)[5].tolist() == pytest.approx([1] * 4 + [3] * 4)
    three = np.array([[0.0, 3.0, 0.0]], np.float32)  # the middle third: cells 2.67 to 5.33
    assert cell_means(three)[0].tolist() == pytest.approx([0, 0, 1, 3, 3, 1, 0, 0])


def test_shifted_masks_have_the_same_shape_and_overlap_least() -> None:
    cells = np.zeros((8, 8), np.bool_)
    cells[2:4, 1:5] = True
    masks = shifted_masks(cells)
    assert len(masks) == 8
    assert all(mask.sum() == 8 and not (mask & cells).any() for mask in masks)
    assert len({mask.tobytes() for mask in masks}) == 8


def test_an_explanation_that_marks_the_right_place_is_faithful(white: Pixels) -> None:
    right = np.zeros((CELLS, CELLS), np.bool_)
    right[0, 0] = True
    found = measure_faithfulness([(brightness_of_a_corner, white, right)])
    assert found.marked_drop == pytest.approx(1 - FILL / 255)
    assert (found.other_drop, found.win_rate, found.faithful) == (0.0, 1.0, True)
    assert found.marked_share == pytest.approx(1 / 64)


def test_an_explanation_that_marks_a_wrong_place_is_not_faithful(white: Pixels) -> None:
    wrong = np.zeros((CELLS, CELLS), np.bool_)
    wrong[4, 4] = True
    found = measure_faithfulness([(brightness_of_a_corner, white, wrong)])
    assert (found.marked_drop, found.win_rate, found.faithful) == (0.0, 0.0, False)


def test_similarity_to_a_vector_uses_the_extractor(toy: object) -> None:
    red = np.zeros((8, 8, 3), np.uint8)
    red[:] = (255, 0, 0)
    yellow = red.copy()
    yellow[:, :, 1] = 255
    similarities = similarity_to(toy, np.array([1, 0, 0], np.float32))  # type: ignore[arg-type]
    assert similarities([red, yellow]).tolist() == pytest.approx([1, 0.5**0.5])
