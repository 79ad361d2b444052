"""`lookalike train`: labelled images become a model that is used as an extractor."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.cli.program_runner import lookalike

from lookalike.catalogue.generate import write_catalogue

LABELS = ("--labels", "products.csv:product")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("train") / "shop"
    write_catalogue(folder, products=30, views=6, size=96)
    return folder


def test_held_out_products_are_ranked_better_and_the_model_can_be_used(
    shop: Path, tmp_path: Path
) -> None:
    run = lookalike("train", shop, *LABELS, "-e", "color", "-o", "mine", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith(
        "Trained on 126 images of 21 labels. Evaluated on 54 images of 9 labels, none"
    )
    assert "--extractor ./mine" in run.stderr
    assert sorted(p.name for p in (tmp_path / "mine").iterdir()) == [
        "head.npz",
        "lookalike-model.json",
        "precision-recall.png",
    ]
    with Image.open(tmp_path / "mine" / "precision-recall.png") as drawn:
        assert len(np.unique(np.asarray(drawn.convert("L")))) > 50
    record = json.loads((tmp_path / "mine" / "lookalike-model.json").read_text())
    assert record["figures"]["after"]["mAP"] > record["figures"]["before"]["mAP"]
    assert record["learnt"]["labels"] == "products.csv:product"
    assert len(record["figures"]["curve"]["after"]) == 21

    library = ("--library", tmp_path / "library")
    indexed = lookalike("index", shop, "--extractor", "./mine", *library, cwd=tmp_path)
    assert indexed.returncode == 0, indexed.stderr
    info = lookalike("info", *library, "--format", "json", cwd=tmp_path)
    (space,) = json.loads(info.stdout)["spaces"]
    assert space["extractor"] == f"trained:{(tmp_path / 'mine').resolve().as_posix()}"
    image = next(shop.rglob("p0003-0.jpg"))
    command = ("search", image, "--extractor", "./mine", "--format", "json")
    hits = json.loads(lookalike(*command, *library, cwd=tmp_path).stdout)["hits"]
    assert sum("p0003" in hit["path"] for hit in hits[:6]) >= 3


def test_two_runs_write_the_same_numbers(shop: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        lookalike("train", shop, *LABELS, "-e", "histogram", "--output", name, cwd=tmp_path)
    one, two = (tmp_path / name / "head.npz" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_json_describes_the_training(shop: Path, tmp_path: Path) -> None:
    options = ("-e", "color", "--format", "json", "--held-out", "0.5")
    run = lookalike("train", shop, *LABELS, *options, cwd=tmp_path)
    found = json.loads(run.stdout)
    assert (found["base"], found["split"], found["improved"]) == ("color", "labels", True)
    assert found["trained_on"] == found["held_out"] == {"images": 90, "labels": 15}
    assert found["best_possible"]["P@10"] == 0.5


def test_random_labels_write_nothing_and_say_so(shop: Path, tmp_path: Path) -> None:
    rows = (shop / "products.csv").read_text().splitlines()[1:91]
    paths = [row.partition(",")[0] for row in rows]
    names = np.random.default_rng(0).permutation(np.arange(len(paths)) // 6)
    table = tmp_path / "noise.csv"
    lines = [f"{shop / path},{name}" for path, name in zip(paths, names, strict=True)]
    table.write_text("path,label\n" + "\n".join(lines) + "\n")
    command = ("train", shop, "--labels", table, "-e", "color", "--seed", "1")
    run = lookalike(*command, cwd=tmp_path)
    assert run.returncode == 1
    assert "training did not help" in run.stderr
    assert "nothing was written" in run.stderr
    assert not (tmp_path / "my-model").exists()
    kept = lookalike(*command, "--force", cwd=tmp_path)
    assert kept.returncode == 0
    assert "was written anyway" in kept.stderr
    assert (tmp_path / "my-model" / "head.npz").exists()


def test_labels_from_the_librarys_metadata_with_products_kept_together(
    shop: Path, tmp_path: Path
) -> None:
    library = tmp_path / "photos"
    write_catalogue(library, products=30, views=3, size=64)
    with_ = ("--extractor", "color", "--metadata", library / "products.csv")
    assert lookalike("index", library, *with_, cwd=tmp_path).returncode == 0
    options = ("--labels", "field:kind", "--group-by", "field:product", "--split", "images")
    run = lookalike(
        "train", library, *options, "-e", "color", "--force", "--format", "json", cwd=tmp_path
    )
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["split"] == "images"
    wrong = lookalike("train", library, "--labels", "field:sort", "-e", "color", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "no image has the field 'sort'" in wrong.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere", "--labels", "folders"), "there is no folder nowhere"),
        ((".", "--labels", "no.csv"), "there is no file no.csv"),
        ((".", "--labels", "folders", "-e", "keypoints"), "different in every library"),
        ((".", "--labels", "folders", "-e", "colour"), "no extractor is called"),
        ((".", "--labels", "folders", "-o", "full"), "not empty"),
    ],
)
def test_wrong_use_is_an_error_of_one_line(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    (tmp_path / "full").mkdir()
    Image.new("RGB", (32, 32), "red").save(tmp_path / "full" / "a.png")
    run = lookalike("train", *arguments, cwd=tmp_path)
    assert run.returncode == 2
    assert message in run.stderr
    assert run.stderr.count("\n") == 1
