"""k-means on small sets whose clusters are known."""

from __future__ import annotations

import numpy as np

from lookalike.vectors.kmeans import kmeans


def test_centroids_are_the_means_of_well_separated_groups() -> None:
    rng = np.random.default_rng(5)
    means = np.array([[0, 0], [50, 0], [0, 50]], np.float32)
    points = np.concatenate([rng.normal(mean, 1, (40, 2)) for mean in means]).astype(np.float32)
    centroids, assignments = kmeans(points, 3)
    expected = points.reshape(3, 40, 2).mean(axis=1)
    order = np.lexsort(np.rint(centroids / 50).T[::-1])
    wanted = np.lexsort(np.rint(expected / 50).T[::-1])
    np.testing.assert_allclose(centroids[order], expected[wanted], atol=1e-3)
    assert [len(set(group)) for group in assignments.reshape(3, 40).tolist()] == [1, 1, 1]


def test_as_many_clusters_as_distinct_points_where_there_are_fewer_than_k() -> None:
    points = np.array([[1, 2], [3, 4], [1, 2]], np.float32)
    centroids, assignments = kmeans(points, 64)
    assert centroids.tolist() == [[1, 2], [3, 4]]
    assert assignments.tolist() == [0, 1, 0]


def test_the_same_points_and_seed_give_the_same_clusters() -> None:
    points = np.random.default_rng(0).normal(size=(500, 8)).astype(np.float32)
    first, again = kmeans(points, 10, restarts=2), kmeans(points, 10, restarts=2)
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
