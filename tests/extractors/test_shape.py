"""Tests of HOG against scikit-image and by hand, and of the invariances of `shape`."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from numpy.typing import NDArray

from lookalike.extractors.interface import Extractor
from lookalike.extractors.shape import Shape, hog, normalise_blocks


def _textured(seed: int) -> NDArray[np.uint8]:
    """Return smooth noise with gradients of every direction and strength."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(128, 64))
    spectrum = np.fft.rfft2(noise) * np.exp(
        -200 * (np.fft.fftfreq(128)[:, None] ** 2 + np.fft.rfftfreq(64)[None, :] ** 2)
    )
    relief = np.fft.irfft2(spectrum, s=(128, 64))
    relief = (relief - relief.min()) / np.ptp(relief)
    return np.asarray(np.rint(255 * relief), dtype=np.uint8)


def _noise(seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (128, 64), dtype=np.uint8)


@pytest.mark.parametrize("image", [_textured(1), _noise(2), _textured(3) // 64 * 64])
def test_without_interpolation_the_numbers_are_those_of_scikit_image(
    image: NDArray[np.uint8],
) -> None:
    feature = pytest.importorskip("skimage.feature")
    expected = feature.hog(
        image,
        orientations=9,
        pixels_per_cell=(8, 8),
        cells_per_block=(2, 2),
        block_norm="L2-Hys",
    )
    assert expected.shape == (3780,)
    np.testing.assert_allclose(hog(image[None], interpolate=False)[0], expected, atol=1e-5)


def test_with_interpolation_each_pixel_votes_for_the_nearest_cells_by_distance() -> None:
    feature = pytest.importorskip("skimage.feature")
    image = np.zeros((128, 64), dtype=np.uint8)
    image[64:, :] = 80
    # The edge votes from rows 63 and 64, half a pixel on each side of the border of cell rows 7
    # and 8: shared 9/16 to 7/16 both ways, so that the two rows of cells get the same in all.
    shared = hog(image[None])[0].reshape(15, 7, 2, 2, 9)
    whole = feature.hog(image, pixels_per_cell=(8, 8), cells_per_block=(2, 2))
    np.testing.assert_allclose(shared[7, 3], whole.reshape(15, 7, 2, 2, 9)[7, 3], atol=1e-5)
    # Two rows of cells hold votes: blocks in block rows 6, 7 and 8 see them, no others.
    assert np.flatnonzero(shared.any(axis=(1, 2, 3, 4))).tolist() == [6, 7, 8]
    # Moved down by four rows the edge lies in the middle of cell row 8: with the nearest cells
    # sharing, rows 7 and 9 still get 1/16 of a vote each; with whole votes they get none.
    moved = np.roll(image, 4, axis=0)
    moved[:4] = 0
    row_of_cells = hog(moved[None])[0].reshape(15, 7, 2, 2, 9)
    assert np.flatnonzero(row_of_cells.any(axis=(1, 2, 3, 4))).tolist() == [6, 7, 8, 9]


def test_an_edge_by_hand_fills_one_orientation_of_the_blocks_that_touch_it() -> None:
    image = np.zeros((128, 64), dtype=np.uint8)
    image[:, 32:] = 100
    blocks = hog(image[None], interpolate=False)[0].reshape(15, 7, 2, 2, 9)
    # The gradient points along the row: orientation 0. Columns 31 and 32 vote, which lie in the
    # cell columns 3 and 4. In block column 3 all four cells hold the same, 1/2 after L2, which is
    # clipped at 0.2 and normalised back to 1/2.
    np.testing.assert_allclose(blocks[:, 3, :, :, 0], 0.5, atol=1e-6)
    # In block column 2 only the right-hand cells hold anything: two equal values, 1/sqrt(2).
    np.testing.assert_allclose(blocks[:, 2, :, 1, 0], np.sqrt(0.5), atol=1e-6)
    assert not blocks[:, 2, :, 0].any()
    assert not blocks[:, :2].any()
    assert not blocks[:, 5:].any()
    assert not blocks[..., 1:].any()


def test_clipping_lifts_the_weaker_orientation_of_a_block() -> None:
    cells = np.zeros((1, 2, 2, 9), dtype=np.float32)
    cells[0, 0, 0, 2], cells[0, 1, 1, 5], cells[0, 1, 1, 6] = 30, 40, 0.5
    # L2: (0.6, 0.8, 0.01); clipped: (0.2, 0.2, 0.01); L2 again: divided by sqrt(0.0801).
    expected = np.zeros(36)
    expected[2] = expected[27 + 5] = 0.2 / np.sqrt(0.0801)
    expected[27 + 6] = 0.01 / np.sqrt(0.0801)
    np.testing.assert_allclose(normalise_blocks(cells)[0, 0, 0], expected, atol=1e-5)


def test_brightness_and_contrast_leave_the_vector_as_it_is() -> None:
    image = _textured(4) // 4
    brighter, stronger = image + 60, image * 3
    vectors = Shape().extract([image, brighter.astype(np.uint8), stronger.astype(np.uint8)])
    np.testing.assert_allclose(vectors[1], vectors[0], atol=1e-4)
    np.testing.assert_allclose(vectors[2], vectors[0], atol=1e-3)


def test_a_mirrored_image_gives_the_mirrored_blocks() -> None:
    image = _textured(5)
    blocks = hog(image[None])[0].reshape(15, 7, 2, 2, 9)
    mirrored = hog(image[None, :, ::-1])[0].reshape(15, 7, 2, 2, 9)
    # An orientation t becomes 180° - t: bin k becomes 8 - k. Gradients that lie exactly on the
    # border between bins (0°, a level row) stay in bin 0 both ways, so bins 0 and 8 are left out.
    expected = blocks[:, ::-1, :, ::-1, ::-1]
    both = np.corrcoef(mirrored[..., 1:8].ravel(), expected[..., 1:8].ravel())[0, 1]
    assert both > 0.99


def test_a_negative_has_the_shape_of_its_positive() -> None:
    image = _textured(6)
    positive, negative = hog(np.stack([image, 255 - image]))
    np.testing.assert_allclose(positive, negative, atol=1e-6)


def test_a_small_shift_is_similar_and_another_image_is_not() -> None:
    image, other = _textured(7), _textured(8)
    shifted = np.roll(image, 1, axis=1)
    vectors = Shape().extract([image, shifted, other])
    assert vectors[0] @ vectors[1] > 0.6
    assert abs(vectors[0] @ vectors[2]) < 0.4


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_flat_image_gives_the_zero_vector(level: int) -> None:
    flat = np.full((128, 64), level, dtype=np.uint8)
    vectors = Shape().extract([flat, _textured(9)])
    assert not vectors[0].any()
    assert np.linalg.norm(vectors[1]) == pytest.approx(1, abs=1e-6)


def test_one_by_one_and_in_a_batch_the_vectors_agree() -> None:
    images = [_noise(seed) for seed in range(11)]
    shape = Shape()
    batch = shape.extract(images)
    assert batch.shape == (11, 3780)
    assert batch.dtype == np.float32
    np.testing.assert_allclose(
        batch, np.concatenate([shape.extract([image]) for image in images]), atol=1e-6
    )
    assert shape.extract([]).shape == (0, 3780)


def test_shape_is_an_extractor_and_can_be_pickled() -> None:
    shape = Shape()
    assert isinstance(shape, Extractor)
    assert shape.dim == 3780
    twin = pickle.loads(pickle.dumps(shape))
    np.testing.assert_array_equal(twin.extract([_noise(1)]), shape.extract([_noise(1)]))
