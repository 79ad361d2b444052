"""Whitened principal axes against cases that can be worked out by hand."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tools.distill.projection import Projection, fit_teacher, student_targets


def ellipse() -> NDArray[np.float64]:
    """Return points with spread 4 along (0.6, 0.8), spread 1 across it, about the point (10, 20)."""
    along, across = np.array([0.6, 0.8]), np.array([-0.8, 0.6])
    points: NDArray[np.float64] = np.stack([4 * along, -4 * along, across, -across])
    moved: NDArray[np.float64] = points + np.array([10.0, 20.0])
    return moved


def test_axes_are_found_in_order_of_their_variance() -> None:
    found = Projection.fit(ellipse(), dim=2, whitening=0)
    np.testing.assert_allclose(found.mean, [10, 20], rtol=1e-6)
    np.testing.assert_allclose(np.abs(found.axes.T), [[0.6, 0.8], [0.8, 0.6]], atol=1e-6)


def test_full_whitening_gives_every_axis_the_same_variance() -> None:
    found = Projection.fit(ellipse(), dim=2, whitening=1)
    np.testing.assert_allclose(np.cov(found(ellipse()).T, ddof=0), np.eye(2), atol=1e-5)


def test_half_whitening_leaves_the_square_root_of_the_variance() -> None:
    found = Projection.fit(ellipse(), dim=2, whitening=0.5)
    before = np.var(ellipse() @ [0.6, 0.8])
    assert np.var(found(ellipse())[:, 0]) == pytest.approx(before**0.5, rel=1e-5)


def test_targets_have_length_one_and_ignore_the_scale_of_the_features() -> None:
    features = np.random.default_rng(0).random((50, 12)).astype(np.float32)
    projection = fit_teacher(features, dim=5)
    vectors = student_targets(features, projection)
    assert vectors.shape == (50, 5)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(student_targets(features * 3, projection), vectors, atol=1e-5)


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 5"):
        fit_teacher(np.ones((3, 12)), dim=5)


def test_a_stored_projection_gives_the_same_vectors(tmp_path: Path) -> None:
    features = np.random.default_rng(1).random((40, 8)).astype(np.float32)
    projection = fit_teacher(features, dim=3)
    projection.save(tmp_path / "p.npz")
    opened = Projection.open(tmp_path / "p.npz")
    np.testing.assert_array_equal(opened(features), projection(features))
