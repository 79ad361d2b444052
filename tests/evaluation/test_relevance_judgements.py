"""Relevance judgements: pools, the file, and agreement computed by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.library.image_builders import album

from lookalike.errors import UsageError
from lookalike.evaluation.collection import open_or_build
from lookalike.evaluation.relevance_judgements import (
    Agreement,
    JudgementFile,
    QueryPool,
    agreements,
    cohens_kappa,
    draw_pools,
    majority,
)

POOLS = [QueryPool("q1", ("a", "b")), QueryPool("q2", ("c",))]


def create(folder: Path) -> JudgementFile:
    return JudgementFile.create(folder / "j.jsonl", ("color", "pixels"), POOLS)


def test_kappa_is_the_agreement_beyond_chance() -> None:
    # Cohen's own layout: 20 times both yes, 15 both no, 5 and 10 split: (.70 - .50) / .50.
    pairs = [(True, True)] * 20 + [(False, False)] * 15 + [(True, False)] * 5
    pairs += [(False, True)] * 10
    assert cohens_kappa(pairs) == pytest.approx(0.4)
    assert cohens_kappa([(True, True), (False, False)]) == 1
    assert cohens_kappa([(True, False), (False, True)]) == -1
    assert cohens_kappa([(True, True)] * 3) is None


def test_agreement_counts_images_that_both_judged() -> None:
    judgements = {
        "anna": {("q", "a"): True, ("q", "b"): False, ("q", "only anna"): True},
        "bert": {("q", "a"): True, ("q", "b"): True},
        "carl": {("r", "a"): True},
    }
    assert agreements(judgements) == [Agreement("anna", "bert", 2, 0.5, 0.0)]


def test_the_majority_decides_and_a_tie_is_not_relevant() -> None:
    judgements = {
        "anna": {("q", "a"): True, ("q", "b"): True},
        "bert": {("q", "a"): True, ("q", "b"): False},
        "carl": {("q", "a"): False},
    }
    assert majority(judgements) == {"q": {"a": 1, "b": 0}}


def test_judging_resumes(tmp_path: Path) -> None:
    first = create(tmp_path)
    assert first.next("anna") == 0
    first.add("anna", "q1", "b", True)
    assert first.next("anna") == 0
    first.add("anna", "q1", "a", False)
    again = JudgementFile.open(tmp_path / "j.jsonl")
    assert again.systems == ("color", "pixels")
    assert again.pools == POOLS
    assert again.next("anna") == 1
    assert again.judgements("anna", 0) == {"a": False, "b": True}
    assert again.next("bert") == 0
    again.add("anna", "q2", "c", True)
    assert again.next("anna") is None
    assert again.results()[0] == {"q1": {"a": 0, "b": 1}, "q2": {"c": 1}}


def test_a_line_cut_off_by_a_kill_is_ignored(tmp_path: Path) -> None:
    create(tmp_path).add("anna", "q1", "a", True)
    file = tmp_path / "j.jsonl"
    file.write_text(file.read_text() + '{"judge": "anna", "query": "q1", "ima')
    assert JudgementFile.open(file).judgements("anna", 0) == {"a": True}


def test_undo_withdraws_the_last_judgement(tmp_path: Path) -> None:
    made = create(tmp_path)
    made.add("anna", "q1", "a", True)
    made.add("anna", "q2", "c", False)
    made.add("anna", "q1", "a", False)  # judged again: now the last one
    again = JudgementFile.open(made.file)
    assert again.undo("anna") == 0
    assert again.judgements("anna", 0) == {}
    assert again.undo("anna") == 1
    assert again.undo("anna") is None
    assert JudgementFile.open(made.file).results() == ({}, [], {})


def test_an_image_outside_the_pool_cannot_be_judged(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="c is not to be judged for q1"):
        create(tmp_path).add("anna", "q1", "c", True)


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("[1, 2]\n")
    with pytest.raises(UsageError, match="not a file of judgements"):
        JudgementFile.open(tmp_path / "x")
    (tmp_path / "y").write_text(json.dumps({"lookalike-judging": 99}) + "\n")
    with pytest.raises(UsageError, match="another version"):
        JudgementFile.open(tmp_path / "y")
    with pytest.raises(UsageError, match="cannot write"):
        JudgementFile.create(tmp_path / "x", (), [])


def test_pools_hold_the_first_hits_of_all_systems_without_the_query_and_its_copies(
    tmp_path: Path,
) -> None:
    folder = album(tmp_path / "photos", 20)
    (folder / "copy.jpg").write_bytes((folder / "000.jpg").read_bytes())
    with open_or_build(folder, extractors=["color", "pixels"]) as here:
        systems, pools = draw_pools(here, queries=99, top=3)
        again = draw_pools(here, queries=99, top=3)[1]
        few = draw_pools(here, queries=5, top=3, extractors=["pixels"])[1]
    assert systems == ("color", "pixels")
    assert len({pool.query for pool in pools}) == 21
    assert pools == again
    for pool in pools:
        assert 3 <= len(pool.images) <= 6
        assert len(set(pool.images)) == len(pool.images)
        own = {"000.jpg", "copy.jpg"} if pool.query in ("000.jpg", "copy.jpg") else set()
        assert not {pool.query, *own} & set(pool.images)
    assert {len(pool.images) for pool in few} == {3}
