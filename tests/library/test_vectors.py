"""Import, search and export of vectors, and what is refused."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.library.image_builders import draw
from tests.stores.local.processes import posix, python

from lookalike import IndexOptions
from lookalike.errors import UsageError
from lookalike.extractors.registry import parse
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


@pytest.mark.parametrize("separator", ["/", "\\"])
def test_paths_relative_to_the_library_are_those_of_its_images(
    tmp_path: Path, file: Path, separator: str
) -> None:
    draw(tmp_path / "shop" / "new" / "4.jpg", 4)
    library = Library.create(tmp_path / "shop")
    library.add([tmp_path / "shop"], extractors=["pixels"])
    listed = tmp_path / "paths.txt"  # not in the folder of the library
    listed.write_text("".join(f"new{separator}{n}.jpg\n" for n in range(COUNT)))
    assert library.vectors.import_vectors(file, "made", paths=listed).files == 1
    assert library.info().images == COUNT
    hits = library.search(tmp_path / "shop" / "new" / "4.jpg", extractor="made", k=1)
    assert [hit.path for hit in hits] == ["new/4.jpg"]


def test_an_image_without_an_imported_vector_is_not_sent_to_index(
    library: Library, tmp_path: Path, file: Path
) -> None:
    draw(tmp_path / "other.jpg", 1)
    library.add([tmp_path], extractors=["pixels"])
    library.vectors.import_vectors(file, "made")
    with library.snapshot() as snapshot:
        [image] = snapshot.by_hash(read(tmp_path / "other.jpg").digest)
    with pytest.raises(UsageError, match="were imported, and this image is not among them"):
        library.search(Query((Term(id=image.id),), extractors=("made",)))


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
    read = parquet.read_table(out)
    rows = read.to_pylist()
    # Lance makes vectors of lists of a fixed length only (docs/programs.md).
    assert str(read.schema.field("vector").type).startswith("fixed_size_list")
    assert [row["path"] for row in rows] == [f"shop/{n}.jpg" for n in range(COUNT)]
    assert np.allclose([row["vector"] for row in rows], vectors(), atol=1e-6)
    assert json.loads(rows[3]["metadata"]) == {"price": 5}


def test_a_number_that_does_not_fit_is_told_before_the_first_row(
    library: Library, tmp_path: Path
) -> None:
    rows = np.ones((MANY, DIM), np.float32)
    rows[-1] = 1e5
    np.save(tmp_path / "v.npy", rows)
    with pytest.raises(UsageError, match=f"row {MANY - 1}: holds a number above 65504"):
        library.vectors.import_vectors(tmp_path / "v.npy", "v", similarity="euclidean", dtype="f16")
    assert (library.info().images, library.info().spaces) == (0, ())
    whole = library.vectors.import_vectors(tmp_path / "v.npy", "v", similarity="euclidean")
    assert (whole.images, whole.space.dtype) == (MANY, "f32")
    # At unit length everything fits.
    assert library.vectors.import_vectors(tmp_path / "v.npy", "w", dtype="f16").images == MANY


def test_an_import_that_is_stopped_leaves_no_image_and_no_space(
    library: Library, tmp_path: Path, file: Path, paths: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lookalike.indexing.vector_import.MAX_ROWS", 2000)
    library.vectors.import_vectors(file, "made", paths=paths)
    before = library.info()
    np.save(tmp_path / "big.npy", vectors(count=MANY))

    def stop(stage: str, done: int, total: int) -> None:
        if stage == "import" and done > 2000:
            raise KeyboardInterrupt

    for name in ("other", "made"):
        with pytest.raises(KeyboardInterrupt):
            library.vectors.import_vectors(tmp_path / "big.npy", name, progress=stop)
        after = library.info()
        assert after.images == before.images
        assert [(one.name, one.count) for one in after.spaces] == [("made", COUNT)]
        assert library.check() == []
    assert search(library, vectors()[7])[0] == "shop/7.jpg"


IMPORT = """
import sys, time
from pathlib import Path
from lookalike import Library
def progress(stage, done, total):
    if stage == "import":
        print("stored", flush=True)
        time.sleep(60)
with Library.open(sys.argv[1]) as library:
    library.vectors.import_vectors(Path(sys.argv[2]), "killed", progress=progress)
