"""TREC files: round trips, the order of trec_eval, and metrics that agree with it."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.errors import UsageError
from lookalike.evaluation.evaluate import evaluate_runs
from lookalike.evaluation.systems import EvalOptions
from lookalike.evaluation.trec import encoded, read_qrels, read_run, write_qrels, write_run


def test_judgements_round_trip_with_spaces_and_other_scripts_in_names(tmp_path: Path) -> None:
    qrels = {"my cat.jpg": {"été/a b.jpg": 2, "50%.jpg": 0}, "猫.jpg": {"a\tb\u3000c.jpg": 1}}
    write_qrels(tmp_path / "q", qrels)
    assert read_qrels(tmp_path / "q") == qrels
    assert encoded("my cat.jpg") == "my%20cat.jpg"
    assert encoded("été/a.jpg") == "été/a.jpg"


def test_rankings_round_trip_in_order_even_with_equal_scores(tmp_path: Path) -> None:
    hits = [("a", 0.5), ("z", 0.5), ("m", 0.5), ("b", -1.0)]
    write_run(tmp_path / "r", [("q", hits)], tag="t")
    assert [name for name, _ in read_run(tmp_path / "r")["q"]] == ["a", "z", "m", "b"]


def test_equal_scores_of_a_run_are_ordered_by_descending_name(tmp_path: Path) -> None:
    (tmp_path / "r").write_text("q Q0 a 1 0.5 t\nq Q0 c 2 0.5 t\n# note\n\nq Q0 b 3 0.7 t\n")
    assert [name for name, _ in read_run(tmp_path / "r")["q"]] == ["b", "c", "a"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no judgement"),
        ("q 0 a\n", "line 1: 3 columns"),
        ("q 0 a b c\n", "line 1: 5 columns"),
        ("q 0 a yes\n", "the grade 'yes' is not a number"),
        ("q 0 a 1\nq 0 a 0\n", "line 2: a has the grade 1 already"),
    ],
)
def test_invalid_judgements_name_the_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "q").write_text(text)
    with pytest.raises(UsageError, match=message):
        read_qrels(tmp_path / "q")


def test_a_run_that_names_an_image_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r").write_text("q Q0 a 1 0.5 t\nq Q0 a 2 0.4 t\n")
    with pytest.raises(UsageError, match="line 2: a is in this ranking already"):
        read_run(tmp_path / "r")


def test_runs_agree_with_trec_eval_to_nine_digits(tmp_path: Path) -> None:
    try:
        ir_measures: Any = import_module("ir_measures")
    except ImportError:
        pytest.skip("trec_eval is not installed: pip install ir-measures")
    rng = np.random.default_rng(5)
    names = [f"d{number}" for number in range(40)]
    qrels, lines = {}, []
    for query in map(str, range(25)):
        grades = rng.integers(0, 3, 40)
        grades[0] = 1  # something is relevant
        judged = rng.permutation(40)[:30]
        qrels[query] = {names[at]: int(grades[at]) for at in {0, *judged.tolist()}}
        if query != "7":  # one query has no ranking
            ranking = rng.permutation(40)[: rng.integers(1, 30)]
            # Few different scores: ties, which trec_eval breaks by name.
            lines += [f"{query} Q0 {names[at]} 0 {rng.integers(0, 6) / 4} t" for at in ranking]
    write_qrels(tmp_path / "q", qrels)
    (tmp_path / "r").write_text("\n".join(lines))
    run = read_run(tmp_path / "r")
    found = evaluate_runs(read_qrels(tmp_path / "q"), tmp_path / "q", {"r": run}, EvalOptions())
    ours = found.systems[0].metrics.values
    theirs: dict[str, Any] = {
        "AP": ir_measures.AP,
        "RR": ir_measures.RR,
        "nDCG": ir_measures.nDCG,
        **{f"P@{k}": ir_measures.P @ k for k in (1, 5, 10)},
        **{f"R@{k}": ir_measures.R @ k for k in (1, 5, 10)},
        **{f"nDCG@{k}": ir_measures.nDCG @ k for k in (1, 5, 10)},
        **{f"hit@{k}": ir_measures.Success @ k for k in (1, 5, 10)},
    }
    docs = [ir_measures.ScoredDoc(q, d, s) for q, hits in run.items() for d, s in hits]
    judgements = [ir_measures.Qrel(q, d, g) for q, one in qrels.items() for d, g in one.items()]
    values = {
        (str(value.measure), value.query_id): value.value
        for value in ir_measures.iter_calc(list(theirs.values()), judgements, docs)
    }
    for name, measure in theirs.items():
        for at, query in enumerate(found.truth.names):
            theirs_value = values.get((str(measure), query), 0.0)
            assert ours[name][at] == pytest.approx(theirs_value, abs=1e-9), (name, query)
