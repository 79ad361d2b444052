"""Training on labels: what is held out, what is learnt, and that nothing is claimed that is not so."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike.errors import UsageError
from lookalike.metric_learning.linear_metric import Material, divided, judged, learn


def crowd(labels: int, each: int, *, noise: float, seed: int = 0, dim: int = 24) -> Material:
    """Labels differ in the first eight directions; the other sixteen hold loud noise."""
    rng = np.random.default_rng(seed)
    centres = np.zeros((labels, dim))
    centres[:, :8] = rng.normal(size=(labels, 8))
    spread = np.where(np.arange(dim) < 8, 0.2, noise)
    codes = np.repeat(np.arange(labels), each)
    vectors = centres[codes] + rng.normal(size=(len(codes), dim)) * spread
    return Material(vectors.astype(np.float32), codes)


def test_labels_that_were_never_seen_are_ranked_better() -> None:
    found = learn(crowd(40, 8, noise=1.5))
    assert found.split == "labels"
    assert found.learnt == (28 * 8, 28)
    assert found.held_out == (12 * 8, 12)
    assert found.better
    assert found.after.figures["P@5"] > found.before.figures["P@5"] + 0.3
    assert found.best == {"P@1": 1.0, "P@5": 1.0, "P@10": pytest.approx(0.7)}


def test_labels_that_mean_nothing_are_not_called_an_improvement() -> None:
    found = learn(crowd(40, 8, noise=1.5))
    rng = np.random.default_rng(5)
    plain = crowd(40, 8, noise=0.2)
    shuffled = Material(plain.vectors, rng.permutation(plain.labels))
    useless = learn(shuffled)
    gained = useless.after.figures["mAP"] - useless.before.figures["mAP"]
    assert abs(gained) < 0.03 < found.after.figures["mAP"] - found.before.figures["mAP"]


def test_the_same_seed_learns_the_same_map() -> None:
    material = crowd(20, 5, noise=1.0)
    first, again = learn(material, seed=3), learn(material, seed=3)
    np.testing.assert_array_equal(first.turn.axes, again.turn.axes)
    assert first.after == again.after
    assert not np.array_equal(learn(material, seed=4).turn.mean, first.turn.mean)


def test_few_labels_are_all_learnt_and_other_pictures_judge() -> None:
    found = learn(crowd(3, 30, noise=1.0))
    assert found.split == "pictures"
    assert found.learnt[1] == found.held_out[1] == 3
    assert found.learnt[0] + found.held_out[0] == 90


def test_no_label_is_on_both_sides() -> None:
    material = crowd(12, 4, noise=1.0)
    marked = Material(np.repeat(material.labels[:, None], 3, 1).astype(np.float32), material.labels)
    ours, theirs = divided(marked, 0.3, "labels", np.random.default_rng(0))
    assert not set(ours.vectors[:, 0]) & set(theirs.vectors[:, 0])


def test_what_belongs_apart_is_on_one_side_even_where_labels_are_on_both() -> None:
    labels = np.arange(80) % 4
    product = np.arange(80) // 4 * 4 + labels  # four pictures further on: another product
    apart = np.unique(product // 8, return_inverse=True)[1]
    marked = Material(np.repeat(apart[:, None], 3, 1).astype(np.float32), labels, apart)
    ours, theirs = divided(marked, 0.3, "pictures", np.random.default_rng(0))
    assert not set(ours.vectors[:, 0]) & set(theirs.vectors[:, 0])
    assert set(ours.labels) == set(theirs.labels) == {0, 1, 2, 3}


def test_too_few_labels_say_so() -> None:
    with pytest.raises(UsageError, match="at least two labels with two pictures"):
        learn(Material(np.eye(4, dtype=np.float32), np.array([0, 0, 1, 2])))
    with pytest.raises(UsageError, match="on either side"):
        learn(Material(np.eye(4, dtype=np.float32), np.array([0, 0, 1, 1])), split="labels")


def test_long_vectors_are_reduced_first_and_the_map_still_takes_them_as_they_are() -> None:
    small = crowd(30, 6, noise=1.0)
    rng = np.random.default_rng(2)
    wide = np.linalg.qr(rng.normal(size=(2100, 24)))[0].T
    found = learn(Material((small.vectors @ wide).astype(np.float32), small.labels))
    assert found.turn.axes.shape[0] == 2100
    assert found.better


def test_a_perfect_ranking_has_the_figures_of_one() -> None:
    vectors = np.eye(3, dtype=np.float32)[[0, 0, 1, 1, 2, 2]]
    found = judged(vectors, np.array([0, 0, 1, 1, 2, 2]))
    assert found.figures == pytest.approx(
        {"P@1": 1.0, "P@5": 0.2, "P@10": 0.1, "mAP": 1.0, "MRR": 1.0}
    )
    assert found.curve == pytest.approx((1.0,) * 21)
