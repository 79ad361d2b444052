"""The map of a library."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.library.image_builders import album

from lookalike import IndexOptions, Library
from lookalike.embedding_map import stored_layout
from lookalike.embedding_map.build import build_map
from lookalike.embedding_map.groups import cluster_names, group_values
from lookalike.embedding_map.stored_layout import Layout, layout_of, scale_to_square
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


def test_images_are_coloured_by_the_year_they_were_taken() -> None:
    months, of_months = group_values(["2024-01-05", "2024-03-01T10:00:00", None, "2024-01-31"])
    assert (of_months, months.tolist()) == (("2024-01", "2024-03"), [0, 1, -1, 0])
    years, of_years = group_values([f"{year}-05-01" for year in range(1990, 2016)])
    assert (of_years[0], of_years[-1]) == ("1990 – 1992", "2014 – 2015") and len(of_years) == 9
    assert (years[0], years[3], years[-1]) == (0, 1, 8)


def test_a_cluster_is_named_by_words_that_are_rarer_elsewhere(library: Library) -> None:
    with library.snapshot() as snapshot:
        images = list(snapshot.images(range(1, 25)).values())
    named = [replace(one, path="IMG/x.jpg", metadata={"label": "horse"}) for one in images[:8]]
    others = [replace(one, path="x.jpg", metadata={"caption": "a tree"}) for one in images[8:]]
    clusters = np.repeat([0, 1, 2], [8, 8, 8])
    assert cluster_names([*named, *others], clusters) == ("horse", "cluster 2", "cluster 3")


def test_a_layout_is_computed_once_and_again_only_for_other_vectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = album(tmp_path / "photos", 9)
    with Library.create(folder) as library:
        library.add([folder / "odd"], extractors=["color"])
        first = build_map(library, method="pca")
        library.add([folder], extractors=["color"])
        more = build_map(library, method="pca", color="folder")
        monkeypatch.setattr(
            stored_layout, "lay_out", lambda *_, **__: pytest.fail("laid out again")
        )
        again = build_map(library, method="pca")
        assert len(more) > len(first) and np.array_equal(again.positions, more.positions)
        assert again.preservation == more.preservation
        for file in (folder / ".lookalike" / "maps").glob("*.npz"):
            file.write_bytes(b"PK damaged")
        monkeypatch.undo()
        assert np.array_equal(build_map(library, method="pca").positions, more.positions)


def test_images_keep_their_places_while_few_come_and_go(tmp_path: Path) -> None:
    folder = album(tmp_path / "photos", 24)
    with Library.create(folder) as library:
        library.add([folder], extractors=["color"])
        first, _ = layout_of(library, method="pca")
        library.remove([folder / "002.jpg"])
        (folder / "copy.jpg").write_bytes((folder / "004.jpg").read_bytes())
        library.add([folder / "copy.jpg"], extractors=["color"])
        second, file = layout_of(library, method="pca", update=True)
        places = {
            id: place.tolist()
            for id, place in zip(first.ids.tolist(), first.positions, strict=True)
        }
        with library.snapshot() as snapshot:
            ids = {image.path: image.id for image in snapshot.images(second.ids.tolist()).values()}
        assert "002.jpg" not in ids and len(second) == 24 and second.changed == 2
        for path, id in ids.items():
            place = second.positions[second.ids.tolist().index(id)]
            expected = places[ids["004.jpg"] if path == "copy.jpg" else id]
            assert place == pytest.approx(expected, abs=1e-4), path
        assert Layout.load(file) is not None
        assert layout_of(library, method="pca", update=True)[0].changed == 2
        library.remove([folder / "006.jpg"])
        assert layout_of(library, method="pca", update=True)[0].changed == 0, "more than a tenth"


def test_files_of_others_behind_a_link_stay(tmp_path: Path) -> None:
    folder = album(tmp_path / "photos", 6)
    mine = tmp_path / "mine"
    mine.mkdir()
    for number in range(20):
        np.savez(mine / f"{number}.npz", ids=np.arange(number))
    with Library.create(folder) as library:
        library.add([folder], extractors=["color"])
        (folder / ".lookalike" / "maps").symlink_to(mine)  # a library from a stranger
        layout, file = layout_of(library, method="pca", update=True)
        assert len(list(mine.iterdir())) == 21
    for wrong in (
        replace(layout, positions=layout.positions[1:]),
        replace(layout, clusters=layout.clusters + 10**12),
    ):
        wrong.save(file)
        assert Layout.load(file) is None


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
