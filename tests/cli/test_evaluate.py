"""`lookalike evaluate` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.program_runner import Album, draw, lookalike


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Draw two kinds of nearly equal images, three of each, and a single one; not indexed."""
    home = tmp_path_factory.mktemp("home")
    for kind in range(2):
        for size in (64, 80, 96):
            draw(home / "shop" / f"kind {kind}" / f"{size}.jpg", kind, size=size)
    draw(home / "shop" / "other" / "one.jpg", 9)
    return home


def test_folders_are_labels_and_the_table_has_the_metrics(shop: Path) -> None:
    run = lookalike(
        "evaluate",
        "shop",
        "--labels",
        "folders",
        "--reindex",
        "-e",
        "color,pixels",
        "-k",
        "1,2",
        cwd=shop,
    )
    assert run.returncode == 0, run.stderr
    head, first, *_ = run.stdout.splitlines()
    assert head.split()[:7] == ["system", "mAP", "95", "%", "P@1", "P@2", "R@2"]
    assert first.split()[:2] == ["color", "1"]
    assert "6 queries on 7 images; folders." in run.stdout
    assert "1 image is the only one with its label" in run.stderr
    assert "other/one.jpg" in run.stderr
    assert not (shop / "shop" / ".lookalike").exists()


def test_json_has_every_metric_with_its_interval(shop: Path) -> None:
    run = lookalike(
        "evaluate", "shop", "--labels", "folders", "-e", "color", "--format", "json", cwd=shop
    )
    found = json.loads(run.stdout)
    assert found["queries"] == 6
    (system,) = found["systems"]
    assert system["metrics"]["AP"] == {"mean": 1.0, "interval": [1.0, 1.0]}
    assert set(system["metrics"]) >= {"RR", "nDCG", "P@5", "R@10", "nDCG@10", "hit@1"}
    assert system["latency_ms"]["p50"] > 0
    assert found["notes"][0]["count"] == 1


