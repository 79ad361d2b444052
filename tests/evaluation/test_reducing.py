"""Fewer numbers beside whole vectors."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike.errors import UsageError
from lookalike.evaluation.ground_truth import by_labels
from lookalike.evaluation.pca_ablation import neighbours, shortened


def test_what_lies_in_a_plane_loses_nothing_by_two_components() -> None:
    draw = np.random.default_rng(0)
    flat = (draw.normal(size=(80, 2)) @ draw.normal(size=(2, 9))).astype(np.float32)
    whole, two, one = shortened(flat, [2, 1], similarity="euclidean")
    assert (whole.kept, whole.retained, whole.recall) == (9, 1.0, 1.0)
    assert two.retained == pytest.approx(1.0, abs=1e-5) and two.recall == 1.0
    assert one.recall < 0.9 and one.retained < 0.99 and one.AP is None


def test_a_direction_that_tells_labels_apart_keeps_their_precision() -> None:
    draw = np.random.default_rng(1)
    labels = [f"{row % 2}" for row in range(40)]
    vectors = draw.normal(size=(40, 6)).astype(np.float32) * 0.1
    vectors[:, 0] += np.where(np.arange(40) % 2, 5, -5)
    whole, one = shortened(vectors, [1], similarity="euclidean", asked=by_labels(labels))
    assert (whole.AP, whole.P1, one.AP, one.P1) == (1, 1, 1, 1)
    assert one.recall < 0.9


def test_a_row_is_none_of_its_own_neighbours_even_among_copies() -> None:
    vectors = np.ones((15, 3), np.float32)
    found = neighbours(vectors, np.arange(15), similarity="cosine")
    assert found.shape == (15, 10)
    assert not (found == np.arange(15)[:, None]).any()


def test_more_components_than_vectors_are_refused() -> None:
    with pytest.raises(UsageError, match="5 vectors are too few for 6"):
        shortened(np.eye(5, 8, dtype=np.float32), [6], similarity="cosine")
