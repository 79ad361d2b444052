"""The map of a library."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest
from tests.library.image_builders import album

from lookalike import IndexOptions, Library
from lookalike.embedding_map.build import build_map, scale_to_square
from lookalike.errors import UsageError


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    folder = album(tmp_path_factory.mktemp("map") / "photos", 24)
    table = folder.parent / "table.csv"
    rows = [f"{'odd/' if n % 2 else ''}{n:03d}.jpg,{'abc'[n % 3]},{n}" for n in range(23)]
    table.write_text("path,label,price\n" + "\n".join(rows), "utf-8")
    with Library.create(folder) as library:
        options = IndexOptions(metadata=table)
        library.add([folder], extractors=["color"], options=options)
        yield library


def test_every_image_has_a_position_within_the_square(library: Library) -> None:
    found = build_map(library, method="pca")
    assert len(found) == found.total == 24
    assert found.positions.min() >= 0
    assert found.positions.max() <= 1
    assert np.ptp(found.positions, axis=0).max() == pytest.approx(0.96)
    assert sorted(found.paths)[0] == "000.jpg"
    assert all(file.is_file() for file in found.files)
    assert found.levels.min() == 0


def test_equal_seeds_give_equal_maps(library: Library) -> None:
    one, two = (build_map(library, method="pca", seed=1) for _ in range(2))
    assert np.array_equal(one.positions, two.positions)
    assert np.array_equal(one.groups, two.groups)


def test_images_are_coloured_by_metadata(library: Library) -> None:
    labels = build_map(library, method="pca", color="label")
    assert labels.names == ("a", "b", "c")
    by_path = dict(zip(labels.paths, labels.groups.tolist(), strict=True))
    assert (by_path["000.jpg"], by_path["odd/001.jpg"], by_path["odd/023.jpg"]) == (0, 1, -1)
    folders = build_map(library, method="pca", color="folder")
    assert folders.names == ("(top folder)", "odd")
    assert len(build_map(library, method="pca", color="price").names) == 6
    with pytest.raises(UsageError, match=r"no image has a field 'colour'.*label"):
        build_map(library, method="pca", color="colour")


def test_a_filter_and_a_limit_reduce_the_map(library: Library) -> None:
    few = build_map(library, method="pca", where="label = 'a'")
    assert len(few) == few.total == 8
    sample = build_map(library, method="pca", max_images=10)
    assert (len(sample), sample.total) == (10, 24)
    with pytest.raises(UsageError, match="at least two images"):
        build_map(library, where="price > 1000")


def test_a_map_can_be_written_as_json(library: Library) -> None:
    found = json.loads(json.dumps(build_map(library, method="pca").as_dict()))
    assert len(found["positions"]) == len(found["groups"]) == len(found["paths"]) == 24
    assert 0 < found["preservation"]["trustworthiness"] <= 1


def test_scaling_preserves_the_aspect_ratio() -> None:
    found = scale_to_square(np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 5.0]]))
    assert found == pytest.approx(np.array([[0.02, 0.26], [0.98, 0.26], [0.98, 0.74]]))
