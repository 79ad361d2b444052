"""Layouts, neighbours, clusters and levels of detail, on points with known results."""

from __future__ import annotations

import importlib.util
from itertools import combinations, product

import numpy as np
import pytest

from lookalike.embedding_map.clusters import cluster
from lookalike.embedding_map.groups import group_values
from lookalike.embedding_map.layout import (
    best_method,
    lay_out,
    measure_preservation,
    nearest_neighbours,
    project,
    zoom_levels,
)
from lookalike.errors import MissingExtra, UsageError

needs_tsne = pytest.mark.skipif(
    importlib.util.find_spec("openTSNE") is None, reason="openTSNE is not installed"
)


def groups_of_points(
    count: int, each: int, dim: int, *, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return points around distant centres, and the number of each point's centre."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(count, dim)) * 10
    which = np.arange(count).repeat(each)
    return centres[which] + rng.normal(size=(count * each, dim)), which


def test_points_on_a_line_are_projected_onto_the_line() -> None:
    along = np.array([-3.0, -1.0, 0.0, 4.0])
    points = along[:, None] * [0.6, 0.8, 0.0] + [5, 5, 5]
    found = project(points, 2)
    assert found[:, 0] == pytest.approx(along - along.mean())
    assert found[:, 1] == pytest.approx(0, abs=1e-6)


def test_principal_axes_of_large_sets_equal_those_of_an_exact_svd() -> None:
    rng = np.random.default_rng(1)
    points = rng.normal(size=(900, 700)) * 0.8 ** np.minimum(np.arange(700), 30)
    centred = points - points.mean(axis=0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    found = project(points, 3)
    for axis in range(3):
        cosine = found[:, axis] @ u[:, axis] / np.linalg.norm(found[:, axis])
        assert abs(cosine) > 0.999
        assert np.linalg.norm(found[:, axis]) == pytest.approx(s[axis], rel=1e-3)


@needs_tsne
def test_tsne_preserves_groups_and_depends_on_the_seed_only() -> None:
    points, which = groups_of_points(5, 30, 20)
    positions = lay_out(points, method="tsne", seed=3)
    assert np.array_equal(positions, lay_out(points, method="tsne", seed=3))
    ids, _ = nearest_neighbours(positions, 5)
    assert (which[ids] == which[:, None]).all()


@needs_tsne
@pytest.mark.parametrize("count", [2, 3, 4, 5, 7])
def test_few_and_equal_points_have_positions(count: int) -> None:
    assert np.isfinite(lay_out(np.eye(count), method="tsne")).all()
    assert np.isfinite(lay_out(np.ones((count, 3)), method="tsne")).all()


def test_a_method_that_is_not_installed_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr("importlib.import_module", missing)
    points, _ = groups_of_points(2, 5, 3)
    with pytest.raises(MissingExtra, match=r"pip install 'lookalike\[map\]'"):
        lay_out(points, method="tsne")
    with pytest.raises(MissingExtra, match=r"pip install 'lookalike\[umap\]'"):
        lay_out(points, method="umap")
    with pytest.raises(UsageError, match="tsne, pca, umap"):
        lay_out(points, method="magic")  # type: ignore[arg-type]


def test_the_method_is_pca_if_nothing_else_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert best_method() == "pca"


def test_neighbours_are_those_of_a_plain_search() -> None:
    points = np.random.default_rng(2).normal(size=(70, 4))
    ids, distances = nearest_neighbours(points, 6)
    away = np.linalg.norm(points[:, None] - points, axis=2)
    np.fill_diagonal(away, np.inf)
    assert np.array_equal(ids, np.argsort(away, axis=1)[:, :6])
    assert distances == pytest.approx(np.sort(away, axis=1)[:, :6], abs=1e-3)


def test_a_map_that_preserves_everything_is_perfect() -> None:
    points = np.random.default_rng(3).normal(size=(40, 2))
    report = measure_preservation(points, points * 7)
    assert (report.trustworthiness, report.continuity, report.overlap) == (1, 1, 1)
    assert (report.neighbours, report.sampled) == (10, 40)


def test_trustworthiness_and_continuity_by_hand() -> None:
    # On a line: 0 1 2 3 4, one neighbour. The map swaps the last two of the first and shuffles:
    truth = np.array([[0.0], [1.0], [2.1], [3.3], [4.6]])
    map_ = np.array([[0.0, 0], [4.6, 0], [2.1, 0], [3.3, 0], [1.0, 0]])
    report = measure_preservation(truth, map_, neighbours=1)
    # Nearest in truth: 1 0 1 2 3; nearest on the map: 4 3 4 2 0. Ranks of the latter in truth: 4 is
    # the 4th of 0; 3 the 3rd of 1; 4 the 4th of 2; 2 the 1st of 3; 0 the 4th of 4.
    excess = (4 - 1) + (3 - 1) + (4 - 1) + 0 + (4 - 1)
    assert report.trustworthiness == pytest.approx(1 - 2 / (5 * 1 * (10 - 3 - 1)) * excess)
    # Ranks on the map of the nearest in truth: 1 is the 4th of 0; 0 the 4th of 1; 1 the 4th of 2
    # (distances 1.1, 1.2, 2.1, 2.5); 2 the 1st of 3; 3 the 3rd of 4 (1.0, 1.1, 2.3, 3.6).
    missing = (4 - 1) + (4 - 1) + (4 - 1) + 0 + (3 - 1)
    assert report.continuity == pytest.approx(1 - 2 / (5 * 6) * missing)
    assert report.overlap == pytest.approx(1 / 5)


def test_trustworthiness_is_that_of_scikit_learn() -> None:
    manifold = pytest.importorskip("sklearn.manifold")
    points, _ = groups_of_points(4, 40, 8, seed=4)
    map_ = lay_out(points, method="pca") + np.random.default_rng(5).normal(size=(160, 2))
    report = measure_preservation(points, map_)
    assert report.trustworthiness == pytest.approx(
        manifold.trustworthiness(points, map_, n_neighbors=10)
    )
    assert report.continuity == pytest.approx(
        manifold.trustworthiness(map_, points, n_neighbors=10)
    )


def test_separate_groups_are_clusters_the_largest_first() -> None:
    points, which = groups_of_points(3, 20, 6, seed=6)
    keep = np.r_[0:5, 20:40, 40:50]  # 5, 20 and 10 of them
    found = cluster(points[keep], 3)
    assert np.bincount(found).tolist() == [20, 10, 5]
    for group in range(3):
        assert len(set(found[which[keep] == group])) == 1
    assert np.array_equal(found, cluster(points[keep], 3))


def test_fewer_points_than_clusters_are_fine() -> None:
    assert cluster(np.zeros((4, 2)), 3).tolist() == [0, 0, 0, 0]
    assert sorted(cluster(np.eye(2), 5).tolist()) == [0, 1]


def test_values_are_grouped_by_frequency() -> None:
    groups, names = group_values(["b", "a", None, "b", ""])
    assert (groups.tolist(), names) == ([0, 1, -1, 0, -1], ("b", "a"))
    many = [f"v{n:02d}" for n in range(30)] + ["often"] * 3
    groups, names = group_values(many)
    assert names == ("often", *(f"v{n:02d}" for n in range(10)), "others")
    assert groups[-1] == 0
    assert (groups == 11).sum() == 20


def test_many_numbers_are_divided_into_ranges_of_equal_frequency() -> None:
    groups, names = group_values([*range(60), None])
    assert len(names) == 6
    assert np.bincount(groups[:-1]).tolist() == [10] * 6
    assert groups[-1] == -1
    assert names[0].startswith("0 – ")


def test_thumbnails_of_a_level_do_not_overlap() -> None:
    positions = np.random.default_rng(7).random((300, 2))
    found = zoom_levels(positions, max_level=6)
    for level in range(7):
        shown = np.flatnonzero(found <= level)
        side = 1 / 2**level
        for a, b in combinations(shown, 2):
            assert (np.abs(positions[a] - positions[b]) >= side).any()
    assert found[0] == 0
    assert (np.diff([(found <= level).sum() for level in range(7)]) > 0).all()


def test_of_equal_positions_one_is_shown() -> None:
    positions = np.array(list(product((0.1, 0.9), repeat=2)) * 2)
    assert zoom_levels(positions, max_level=3).tolist() == [0, 1, 1, 1, 4, 4, 4, 4]
