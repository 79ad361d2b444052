"""Import, search and export of vectors, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.library.image_builders import draw

from lookalike.errors import UsageError
from lookalike.images.reading import read
from lookalike.library import Library
from lookalike.query import Query, Term

COUNT, DIM = 30, 8

# More rows than are imported or exported at a time.
MANY = 4500


def vectors(seed: int = 0, count: int = COUNT) -> NDArray[np.float32]:
    made = np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32)
    unit: NDArray[np.float32] = made / np.linalg.norm(made, axis=1, keepdims=True)
    return unit


@pytest.fixture
def file(tmp_path: Path) -> Path:
    np.save(tmp_path / "made.npy", vectors())
    return tmp_path / "made.npy"


@pytest.fixture
def paths(tmp_path: Path) -> Path:
    listed = tmp_path / "paths.txt"
    listed.write_text("".join(f"shop/{n}.jpg\n" for n in range(COUNT)))
    return listed


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.create(tmp_path)


def search(library: Library, vector: NDArray[np.float32], k: int = 3) -> list[str]:
    hits = library.search(Query((Term(vector=vector),), k=k, extractors=("made",)))
    return [hit.path for hit in hits.hits]


def test_imported_vectors_are_found_by_vector_by_path_and_by_id(
    library: Library, file: Path, paths: Path
) -> None:
    imported = library.vectors.import_vectors(file, "made", paths=paths)
    assert (imported.images, imported.files, imported.space.count) == (COUNT, 0, COUNT)
    assert search(library, vectors()[7])[0] == "shop/7.jpg"
    by_path = library.search(Query.of(Path("shop/7.jpg"), extractor="made"))
    assert by_path.hits[0].similarity == pytest.approx(1.0, abs=1e-6)
    assert by_path.hits[0].path == "shop/7.jpg"
    by_id = library.search(Query((Term(id=by_path.hits[0].id),), extractors=("made",)))
    assert by_id.hits == by_path.hits
    expected = np.argsort(-(vectors() @ vectors()[7]))[:3]
    assert search(library, vectors()[7]) == [f"shop/{n}.jpg" for n in expected]


def test_without_paths_rows_are_numbered(library: Library, file: Path) -> None:
    library.vectors.import_vectors(file, "made")
    assert search(library, vectors()[11], 1) == ["made/11"]


def test_importing_again_replaces_and_a_second_name_adds_a_space(
    library: Library, tmp_path: Path, file: Path, paths: Path
) -> None:
    library.vectors.import_vectors(file, "made", paths=paths)
    np.save(tmp_path / "other.npy", vectors(5))
    library.vectors.import_vectors(tmp_path / "other.npy", "other", paths=paths)
    np.save(file, vectors(6))
    library.vectors.import_vectors(file, "made", paths=paths)
    info = library.info()
    assert info.images == COUNT
    assert {space.name: space.count for space in info.spaces} == {"made": COUNT, "other": COUNT}
    assert search(library, vectors(6)[3], 1) == ["shop/3.jpg"]


def test_an_existing_image_is_recognised_by_indexing(
    library: Library, tmp_path: Path, file: Path, paths: Path
) -> None:
    import cv2

    (tmp_path / "shop").mkdir()
    noise = np.random.default_rng(1).integers(0, 256, (40, 40, 3), np.uint8)
    assert cv2.imwrite(str(tmp_path / "shop" / "4.jpg"), noise)
    imported = library.vectors.import_vectors(file, "made", paths=paths)
    assert imported.files == 1
    added = library.add([tmp_path], extractors=["pixels"])
    assert (added.new, added.added_vectors, added.removed) == (0, 1, 0)
    with library.snapshot() as snapshot:
        [image] = snapshot.by_hash(read(tmp_path / "shop" / "4.jpg").digest)
    assert image.path == "shop/4.jpg"
    assert search(library, vectors()[4], 1) == ["shop/4.jpg"]
    assert library.info().images == COUNT  # nothing without a file was swept away


def test_indexing_continues_with_its_own_extractors(
    library: Library, file: Path, tmp_path: Path
) -> None:
    library.vectors.import_vectors(file, "made")
    photo = draw(tmp_path / "photos" / "a.jpg", 1)
    assert library.add([photo]).spaces == ("lookalike", "phash", "dhash")


def test_images_and_texts_are_refused_for_imported_vectors(
    library: Library, tmp_path: Path, file: Path
) -> None:
    import cv2

    library.vectors.import_vectors(file, "made")
    noise = np.random.default_rng(1).integers(0, 256, (40, 40, 3), np.uint8)
    assert cv2.imwrite(str(tmp_path / "new.png"), noise)
    with pytest.raises(UsageError, match="were imported and cannot be computed from images"):
        library.search(Query.of(tmp_path / "new.png", extractor="made"))


def test_metadata_can_be_filtered(
    library: Library, tmp_path: Path, file: Path, paths: Path
) -> None:
    table = tmp_path / "table.csv"
    table.write_text("path,price\nshop/3.jpg,5\nshop/9.jpg,7\nshop/99.jpg,1\n")
    imported = library.vectors.import_vectors(file, "made", paths=paths, metadata=table)
    assert (imported.described, imported.unmatched_rows) == (2, 1)
    hits = library.search(
        Query((Term(vector=vectors()[0]),), extractors=("made",), where="price > 1")
    )
    assert sorted(hit.path for hit in hits.hits) == ["shop/3.jpg", "shop/9.jpg"]


def test_other_dtypes_are_accepted(library: Library, tmp_path: Path) -> None:
    for kind in (np.float64, np.float16, np.int8):
        np.save(tmp_path / "kind.npy", np.eye(DIM, dtype=kind))
        name = np.dtype(kind).name
        library.vectors.import_vectors(tmp_path / "kind.npy", name)
        hits = library.search(
            Query((Term(vector=np.eye(DIM, dtype=np.float32)[2]),), k=1, extractors=(name,))
        )
        assert hits.hits[0].path == f"{name}/2"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.full((3, DIM), np.nan, np.float32), "row 0: holds NaN"),
        (np.full((3, DIM), 1e300), "row 0: holds NaN or infinity"),
        (np.ones(DIM, np.float32), "not rows of numbers"),
        (np.ones((0, DIM), np.float32), "holds no vectors"),
        (np.array([["a", "b"]]), "not rows of numbers"),
        (np.array([[{}, None]], object), "not a complete NPY file"),
        (b"\x93NUMPY and then nothing", "not a complete NPY file"),
        (b"", "not a complete NPY file"),
    ],
)
def test_a_file_without_rows_of_numbers_is_refused(
    library: Library, tmp_path: Path, content: object, message: str
) -> None:
    file = tmp_path / "odd.npy"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        np.save(file, np.asarray(content), allow_pickle=True)
    with pytest.raises(UsageError, match=message):
        library.vectors.import_vectors(file, "made")
    assert library.info().images == 0


def test_one_bad_row_at_the_end_leaves_the_library_as_it_was(library: Library, file: Path) -> None:
    odd = vectors(count=MANY)
    odd[-1, 3] = np.inf
    np.save(file, odd)
    with pytest.raises(UsageError, match=f"row {MANY - 1}"):
        library.vectors.import_vectors(file, "made")
    assert library.info().images == 0
    assert library.info().spaces == ()


def test_too_few_paths_another_dimension_and_a_bad_name_are_refused(
    library: Library, tmp_path: Path, file: Path, paths: Path
) -> None:
    library.vectors.import_vectors(file, "made", paths=paths)
    paths.write_text("a.jpg\nb.jpg\n")
    with pytest.raises(UsageError, match="has 2 paths for 30 vectors"):
        library.vectors.import_vectors(file, "made", paths=paths)
    paths.write_text("a.jpg\n\nb.jpg\n")
    with pytest.raises(UsageError, match="line 2: is empty"):
        library.vectors.import_vectors(file, "made", paths=paths)
    np.save(file, np.ones((3, DIM + 1), np.float32))
    with pytest.raises(UsageError, match="have 8: give them another name"):
        library.vectors.import_vectors(file, "made")
    with pytest.raises(UsageError, match="contain @"):
        library.vectors.import_vectors(file, "a@b")
    with pytest.raises(UsageError, match="the shape"):
        search(library, np.ones(3, np.float32))


@pytest.mark.parametrize("count", [COUNT, MANY])
def test_imported_vectors_are_exported_unchanged(
    library: Library, tmp_path: Path, file: Path, paths: Path, count: int
) -> None:
    np.save(file, vectors(count=count))
    paths.write_text("".join(f"shop/{n}.jpg\n" for n in range(count)))
    library.vectors.import_vectors(file, "made", paths=paths)
    out, listed = tmp_path / "out.npy", tmp_path / "out.txt"
    assert library.vectors.export_vectors("made", out, paths=listed) == count
    assert np.allclose(np.load(out), vectors(count=count), atol=1e-6)
    assert listed.read_text() == paths.read_text()
    assert not list(tmp_path.glob("*.part"))
    with pytest.raises(UsageError, match="only of made"):
        library.vectors.export_vectors("nothing", out)


def test_parquet_has_paths_and_metadata(
    library: Library, tmp_path: Path, file: Path, paths: Path
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    table = tmp_path / "table.csv"
    table.write_text("path,price\nshop/3.jpg,5\n")
    library.vectors.import_vectors(file, "made", paths=paths, metadata=table)
    out = tmp_path / "out.parquet"
    assert library.vectors.export_vectors("made", out) == COUNT
    rows = parquet.read_table(out).to_pylist()
    assert [row["path"] for row in rows] == [f"shop/{n}.jpg" for n in range(COUNT)]
    assert np.allclose([row["vector"] for row in rows], vectors(), atol=1e-6)
    assert json.loads(rows[3]["metadata"]) == {"price": 5}
