"""Leave-one-out evaluation, by hand and against a plain sort."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike.errors import UsageError
from lookalike.evaluation.ground_truth import truth_by_labels
from lookalike.evaluation.metrics import average_precision, precision
from lookalike.evaluation.rankings import (
    leave_one_out,
    measure_rankings,
    rank_by_vectors,
    ranks_of_rows,
)
from lookalike.vectors.similarity import Similarity


def fan(*degrees: float) -> np.ndarray:
    """Return unit vectors in the plane: the nearer two angles, the larger the cosine."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_every_image_is_a_query_for_the_others_of_its_label() -> None:
    found = leave_one_out(fan(0, 10, 25, 60), ["a", "a", "b", "b"], cutoffs=[1])
    # 0° finds 10° first; 10° finds 0° (10 away, 25° is 15 away); 25° finds 10°, 0°, 60° (35 away);
    # 60° finds 25°.
    assert found.values["AP"].tolist() == pytest.approx([1, 1, 1 / 3, 1])
    assert found.values["P@1"].tolist() == [1, 1, 0, 1]
    assert found.means()["RR"] == pytest.approx((1 + 1 + 1 / 3 + 1) / 4)


def test_singletons_and_unlabelled_images_are_no_queries() -> None:
    found = leave_one_out(fan(0, 5, 10, 20), ["a", None, "only", "a"])
    # They take ranks all the same: 0° retrieves 5° and 10° before 20°, and 20° them before 0°.
    assert found.values["RR"].tolist() == pytest.approx([1 / 3, 1 / 3])


def test_equal_similarities_rank_by_row() -> None:
    same = fan(0, 0, 0, 0, 0)
    found = leave_one_out(same, ["x", "a", "y", "a", "z"])
    # Row 1 retrieves 0, 2, 3, 4 in this order: the relevant one is third. Row 3 retrieves 0, 1: second.
    assert found.values["RR"].tolist() == pytest.approx([1 / 3, 1 / 2])


@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
def test_the_ranking_is_that_of_a_stable_sort(similarity: Similarity) -> None:
    rng = np.random.default_rng(3)
    # Few different numbers, exact in binary: many ties.
    vectors = rng.choice([-0.5, 0.5], (80, 4)).astype(np.float32)
    labels = [str(n) for n in rng.integers(0, 5, 80)]
    truth = truth_by_labels(labels)
    blocks_of_seven = 4 * 80 * 7
    rankings = rank_by_vectors(vectors, truth, similarity=similarity, block_bytes=blocks_of_seven)
    found = measure_rankings(rankings, truth, cutoffs=[10])
    names = np.array(labels)
    for at, row in enumerate(truth.rows):
        distances = ((vectors - vectors[row]) ** 2).sum(axis=1)
        order = np.argsort(distances, kind="stable")
        ranks = np.flatnonzero(names[order[order != row]] == names[row]) + 1
        assert found.values["AP"][at] == pytest.approx(average_precision(ranks, total=len(ranks)))
        assert found.values["P@10"][at] == precision(ranks, 10)


def test_ranks_of_rows_exclude_the_query() -> None:
    scores = np.array([0.9, 1.0, 0.9, 0.1, 0.9], np.float32)
    ranks, best = ranks_of_rows(scores, np.array([2, 3, 4]), exclude=1, keep=3)
    assert ranks.tolist() == [2, 4, 3]
    assert best.tolist() == [0, 2, 4]
    assert ranks_of_rows(scores, np.array([1]), exclude=0)[0].tolist() == [1]


def test_all_rows_are_ranked_for_a_query_outside_the_collection() -> None:
    scores = np.array([0.9, 1.0, 0.9], np.float32)
    ranks, best = ranks_of_rows(scores, np.array([0, 1, 2]), keep=10)
    assert (ranks.tolist(), best.tolist()) == ([2, 1, 3], [1, 0, 2])


def test_labels_that_no_two_images_share_are_refused() -> None:
    with pytest.raises(UsageError, match="no two images share a label"):
        leave_one_out(fan(0, 1), ["a", "b"])


def test_a_wrong_number_of_labels_is_refused() -> None:
    with pytest.raises(UsageError, match="2 vectors but 1 labels"):
        leave_one_out(fan(0, 1), ["a"])
