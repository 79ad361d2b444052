"""Linear discriminant analysis against cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike.vectors.lda import LinearMap, compose, scatter

# Two labels at (-3, 0) and (3, 0); within each, spread 1 along x and 4 along y.
POINTS = np.array([[-4, 0], [-2, 0], [-3, 4], [-3, -4], [2, 0], [4, 0], [3, 4], [3, -4]], float)
LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 1])


def test_scatter_within_labels_is_measured_about_their_own_means() -> None:
    found = scatter(POINTS, LABELS)
    # Sums of squares: 4 along x (1 + 1, twice), 64 along y; six degrees of freedom.
    np.testing.assert_allclose(found.within, [4 / 6, 64 / 6])
    np.testing.assert_allclose(found.mean, [0, 0])
    assert found.sizes.tolist() == [4, 4]


def test_without_shrinkage_labels_scatter_alike_in_every_direction() -> None:
    found = scatter(POINTS, LABELS).discriminants(shrinkage=0.0, dim=None)
    made = found(POINTS).astype(float)
    centred = made - np.stack([made[:4].mean(0), made[4:].mean(0)])[LABELS]
    np.testing.assert_allclose(centred.T @ centred / 6, np.eye(2), atol=1e-5)


def test_full_shrinkage_only_scales() -> None:
    found = scatter(POINTS, LABELS).discriminants(shrinkage=1.0, dim=None)
    np.testing.assert_allclose(
        found.axes.T @ found.axes, np.eye(2) / (34 / 6), rtol=1e-5, atol=1e-7
    )


def test_the_first_direction_is_the_one_in_which_labels_differ() -> None:
    found = scatter(POINTS, LABELS).discriminants(shrinkage=0.0, dim=1)
    assert found.axes.shape == (2, 1)
    np.testing.assert_allclose(found.axes[1, 0], 0, atol=1e-6)
    assert found.axes[0, 0] == pytest.approx((6 / 4) ** 0.5, rel=1e-5)


def test_a_composed_map_equals_both_maps_in_a_row() -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(20, 9)).astype(np.float32)
    first = LinearMap(
        rng.normal(size=9).astype(np.float32), rng.normal(size=(9, 4)).astype(np.float32)
    )
    second = LinearMap(
        rng.normal(size=4).astype(np.float32), rng.normal(size=(4, 3)).astype(np.float32)
    )
    both = compose(first, second)
    assert both.axes.shape == (9, 3)
    np.testing.assert_allclose(both(rows), second(first(rows)), rtol=1e-3, atol=1e-4)
