"""Leave-one-out evaluation, by hand and against the plain sort."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike.errors import UsageError
from lookalike.evaluation import rankings as module
from lookalike.evaluation.leave_one_out import leave_one_out
from lookalike.evaluation.metrics import average_precision, precision, ranks_of
from lookalike.evaluation.rankings import places
from lookalike.vectors.similarity import Similarity


def fan(*degrees: float) -> np.ndarray:
    """Unit vectors in the plane: the nearer two angles, the larger the cosine."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_every_picture_asks_for_the_others_of_its_label() -> None:
    judged = leave_one_out(fan(0, 10, 25, 60), ["a", "a", "b", "b"], cutoffs=[1])
    # 0° finds 10° first; 10° finds 0° (10 away, 25° is 15 away); 25° finds 10°, 0°, 60° (35 away);
    # 60° finds 25°.
    assert judged.rows.tolist() == [0, 1, 2, 3]
    assert judged.values["AP"].tolist() == pytest.approx([1, 1, 1 / 3, 1])
    assert judged.values["P@1"].tolist() == [1, 1, 0, 1]
    assert judged.means()["RR"] == pytest.approx((1 + 1 + 1 / 3 + 1) / 4)


def test_pictures_alone_or_without_a_label_ask_nothing_and_are_counted() -> None:
    judged = leave_one_out(fan(0, 5, 10, 20), ["a", None, "only", "a"])
    assert judged.rows.tolist() == [0, 3]
    assert (judged.alone, judged.unlabelled) == (1, 1)
    # They stand in the way all the same: 0° meets 5° and 10° before 20°.
    assert judged.values["RR"].tolist() == pytest.approx([1 / 3, 1 / 3])


def test_equal_similarities_rank_by_row() -> None:
    same = fan(0, 0, 0, 0, 0)
    judged = leave_one_out(same, ["x", "a", "y", "a", "z"])
    # Row 1 meets 0, 2, 3, 4 in this order: its fellow is third. Row 3 meets 0, 1: second.
    assert judged.values["RR"].tolist() == pytest.approx([1 / 3, 1 / 2])


@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
def test_the_ranking_is_that_of_a_stable_sort(
    similarity: Similarity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BLOCK_BYTES", 4 * 80 * 7)  # blocks of seven questions
    rng = np.random.default_rng(3)
    # Few different numbers, exact in binary: ties everywhere.
    vectors = rng.choice([-0.5, 0.5], (80, 4)).astype(np.float32)
    labels = [str(n) for n in rng.integers(0, 5, 80)]
    judged = leave_one_out(vectors, labels, similarity=similarity, cutoffs=[10])
    names = np.array(labels)
    for at, row in enumerate(judged.rows):
        distances = ((vectors - vectors[row]) ** 2).sum(axis=1)
        order = np.argsort(distances, kind="stable")
        ranks = ranks_of(names[order[order != row]] == names[row])
        assert judged.values["AP"][at] == pytest.approx(average_precision(ranks, total=len(ranks)))
        assert judged.values["P@10"][at] == precision(ranks, 10)


def test_ranks_of_some_rows_leave_the_question_out() -> None:
    scores = np.array([0.9, 1.0, 0.9, 0.1, 0.9], np.float32)
    ranks, best = places(scores, np.array([2, 3, 4]), without=1, kept=3)
    assert ranks.tolist() == [2, 4, 3]
    assert best.tolist() == [0, 2, 4]
    assert places(scores, np.array([1]), without=0)[0].tolist() == [1]


def test_without_a_question_among_the_rows_all_are_ranked() -> None:
    scores = np.array([0.9, 1.0, 0.9], np.float32)
    ranks, best = places(scores, np.array([0, 1, 2]), kept=10)
    assert (ranks.tolist(), best.tolist()) == ([2, 1, 3], [1, 0, 2])


def test_labels_that_no_two_pictures_share_are_refused() -> None:
    with pytest.raises(UsageError, match="no two pictures share a label"):
        leave_one_out(fan(0, 1), ["a", "b"])


def test_a_wrong_number_of_labels_is_refused() -> None:
    with pytest.raises(UsageError, match="2 vectors but 1 labels"):
        leave_one_out(fan(0, 1), ["a"])
