"""Spaces whose vectors keep their length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.conftest import MeanColour

from lookalike import Library, Query
from lookalike.errors import UsageError
from lookalike.indexing.report import IndexOptions
from lookalike.query import Term


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, colour in (("dark", 51), ("light", 255), ("middle", 153)):
        Image.fromarray(np.full((20, 20, 3), colour, np.uint8)).save(folder / f"{name}.bmp")
    return folder


def test_unnormalised_vectors_distinguish_dark_from_light_by_distance(
    photos: Path, toy: MeanColour
) -> None:
    with Library.create(photos) as library:
        library.add([photos], extractors=[toy], options=IndexOptions(normalise=False))
        library.add([photos], extractors=[toy])  # the space stays what it is
        query = Query((Term(photos / "dark.bmp"),), similarity="euclidean")
        found = {hit.path: hit.similarity for hit in library.search(query).hits}
        # 0.2, 0.6 and 1 in each of three channels: 0.4 · √3 and 0.8 · √3 away
        assert list(found) == ["dark.bmp", "middle.bmp", "light.bmp"]
        assert list(found.values()) == pytest.approx([0, -0.4 * 3**0.5, -0.8 * 3**0.5], abs=1e-5)
        by_angle = library.search(Query((Term(photos / "dark.bmp"),), similarity="cosine"))
        assert [hit.similarity for hit in by_angle.hits] == pytest.approx([1, 1, 1], abs=1e-6)


def test_a_normalised_space_cannot_become_unnormalised(photos: Path, toy: MeanColour) -> None:
    with Library.create(photos) as library:
        library.add([photos], extractors=[toy])
        with pytest.raises(UsageError, match="have length 1 already"):
            library.add([photos], extractors=[toy], options=IndexOptions(normalise=False))
