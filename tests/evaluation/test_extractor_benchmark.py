"""The extractor benchmark, with values that can be computed by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike.errors import UsageError
from lookalike.evaluation.extractor_benchmark import (
    ExtractorBenchmark,
    benchmark_extractor,
    benchmark_images,
    model_free,
)
from lookalike.evaluation.invariance import MEASURED_EDITS, mean_cosine
from lookalike.extractors.interface import Extractor
from lookalike.extractors.registry import EXTRACTORS

COLOURS = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200)}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four images of each of three colours, a broken one, and one with a label of its own."""
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
def result(shop: Path, toy_class: type[Extractor]) -> ExtractorBenchmark:
    """Benchmark the mean colour: three numbers that do not depend on the position of pixels."""
    return benchmark_extractor(toy_class(), benchmark_images(shop, labels="folders"), workers=1)


def test_dimension_bytes_and_images_are_counted(result: ExtractorBenchmark) -> None:
    assert (result.dim, result.bytes, result.images, result.unreadable) == (3, 12, 13, 1)


def test_edits_that_preserve_the_mean_colour_preserve_the_vector(
    result: ExtractorBenchmark,
) -> None:
    preserved = ("turned-90", "mirrored", "crop-10", "jpeg-30", "brighter")
    assert [result.invariance[name] for name in preserved] == pytest.approx([1] * 5, abs=2e-3)
    assert result.invariance["turned-90"] == pytest.approx(1, abs=1e-6)
    assert set(result.invariance) == set(MEASURED_EDITS)


def test_the_mean_cosine_is_the_mean_over_all_pairs(result: ExtractorBenchmark) -> None:
    assert 0.2 < result.mean_cosine < 0.9
    angles = np.radians([0, 60, 90])
    three = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    # cos 60°, cos 90°, cos 30°
    assert mean_cosine(three) == pytest.approx((0.5 + 0 + np.sqrt(3) / 2) / 3)
    assert np.isnan(mean_cosine(three[:1]))


def test_images_of_one_colour_retrieve_each_other(result: ExtractorBenchmark) -> None:
    assert result.quality == {"mAP": 1, "MRR": 1, "P@1": 1, "P@10": pytest.approx(3 / 10)}


def test_rates_are_measured(result: ExtractorBenchmark) -> None:
    assert result.extraction_rate > result.core_rate > 0 and result.parallel_rate > 0


def test_an_extractor_that_needs_fitting_is_fitted(shop: Path) -> None:
    chosen = benchmark_images(shop, limit=8)
    found = benchmark_extractor("keypoints-orb", chosen, workers=1)
    assert found.dim > 0 and found.images > 0
    assert found.quality == {}


def test_a_limit_always_samples_the_same_images(shop: Path) -> None:
    few = benchmark_images(shop, labels="folders", limit=5)
    assert few == benchmark_images(shop, labels="folders", limit=5)
    assert len(few.paths) == 5
    assert few.labels == tuple(Path(path).parent.name for path in few.paths)


def test_a_table_is_also_looked_up_in_the_folder(shop: Path) -> None:
    (shop / "some.csv").write_text("path,label\nred/0.png,warm\nblue/0.png,cold\n")
    found = benchmark_images(shop, labels="some.csv")
    assert found.labels == ("warm", "cold")
    assert found.paths == (str(shop / "red/0.png"), str(shop / "blue/0.png"))


def test_the_default_extractors_need_no_model() -> None:
    chosen = model_free()
    assert {"color", "shape", "histogram", "dhash"} <= set(chosen)
    assert not {"onnx", "clip", "timm"} & set(chosen)
    assert all(name in EXTRACTORS for name in chosen)


def test_a_folder_without_a_readable_image_is_refused(
    tmp_path: Path, toy_class: type[Extractor]
) -> None:
    (tmp_path / "notes.txt").write_text("no image " * 20)
    with pytest.raises(UsageError, match="none of these files"):
        benchmark_extractor(toy_class(), benchmark_images(tmp_path), workers=1)
    with pytest.raises(UsageError, match="there is no folder"):
        benchmark_images(tmp_path / "nowhere")
