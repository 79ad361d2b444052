"""Principal axes beside those of NumPy's singular value decomposition."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike.errors import UsageError
from lookalike.vectors.pca import leading_axes, principal_axes


def test_axes_and_variances_are_those_of_the_singular_value_decomposition() -> None:
    random = np.random.default_rng(0)
    vectors = (random.normal(size=(333, 12)) @ random.normal(size=(12, 12)) + 3).astype(np.float32)
    found = principal_axes(vectors, block_bytes=4000)  # several blocks, the last one shorter
    _, singular, axes = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)
    assert np.allclose(found.variances, singular**2 / 333, rtol=1e-4)
    assert np.allclose(np.abs((found.axes * axes).sum(axis=1)), 1.0, atol=1e-4)
    assert found.retained(5) == pytest.approx((singular[:5] ** 2).sum() / (singular**2).sum(), 1e-5)
    projected = found.apply(vectors, 4)
    assert np.allclose(
        np.abs(projected), np.abs((vectors - vectors.mean(axis=0)) @ axes[:4].T), atol=1e-3
    )


def test_a_line_needs_one_direction() -> None:
    found = principal_axes(np.outer(np.arange(5), [3.0, 4.0]).astype(np.float32))
    assert found.axes[0].tolist() == pytest.approx([0.6, 0.8])
    assert found.retained(1) == pytest.approx(1.0)
    assert found.apply(np.array([[6.0, 8.0]], np.float32), 1).tolist() == [
        [pytest.approx(0.0, abs=1e-5)]
    ]


def test_one_axis_retains_all_of_equal_vectors_and_no_vectors_are_refused() -> None:
    assert principal_axes(np.ones((4, 3), np.float32)).retained(1) == 1.0
    with pytest.raises(UsageError, match="no vectors"):
        principal_axes(np.empty((0, 3), np.float32))


@pytest.mark.parametrize("shape", [(80, 30), (40, 90), (1020, 1010)])
def test_leading_axes_are_those_of_a_full_decomposition(shape: tuple[int, int]) -> None:
    rows = np.random.default_rng(0).normal(size=shape)
    rows[:, :5] *= [50, 40, 30, 20, 10]
    found = leading_axes(rows, 4)
    _, singular, exact = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    # Up to the sign, which is a convention.
    np.testing.assert_allclose(np.abs(found.axes @ exact[:4].T), np.eye(4), atol=0.02)
    np.testing.assert_allclose(found.variances, singular[:4] ** 2 / len(rows), rtol=1e-3)
