"""Thresholds over known pairs, by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from lookalike.errors import UsageError
from lookalike.evaluation.separation import read_pairs, thresholds


def test_every_similarity_is_a_threshold_with_a_precision_and_a_recall() -> None:
    found = thresholds([0.9, 0.8, 0.7, 0.6], [True, False, True, False])
    assert found.similarities.tolist() == [0.9, 0.8, 0.7, 0.6]
    assert found.precision.tolist() == pytest.approx([1, 1 / 2, 2 / 3, 1 / 2])
    assert found.recall.tolist() == [1 / 2, 1 / 2, 1, 1]
    assert found.average_precision == pytest.approx(1 / 2 + (2 / 3) / 2)
    # F1: 2/3, 1/2, 4/5, 2/3.
    assert found.threshold == 0.7
    assert found.f1 == pytest.approx(4 / 5)
    assert (found.similar, found.dissimilar) == (2, 2)


def test_equal_similarities_are_one_threshold() -> None:
    found = thresholds([0.5, 0.5, 0.5, 0.1], [True, False, True, False])
    assert found.similarities.tolist() == [0.5, 0.1]
    assert found.precision.tolist() == pytest.approx([2 / 3, 1 / 2])


def test_the_held_out_f1_is_lower_if_the_halves_disagree() -> None:
    # Each half has every second pair of a kind: similar 0.9 | 0.3, other 0.2 | 0.8. The first chooses 0.9,
    # which misses 0.3; the second chooses 0.3, which accepts 0.9 and not 0.2.
    found = thresholds([0.9, 0.3, 0.2, 0.8], [True, True, False, False])
    assert found.held_out_f1 == pytest.approx((0 + 1) / 2)


def test_pairs_of_one_kind_have_no_threshold() -> None:
    with pytest.raises(UsageError, match="pairs that are similar and pairs that are not"):
        thresholds([0.5, 0.4], [True, True])


def test_a_table_of_pairs_is_read(tmp_path: Path) -> None:
    table = tmp_path / "pairs.csv"
    table.write_text("first,second,similar\na.jpg,b.jpg,1\na.jpg,c.jpg,no\n")
    assert [(p.first, p.second, p.similar) for p in read_pairs(table)] == [
        ("a.jpg", "b.jpg", True),
        ("a.jpg", "c.jpg", False),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("first,second\na,b\n", "no column 'similar'"),
        ("first,second,similar\na,b,maybe\n", "line 2: 'maybe' is neither yes nor no"),
        ("first,second,similar\na,,1\n", "line 2: a pair needs two images"),
    ],
)
def test_a_wrong_table_of_pairs_names_the_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "pairs.csv").write_text(text)
    with pytest.raises(UsageError, match=message):
        read_pairs(tmp_path / "pairs.csv")
