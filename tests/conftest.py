"""What every test may ask for: the toy extractor, and the real pictures beside the repository."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import hypothesis
import numpy as np
import pytest

from lookalike.extractors.interface import RunsIn, Vectors
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.vectors.similarity import Similarity

# The same examples in every run: a test that fails today failed yesterday, too.
hypothesis.settings.register_profile("same", derandomize=True)
hypothesis.settings.load_profile("same")


class MeanColour:
    """Mean red, green and blue from 0 to 1: vectors that can be worked out in the head."""

    name = "mean-colour"
    revision = "1"
    dim = 3
    similarity: Similarity = "cosine"
    pixels = PixelSpec(mode="rgb", fit="any", min_side=8)
    runs_in: RunsIn = "main"

    def extract(self, images: Sequence[Pixels]) -> Vectors:
        means = [image.reshape(-1, 3).mean(axis=0) / 255 for image in images]
        return np.array(means, np.float32).reshape(len(images), 3)


@pytest.fixture
def toy() -> MeanColour:
    """An extractor of three numbers: the mean colour."""
    return MeanColour()


@pytest.fixture(scope="session")
def toy_class() -> type[MeanColour]:
    """The class of `toy`, for tests that make their own."""
    return MeanColour


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """The folder of real pictures; the test is skipped where there is none."""
    named = os.environ.get("LOOKALIKE_SHARED")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared"
    if not (folder / "data").is_dir():
        pytest.skip(f"no real pictures in {folder}: set LOOKALIKE_SHARED to where data/ lies")
    return folder
