"""`lookalike demo`, the first command that a new user runs."""

from pathlib import Path

import pytest
from PIL import Image
from tests.cli.program_runner import draw, lookalike

from lookalike.cli import open_library


def test_the_demo_draws_indexes_searches_and_saves_the_hits(tmp_path: Path) -> None:
    run = lookalike("demo", "--products", "3", cwd=tmp_path)
    assert run.returncode == 0
    lines = run.stdout.splitlines()
    assert lines[0].split() == ["rank", "similarity", "path"]
    assert len(lines) == 1 + 10 + 2
    assert lines[1].startswith("   1 ")
    assert lines[-1].startswith("Query: a")
    assert "(p0002). Of the 10 hits, " in lines[-1]
    assert "Indexed 15 images in " in run.stderr
    assert "lookalike search" in run.stderr
    assert "lookalike serve lookalike-demo --open" in run.stderr
    with Image.open(tmp_path / "search_results.png") as grid:
        assert grid.format == "PNG"
    again = lookalike("demo", "--products", "3", cwd=tmp_path)
    assert again.returncode == 0
    assert again.stdout == run.stdout
    assert "Indexed 0 images (15 unchanged) in " in again.stderr


def test_suggested_commands_give_the_path_of_a_program_that_is_not_on_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bin_ = tmp_path / ".venv" / "bin"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [str(bin_ / "lookalike"), "demo"])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert open_library.program() == ".venv/bin/lookalike"
    (tmp_path / "lookalike").write_text("#!/bin/sh\n")
    (tmp_path / "lookalike").chmod(0o755)
    assert open_library.program() == "lookalike"


def test_the_demo_with_photos_writes_nothing_into_their_folder(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for number in range(4):
        draw(photos / f"{number}.png", number)
    before = sorted(photos.rglob("*"))
    run = lookalike("demo", "--photos", "photos", "--grid", "out.png", cwd=tmp_path)
    assert run.returncode == 0
    assert run.stdout.splitlines()[1] == "   1       1.000  photos/0.png"
    assert sorted(photos.rglob("*")) == before
    assert (tmp_path / "out.png").is_file()


def test_the_demo_with_a_folder_without_images_says_so(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    run = lookalike("demo", "--photos", "empty", cwd=tmp_path)
    assert run.returncode == 2
    assert run.stderr.splitlines()[-1] == "Error: there are no images in empty"
    run = lookalike("demo", "--photos", "~/nowhere", cwd=tmp_path, env={"HOME": str(tmp_path)})
    assert run.returncode == 2
    assert run.stderr == f"Error: there is no folder {tmp_path / 'nowhere'}\n"
