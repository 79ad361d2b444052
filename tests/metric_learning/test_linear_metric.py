"""Metric learning: what is held out, what is learnt, and that useless labels show no improvement."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike.errors import UsageError
from lookalike.metric_learning.linear_metric import (
    TrainingSet,
    learn,
    measure_quality,
    split_set,
)


def labelled_vectors(
    labels: int, each: int, *, noise: float, seed: int = 0, dim: int = 24
) -> TrainingSet:
    """Return vectors whose labels differ in the first eight dimensions; the other sixteen are noise."""
    rng = np.random.default_rng(seed)
    centres = np.zeros((labels, dim))
    centres[:, :8] = rng.normal(size=(labels, 8))
    spread = np.where(np.arange(dim) < 8, 0.2, noise)
    codes = np.repeat(np.arange(labels), each)
    vectors = centres[codes] + rng.normal(size=(len(codes), dim)) * spread
    return TrainingSet(vectors.astype(np.float32), codes)


def test_unseen_labels_are_ranked_better() -> None:
    found = learn(labelled_vectors(40, 8, noise=1.5))
    assert found.split == "labels"
    assert found.trained_on == (28 * 8, 28)
    assert found.held_out == (12 * 8, 12)
    assert found.improved
    assert found.after.metrics["P@5"] > found.before.metrics["P@5"] + 0.3
    assert found.best_possible == {"P@1": 1.0, "P@5": 1.0, "P@10": pytest.approx(0.7)}


def test_random_labels_do_not_improve_the_ranking() -> None:
    found = learn(labelled_vectors(40, 8, noise=1.5))
    rng = np.random.default_rng(5)
    plain = labelled_vectors(40, 8, noise=0.2)
    shuffled = TrainingSet(plain.vectors, rng.permutation(plain.labels))
    useless = learn(shuffled)
    gained = useless.after.metrics["mAP"] - useless.before.metrics["mAP"]
    assert abs(gained) < 0.03 < found.after.metrics["mAP"] - found.before.metrics["mAP"]


def test_the_same_seed_learns_the_same_map() -> None:
    training_set = labelled_vectors(20, 5, noise=1.0)
    first, again = learn(training_set, seed=3), learn(training_set, seed=3)
    np.testing.assert_array_equal(first.mapping.axes, again.mapping.axes)
    assert first.after == again.after
    assert not np.array_equal(learn(training_set, seed=4).mapping.mean, first.mapping.mean)


def test_with_few_labels_images_are_held_out_instead() -> None:
    found = learn(labelled_vectors(3, 30, noise=1.0))
    assert found.split == "images"
    assert found.trained_on[1] == found.held_out[1] == 3
    assert found.trained_on[0] + found.held_out[0] == 90


def test_no_label_is_on_both_sides() -> None:
    training_set = labelled_vectors(12, 4, noise=1.0)
    marked = TrainingSet(
        np.repeat(training_set.labels[:, None], 3, 1).astype(np.float32), training_set.labels
    )
    first, second = split_set(marked, 0.3, "labels", np.random.default_rng(0))
    assert not set(first.vectors[:, 0]) & set(second.vectors[:, 0])


def test_images_of_one_group_stay_on_one_side_even_if_labels_are_on_both() -> None:
    labels = np.arange(80) % 4
    product = np.arange(80) // 4 * 4 + labels  # every fourth image is of the same label
    groups = np.unique(product // 8, return_inverse=True)[1]
    marked = TrainingSet(np.repeat(groups[:, None], 3, 1).astype(np.float32), labels, groups)
    first, second = split_set(marked, 0.3, "images", np.random.default_rng(0))
    assert not set(first.vectors[:, 0]) & set(second.vectors[:, 0])
    assert set(first.labels) == set(second.labels) == {0, 1, 2, 3}


def test_too_few_labels_say_so() -> None:
    with pytest.raises(UsageError, match="at least two labels with two images"):
        learn(TrainingSet(np.eye(4, dtype=np.float32), np.array([0, 0, 1, 2])))
    with pytest.raises(UsageError, match="on either side"):
        learn(TrainingSet(np.eye(4, dtype=np.float32), np.array([0, 0, 1, 1])), split="labels")


def test_wide_vectors_are_reduced_first_and_the_map_takes_them_whole() -> None:
    small = labelled_vectors(30, 6, noise=1.0)
    rng = np.random.default_rng(2)
    wide = np.linalg.qr(rng.normal(size=(2100, 24)))[0].T
    found = learn(TrainingSet((small.vectors @ wide).astype(np.float32), small.labels))
    assert found.mapping.axes.shape[0] == 2100
    assert found.improved


def test_the_metrics_of_a_perfect_ranking() -> None:
    vectors = np.eye(3, dtype=np.float32)[[0, 0, 1, 1, 2, 2]]
    found = measure_quality(vectors, np.array([0, 0, 1, 1, 2, 2]))
    assert found.metrics == pytest.approx(
        {"P@1": 1.0, "P@5": 0.2, "P@10": 0.1, "mAP": 1.0, "MRR": 1.0}
    )
    assert found.curve == pytest.approx((1.0,) * 21)
