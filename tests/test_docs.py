"""The documentation says what the program does: pages that are generated, and code that runs."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.library.image_builders import album, draw

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_page_of_commands_and_the_man_page_are_the_programs_own_help() -> None:
    writer = runpy.run_path(str(ROOT / "docs" / "write_commands.py"))
    for name, function in (("commands.md", "page"), ("lookalike.1", "man_page")):
        written = (ROOT / "docs" / name).read_text(encoding="utf-8")
        assert written == writer[function](), "run `make docs`"


@pytest.mark.skipif(not shutil.which("man"), reason="man is not installed")
def test_man_shows_the_man_page_without_a_warning() -> None:
    page = ROOT / "docs" / "lookalike.1"
    command = ["man", "--warnings", "-l", str(page)]
    env = {**os.environ, "MANWIDTH": "100", "LC_ALL": "C.UTF-8"}
    shown = subprocess.run(command, capture_output=True, encoding="utf-8", check=True, env=env)
    assert shown.stderr == ""
    assert "lookalike search cat.jpg" in shown.stdout and "--min-relevance" in shown.stdout


def test_every_public_name_is_in_the_reference() -> None:
    import lookalike

    hooks = (ROOT / "docs" / "site_hooks.py").read_text(encoding="utf-8")
    named = re.findall(r'"[\w.]*?(\w+)"', hooks[hooks.index("REFERENCE = ") :])
    assert set(lookalike.__all__) - {"LookalikeError", "Outcome"} <= set(named)


def test_the_licences_are_those_of_the_pinned_versions() -> None:
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    page = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| (\S+?)\*? \| (\d\S*) \| \w", page, re.MULTILINE)
    assert listed == re.findall(r"^(\S+)==(\S+)$", constraints, re.MULTILINE), "run `make docs`"
    assert "not installed" not in page


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
