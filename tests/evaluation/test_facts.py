"""Facts about extractors, where they can be worked out in the head."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike.errors import UsageError
from lookalike.evaluation.extractor_benchmark import ExtractorFacts, measure, model_free, pictures
from lookalike.evaluation.invariance import MEASURED, background
from lookalike.extractors.interface import Extractor
from lookalike.extractors.registry import EXTRACTORS

COLOURS = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200)}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four pictures of each of three colours, a broken one, and one whose label is its own."""
    folder = tmp_path_factory.mktemp("shop")
    rng = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (folder / name).mkdir()
        for number in range(4):
            noise = rng.integers(-20, 21, (60, 80, 3))
            pixels = (np.array(colour) + noise).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    (folder / "red" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(200))
    (folder / "own").mkdir()
    Image.new("RGB", (80, 60), (250, 250, 250)).save(folder / "own" / "white.png")
    return folder


@pytest.fixture(scope="module")
def facts(shop: Path, toy_class: type[Extractor]) -> ExtractorFacts:
    """Of the mean colour: three numbers, the same wherever the pixels stand."""
    return measure(toy_class(), pictures(shop, labels="folders"), workers=1)


def test_size_and_pictures_are_counted(facts: ExtractorFacts) -> None:
    assert (facts.dim, facts.bytes, facts.pictures, facts.unreadable) == (3, 12, 13, 1)


def test_what_keeps_the_mean_colour_keeps_the_vector(facts: ExtractorFacts) -> None:
    kept = ("turned-90", "mirrored", "crop-10", "jpeg-30", "brighter")
    assert [facts.invariance[name] for name in kept] == pytest.approx([1] * 5, abs=2e-3)
    assert facts.invariance["turned-90"] == pytest.approx(1, abs=1e-6)
    assert set(facts.invariance) == set(MEASURED)


def test_the_background_is_the_mean_over_all_pairs(facts: ExtractorFacts) -> None:
    assert 0.2 < facts.background < 0.9
    angles = np.radians([0, 60, 90])
    three = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    # cos 60°, cos 90°, cos 30°
    assert background(three) == pytest.approx((0.5 + 0 + np.sqrt(3) / 2) / 3)
    assert np.isnan(background(three[:1]))


def test_pictures_of_one_colour_find_each_other(facts: ExtractorFacts) -> None:
    assert facts.quality == {"mAP": 1, "MRR": 1, "P@1": 1, "P@10": pytest.approx(3 / 10)}


def test_rates_are_measured(facts: ExtractorFacts) -> None:
    assert facts.extracting > facts.core > 0 and facts.together > 0


def test_an_extractor_that_must_see_pictures_first_is_fitted(shop: Path) -> None:
    chosen = pictures(shop, limit=8)
    found = measure("keypoints-orb", chosen, workers=1)
    assert found.dim > 0 and found.pictures > 0
    assert found.quality == {}


def test_a_limit_draws_the_same_pictures_again(shop: Path) -> None:
    few = pictures(shop, labels="folders", limit=5)
    assert few == pictures(shop, labels="folders", limit=5)
    assert len(few.paths) == 5
    assert few.labels == tuple(Path(path).parent.name for path in few.paths)


def test_a_table_is_looked_for_in_the_folder_too(shop: Path) -> None:
    (shop / "some.csv").write_text("path,label\nred/0.png,warm\nblue/0.png,cold\n")
    found = pictures(shop, labels="some.csv")
    assert found.labels == ("warm", "cold")
    assert found.paths == (str(shop / "red/0.png"), str(shop / "blue/0.png"))


def test_what_needs_no_model_is_what_one_gets_without_asking() -> None:
    chosen = model_free()
    assert {"color", "shape", "histogram", "dhash"} <= set(chosen)
    assert not {"onnx", "clip", "timm"} & set(chosen)
    assert all(name in EXTRACTORS for name in chosen)


def test_a_folder_without_a_readable_picture_is_refused(
    tmp_path: Path, toy_class: type[Extractor]
) -> None:
    (tmp_path / "notes.txt").write_text("no picture " * 20)
    with pytest.raises(UsageError, match="none of these files"):
        measure(toy_class(), pictures(tmp_path), workers=1)
    with pytest.raises(UsageError, match="there is no folder"):
        pictures(tmp_path / "nowhere")
