"""Covering parts of pictures, with an extractor whose answers can be worked out in the head."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from lookalike.explain.occlusion import (
    CELLS,
    MARKED,
    by_vectors,
    covered,
    elsewhere,
    faithfulness,
    in_cells,
    marked,
    occlusion,
)
from lookalike.images.pixel_spec import Pixels


def brightness_of_a_corner(versions: Sequence[Pixels]) -> np.ndarray:
    """A similarity that only looks at the upper left cell."""
    return np.array([version[:2, :2].mean() / 255 for version in versions])


@pytest.fixture
def white() -> Pixels:
    """16 × 16: two pixels a cell. Black below, so that the mean is not white."""
    pixels = np.full((16, 16, 3), 255, np.uint8)
    pixels[8:] = 0
    return pixels


def test_covering_fills_whole_cells(white: Pixels) -> None:
    cells = np.zeros((8, 8), np.bool_)
    cells[0, 7] = cells[7, 0] = True
    found = covered(white, cells, 9)
    assert (found == 9).sum() == 2 * 2 * 2 * 3
    assert (found[:2, 14:] == 9).all()
    assert (found[14:, :2] == 9).all()
    assert (white != 9).all()


def test_cells_of_pictures_that_eight_does_not_divide_are_as_even_as_can_be() -> None:
    cells = np.zeros((8, 8), np.bool_)
    cells[:, 3] = True
    found = covered(np.zeros((8, 9), np.uint8), cells, 1)
    # Of 9 columns the first cell has two, the others one.
    assert found.sum(axis=0).tolist() == [0, 0, 0, 0, 8, 0, 0, 0, 0]


def test_the_similarity_is_found_where_it_comes_from(white: Pixels) -> None:
    heat = occlusion(brightness_of_a_corner, white)
    # One window covers the corner, with the mean of half white: it costs half. Its other cells lie in
    # two or four windows of which only that one costs anything.
    fall = 1 - 127 / 255
    assert heat[0, 0] == pytest.approx(fall)
    assert heat[0, 1] == pytest.approx(fall / 2)
    assert heat[1, 0] == pytest.approx(fall / 2)
    assert heat[1, 1] == pytest.approx(fall / 4)
    assert np.abs(heat[2:]).max() == 0
    assert np.abs(heat[:, 2:]).max() == 0


def test_at_most_a_quarter_is_marked_and_only_what_speaks_for_it() -> None:
    rising = np.arange(64, dtype=np.float32).reshape(8, 8)
    assert marked(rising).sum() == MARKED == 16
    assert marked(rising)[6:].all()
    few = np.full((8, 8), -1, np.float32)
    few[2, 3] = few[5, 5] = 1
    assert np.argwhere(marked(few)).tolist() == [[2, 3], [5, 5]]
    nothing = np.full((8, 8), -1, np.float32)
    assert marked(nothing).sum() == 1


def test_a_heat_of_any_size_becomes_means_over_cells() -> None:
    fine = np.zeros((16, 24), np.float32)
    fine[0:2, 3:6] = 6  # exactly the cell (0, 1)
    cells = in_cells(fine)
    assert cells[0, 1] == pytest.approx(6)
    assert np.abs(cells).sum() == pytest.approx(6)
    coarse = np.array([[1.0, 3.0]], np.float32)  # the left half, and the right
    assert in_cells(coarse)[5].tolist() == pytest.approx([1] * 4 + [3] * 4)
    three = np.array([[0.0, 3.0, 0.0]], np.float32)  # the middle third: cells 2.67 to 5.33
    assert in_cells(three)[0].tolist() == pytest.approx([0, 0, 1, 3, 3, 1, 0, 0])


def test_other_places_have_the_same_shape_and_overlap_least() -> None:
    cells = np.zeros((8, 8), np.bool_)
    cells[2:4, 1:5] = True
    places = elsewhere(cells)
    assert len(places) == 8
    assert all(place.sum() == 8 and not (place & cells).any() for place in places)
    assert len({place.tobytes() for place in places}) == 8


def test_an_explanation_that_marks_the_right_place_is_faithful(white: Pixels) -> None:
    right = np.zeros((CELLS, CELLS), np.bool_)
    right[0, 0] = True
    found = faithfulness([(brightness_of_a_corner, white, right)])
    assert found.marked == pytest.approx(1 - 128 / 255)
    assert (found.others, found.beaten, found.faithful) == (0.0, 1.0, True)
    assert found.share == pytest.approx(1 / 64)


def test_an_explanation_that_marks_a_wrong_place_is_not(white: Pixels) -> None:
    wrong = np.zeros((CELLS, CELLS), np.bool_)
    wrong[4, 4] = True
    found = faithfulness([(brightness_of_a_corner, white, wrong)])
    assert (found.marked, found.beaten, found.faithful) == (0.0, 0.0, False)


def test_similarities_of_versions_are_those_of_the_extractor(toy: object) -> None:
    red = np.zeros((8, 8, 3), np.uint8)
    red[:] = (255, 0, 0)
    yellow = red.copy()
    yellow[:, :, 1] = 255
    measure = by_vectors(toy, np.array([1, 0, 0], np.float32))  # type: ignore[arg-type]
    assert measure([red, yellow]).tolist() == pytest.approx([1, 0.5**0.5])
