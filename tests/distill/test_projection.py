"""Principal axes against cases that can be worked out by hand."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tools.distill.projection import Projection, principal_axes


def ellipse() -> NDArray[np.float64]:
    """Spread 4 along (0.6, 0.8), spread 1 across it, about the point (10, 20)."""
    along, across = np.array([0.6, 0.8]), np.array([-0.8, 0.6])
    points: NDArray[np.float64] = np.stack([4 * along, -4 * along, across, -across])
    moved: NDArray[np.float64] = points + np.array([10.0, 20.0])
    return moved


def test_axes_are_found_in_order_of_their_variance() -> None:
    mean, axes = principal_axes(ellipse(), dim=2, evenness=0)
    np.testing.assert_allclose(mean, [10, 20], rtol=1e-6)
    np.testing.assert_allclose(np.abs(axes.T), [[0.6, 0.8], [0.8, 0.6]], atol=1e-6)


def test_full_evenness_gives_every_axis_the_same_variance() -> None:
    mean, axes = principal_axes(ellipse(), dim=2, evenness=1)
    np.testing.assert_allclose(np.cov(((ellipse() - mean) @ axes).T), np.eye(2), atol=1e-5)


def test_half_evenness_leaves_the_square_root_of_the_variance() -> None:
    mean, axes = principal_axes(ellipse(), dim=2, evenness=0.5)
    before = np.var(ellipse() @ [0.6, 0.8], ddof=1)
    assert np.var((ellipse() - mean) @ axes[:, 0], ddof=1) == pytest.approx(before**0.5, rel=1e-5)


def test_projected_rows_have_length_one_and_ignore_the_features_scale() -> None:
    rng = np.random.default_rng(0)
    features = rng.random((50, 12)).astype(np.float32)
    projection = Projection.fit(features, dim=5)
    vectors = projection(features)
    assert vectors.shape == (50, 5)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(projection(features * 3), vectors, atol=1e-5)


def test_too_few_rows_say_so() -> None:
    with pytest.raises(ValueError, match="at least 5"):
        Projection.fit(np.ones((3, 12)), dim=5)


def test_a_stored_projection_gives_the_same_vectors(tmp_path: Path) -> None:
    features = np.random.default_rng(1).random((40, 8)).astype(np.float32)
    projection = Projection.fit(features, dim=3)
    projection.save(tmp_path / "p.npz")
    np.testing.assert_array_equal(
        Projection.open(tmp_path / "p.npz")(features), projection(features)
    )
