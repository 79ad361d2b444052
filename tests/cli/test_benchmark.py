"""`lookalike benchmark` for search and extractors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.cli.program_runner import draw, lookalike


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Draw three equal images for each of two labels."""
    folder = tmp_path_factory.mktemp("benchmark")
    for name, number in (("cups", 1), ("hats", 2)):
        for copy in range(3):
            draw(folder / "shop" / name / f"{copy}.png", number)
    (folder / "shop" / "notes.txt").write_text("not an image " * 10)
    return folder


def test_the_three_implementations_of_search_are_timed(tmp_path: Path) -> None:
    sizes = ("--count", "500", "--dim", "16", "--queries", "8")
    run = lookalike("benchmark", "search", *sizes, "--format", "json", cwd=tmp_path)
    found = json.loads(run.stdout)
    assert (found["count"], found["dim"], found["agree"]) == (500, 16, True)
    table = lookalike("benchmark", "search", *sizes, cwd=tmp_path).stdout
    assert "All three find the same 10 nearest" in table


def test_extractors_are_compared_and_drawn(shop: Path) -> None:
    options = ("-e", "color,dhash", "--labels", "folders", "--workers", "1")
    run = lookalike("benchmark", "extractors", "shop", *options, "--plot", "out.png", cwd=shop)
    assert run.returncode == 0, run.stderr
    head, first, second, *_ = run.stdout.splitlines()
    assert head.split()[:3] == ["extractor", "dim", "bytes"]
    assert head.split()[-4:] == ["mAP", "P@1", "P@10", "MRR"]
    assert first.split()[:3] == ["color", "384", "1,536"]
    assert second.split()[:3] == ["dhash", "64", "256"]
    assert first.split()[-4:] == ["1.000", "1.000", "0.200", "1.000"]
    assert "unrelated" in run.stdout
    assert "could not be used" not in run.stderr
    with Image.open(shop / "out.png") as drawn:
        assert drawn.width > 800
        assert len(np.unique(np.asarray(drawn.convert("L")))) > 50


def test_json_holds_every_figure_and_no_labels_means_no_ranking(shop: Path) -> None:
    options = ("--extractor", "dhash", "--workers", "1", "--format", "json")
    run = lookalike("benchmark", "extractors", "shop", *options, cwd=shop)
    assert "1 file could not be used" in run.stderr
    found = json.loads(run.stdout)
    assert (found["files"], found["labels"]) == (7, None)
    (one,) = found["extractors"]
    assert (one["images"], one["unreadable"], one["quality"]) == (6, 1, None)
    assert set(one["cosine"]) == {
        *("tilted-5", "turned-90", "brighter", "crop-10", "jpeg-30", "mirrored", "unrelated")
    }
    assert set(one["images_per_second"]) == {
        *("extraction_per_core", "from_files_per_core", "from_files")
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere",), "there is no folder nowhere"),
        (("shop", "-e", "colour"), "Did you mean 'color'"),
        (("shop", "--labels", "no.csv"), "there is no such table"),
        (("shop", "--plot", "nowhere/out.png"), "there is no folder nowhere"),
    ],
)
def test_wrong_use_is_an_error_of_one_line(
    shop: Path, arguments: tuple[str, ...], message: str
) -> None:
    run = lookalike("benchmark", "extractors", *arguments, cwd=shop)
    assert run.returncode == 2
    assert message in run.stderr and run.stderr.count("\n") == 1
