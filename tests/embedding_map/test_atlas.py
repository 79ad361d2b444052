"""The map of a library."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest
from tests.library.drawing import album

from lookalike import IndexOptions, Library
from lookalike.embedding_map.build import draw_up, scaled
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


def test_every_picture_has_a_place_within_the_square(library: Library) -> None:
    found = draw_up(library, method="pca")
    assert len(found) == found.total == 24
    assert found.places.min() >= 0
    assert found.places.max() <= 1
    assert np.ptp(found.places, axis=0).max() == pytest.approx(0.96)
    assert sorted(found.paths)[0] == "000.jpg"
    assert all(file.is_file() for file in found.files)
    assert found.level.min() == 0


def test_the_same_seed_draws_the_same_map(library: Library) -> None:
    one, two = (draw_up(library, method="pca", seed=1) for _ in range(2))
    assert np.array_equal(one.places, two.places)
    assert np.array_equal(one.groups, two.groups)


def test_pictures_are_coloured_by_what_is_said_of_them(library: Library) -> None:
    labels = draw_up(library, method="pca", color="label")
    assert labels.names == ("a", "b", "c")
    by_path = dict(zip(labels.paths, labels.groups.tolist(), strict=True))
    assert (by_path["000.jpg"], by_path["odd/001.jpg"], by_path["odd/023.jpg"]) == (0, 1, -1)
    folders = draw_up(library, method="pca", color="folder")
    assert folders.names == ("(top folder)", "odd")
    assert len(draw_up(library, method="pca", color="price").names) == 6
    with pytest.raises(UsageError, match=r"no picture has a field 'colour'.*label"):
        draw_up(library, method="pca", color="colour")


def test_a_filter_and_a_sample_show_fewer(library: Library) -> None:
    few = draw_up(library, method="pca", where="label = 'a'")
    assert len(few) == few.total == 8
    sample = draw_up(library, method="pca", most=10)
    assert (len(sample), sample.total) == (10, 24)
    with pytest.raises(UsageError, match="at least two pictures"):
        draw_up(library, where="price > 1000")


def test_a_map_is_json(library: Library) -> None:
    found = json.loads(json.dumps(draw_up(library, method="pca").as_dict()))
    assert len(found["places"]) == len(found["groups"]) == len(found["paths"]) == 24
    assert 0 < found["kept"]["trustworthiness"] <= 1


def test_places_keep_their_aspect() -> None:
    found = scaled(np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 5.0]]))
    assert found == pytest.approx(np.array([[0.02, 0.26], [0.98, 0.26], [0.98, 0.74]]))
