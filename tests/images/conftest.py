"""Fixtures for the tests of `images`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

# Workers import `tests.images.odd_file_tasks`, however pytest was started.
sys.path.insert(0, str(Path(__file__).parents[2]))


@pytest.fixture(scope="session")
def odd_folder() -> Path:
    """Return the folder of odd and broken images in shared/data; skip without it."""
    default = Path(__file__).parents[3] / "shared"
    folder = Path(os.environ.get("LOOKALIKE_SHARED", default)) / "data" / "odd"
    if not folder.is_dir():
        pytest.skip(f"no odd images at {folder}")
    return folder
