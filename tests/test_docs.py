"""The documentation says what the program does: pages that are generated, and code that runs."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
from tests.library.image_builders import album, draw

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_page_of_commands_is_the_programs_own_help() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "write_commands.py"))["page"]
    written = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert written == page(), "run `make docs`"


def test_the_python_of_the_readme_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    album(tmp_path / "photos", 40)
    draw(tmp_path / "photos" / "cat.jpg", 99)
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})
    assert capsys.readouterr().out.startswith("1 cat.jpg 1.0 near-copy")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_has_a_target(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    for link in links:
        if not link.startswith(("http:", "https:")):
            assert (page.parent / link).exists(), f"{page.name} links to {link}"


def test_every_model_that_a_page_or_a_help_text_names_is_known() -> None:
    from lookalike.models.presets import MODELS

    known = set(MODELS) | {"onnx:mobilenet_v2_1.0_224"}  # a folder
    files = [*PAGES, *sorted((ROOT / "src" / "lookalike" / "cli").glob("*.py"))]
    for file in files:
        named = re.findall(r"\b(?:onnx|clip):[a-z0-9][\w.-]*(?![\w/.-])", file.read_text("utf-8"))
        assert set(named) <= known, file.name
