"""Fixtures for all tests: a toy extractor, and the folder of real images outside the repository."""

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

# The same examples in every run, so that a test does not fail without a change.
hypothesis.settings.register_profile("deterministic", derandomize=True)
hypothesis.settings.load_profile("deterministic")


class MeanColour:
    """Mean red, green and blue from 0 to 1, so that expected vectors can be computed in the head."""

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
    """Return an extractor of three numbers: the mean colour."""
    return MeanColour()


@pytest.fixture(scope="session")
def toy_class() -> type[MeanColour]:
    """Return the class of `toy`, for tests that create their own."""
    return MeanColour


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """Return the folder of real images; skip the test where there is none."""
    setting = os.environ.get("LOOKALIKE_SHARED")
    folder = Path(setting) if setting else Path(__file__).parents[2] / "shared"
    if not (folder / "data").is_dir():
        pytest.skip(
            f"no real images in {folder}: set LOOKALIKE_SHARED to the folder that contains data/"
        )
    return folder
