"""The odd, broken and hostile files of shared/data/odd, decoded in worker processes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.images.odd_file_tasks import read_and_fit

from lookalike.errors import Outcome
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.images.walk import find_files
from lookalike.workers.limits import Failure, Limits
from lookalike.workers.pool import Pool

GREY_64 = PixelSpec(mode="grey", fit="stretch", height=64, width=64)


def fitted(folder: Path, needs: PixelSpec) -> dict[str, Pixels | Failure]:
    """Return pixels or a failure for every file below a folder, by path."""
    paths = [found.path for found in find_files([folder])]
    with Pool(read_and_fit, workers=2, limits=Limits(timeout=60)) as pool:
        return dict(zip(paths, pool.map((path, needs) for path in paths), strict=True))


def test_every_odd_file_gives_pixels_or_one_outcome(odd_folder: Path) -> None:
    results = fitted(odd_folder / "pillow", PixelSpec(min_side=64))
    assert len(results) == sum(1 for path in (odd_folder / "pillow").rglob("*") if path.is_file())
    outcomes = []
    for path, result in results.items():
        if isinstance(result, Failure):
            outcomes.append(result.outcome)
            assert result.reason, path
            assert "Error" not in result.reason, path
            assert "crashed" not in result.reason, path
        else:
            height, width, channels = result.shape
            assert channels == 3
            assert result.dtype == np.uint8
            assert max(height, width) <= 3 * min(height, width) + 3, path
    assert len(results) - len(outcomes) > 600
    # Nothing here hangs, crashes or exhausts memory, because only eight formats are ever decoded.
    assert Outcome.TIMED_OUT not in outcomes
    assert Outcome.OUT_OF_MEMORY not in outcomes


@pytest.mark.parametrize("motif", ["Landscape", "Portrait"])
def test_the_orientation_images_of_one_motif_agree(odd_folder: Path, motif: str) -> None:
    results = fitted(odd_folder / "orientation", GREY_64)
    pixels = [result for path, result in results.items() if Path(path).stem[:-2] == motif]
    vectors = np.stack([one.ravel() / 255 for one in pixels if isinstance(one, np.ndarray)])
    assert len(vectors) == 9
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert (vectors @ vectors.T).min() >= 0.99
