"""Panoramas and other images beyond 3:1: regions count on the whole, and hits say what was compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike import Library, Query
from lookalike.errors import UsageError
from lookalike.extractors.regions import grid, region_boxes, windows
from lookalike.query import Term

PLAIN, REGIONS = "histogram", "histogram+regions"


def part(seed: int, width: int, height: int) -> Image.Image:
    """Draw a scene in two colors of its own."""
    colors = np.random.default_rng(seed).integers(0, 256, (2, 3), dtype=np.uint8)
    pixels = np.broadcast_to(colors[0], (height, width, 3)).copy()
    pixels[height // 3 :, width // 4 :] = colors[1]
    return Image.fromarray(pixels)


def joined(seeds: list[int], width: int, height: int, *, tall: bool) -> Image.Image:
    parts = [part(seed, width, height) for seed in seeds]
    along = (1, len(parts)) if tall else (len(parts), 1)
    whole = Image.new("RGB", (width * along[0], height * along[1]))
    for number, one in enumerate(parts):
        whole.paste(one, (0, number * height) if tall else (number * width, 0))
    return whole


@pytest.mark.parametrize("tall", [False, True])
@pytest.mark.parametrize("count", [4, 5, 7, 10])
def test_what_lies_at_the_ends_is_found_and_located(tmp_path: Path, count: int, tall: bool) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    seeds = list(range(1, count + 1))
    joined(seeds, 60, 60, tall=tall).save(photos / "long.png")
    for seed in (20, 21):
        part(seed, 60, 60).save(photos / f"{seed}.png")
    end = tmp_path / "end.png"
    part(count, 60, 60).save(end)
    with Library.create(photos) as library:
        library.add([photos], extractors=[PLAIN, REGIONS])
        hit = library.search(Query.of(end, extractor=REGIONS))[0]
        assert (hit.path, hit.coverage) == ("long.png", None)
        assert hit.box is not None
        start, length = (hit.box[1], hit.box[3]) if tall else (hit.box[0], hit.box[2])
        assert start + length == pytest.approx(1)
        assert length <= 3 / count + 1e-9
        plain = {h.path: h for h in library.search(Query.of(end, extractor=PLAIN))}
        assert plain["long.png"].coverage == pytest.approx(3 / count)
        assert plain["20.png"].coverage is None
        both = Query((Term(end),), extractors=(PLAIN, REGIONS))
        assert all(h.coverage is None for h in library.search(both))


@pytest.mark.parametrize("tall", [False, True])
def test_a_region_of_a_query_counts_on_the_whole_image(tmp_path: Path, tall: bool) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for seed in range(1, 9):
        part(seed, 60, 60).save(photos / f"{seed}.png")
    panorama = tmp_path / "panorama.png"
    joined(list(range(1, 9)), 60, 60, tall=tall).save(panorama)
    with Library.create(photos) as library:
        library.add([photos], extractors=[PLAIN])
        for seed in (1, 5, 8):
            at = (seed - 1) / 8
            fractions = (0.0, at, 1.0, 1 / 8) if tall else (at, 0.0, 1 / 8, 1.0)
            start = 480 * at
            pixels = (0.0, start, 60.0, 60.0) if tall else (start, 0.0, 60.0, 60.0)
            for region in (fractions, pixels):
                found = library.search(Query((Term(panorama, region=region),)))[0]
                assert (found.path, round(found.similarity or 0, 3)) == (f"{seed}.png", 1)
        with pytest.raises(UsageError, match="480"):
            library.search(Query((Term(panorama, region=(400, 400, 200, 200)),)))


def test_a_whole_image_precedes_one_that_contains_it(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    joined([1, 2, 3, 4], 60, 60, tall=False).save(photos / "a.png")
    part(1, 60, 60).save(photos / "b.png")
    with Library.create(photos) as library:
        library.add([photos], extractors=[REGIONS])
        hits = library.search(photos / "b.png")
        assert [hit.path for hit in hits] == ["b.png", "a.png"]


@pytest.mark.parametrize("aspect", [3.01, 4.0, 8.0, 10.0, 17.5, 40.0, 500.0])
def test_the_regions_of_a_long_image_cover_it(aspect: float) -> None:
    width, height = round(1000 * aspect), 1000
    boxes = region_boxes(grid(), width, height)
    assert boxes.shape == (14, 4)
    x, y, wide, high = boxes[0]
    assert (x + wide / 2, y + high / 2) == pytest.approx((0.5, 0.5))
    assert wide * width == pytest.approx(3 * height, abs=1)
    starts, lengths = boxes[1:, 0], boxes[1:, 2]
    assert (starts >= 0).all()
    assert (starts + lengths <= 1 + 1e-9).all()
    for place in np.random.default_rng(0).uniform(size=300):
        assert ((starts <= place) & (place <= starts + lengths + 1e-9)).any()
    tall = region_boxes(grid(), height, width)
    np.testing.assert_allclose(tall[:, [1, 0, 3, 2]], boxes)
    np.testing.assert_array_equal(region_boxes(grid(), 300, 100), grid())


def test_windows_of_any_number_are_made() -> None:
    for count in range(16):
        assert len(windows(count, 9.0)) == count
