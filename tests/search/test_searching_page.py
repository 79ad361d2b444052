"""docs/searching.md: every example runs."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from tests.cli.program_runner import lookalike

PAGE = Path(__file__).parents[2] / "docs" / "searching.md"


def test_every_example_of_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    results = {}
    for kind, block in re.findall(r"```(python|sh)\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL):
        if kind == "python":
            exec(compile(block, PAGE.name, "exec"), names)
            continue
        for line in block.splitlines():
            program, *words = shlex.split(line, comments=True)
            assert program == "lookalike"
            if "<" in words:  # standard input is tested in tests/cli/test_search.py
                continue
            run = lookalike(*words, cwd=tmp_path)
            assert run.returncode == 0, (line, run.stderr)
            assert run.stdout
            results[line.partition("#")[0].strip()] = run.stdout
    where = results["lookalike search shop/teapot/p0009-0.jpg --library rooms --format json"]
    first = json.loads(where)["hits"][0]
    assert (first["path"], first["box"]) == ("teapot.png", [0.6, 0.6, 0.4, 0.4])
    turned = results[
        "lookalike search turned.png --extractor shape --any-orientation --library shop"
    ]
    assert "turned by 90° to the right" in turned and "p0001-0.jpg" in turned.splitlines()[1]
    assert "mug" in capsys.readouterr().out
