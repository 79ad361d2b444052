"""Similarities of unrelated images, measured on drawn folders."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tools.distill import calibrate

from lookalike.errors import UsageError
from lookalike.vectors.calibration import TAIL, Unrelated


def draw(folder: Path, hue: int, count: int = 8) -> Path:
    """Write images of one hue."""
    folder.mkdir()
    noise = np.random.default_rng(hue)
    for number in range(count):
        pixels = np.zeros((24, 24, 3), np.uint8)
        pixels[..., 0], pixels[..., 1] = hue, 200
        pixels[..., 2] = noise.integers(60, 250, (24, 24))
        Image.fromarray(pixels, "HSV").convert("RGB").save(folder / f"{number}.png")
    return folder


def test_only_images_of_unrelated_folders_are_compared(tmp_path: Path) -> None:
    folders = [draw(tmp_path / name, hue) for name, hue in (("a", 0), ("b", 2), ("c", 120))]
    every_pair = calibrate.calibrate(folders, ["color"])["color@1"]
    far = calibrate.calibrate(folders, ["color"], related={frozenset("ab")})["color@1"]
    assert len(far.cosines) == len(TAIL) and far.cosines == tuple(sorted(far.cosines))
    assert every_pair.cosines[0] > 0.8 > far.cosines[0]  # red and red; red and blue
    with pytest.raises(UsageError, match="nothing to compare"):
        calibrate.calibrate(folders[:2], ["color"], related={frozenset("ab")})
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="has no images"):
        calibrate.calibrate([*folders, tmp_path / "empty"], ["color"])


def test_another_revision_of_an_extractor_replaces_its_numbers(tmp_path: Path) -> None:
    file = tmp_path / "unrelated.json"
    calibrate.write({"a@1": Unrelated((0.1,) * 5), "b@1": Unrelated((0.2,) * 5)}, file)
    calibrate.write({"a@2": Unrelated((0.3,) * 5)}, file)
    assert json.loads(file.read_text())["cosines"] == {"a@2": [0.3] * 5, "b@1": [0.2] * 5}


def test_reference_images_are_taken_from_all_folders_some_of_them_in_grey(tmp_path: Path) -> None:
    folders = [draw(tmp_path / name, hue) for name, hue in (("a", 0), ("b", 120))]
    found = calibrate.references(folders, ["histogram"])
    calibrate.write_references(found, tmp_path / "reference.npz")
    (key,) = found
    with np.load(tmp_path / "reference.npz") as written:
        vectors = written[key].astype(np.float64)
    assert len(vectors) == 2 * (8 + calibrate.IN_GREY)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-3)


def test_similarities_are_estimated_from_histograms() -> None:
    edges = np.linspace(-1, 1, 201)
    counts = np.zeros((2, 200))
    counts[0, 100] = counts[1, 150] = 7  # at 0.0 and 0.5: half of the pairs each
    found = calibrate.from_histograms(counts, edges)
    assert found.cosines == pytest.approx([0.5] * len(TAIL), abs=0.011)