"""


@posix
def test_the_next_writer_undoes_an_import_that_was_killed(
    library: Library, tmp_path: Path, file: Path
) -> None:
    library.vectors.import_vectors(file, "made")
    with python(IMPORT, library.folder, file) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "stored\n"
        other.kill()
    with library.snapshot() as snapshot:
        assert len(snapshot.spaces()) == 2
    library.remove(tmp_path / ".lookalike" / "imported" / "made" / "0")
    info = library.info()
    assert (info.images, [space.name for space in info.spaces]) == (COUNT - 1, ["made"])
    assert library.check() == []


def test_a_wrong_table_stops_an_import_before_its_first_row(
    library: Library, tmp_path: Path, file: Path
) -> None:
    (tmp_path / "t.csv").write_text("path,x\nmade/0,1,2\n")
    with pytest.raises(UsageError, match="row 2"):
        library.vectors.import_vectors(file, "made", metadata=tmp_path / "t.csv")
    assert library.info().spaces == ()
    (tmp_path / "t.csv").write_text("row;price\nmade/0;1,5\nmade/0;2,5\n")
    imported = library.vectors.import_vectors(
        file, "made", metadata=tmp_path / "t.csv", path_column="row"
    )
    assert (imported.described, imported.repeated_rows) == (1, 1)
    with library.snapshot() as snapshot:
        assert len(snapshot.select("price = 2.5")) == 1


def test_options_that_contradict_a_space_are_refused(library: Library, file: Path) -> None:
    library.vectors.import_vectors(file, "a", similarity="euclidean", dtype="f16")
    with pytest.raises(UsageError, match="are compared by euclidean, not cosine"):
        library.vectors.import_vectors(file, "a", similarity="cosine")
    with pytest.raises(UsageError, match="are stored as float16, not float32"):
        library.vectors.import_vectors(file, "a", dtype="f32")
    again = library.vectors.import_vectors(file, "a")
    assert (again.space.similarity, again.space.dtype) == ("euclidean", "f16")


def test_repeated_paths_are_told_and_the_last_vector_counts(
    library: Library, tmp_path: Path, file: Path
) -> None:
    names = [f"{n}.jpg" for n in range(COUNT)]
    names[3], names[20] = "./5.jpg", "x/../5.jpg"
    (tmp_path / "p.txt").write_text("".join(f"{name}\n" for name in names))
    imported = library.vectors.import_vectors(file, "made", paths=tmp_path / "p.txt")
    assert (imported.images, imported.repeated_paths) == (COUNT - 2, 2)
    assert imported.repeated_example == "./5.jpg"
    assert imported.space.count == library.info().images == COUNT - 2
    assert search(library, vectors()[20], 1) == ["5.jpg"]


@pytest.mark.parametrize("untrusted", [False, True])
def test_a_path_in_the_other_unicode_form_is_the_file(
    library: Library, tmp_path: Path, untrusted: bool
) -> None:
    name = unicodedata.normalize("NFD", "Café/Müller.jpg")
    draw(tmp_path / name, 1, size=16)
    library.add([tmp_path], extractors=["histogram"], options=IndexOptions(workers=1))
    np.save(tmp_path / "v.npy", vectors(count=1))
    (tmp_path / "p.txt").write_text(unicodedata.normalize("NFC", name) + "\n", "utf-8")
    imported = library.vectors.import_vectors(
        tmp_path / "v.npy", "v", paths=tmp_path / "p.txt", untrusted_paths=untrusted
    )
    assert (imported.files, library.info().images) == (1, 1)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a,b", "invalid name"),
        ("a@b", "invalid name"),
        ("", "invalid name"),
        (" a", "invalid name"),
        ("a\nb", "invalid name"),
        ("a" * 101, "101 characters, more than 100"),
        ("captions", "captions is what searches of texts are called"),
        ("./a", "path of a model"),
        ("~a", "path of a model"),
        ("-a", "path of a model"),
        ("color", "color is the name of an extractor"),
        ("clip", "clip is the name of an extractor"),
        ("clip:mine", "clip is the name of an extractor"),
        ("phash+regions", "phash is the name of an extractor"),
    ],
)
def test_names_that_no_query_could_address_are_refused(
    library: Library, file: Path, name: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        library.vectors.import_vectors(file, name)
    assert library.info().spaces == ()


@pytest.mark.parametrize("name", ["my model", "Größe", "a:b", "v1.2/x", "colour"])
def test_other_names_are_addressed(library: Library, file: Path, name: str) -> None:
    library.vectors.import_vectors(file, name)
    query = Query((Term(vector=vectors()[4]),), k=1, extractors=tuple(parse(name)))
    assert [hit.path for hit in library.search(query)] == [f"{name}/4"]


def test_a_space_is_dropped_with_the_images_that_nothing_else_holds(
    library: Library, tmp_path: Path, file: Path, paths: Path
) -> None:
    draw(tmp_path / "shop" / "4.jpg", 1)
    library.vectors.import_vectors(file, "made", paths=paths)
    np.save(tmp_path / "few.npy", vectors(1, 10))
    (tmp_path / "few.txt").write_text("".join(f"shop/{n}.jpg\n" for n in range(10)))
    library.vectors.import_vectors(tmp_path / "few.npy", "few", paths=tmp_path / "few.txt")
    with pytest.raises(UsageError, match="no vectors of other, only of made, few"):
        library.vectors.drop("other")
    assert library.vectors.drop("made") == 20
    assert [space.name for space in library.info().spaces] == ["few"]
    assert library.vectors.drop("few") == 9
    assert [image.path for image in library.files()] == ["shop/4.jpg"]
    assert library.check() == []
    assert library.vectors.import_vectors(file, "made").images == COUNT