def test_a_field_of_the_librarys_metadata_is_the_label(tmp_path: Path) -> None:
    rows = ["path,kind"]
    for kind in range(2):
        for size in (64, 80):
            draw(tmp_path / "shop" / f"{kind}-{size}.jpg", kind, size=size)
            rows.append(f"{kind}-{size}.jpg,kind {kind}")
    (tmp_path / "shop" / "kinds.csv").write_text("\n".join(rows) + "\n")
    lookalike("index", "shop", "--extractor", "color", "--metadata", "shop/kinds.csv", cwd=tmp_path)
    run = lookalike("evaluate", "shop", "--labels", "field:kind", "-k", "1", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[1].split()[:2] == ["color", "1"]
    assert "4 queries on 4 images; field kind." in run.stdout
    wrong = lookalike("evaluate", "shop", "--labels", "field:kin", cwd=tmp_path)
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("Error: no image has the field 'kin' (existing fields: ")
    pca = ("benchmark", "pca", "--library", "shop", "--keep", "2", "--labels", "field:kind")
    assert "mAP" in lookalike(*pca, cwd=tmp_path).stdout


def test_an_invalid_plot_file_is_refused_before_anything_is_measured(shop: Path) -> None:
    command = ("evaluate", "shop", "--labels", "folders", "-e", "color")
    for plot, message in (
        ("out.foo", "name a .png, .jpg, .pdf or .svg file"),
        ("no/a.png", "no folder no"),
    ):
        run = lookalike(*command, "--plot", plot, cwd=shop)
        assert (run.returncode, run.stdout) == (2, "")
        assert message in run.stderr


def test_runs_and_qrels_are_written_and_evaluated_without_images(shop: Path) -> None:
    written = lookalike(
        *("evaluate", "shop", "--labels", "folders", "-e", "color", "--timed", "0"),
        *("--save-run", "runs", "--save-qrels", "all.qrels"),
        cwd=shop,
    )
    assert written.returncode == 0, written.stderr
    again = lookalike("evaluate", "--labels", "all.qrels", "--run", "runs/color.run", cwd=shop)
    assert again.returncode == 0, again.stderr
    # Equal metrics; the run has a depth, and judgements add the share of judged hits.
    assert again.stdout.splitlines()[1].split()[:9] == written.stdout.splitlines()[1].split()[:9]


def test_the_self_test_needs_no_labels(shop: Path) -> None:
    run = lookalike("evaluate", "shop", "--self-test", "-e", "color", cwd=shop)
    assert run.returncode == 0, run.stderr
    assert "saved as PNG" in run.stdout
    assert "7 edited images whose original comes first" in run.stdout


def test_known_pairs_give_the_best_threshold(shop: Path) -> None:
    (shop / "pairs.csv").write_text(
        "first,second,similar\n"
        "shop/kind 0/64.jpg,shop/kind 0/80.jpg,1\n"
        "shop/kind 1/64.jpg,shop/kind 1/80.jpg,1\n"
        "shop/kind 0/64.jpg,shop/kind 1/80.jpg,0\n"
        "shop/kind 0/64.jpg,shop/other/one.jpg,0\n"
    )
    run = lookalike("evaluate", "shop", "--pairs", "pairs.csv", "-e", "color", cwd=shop)
    assert run.returncode == 0, run.stderr
    assert "2 similar pairs, 2 dissimilar" in run.stdout
    as_json = lookalike(
        *("evaluate", "shop", "--pairs", "pairs.csv", "-e", "color", "--format", "json"),
        cwd=shop,
    )
    (found,) = json.loads(as_json.stdout)["extractors"]
    assert found["f1"] == 1


def test_an_existing_library_is_used(album: Album) -> None:
    (album.home / "labels.csv").write_text(
        "path,kind\nphotos/0.png,x\nphotos/1.png,x\nphotos/nowhere.png,x\n"
    )
    run = lookalike(
        *("evaluate", "photos", "--labels", "labels.csv:kind", "-e", "pixels", "--timed", "0"),
        cwd=album.home,
    )
    assert run.returncode == 0, run.stderr
    assert "2 queries on 8 images; labels.csv, column kind." in run.stdout
    assert "1 row of the table names no indexed image: photos/nowhere.png" in run.stderr
    assert "6 images have no label" in run.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "photos"], "--labels, --pairs or --self-test"),
        (["evaluate", "photos", "--self-test", "--labels", "folders"], "--labels, --pairs"),
        (["evaluate", "--self-test", "--reindex"], "--reindex needs a FOLDER"),
        (["evaluate", "gone", "--self-test"], "there is no folder gone"),
        (["evaluate", "--self-test"], "there is no library here"),
        (
            ["evaluate", "photos", "--self-test", "-e", "shape"],
            "no vectors of shape, only of color, pixels",
        ),
        (["evaluate", "photos", "--labels", "no.csv"], "there is no file no.csv"),
        (["evaluate", "photos", "--labels", "folders", "-k", "ten"], "-k is a list of numbers"),
        (["evaluate", "photos", "--labels", "empty.qrels"], "holds no judgements"),
        (
            ["evaluate", "photos", "--self-test", "--save-qrels", "no/x.qrels"],
            "there is no folder no",
        ),
    ],
)
def test_wrong_use_is_an_error_of_one_line_that_names_the_remedy(
    album: Album, arguments: list[str], message: str
) -> None:
    (album.home / "empty.qrels").write_text("")
    run = lookalike(*arguments, cwd=album.home)
    assert run.returncode == 2
    assert message in run.stderr
    assert len(run.stderr.strip().splitlines()) == 1


def test_the_library_option_needs_no_folder(album: Album) -> None:
    options = ("--self-test", "-e", "color", "--queries", "3", "--format", "json")
    run = lookalike("evaluate", "--library", "photos", *options, cwd=album.home)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["searched"] == 8
    # FOLDER restricts the evaluation to the images in it: here only the cat.
    few = lookalike("evaluate", "photos/pets", "--library", "photos", *options, cwd=album.home)
    assert few.returncode == 2
    assert "fewer than two images with vectors of color" in few.stderr


def test_a_folder_takes_precedence_over_the_library_of_the_environment(
    shop: Path, album: Album
) -> None:
    run = lookalike(
        *("evaluate", "shop", "--labels", "folders", "-e", "color", "--timed", "0"),
        cwd=shop,
        env={"LOOKALIKE_LIBRARY": str(album.photos)},
    )
    assert run.returncode == 0, run.stderr
    assert "6 queries on 7 images; folders." in run.stdout
