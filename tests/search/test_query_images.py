"""Queries with images that must be decoded: regions, orientations, text beside them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lookalike import Library, Query
from lookalike.errors import UsageError
from lookalike.extractors.interface import RunsIn
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.query import Term
from lookalike.search.plan import ORIENTATIONS
from lookalike.vectors.similarity import Similarity

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "white": (255,) * 3}


class Quarters:
    """Mean colours of the four quarters; text is the name of a colour, for an image of that colour."""

    name = "quarters"
    revision = "1"
    dim = 12
    similarity: Similarity = "cosine"
    pixels = PixelSpec(mode="rgb", fit="stretch", height=8, width=8)
    runs_in: RunsIn = "main"
    batches: list[int]

    def __init__(self) -> None:
        self.batches = []

    def extract(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        self.batches.append(len(images))
        quarters = [
            [image[y : y + 4, x : x + 4].mean(axis=(0, 1)) for y in (0, 4) for x in (0, 4)]
            for image in images
        ]
        return np.array(quarters, np.float32).reshape(-1, 12) / np.float32(255)

    def extract_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        known = [np.mean([COLOURS[word] for word in text.split()], axis=0) for text in texts]
        return np.tile(np.array(known, np.float32), 4) / np.float32(255)


def paint(file: Path, quarters: Sequence[str]) -> Path:
    pixels = np.array([COLOURS[name] for name in quarters], np.uint8).reshape(2, 2, 3)
    Image.fromarray(pixels.repeat(32, axis=0).repeat(32, axis=1)).save(file)
    return file


LAYOUTS = {
    "red": ["red"] * 4,
    "green": ["green"] * 4,
    "blue": ["blue"] * 4,
    "corner": ["red", "green", "blue", "white"],
    "striped": ["red", "red", "blue", "blue"],
    "half": ["red", "green", "red", "green"],
}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, quarters in LAYOUTS.items():
        paint(folder / f"{name}.png", quarters)
    return folder


@pytest.fixture
def extractor() -> Quarters:
    return Quarters()


@pytest.fixture
def library(photos: Path, extractor: Quarters) -> Iterator[Library]:
    with Library.create(photos) as library:
        library.add([photos], extractors=[extractor])
        extractor.batches.clear()
        yield library


def names(library: Library, query: Query) -> list[str]:
    return [Path(hit.path).stem for hit in library.search(query).hits]


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_rotated_image_is_found_and_its_orientation_is_named(
    library: Library, photos: Path, tmp_path: Path, orientation: int
) -> None:
    with Image.open(photos / "corner.png") as image:
        undo = {
            1: None,
            2: Image.Transpose.FLIP_LEFT_RIGHT,
            3: Image.Transpose.ROTATE_180,
            4: Image.Transpose.FLIP_TOP_BOTTOM,
            5: Image.Transpose.TRANSPOSE,
            6: Image.Transpose.ROTATE_90,  # counterclockwise: turned to the right again it matches
            7: Image.Transpose.TRANSVERSE,
            8: Image.Transpose.ROTATE_270,
        }[orientation]
        (image if undo is None else image.transpose(undo)).save(tmp_path / "turned.png")
    query = Query((Term(tmp_path / "turned.png"),), any_orientation=True, k=3)
    first = library.search(query).hits[0]
    assert (first.path, first.orientation) == ("corner.png", ORIENTATIONS[orientation])
    assert first.similarity == pytest.approx(1.0, abs=1e-5)


def test_without_any_orientation_no_orientation_is_named(library: Library, photos: Path) -> None:
    assert library.search(photos / "corner.png").hits[0].orientation is None


@pytest.mark.parametrize("region", [(0.5, 0, 0.5, 0.5), (32, 0, 32, 32)])
def test_a_region_searches_with_the_crop(
    library: Library, photos: Path, region: tuple[float, float, float, float]
) -> None:
    query = Query((Term(photos / "corner.png", region=region),), k=1)
    assert names(library, query) == ["green"]
    (hit,) = library.search(Query((Term(id=1, region=region),), k=1)).hits
    assert library.search(photos / "blue.png", k=1).hits[0].id == 1  # the first by name
    assert Path(hit.path).stem == "blue"


def test_a_region_outside_the_image_is_an_error(library: Library, photos: Path) -> None:
    with pytest.raises(UsageError, match="does not lie inside its 64×64 pixels") as caught:
        library.search(Query((Term(photos / "corner.png", region=(40, 0, 40, 20)),)))
    assert "\n" not in str(caught.value)


def test_text_is_searched_in_a_space_that_understands_it(library: Library, photos: Path) -> None:
    found = library.search(Query((Term(text="green"),), k=2))
    assert [Path(hit.path).stem for hit in found.hits] == ["green", "half"]
    assert found.ranked_by == "content (quarters)"
    # (0, 1, 0) four times against green, green, blue, white: by hand 2 / (2 · √(1 + 1 + 1 + 3))
    corner = next(
        h for h in library.search(Query((Term(text="green"),))).hits if "corner" in h.path
    )
    assert corner.similarity == pytest.approx(2 / (2 * 6**0.5), abs=1e-5)


def test_text_and_an_image_are_searched_in_the_same_space(library: Library, photos: Path) -> None:
    terms = (Term(photos / "striped.png"), Term(text="blue"))
    found = library.search(Query(terms, k=6, alpha=0.25))
    assert found.ranked_by == "quarters+content (quarters)"
    images = library.search(Query((terms[0],), k=6)).hits
    words = library.search(Query((terms[1],), k=6)).hits

    def to_one(hits: Sequence[object]) -> dict[int, float]:
        scores = {hit.id: hit.similarity for hit in hits}  # type: ignore[attr-defined]
        low, high = min(scores.values()), max(scores.values())
        return {id: (score - low) / (high - low) for id, score in scores.items()}

    one, other = to_one(images), to_one(words)
    expected = {id: 0.25 * one[id] + 0.75 * other[id] for id in one}
    assert {hit.id: hit.score for hit in found.hits} == pytest.approx(expected, abs=1e-5)


def test_text_without_captions_and_text_space_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    paint(tmp_path / "red.png", LAYOUTS["red"])
    with Library.create(tmp_path) as library:
        library.add([tmp_path], extractors=["histogram"])
        with pytest.raises(UsageError, match=r"neither captions nor a space.*--metadata") as caught:
            library.search(Query((Term(text="red"),)))
        assert "\n" not in str(caught.value)


def test_a_path_in_the_library_stands_for_its_image(library: Library, photos: Path) -> None:
    (photos / "corner.png").unlink()
    for path in (Path("corner.png"), photos / "corner.png"):
        found = library.search(Query((Term(path),), k=1)).hits[0]
        assert found.path == "corner.png" and found.similarity == pytest.approx(1.0, abs=1e-5)


def resaved(file: Path) -> Path:
    """Change the bytes of an image file, but not its pixels."""
    file.write_bytes(file.read_bytes() + b"\0")
    return file


def test_a_copy_of_an_indexed_image_is_searched_with_its_stored_vector(
    library: Library, photos: Path, tmp_path: Path, extractor: Quarters
) -> None:
    copy = tmp_path / "copy.png"
    shutil.copy(photos / "corner.png", copy)
    worked = sum(extractor.batches)
    queries: list[Path | bytes] = [copy, copy.read_bytes()]
    for query in queries:
        hit = library.search(query, k=1).hits[0]
        assert hit.path == "corner.png" and hit.similarity == pytest.approx(1.0, abs=1e-6)
    assert sum(extractor.batches) == worked
    library.search(Query((Term(copy, region=(0, 0, 0.5, 0.5)),)))
    assert sum(extractor.batches) == worked + 1
    assert library.search(resaved(copy), k=1).hits[0].path == "corner.png"
    assert sum(extractor.batches) == worked + 2


def test_a_broken_image_fails_only_its_own_query_of_a_batch(
    library: Library, tmp_path: Path, extractor: Quarters
) -> None:
    layout = ["red", "green", "blue", "white"]
    outside = [resaved(paint(tmp_path / f"{n}.png", layout)) for n in range(12)]
    outside[3].write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(200))
    queries = [Query((Term(file),), k=2) for file in outside]
    results = library.search_batch(queries)
    assert "3.png" in results[3].failure and not results[3].hits
    others = results[:3] + results[4:]
    assert all(a.hits[0].path == "corner.png" and not a.failure for a in others)
    assert sum(extractor.batches) == 11 and max(extractor.batches) > 1


def test_a_repeated_query_is_cached_until_something_changes(
    library: Library, photos: Path, tmp_path: Path, extractor: Quarters
) -> None:
    outside = resaved(paint(tmp_path / "outside.png", LAYOUTS["corner"]))
    first = library.search(outside, k=3)
    worked = list(extractor.batches)
    assert library.search(outside, k=3).hits == first.hits
    assert library.search(outside.read_bytes(), k=3).hits == first.hits  # another key
    assert library.search(outside.read_bytes(), k=3).hits == first.hits
    assert extractor.batches == [*worked, 1]
    assert library.search(outside, k=2).hits == first.hits[:2]
    extractor.batches.clear()
    resaved(paint(outside, LAYOUTS["blue"]))
    os.utime(outside, ns=(1, 1))
    assert library.search(outside, k=1).hits[0].path == "blue.png"
    assert extractor.batches == [1]
    paint(photos / "new.png", LAYOUTS["blue"])
    library.add([photos], extractors=[extractor])
    assert {hit.path for hit in library.search(outside, k=2).hits} == {"blue.png", "new.png"}
    library.remove([photos / "blue.png"])
    assert library.search(outside, k=1).hits[0].path == "new.png"


def test_hashes_answer_only_where_they_are_named_or_alone(tmp_path: Path) -> None:
    Image.new("RGB", (32, 24), COLOURS["red"]).save(tmp_path / "red.png")
    with Library.create(tmp_path) as library:
        library.add([tmp_path], extractors=["phash"])
        assert library.search(Query((Term(id=1),))).ranked_by == "phash"
        library.add([tmp_path], extractors=["color"])
        assert library.search(Query((Term(id=1),))).ranked_by == "color"
