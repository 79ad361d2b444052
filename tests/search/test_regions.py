"""Spaces that hold vectors of regions, and where in an image a hit matches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike import Library, Query
from lookalike.errors import UsageError
from lookalike.extractors import load
from lookalike.extractors.regions import RegionExtractor, grid
from lookalike.query import Term
from lookalike.vectors.multi_vector import nearest
from lookalike.vectors.similarity import loop_top_k

STAR = np.random.default_rng(1).integers(0, 256, (8, 8, 3), np.uint8)


def scene(file: Path, number: int, at: tuple[int, int] | None = None) -> Path:
    """Draw a grey scene of 320×320 with blocks and, at a given place, a small object of many colours."""
    draw = np.random.default_rng(number)
    pixels = np.full((320, 320, 3), draw.integers(60, 200), np.uint8)
    for _ in range(5):
        y, x = draw.integers(0, 260, 2)
        pixels[y : y + 60, x : x + 60] = draw.integers(60, 200)
    if at is not None:
        pixels[at[1] : at[1] + 96, at[0] : at[0] + 96] = STAR.repeat(12, axis=0).repeat(12, axis=1)
    Image.fromarray(pixels).save(file)
    return file


def test_the_regions_lie_in_the_image_and_cover_it() -> None:
    boxes = grid()
    assert boxes.shape == (14, 4) and boxes[0].tolist() == [0, 0, 1, 1]
    assert (boxes >= 0).all() and (boxes[:, :2] + boxes[:, 2:] <= 1 + 1e-9).all()
    for part in (boxes[1:5], boxes[5:]):
        for x, y in np.random.default_rng(0).uniform(size=(200, 2)):
            inside = (part[:, 0] <= x) & (x <= part[:, 0] + part[:, 2])
            assert (inside & (part[:, 1] <= y) & (y <= part[:, 1] + part[:, 3])).any()


@pytest.mark.parametrize("runs_in", ["worker", "main"])
def test_a_small_object_is_found_and_located(tmp_path: Path, toy, runs_in: str) -> None:  # type: ignore[no-untyped-def]
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(12):
        scene(photos / f"{number:02d}.png", number, (220, 210) if number == 5 else None)
    thing = tmp_path / "thing.png"
    Image.fromarray(STAR.repeat(12, axis=0).repeat(12, axis=1)).save(thing)
    base = toy if runs_in == "main" else load("histogram")
    assert base.runs_in == runs_in
    with Library.create(photos) as library:
        library.add([photos], extractors=[base, RegionExtractor(base)])
        library.add(
            [photos], extractors=[base, RegionExtractor(base)]
        )  # a second run changes nothing
        assert [space.count for space in library.info().spaces] == [12, 12]
        hits = library.search(Query.of(thing, extractor=f"{base.name}+regions", k=12)).hits
        x, y, width, height = hits[0].box or (0, 0, 0, 0)
        assert hits[0].path == "05.png"
        assert (x, y, width, height) == pytest.approx((0.6, 0.6, 0.4, 0.4))
        plain = {h.path: h for h in library.search(Query.of(thing, extractor=base.name, k=12)).hits}
        assert plain["05.png"].box is None
        for hit in hits:  # the whole image is one of the regions
            assert (hit.similarity or 0.0) >= (plain[hit.path].similarity or 0.0) - 1e-5
        inside = library.search(Query.of(photos / "05.png", extractor=f"{base.name}+regions")).hits[
            0
        ]
        assert (inside.path, inside.box) == ("05.png", (0.0, 0.0, 1.0, 1.0))
        both = Query((Term(thing),), extractors=(base.name, f"{base.name}+regions"), k=12)
        assert next(h for h in library.search(both).hits if h.path == "05.png").box is not None


def test_the_suffix_regions_makes_a_region_extractor() -> None:
    extractor = load("color+regions")
    assert (extractor.name, extractor.dim) == ("color+regions", 14 * load("color").dim)
    assert extractor.similarity == "cosine"
    made = extractor.extract([np.full((50, 80, 3), 90, np.uint8)]).reshape(14, -1)
    assert np.linalg.norm(made, axis=1) == pytest.approx(np.ones(14), abs=1e-5)
    with pytest.raises(UsageError, match="keypoints cannot be applied to regions"):
        load("keypoints+regions")


@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
def test_the_nearest_region_counts_as_in_a_plain_loop(similarity) -> None:  # type: ignore[no-untyped-def]
    draw = np.random.default_rng(3)
    matrix = draw.normal(size=(40, 5 * 4)).astype(np.float32)
    matrix[7] = matrix[3]
    queries = draw.normal(size=(6, 4)).astype(np.float32)
    allowed = np.array([1, 3, 7, 8, 20, 33])
    for rows, dead in ((None, None), (allowed, None), (None, np.array([3, 39]))):
        there = [
            r for r in range(40) if (rows is None or r in rows) and (dead is None or r not in dead)
        ]
        for k in (1, 3, 50):
            found, values, part = nearest(
                matrix, queries, k, similarity=similarity, rows=rows, exclude=dead,
                normalised=False, regions=5,
            )  # fmt: skip
            for q in range(6):
                all_rows, all_values = loop_top_k(
                    matrix.reshape(200, 4), queries[q : q + 1], 200, similarity=similarity
                )
                best: dict[int, tuple[float, int]] = {}
                for at, value in zip(all_rows[0].tolist(), all_values[0].tolist(), strict=True):
                    if at // 5 in there:
                        best.setdefault(at // 5, (value, at % 5))
                expected = list(best.items())[:k]
                count = len(expected)
                assert found[q, :count].tolist() == [row for row, _ in expected]
                assert part[q, :count].tolist() == [p for _, (_, p) in expected]
                assert values[q, :count] == pytest.approx([v for _, (v, _) in expected], abs=1e-6)
                assert (found[q, count:] == -1).all() and (part[q, count:] == -1).all()
