"""Pairs on which two measures disagree."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from lookalike import Library
from lookalike.cli.program import program
from lookalike.errors import UsageError
from lookalike.explain.gap import compare, find_gap
from lookalike.vectors.similarity import normalise


def test_pairs_similar_by_one_measure_only_are_found() -> None:
    """Compare 40 unrelated images, a pair of equals by each measure, and a pair by both."""
    rng = np.random.default_rng(0)
    one, two = (normalise(rng.normal(size=(46, 24))) for _ in range(2))
    one[1] = one[0]  # equal by the first measure only
    two[3] = two[2]  # by the second only
    one[5], two[5] = one[4], two[4]  # by both: not a disagreement
    two[1] = -two[0]  # and as far as possible by the other
    one[3] = -one[2]
    found = compare(one, two, pairs=3)
    assert found.only[0][0][:2] == (0, 1)
    assert found.only[1][0][:2] == (2, 3)
    first, second = found.only[0][0][2:], found.only[1][0][2:]
    assert first[0] == pytest.approx((1, -1), abs=1e-6)
    assert second[0] == pytest.approx((-1, 1), abs=1e-6)
    assert first[1][0] >= 0.99
    assert first[1][1] <= 0.05
    assert all(row[:2] != (4, 5) for side in found.only for row in side)


def test_each_image_is_returned_once() -> None:
    rng = np.random.default_rng(1)
    one, two = (normalise(rng.normal(size=(60, 24))) for _ in range(2))
    one[1:4] = one[0]
    found = compare(one, two, pairs=10)
    for side in found.only:
        seen = [image for row in side for image in row[:2]]
        assert len(seen) == len(set(seen))


def test_a_measure_agrees_with_itself() -> None:
    vectors = normalise(np.random.default_rng(2).normal(size=(50, 8)))
    found = compare(vectors, vectors, pairs=5)
    assert (found.only, found.agreement) == (([], []), 1.0)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Draw stripes or rings in many colours: shape and colour disagree."""
    folder = tmp_path_factory.mktemp("gap") / "photos"
    folder.mkdir()
    rng = np.random.default_rng(3)
    y, x = np.mgrid[0:96, 0:96]
    shapes = [
        (x // 12) % 2,
        (y // 12) % 2,
        ((x + y) // 12) % 2,
        (np.hypot(x - 48, y - 48) // 12) % 2,
        ((x // 24) + (y // 24)) % 2,
    ]
    for number in range(60):
        mask = shapes[number % 5][:, :, None]
        ink, paper = (
            rng.integers(0, 256, (2, 3)) if number >= 5 else ((200, 30, 30), (250, 240, 230))
        )
        pixels = np.where(mask, ink, paper).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02d}.png")
    return folder


@pytest.fixture(scope="module")
def library(photos: Path) -> Iterator[Library]:
    with Library.create(photos) as library:
        library.add([photos], extractors=["color", "shape", "lookalike"])
        yield library


def test_shapes_in_other_colours_are_alike_by_shape_alone(library: Library) -> None:
    found = find_gap(library, "color", "shape")
    assert (found.compared, found.total) == (60, 60)
    assert found.only[1]
    for pair in found.only[1]:
        assert int(pair.first.path[:2]) % 5 == int(pair.second.path[:2]) % 5
        assert pair.closer[1] >= 0.99
        assert pair.closer[0] <= 0.6
    for pair in found.only[0]:
        assert int(pair.first.path[:2]) % 5 != int(pair.second.path[:2]) % 5
    assert 0 <= found.agreement < 0.5


def test_parts_of_the_built_in_model_are_measures(library: Library) -> None:
    assert find_gap(library).measures == ("color", "lookalike/network")
    assert find_gap(library, "shape", "lookalike/color").measures == ("shape", "lookalike/color")


def test_unknown_and_equal_measures_are_refused(library: Library) -> None:
    with pytest.raises(UsageError, match="has no part 'taste'"):
        find_gap(library, "color", "lookalike/taste")
    with pytest.raises(UsageError, match="no vectors of phash"):
        find_gap(library, "color", "phash")
    with pytest.raises(UsageError, match="the same measure"):
        find_gap(library, "network", "lookalike/network")


def test_missing_vectors_and_empty_libraries_are_named_with_the_remedy(
    tmp_path: Path,
) -> None:
    with Library.create(tmp_path) as empty:
        for function in (find_gap, lambda library: library.similar_groups()):
            with pytest.raises(UsageError, match="no vectors: index images first"):
                function(empty)
        Image.new("RGB", (64, 64), "red").save(tmp_path / "red.png")
        empty.add(tmp_path, extractors="color")
        with pytest.raises(
            UsageError, match=r"no vectors of lookalike, only of color; .*--extractor lookalike`"
        ):
            find_gap(empty, "color", "network")


def test_the_command_shows_the_pairs(library: Library, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "gap.png"
    arguments = ["gap", str(photos), "-e", "color", "--versus", "shape"]
    result = CliRunner().invoke(program, [*arguments, "-o", str(out)])
    assert result.exit_code == 0, result.output
    assert out.stat().st_size > 10_000
    as_json = json.loads(CliRunner().invoke(program, [*arguments, "--format", "json"]).stdout)
    assert as_json["measures"] == ["color", "shape"]
    assert len(as_json["only"]["shape"]) > 0
    twice = CliRunner().invoke(program, [*arguments, "--library", str(photos)])
    assert twice.exit_code == 2 and "name the library once" in twice.output
    nowhere = {"LOOKALIKE_LIBRARY": str(tmp_path / "nowhere")}
    named = CliRunner().invoke(program, [*arguments, "--format", "json"], env=nowhere)
    assert json.loads(named.stdout) == as_json


def test_an_id_that_no_image_has_is_named(library: Library, photos: Path) -> None:
    result = CliRunner().invoke(program, ["explain", "id:9999", "--library", str(photos)])
    assert "the library has no image with the id 9999" in result.stderr
