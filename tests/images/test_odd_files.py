"""The odd, broken and hostile files of shared/data/odd, through the guarded pool."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.images.pool_tasks import Fitted, lost_file, read_and_fit

from lookalike.errors import Outcome
from lookalike.images.pixel_spec import PixelSpec
from lookalike.images.walk import find
from lookalike.workers.limits import Limits
from lookalike.workers.pool import Pool

GREY_64 = PixelSpec(mode="grey", fit="stretch", height=64, width=64)


def fitted(folder: Path, needs: PixelSpec) -> list[Fitted]:
    """What becomes of every file below a folder, in the order of the paths."""
    tasks = ((found.path, needs) for found in find([folder]))
    with Pool(read_and_fit, on_lost=lost_file, workers=2, limits=Limits(timeout=60)) as pool:
        return list(pool.map(tasks))


def test_every_odd_file_ends_in_pixels_or_in_one_outcome(odd_folder: Path) -> None:
    results = fitted(odd_folder / "pillow", PixelSpec(min_side=64))
    assert len(results) == sum(1 for path in (odd_folder / "pillow").rglob("*") if path.is_file())
    for result in results:
        if result.outcome is Outcome.INDEXED:
            height, width, channels = result.pixels.shape
            assert channels == 3
            assert result.pixels.dtype == np.uint8
            assert max(height, width) <= 3 * min(height, width) + 3, result.path
        else:
            assert result.reason, result.path
            assert "Error" not in result.reason, result.path
    outcomes = [result.outcome for result in results]
    assert outcomes.count(Outcome.INDEXED) > 600
    # Nothing here hangs, crashes or eats memory, because only eight formats are ever decoded.
    assert Outcome.TIMED_OUT not in outcomes
    assert Outcome.OUT_OF_MEMORY not in outcomes
    assert not any("crashed" in result.reason for result in results)


@pytest.mark.parametrize("motif", ["Landscape", "Portrait"])
def test_the_orientation_pictures_of_one_motif_agree(odd_folder: Path, motif: str) -> None:
    results = fitted(odd_folder / "orientation", GREY_64)
    vectors = np.stack(
        [result.pixels.ravel() / 255 for result in results if Path(result.path).stem[:-2] == motif]
    )
    assert len(vectors) == 9
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert (vectors @ vectors.T).min() >= 0.99
