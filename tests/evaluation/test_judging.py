"""Human judging: pools, the file of judgements, agreement by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.library.drawing import album

from lookalike.errors import UsageError
from lookalike.evaluation.open_or_build import opened
from lookalike.evaluation.relevance_judgements import (
    Agreement,
    Judging,
    Pool,
    agreements,
    cohens_kappa,
    draw,
    majority,
)

POOLS = [Pool("q1", ("a", "b")), Pool("q2", ("c",))]


def judging(folder: Path) -> Judging:
    return Judging.create(folder / "j.jsonl", ("color", "pixels"), POOLS)


def test_kappa_is_the_agreement_beyond_chance() -> None:
    # Cohen's own layout: 20 times both yes, 15 both no, 5 and 10 divided: (.70 - .50) / .50.
    pairs = [(True, True)] * 20 + [(False, False)] * 15 + [(True, False)] * 5
    pairs += [(False, True)] * 10
    assert cohens_kappa(pairs) == pytest.approx(0.4)
    assert cohens_kappa([(True, True), (False, False)]) == 1
    assert cohens_kappa([(True, False), (False, True)]) == -1
    assert cohens_kappa([(True, True)] * 3) is None


def test_only_pictures_that_both_judged_count_for_their_agreement() -> None:
    said = {
        "anna": {("q", "a"): True, ("q", "b"): False, ("q", "only anna"): True},
        "bert": {("q", "a"): True, ("q", "b"): True},
        "carl": {("r", "a"): True},
    }
    assert agreements(said) == [Agreement("anna", "bert", 2, 0.5, 0.0)]


def test_the_majority_decides_and_a_tie_is_not_relevant() -> None:
    said = {
        "anna": {("q", "a"): True, ("q", "b"): True},
        "bert": {("q", "a"): True, ("q", "b"): False},
        "carl": {("q", "a"): False},
    }
    assert majority(said) == {"q": {"a": 1, "b": 0}}


def test_judging_goes_on_where_it_was_left(tmp_path: Path) -> None:
    first = judging(tmp_path)
    assert first.next("anna") == 0
    first.judge("anna", "q1", "b", True)
    assert first.next("anna") == 0
    first.judge("anna", "q1", "a", False)
    again = Judging.open(tmp_path / "j.jsonl")
    assert again.systems == ("color", "pixels")
    assert again.pools == POOLS
    assert again.next("anna") == 1
    assert again.said("anna", 0) == {"a": False, "b": True}
    assert again.next("bert") == 0
    again.judge("anna", "q2", "c", True)
    assert again.next("anna") is None
    assert again.results()[0] == {"q1": {"a": 0, "b": 1}, "q2": {"c": 1}}


def test_a_line_that_a_kill_cut_off_does_not_count(tmp_path: Path) -> None:
    judging(tmp_path).judge("anna", "q1", "a", True)
    file = tmp_path / "j.jsonl"
    file.write_text(file.read_text() + '{"judge": "anna", "question": "q1", "pic')
    assert Judging.open(file).said("anna", 0) == {"a": True}


def test_judgements_are_taken_back_one_by_one_the_last_one_first(tmp_path: Path) -> None:
    made = judging(tmp_path)
    made.judge("anna", "q1", "a", True)
    made.judge("anna", "q2", "c", False)
    made.judge("anna", "q1", "a", False)  # said again: now the last
    again = Judging.open(made.file)
    assert again.undo("anna") == 0
    assert again.said("anna", 0) == {}
    assert again.undo("anna") == 1
    assert again.undo("anna") is None
    assert Judging.open(made.file).results() == ({}, [], {})


def test_what_was_not_asked_cannot_be_judged(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="c was not asked about for q1"):
        judging(tmp_path).judge("anna", "q1", "c", True)


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("[1, 2]\n")
    with pytest.raises(UsageError, match="no file of judgements"):
        Judging.open(tmp_path / "x")
    (tmp_path / "y").write_text(json.dumps({"lookalike-judging": 99}) + "\n")
    with pytest.raises(UsageError, match="another version"):
        Judging.open(tmp_path / "y")
    with pytest.raises(UsageError, match="cannot write"):
        Judging.create(tmp_path / "x", (), [])


def test_the_first_hits_of_all_systems_are_mixed_without_the_question_and_its_copies(
    tmp_path: Path,
) -> None:
    folder = album(tmp_path / "photos", 20)
    (folder / "copy.jpg").write_bytes((folder / "000.jpg").read_bytes())
    with opened(folder, extractors=["color", "pixels"]) as here:
        systems, pools = draw(here, queries=99, top=3)
        again = draw(here, queries=99, top=3)[1]
        few = draw(here, queries=5, top=3, by=["pixels"])[1]
    assert systems == ("color", "pixels")
    assert len({pool.question for pool in pools}) == 21
    assert pools == again
    for pool in pools:
        assert 3 <= len(pool.pictures) <= 6
        assert len(set(pool.pictures)) == len(pool.pictures)
        own = {"000.jpg", "copy.jpg"} if pool.question in ("000.jpg", "copy.jpg") else set()
        assert not {pool.question, *own} & set(pool.pictures)
    assert {len(pool.pictures) for pool in few} == {3}
