"""The tutorial runs, and prints what stands in it."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

TUTORIAL = Path(__file__).parents[1] / "docs" / "tutorial"
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


def close(now: str, written: str) -> bool:
    """The same words, and numbers that differ no more than another machine's arithmetic may make them:
    by 0.02 or 5 %; tiny ones (rounding errors) are not compared."""
    if NUMBER.sub("#", now).split() != NUMBER.sub("#", written).split():
        return False
    pairs = zip(NUMBER.findall(now), NUMBER.findall(written), strict=True)
    return all(abs(float(a) - float(b)) <= max(0.021, 0.05 * abs(float(b))) for a, b in pairs)


def test_every_page_prints_the_output_shown_below_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    script = runpy.run_path(str(TUTORIAL / "run_pages.py"))
    pages = script["PAGES"]
    assert len(pages) == 8
    for page in pages:
        now, written = script["run"](page).splitlines(), page.read_text("utf-8").splitlines()
        assert len(now) == len(written), page.name
        for a, b in zip(now, written, strict=True):
            assert a == b or close(a, b), f"{page.name}: prints {a!r}, {b!r} stands there"


def test_numbers_may_differ_slightly_and_other_text_may_not() -> None:
    assert close("recall 0.91 of 20", "recall 0.92 of 20")
    assert not close("recall 0.85", "recall 0.92")
    assert not close("recall 0.92", "precision 0.92")


def test_every_page_is_in_the_table_of_contents() -> None:
    contents = (TUTORIAL / "README.md").read_text("utf-8")
    for page in TUTORIAL.glob("[0-9]*.md"):
        assert f"({page.name})" in contents
