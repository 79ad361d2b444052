"""Tests of VLAD by hand with two words, and of the fitted `keypoints` extractor."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.extractors.interface import Extractor, FittedExtractor
from lookalike.extractors.vlad import (
    VladExtractor,
    Vocabulary,
    _hadamard,
    fit_vocabulary,
    reduce_vlad,
    vlad,
)


def blobs(seed: int, height: int = 160, width: int = 200) -> NDArray[np.uint8]:
    chance = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    image = np.full((height, width), 128, dtype=np.float32)
    for _ in range(50):
        radius = chance.uniform(2, 10)
        squared = (x - chance.uniform(0, width)) ** 2 + (y - chance.uniform(0, height)) ** 2
        image += chance.uniform(-110, 110) * np.exp(-squared / (2 * radius**2))
    return np.asarray(image.clip(0, 255), dtype=np.uint8)


@pytest.fixture(scope="module")
def images() -> list[NDArray[np.uint8]]:
    return [blobs(seed) for seed in range(8)]


@pytest.fixture(scope="module")
def extractor(images: list[NDArray[np.uint8]]) -> VladExtractor:
    return VladExtractor().fit(images)


def test_vlad_by_hand_with_two_words() -> None:
    vocabulary = Vocabulary(
        centre=np.array([100, 0], dtype=np.float32),
        depth=np.eye(2, dtype=np.float32),
        words=np.array([[0, 0], [10, 0]], dtype=np.float32),
        mean=np.zeros(4, dtype=np.float32),
        principal=np.zeros((0, 4), dtype=np.float32),
        signs=np.ones((2, 2), dtype=np.int8),
        kept=np.arange(4, dtype=np.int16),
    )
    described = np.array([[101, 0], [100, 1], [113, 4]], dtype=np.float32)
    # To word (0, 0): (1, 0) + (0, 1), in length sqrt(2). To word (10, 0): (3, 4), in length 5.
    # Their roots; the squares of all these add up to 2 × 0.7071 + 0.6 + 0.8.
    roots = np.sqrt([np.sqrt(0.5), np.sqrt(0.5), 0.6, 0.8])
    expected = roots / np.sqrt(2 * np.sqrt(0.5) + 1.4)
    np.testing.assert_allclose(vlad(described, vocabulary), expected, atol=1e-6)
    mirrored = [200, 0] - described
    assert (np.sign(vlad(mirrored.astype(np.float32), vocabulary)[:2]) == -1).all()
    assert not vlad(described[:0], vocabulary).any()


def test_the_hadamard_matrix_is_orthonormal_with_equal_magnitudes() -> None:
    np.testing.assert_allclose(_hadamard(8) @ _hadamard(8).T, np.eye(8), atol=1e-6)
    np.testing.assert_allclose(np.abs(_hadamard(8)), 1 / np.sqrt(8), atol=1e-6)


def test_the_reduction_nearly_keeps_similarities_outside_the_sample() -> None:
    chance = np.random.default_rng(3)
    samples = [np.abs(chance.normal(size=(30, 128))).astype(np.float32) for _ in range(20)]
    vocabulary = fit_vocabulary(samples)
    one, other = chance.normal(size=(2, 4096)).astype(np.float32)
    for blend in (0.0, 0.3, 0.7, 0.95):
        mixed = blend * one + np.sqrt(1 - blend**2) * other
        pair = [vector / np.linalg.norm(vector) + vocabulary.mean for vector in (one, mixed)]
        short = [reduce_vlad(vector.astype(np.float32), vocabulary) for vector in pair]
        # Kept numbers: 768 of 4096, so a product is off by some 1/sqrt(768) = 0.036 at most.
        assert short[0] @ short[1] == pytest.approx(blend, abs=0.11)


def test_an_unfitted_extractor_says_what_to_do(images: list[NDArray[np.uint8]]) -> None:
    with pytest.raises(UsageError, match="has not been fitted: call fit"):
        VladExtractor().extract(images[:1])
    assert VladExtractor().fitted is None
    with pytest.raises(UsageError, match="at least one"):
        VladExtractor().fit([])
    with pytest.raises(UsageError, match="not 'surf'"):
        VladExtractor("surf")


@pytest.mark.parametrize("detector", ["sift", "orb"])
def test_it_is_an_extractor_before_and_after_fitting(
    detector: str, images: list[NDArray[np.uint8]]
) -> None:
    unfitted = VladExtractor(detector)
    fitted = unfitted.fit(images)
    for one in (unfitted, fitted):
        assert isinstance(one, Extractor)
        assert isinstance(one, FittedExtractor)
        assert one.dim == 1024
    vectors = fitted.extract(images)
    assert vectors.shape == (8, 1024)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert fitted.extract([]).shape == (0, 1024)


def test_one_by_one_and_in_a_batch_the_vectors_agree(
    extractor: VladExtractor, images: list[NDArray[np.uint8]]
) -> None:
    single = np.concatenate([extractor.extract([image]) for image in images])
    np.testing.assert_array_equal(extractor.extract(images), single)


def test_an_image_without_keypoints_gives_the_zero_vector(extractor: VladExtractor) -> None:
    flat, dot = np.full((80, 120), 77, dtype=np.uint8), np.zeros((1, 1), dtype=np.uint8)
    assert not extractor.extract([flat, dot]).any()


def test_fitting_twice_on_the_same_images_gives_the_same_extractor(
    extractor: VladExtractor, images: list[NDArray[np.uint8]]
) -> None:
    again = VladExtractor().fit(images)
    assert again.revision == extractor.revision
    np.testing.assert_array_equal(again.extract(images), extractor.extract(images))


def test_other_images_make_another_revision_so_that_vectors_are_never_mixed(
    extractor: VladExtractor, images: list[NDArray[np.uint8]]
) -> None:
    assert VladExtractor().fit(images[:4]).revision != extractor.revision


def test_a_fitted_extractor_is_restored_from_its_arrays(
    extractor: VladExtractor, images: list[NDArray[np.uint8]]
) -> None:
    fitted = extractor.fitted
    assert fitted is not None
    assert sum(array.nbytes for array in fitted.values()) < 5_000_000
    twin = VladExtractor().with_fitted(fitted)
    assert twin.revision == extractor.revision
    np.testing.assert_array_equal(twin.extract(images[:2]), extractor.extract(images[:2]))
    incomplete = {name: array for name, array in fitted.items() if name != "words"}
    with pytest.raises(UsageError, match="words missing"):
        VladExtractor().with_fitted(incomplete)


def test_a_fitted_extractor_can_be_pickled(
    extractor: VladExtractor, images: list[NDArray[np.uint8]]
) -> None:
    twin = pickle.loads(pickle.dumps(extractor))
    np.testing.assert_array_equal(twin.extract(images[:1]), extractor.extract(images[:1]))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_few_images_are_enough_and_the_length_stays(
    count: int, images: list[NDArray[np.uint8]]
) -> None:
    few = VladExtractor().fit(images[:count])
    vectors = few.extract(images)
    assert vectors.shape == (8, 1024)
    assert np.isfinite(vectors).all()
    similarity = vectors @ vectors.T - 2 * np.eye(8)
    # Different images stay different, including those outside the sample.
    assert similarity[count:, count:].max() < 0.6


def test_a_sample_of_flat_images_gives_a_working_extractor(
    images: list[NDArray[np.uint8]],
) -> None:
    poor = VladExtractor().fit([np.zeros((60, 60), dtype=np.uint8)])
    vectors = poor.extract(images[:2])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_a_rotated_and_cropped_image_is_nearest_to_its_original(
    extractor: VladExtractor, images: list[NDArray[np.uint8]]
) -> None:
    vectors = extractor.extract(images)
    turned = extractor.extract([np.ascontiguousarray(np.rot90(one)) for one in images])
    cropped = extractor.extract([np.ascontiguousarray(one[20:, 30:]) for one in images])
    assert (turned @ vectors.T).argmax(axis=1).tolist() == list(range(8))
    assert (cropped @ vectors.T).argmax(axis=1).tolist() == list(range(8))
