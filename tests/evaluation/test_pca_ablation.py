"""PCA compared with whole vectors."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike.errors import UsageError
from lookalike.evaluation.ground_truth import truth_by_labels
from lookalike.evaluation.pca_ablation import ablate, nearest_rows


def test_two_components_preserve_points_in_a_plane() -> None:
    rng = np.random.default_rng(0)
    flat = (rng.normal(size=(80, 2)) @ rng.normal(size=(2, 9))).astype(np.float32)
    whole, two, one = ablate(flat, [2, 1], similarity="euclidean")
    assert (whole.components, whole.retained_variance, whole.recall) == (9, 1.0, 1.0)
    assert two.retained_variance == pytest.approx(1.0, abs=1e-5) and two.recall == 1.0
    assert one.recall < 0.9 and one.retained_variance < 0.99 and one.AP is None


def test_a_component_that_separates_the_labels_preserves_precision() -> None:
    rng = np.random.default_rng(1)
    labels = [f"{row % 2}" for row in range(40)]
    vectors = rng.normal(size=(40, 6)).astype(np.float32) * 0.1
    vectors[:, 0] += np.where(np.arange(40) % 2, 5, -5)
    whole, one = ablate(vectors, [1], similarity="euclidean", truth=truth_by_labels(labels))
    assert (whole.AP, whole.P1, one.AP, one.P1) == (1, 1, 1, 1)
    assert one.recall < 0.9


def test_a_row_is_not_its_own_neighbour_even_among_copies() -> None:
    vectors = np.ones((15, 3), np.float32)
    found = nearest_rows(vectors, np.arange(15), similarity="cosine")
    assert found.shape == (15, 10)
    assert not (found == np.arange(15)[:, None]).any()


def test_more_components_than_vectors_are_refused() -> None:
    with pytest.raises(UsageError, match="5 vectors are too few for 6"):
        ablate(np.eye(5, 8, dtype=np.float32), [6], similarity="cosine")
