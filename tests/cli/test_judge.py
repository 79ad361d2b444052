"""`lookalike judge` without its page, which tests/server/test_judging.py covers."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.program_runner import draw, lookalike

from lookalike.evaluation.relevance_judgements import JudgementFile, QueryPool


def judged(folder: Path) -> Path:
    file = JudgementFile.create(
        folder / "j.jsonl", ("color",), [QueryPool("a b.jpg", ("x.jpg", "y.jpg"))]
    )
    for judge, image, relevant in (
        ("anna", "x.jpg", True), ("anna", "y.jpg", False),
        ("bert", "x.jpg", True), ("bert", "y.jpg", True),
    ):  # fmt: skip
        file.add(judge, "a b.jpg", image, relevant)
    return file.file


def test_results_are_summarised_and_written_as_qrels(tmp_path: Path) -> None:
    judged(tmp_path)
    run = lookalike("judge", "--results", "--file", "j.jsonl", cwd=tmp_path)
    assert run.returncode == 0
    assert run.stdout.splitlines() == [
        "2 images judged for 1 query, 1 of them relevant.",
        "anna and bert agree on 50 % of 2 images, Cohen's kappa 0.00.",
    ]
    written = (tmp_path / "j.qrels").read_text()
    assert written == "a%20b.jpg 0 x.jpg 1\na%20b.jpg 0 y.jpg 0\n"
    assert "lookalike evaluate FOLDER --labels j.qrels" in run.stderr


def test_results_as_json(tmp_path: Path) -> None:
    judged(tmp_path)
    run = lookalike("judge", "--results", "--file", "j.jsonl", "--format", "json", cwd=tmp_path)
    found = json.loads(run.stdout)
    assert found["judgements"] == {"anna": 2, "bert": 2}
    assert found["agreement"][0]["share"] == 0.5


def test_wrong_use_is_an_error_of_one_line(tmp_path: Path) -> None:
    for arguments, message in (
        (["judge", "--results"], "cannot read judging.jsonl"),
        (["judge", "nowhere"], "there is no folder nowhere"),
        (["judge", "--file", "x.qrels"], "cannot both be x.qrels"),
    ):
        run = lookalike(*arguments, cwd=tmp_path)
        assert run.returncode == 2
        assert message in run.stderr
        assert len(run.stderr.strip().splitlines()) == 1


def test_a_file_keeps_its_own_systems(tmp_path: Path) -> None:
    judged(tmp_path)
    (tmp_path / "photos").mkdir()
    for number in range(3):
        draw(tmp_path / "photos" / f"{number}.jpg", number)
    lookalike("index", "photos", "--extractor", "color,pixels", cwd=tmp_path)
    run = lookalike("judge", "photos", "-e", "pixels", "--file", "j.jsonl", cwd=tmp_path)
    assert run.returncode == 2
    assert "j.jsonl judges color" in run.stderr
