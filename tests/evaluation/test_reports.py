"""Reports: self-contained, with the same figures as the tables."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.cli.program_runner import draw, lookalike

from lookalike.viz.html_page import hit, page, paragraph, table


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("reports")
    for kind in range(3):
        for size in (64, 80):
            draw(home / "shop" / f"<kind> {kind}" / f"{size}.jpg", kind, size=size)
    return home


def assert_self_contained(text: str) -> None:
    """Check that the page loads nothing and runs no script."""
    links = re.findall(r"(?:src|href)=\"([^\"]*)\"", text)
    assert links
    assert all(link.startswith(("data:image/jpeg;base64,", "#")) for link in links)
    assert "<script" not in text
    assert "default-src 'none'" in text
    ids = re.findall(r'id="([^"]+)"', text)
    assert len(ids) == len(set(ids))


def test_the_report_is_self_contained_and_has_its_figures_as_json(home: Path) -> None:
    run = lookalike(
        *(
            "evaluate",
            "shop",
            "--labels",
            "folders",
            "--reindex",
            "-e",
            "color,pixels",
            "--timed",
            "2",
        ),
        *("-o", "out.html", "--plot", "out.png"),
        cwd=home,
    )
    assert run.returncode == 0, run.stderr
    text = (home / "out.html").read_text("utf-8")
    assert_self_contained(text)
    found = json.loads((home / "out.json").read_text("utf-8"))
    for system in found["systems"]:
        assert f"{system['metrics']['AP']['mean']:.3f}" in text
    assert "&lt;kind&gt; 0/64.jpg" in text
    assert "<kind>" not in text
    # Six queries, each with five hits.
    assert text.count('class="hit query"') == 6
    assert text.count('class="hit relevant"') + text.count('class="hit wrong"') == 30
    with Image.open(home / "out.png") as drawn:
        assert drawn.width > 1000


def test_hits_that_were_not_judged_are_not_shown_as_wrong(home: Path) -> None:
    (home / "some.qrels").write_text(
        "<kind>%200/64.jpg 0 <kind>%200/80.jpg 1\n<kind>%200/64.jpg 0 <kind>%201/80.jpg 0\n"
    )
    run = lookalike(
        *("evaluate", "shop", "--labels", "some.qrels", "--reindex", "-e", "color", "--timed", "0"),
        *("-o", "q.html"),
        cwd=home,
    )
    assert run.returncode == 0, run.stderr
    text = (home / "q.html").read_text("utf-8")
    counts = {kind: text.count(f'class="hit {kind}"') for kind in ("relevant", "wrong", "unjudged")}
    assert counts == {"relevant": 1, "wrong": 1, "unjudged": 3}
    assert "Grey: not judged." in text


def test_the_self_test_and_pairs_have_reports(home: Path) -> None:
    (home / "pairs.csv").write_text(
        "first,second,similar\n"
        "shop/<kind> 0/64.jpg,shop/<kind> 0/80.jpg,1\n"
        "shop/<kind> 1/64.jpg,shop/<kind> 1/80.jpg,1\n"
        "shop/<kind> 0/64.jpg,shop/<kind> 1/80.jpg,0\n"
        "shop/<kind> 0/64.jpg,shop/<kind> 2/80.jpg,0\n"
    )
    for options in (["--self-test"], ["--pairs", "pairs.csv"]):
        run = lookalike(
            *("evaluate", "shop", *options, "--reindex", "-e", "color", "-o", "o.html"),
            *("--plot", "o.svg"),
            cwd=home,
        )
        assert run.returncode == 0, run.stderr
        assert_self_contained((home / "o.html").read_text("utf-8"))
        assert json.loads((home / "o.json").read_text("utf-8"))
        assert (home / "o.svg").read_text("utf-8").startswith("<?xml")


def test_the_best_of_a_column_is_highlighted() -> None:
    assert '<td class="best">2</td>' in table(["a", "b"], [["x", "*2"], ["y", "1"]])


def test_names_and_texts_are_escaped() -> None:
    text = page("<b>", paragraph("a & b"), [("<i>", hit(None, "1", '"><script>', "wrong"))])
    assert "<script>" not in text
    assert "<title>&lt;b&gt;</title>" in text
    assert "cannot be shown" in text


def test_an_image_is_embedded_in_the_page() -> None:
    text = hit(np.zeros((4, 4, 3), np.uint8), "1", "a.jpg", "relevant")
    assert "data:image/jpeg;base64," in text


def test_a_report_is_an_html_page(home: Path) -> None:
    run = lookalike("evaluate", "shop", "--labels", "folders", "-o", "out.pdf", cwd=home)
    assert run.returncode == 2
    assert "name an .html file" in run.stderr
