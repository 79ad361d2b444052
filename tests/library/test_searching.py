"""Searches in a library."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.library.image_builders import album, draw

from lookalike import Library, Query
from lookalike.errors import NoLibrary, UsageError
from lookalike.indexing.report import IndexOptions
from lookalike.query import OPTIONS, ImageLike, QueryOptions, Term


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = album(tmp_path_factory.mktemp("searching") / "photos", 12)
    with Library.create(folder) as library:
        library.add([folder], extractors=["histogram", "pixels"])
    return folder


@pytest.fixture
def library(photos: Path) -> Iterator[Library]:
    with Library.open(photos) as library:
        yield library


def test_an_image_of_the_library_finds_itself_first(library: Library, photos: Path) -> None:
    hits = library.search(photos / "odd" / "003.jpg", k=3)
    assert (hits.hits[0].path, hits.ranked_by, hits.exact) == ("odd/003.jpg", "histogram", True)
    assert hits.hits[0].similarity == pytest.approx(1.0, abs=1e-6)
    assert hits.hits[0].file == photos / "odd" / "003.jpg"
    assert [hit.rank for hit in hits.hits] == [1, 2, 3]


def test_a_file_its_bytes_and_its_pixels_give_the_same_hits(
    library: Library, tmp_path: Path
) -> None:
    file = draw(tmp_path / "query.png", 77)
    pixels = np.asarray(Image.open(file).convert("RGB"))
    results = [library.search(query, k=12) for query in (file, file.read_bytes(), pixels)]
    rankings = [[(hit.path, hit.similarity) for hit in hits.hits] for hits in results]
    assert rankings[0] == rankings[1] == rankings[2]


def test_every_kind_of_image_gives_the_same_hits(library: Library, tmp_path: Path) -> None:
    file = draw(tmp_path / "query.png", 77)
    with Image.open(file) as opened:
        image = opened.copy()
    images: list[ImageLike] = [file, str(file), file.read_bytes(), np.asarray(image), image]
    expected = [(hit.path, hit.similarity) for hit in library.search(file, k=12)]
    for one in (*images, [file]):
        assert [(hit.path, hit.similarity) for hit in library.search(one, k=12)] == expected


def test_keyword_arguments_are_the_options_of_a_query(library: Library, photos: Path) -> None:
    files: list[ImageLike] = [str(photos / "000.jpg"), photos / "002.jpg"]
    terms = (Term(photos / "000.jpg"), Term(photos / "002.jpg"))
    hits = library.search(files, extractor="pixels", k=4, where="size > 0", diversity=0.5)
    query = Query(terms, k=4, extractors=("pixels",), where="size > 0", diversity=0.5)
    assert hits.hits == library.search(query).hits
    both = library.search(files[0], extractor=["pixels", "histogram"], k=3)
    assert both.ranked_by == "pixels+histogram"
    assert set(QueryOptions.__annotations__) | {"extractors"} == {one.name for one in OPTIONS}
    with pytest.raises(UsageError, match="a Query has its own options"):
        library.search(query, k=3)
    with pytest.raises(UsageError, match="the query is empty"):
        library.search()
    with pytest.raises(UsageError, match=r"an image is a path, .* not a int"):
        library.search(3)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="neither captions nor a space that understands text"):
        library.search(text="red")


def test_hits_are_a_sequence(library: Library, photos: Path) -> None:
    hits = library.search(photos / "000.jpg", k=3)
    assert list(hits) == list(hits.hits) == [hits[0], hits[1], hits[-1]]
    assert (len(hits), hits[1:], hits[1] in hits) == (3, hits.hits[1:], True)
    assert isinstance(hits, Sequence)


def test_the_stored_vector_gives_the_hits_of_the_image(
    library: Library, photos: Path, tmp_path: Path
) -> None:
    outside = shutil.copy(photos / "002.jpg", tmp_path / "outside.jpg")
    inside, outer = library.search(photos / "002.jpg"), library.search(outside)
    assert [hit.path for hit in inside.hits] == [hit.path for hit in outer.hits]
    assert [hit.similarity for hit in inside.hits] == pytest.approx(
        [hit.similarity for hit in outer.hits], abs=1e-5
    )


def test_a_batch_gives_the_hits_of_single_searches(library: Library, photos: Path) -> None:
    files = sorted(photos.rglob("*.jpg"))
    queries = [
        Query.of(file, k=1 + i % 4, extractor="pixels" if i % 3 else None)
        for i, file in enumerate(files)
    ]
    batch = library.search_batch(queries)
    for query, hits in zip(queries, batch, strict=True):
        alone = library.search(query)
        assert alone.hits == hits.hits and alone.ranked_by == hits.ranked_by
        assert len(hits) == query.k


def test_two_images_are_averaged(library: Library, photos: Path) -> None:
    both = library.search(
        Query.of([photos / "000.jpg", photos / "002.jpg"], k=12, extractor="pixels")
    )
    alone = [
        library.search(Query.of(photos / name, k=12, extractor="pixels"))
        for name in ("000.jpg", "002.jpg")
    ]
    by_path = [{hit.path: hit.similarity or 0.0 for hit in hits.hits} for hits in alone]
    # cos(x, (a + b) / 2) is (cos(x, a) + cos(x, b)) / |a + b| for unit vectors
    length = np.sqrt(2 + 2 * by_path[0]["002.jpg"])
    expected = {path: (by_path[0][path] + by_path[1][path]) / length for path in by_path[0]}
    assert {hit.path: hit.similarity for hit in both.hits} == pytest.approx(expected, abs=1e-5)


def test_euclidean_ranks_unit_vectors_as_cosine_does(library: Library, photos: Path) -> None:
    query = photos / "004.jpg"
    cosine = library.search(Query.of(query, k=12, extractor="pixels"))
    euclidean = library.search(
        Query((Term(image=query),), k=12, extractors=("pixels",), similarity="euclidean")
    )
    assert [hit.path for hit in cosine.hits] == [hit.path for hit in euclidean.hits]
    assert euclidean.hits[0].similarity == pytest.approx(0.0, abs=1e-6)
    for one, other in zip(cosine.hits, euclidean.hits, strict=True):
        assert other.similarity == pytest.approx(
            -np.sqrt(max(0, 2 - 2 * (one.similarity or 0.0))), abs=1e-5
        )


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (Query.of(b"x" * 200), "cannot search with the image given: "),
        (Query.of(Path("nowhere.jpg")), "cannot search with nowhere.jpg: "),
        (Query.of(Path("x" * 300)), "there is no such file"),
        (
            Query.of(b"x", extractor="phash"),
            "no vectors of phash, only of histogram, pixels; .*--extractor phash",
        ),
    ],
)
def test_an_impossible_query_is_refused_in_one_line(
    library: Library, query: Query, message: str
) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        library.search(query)
    assert "\n" not in str(caught.value)


def test_a_new_library_has_nothing_to_search(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    with (
        Library.create(tmp_path / "photos") as library,
        pytest.raises(UsageError, match="is empty"),
    ):
        library.search(b"x")


def test_a_folder_without_a_library_is_an_error_that_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(NoLibrary, match="lookalike index"):
        Library.open(tmp_path)


def test_a_library_moves_with_its_images(photos: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(photos, tmp_path / "elsewhere"))
    with Library.open(moved) as library:
        hit = library.search(moved / "000.jpg", k=1).hits[0]
        assert hit.file == moved / "000.jpg"
        assert library.add([moved]).unchanged == 12


def test_a_single_path_is_not_a_list_of_characters(photos: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(photos, tmp_path / "elsewhere"))
    with Library.open(moved) as library:
        assert library.add(str(moved)).unchanged == 12
        assert library.estimate(moved).files == 12
        assert library.add([moved], extractors="shape").spaces == ("shape",)
        assert library.search(Query.of(str(moved / "000.jpg"))).hits[0].path == "000.jpg"
        assert library.duplicates(str(moved / "odd"), kind="exact").searched == 6
        assert library.remove(str(moved / "odd")) == 6


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: Term("cat.jpg"), "an image is a Path, .* not a str; for text write Term"),  # type: ignore[arg-type]
        (lambda: Query(("cat.jpg",)), "`Term`s; Query.of"),  # type: ignore[arg-type]
        (lambda: Query((Term(id=1),), k=1.5), "k is 1.5; it must be a whole number"),  # type: ignore[arg-type]
        (lambda: Query((Term(id=1),), extractors="color"), r"extractors=\(.color.,\)"),  # type: ignore[arg-type]
    ],
)
def test_an_invalid_query_says_how_to_write_it(made: Callable[[], object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        made()


def test_removed_images_are_not_found_and_their_files_stay(photos: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(photos, tmp_path / "elsewhere"))
    with Library.open(moved) as library:
        assert library.remove([moved / "odd"]) == 6
        assert all("odd" not in hit.path for hit in library.search(moved / "000.jpg", k=99).hits)
        assert (moved / "odd" / "001.jpg").exists()
        with pytest.raises(UsageError, match="no image at"):
            library.remove([moved / "odd"])


def test_a_query_with_an_unreadable_file_says_why(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "exists", closed)
    with pytest.raises(UsageError, match=r"cannot search with .*secret\.jpg: there is no file"):
        library.search(tmp_path / "secret.jpg")  # the worker reports it as missing


def test_without_a_query_images_are_listed_in_the_order_of_a_field(
    photos: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(photos, tmp_path / "dated", ignore=lambda *_: [".lookalike"]))
    names = [file.relative_to(folder).as_posix() for file in sorted(folder.rglob("*.jpg"))]
    rows = [
        {"path": folder / name, "taken": f"2024-{12 - at:02}-01"}
        for at, name in enumerate(names)
        if at % 3
    ]
    with Library.create(folder) as library:
        library.add([folder], extractors=["color"], options=IndexOptions(metadata=rows))
        dated = [name for at, name in enumerate(names) if at % 3]
        undated = [name for at, name in enumerate(names) if not at % 3]
        assert [hit.path for hit in library.search(where="width > 0", k=99)] == names
        assert [hit.path for hit in library.search(sort="path", reverse=True, k=3)] == names[:-4:-1]
        hits = library.search(where="width > 0", sort="taken", k=99)
        assert [hit.path for hit in hits] == [*reversed(dated), *undated]
        assert [hit.rank for hit in hits] == list(range(1, 13))
        assert {hit.similarity for hit in hits} == {None}
        assert (hits.ranked_by, hits.similarity, hits.searched_count) == ("taken", None, 12)
        newest = library.search(sort="taken", reverse=True, k=4, where="taken > '2024-03'")
        assert ([hit.path for hit in newest], newest.searched_count) == (dated[:4], 6)
        found = library.search(folder / names[0], sort="taken", k=5)
        assert {hit.path for hit in found} == {
            hit.path for hit in library.search(folder / names[0], k=5)
        }
        with_date = [hit.metadata["taken"] for hit in found if "taken" in hit.metadata]
        assert with_date == sorted(with_date) and [hit.rank for hit in found] == [1, 2, 3, 4, 5]
        batch = [
            Query((), where="width > 0", k=2),
            Query.of(folder / names[0], k=1),
            Query((), where="wdth > 0"),
            Query((), sort="taken", k=1),
        ]
        first, second, third, fourth = library.search_batch(batch)
        assert [hit.path for hit in first] == names[:2] and second[0].path == names[0]
        assert "did you mean width" in third.failure and fourth[0].path == dated[-1]


@pytest.mark.parametrize(
    "options",
    [
        {"diversity": 0.3}, {"min_relevance": "weak"}, {"verify": "orb"}, {"feedback": True},
        {"collapse_duplicates": True}, {"any_orientation": True}, {"exclude_query": True},
        {"extractors": ("color",)}, {"sort": "similarity"},
    ],
)  # fmt: skip
def test_a_list_refuses_options_that_need_a_query(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"image or text"):
        Query((), where="width > 0", **options)


def test_the_query_and_its_exact_copies_can_be_left_out(photos: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(photos, tmp_path / "copies", ignore=lambda *_: [".lookalike"]))
    query = sorted(folder.rglob("*.jpg"))[2]
    shutil.copy(query, folder / "copy of it.jpg")
    outside = Path(shutil.copy(query, tmp_path / "outside.jpg"))
    with Library.create(folder) as library:
        library.add([folder], extractors=["color"])
        id = library.search(query, k=2)[0].id
        all_hits = [hit.path for hit in library.search(query, k=99)]
        copies = {query.relative_to(folder).as_posix(), "copy of it.jpg"}
        rest = [path for path in all_hits if path not in copies]
        assert len(rest) == 11
        images: list[Query] = [
            Query.of(outside, exclude_query=True, k=99),
            Query.of(query, exclude_query=True, k=99),
            Query.of(outside.read_bytes(), exclude_query=True, k=99),
            Query((Term(id=id),), exclude_query=True, k=99),
            Query((Term(image=Path(copies.pop())),), exclude_query=True, k=99),
        ]
        for one in images:
            hits = library.search(one)
            assert [hit.path for hit in hits] == rest and hits.searched_count == 11
        assert [hit.path for hit in library.search(replace(images[0], k=3))] == rest[:3]
        assert [hit.rank for hit in library.search(replace(images[0], k=3))] == [1, 2, 3]
