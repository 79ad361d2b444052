"""Pages of documents, frames of videos, raw files and live photos, through a library in a folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.duplicates.image_builders import scene
from tests.images.raw_builder import dng
from tests.images.test_formats import write_video
from tests.library.test_takeout import XMP

from lookalike import Library
from lookalike.errors import Outcome
from lookalike.indexing.report import IndexOptions, IndexReport

pdfium = pytest.importorskip("pypdfium2")

SIZE = (96, 64)


def plain(number: int) -> Image.Image:
    """Return an image that differs clearly from that of another number."""
    rng = np.random.default_rng(number)
    small = Image.fromarray(rng.integers(0, 256, (4, 6, 3), dtype=np.uint8))
    return small.resize(SIZE, Image.Resampling.NEAREST)


def write_pdf(path: Path, numbers: Sequence[int]) -> None:
    first, *others = (plain(number) for number in numbers)
    first.save(path, "PDF", save_all=True, append_images=others)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"


@pytest.fixture
def library(folder: Path) -> Iterator[Library]:
    with Library.create(folder) as library:
        yield library


def index(
    library: Library, folder: Path, *, pages: bool = False, pairs: bool = True
) -> IndexReport:
    options = IndexOptions(workers=1, ann=False, pages=pages, pairs=pairs)
    return library.add(folder, extractors=["dhash"], options=options)


def paths(library: Library) -> list[str]:
    return [image.path for image in library.files([Outcome.INDEXED])]


def test_each_page_of_a_pdf_is_an_image_and_found_by_what_it_shows(
    library: Library, folder: Path
) -> None:
    write_pdf(folder / "doc.pdf", [1, 2, 3])
    plain(3).save(folder / "third.png")
    assert index(library, folder).new == 4
    assert paths(library) == ["doc.pdf", "doc.pdf#2", "doc.pdf#3", "third.png"]
    hits = library.search(folder / "third.png", extractor="dhash", k=2)
    assert {hit.path for hit in hits.hits} == {"doc.pdf#3", "third.png"}
    assert index(library, folder).unchanged == 4
    # By its own path a page is the stored image.
    hits = library.search(folder / "doc.pdf#2", extractor="dhash", k=1)
    assert hits.hits[0].path == "doc.pdf#2"
    assert library.thumbnails.get(hits.hits[0].id, 64).data[:2] == b"\xff\xd8"


def test_pages_go_when_a_file_shrinks_or_is_removed(library: Library, folder: Path) -> None:
    write_pdf(folder / "doc.pdf", [1, 2, 3])
    write_pdf(folder / "other.pdf", [4, 5])
    index(library, folder)
    write_pdf(folder / "doc.pdf", [1, 7])
    report = index(library, folder)
    assert paths(library) == ["doc.pdf", "doc.pdf#2", "other.pdf", "other.pdf#2"]
    assert (report.changed, report.unchanged) == (2, 2)
    assert library.remove(folder / "other.pdf") == 2
    assert paths(library) == ["doc.pdf", "doc.pdf#2"]


def test_moved_and_copied_documents_are_not_read_again(library: Library, folder: Path) -> None:
    write_pdf(folder / "doc.pdf", [1, 2])
    index(library, folder)
    ids = {image.path: image.id for image in library.files()}
    (folder / "doc.pdf").rename(folder / "moved.pdf")
    assert index(library, folder).moved == 2
    moved = {image.path: image.id for image in library.files()}
    assert moved == {"moved.pdf": ids["doc.pdf"], "moved.pdf#2": ids["doc.pdf#2"]}
    (folder / "copy.pdf").write_bytes((folder / "moved.pdf").read_bytes())
    assert index(library, folder).copied == 2
    # Copies are one group, not one for each page.
    (group,) = library.duplicates().groups
    assert {member.image.path for member in group.members} == {"copy.pdf", "moved.pdf"}


def test_a_file_that_is_named_as_a_page_comes_first(library: Library, folder: Path) -> None:
    write_pdf(folder / "doc.pdf", [1, 2])
    plain(9).save(folder / "doc.pdf#2", "PNG")
    plain(8).save(folder / "photo#3.png")
    index(library, folder)
    assert paths(library) == ["doc.pdf", "doc.pdf#02", "doc.pdf#2", "photo#3.png"]
    hits = library.search(plain(9), extractor="dhash", k=1)
    assert hits.hits[0].path == "doc.pdf#2"
    (folder / "doc.pdf#2").unlink()
    index(library, folder)
    assert paths(library) == ["doc.pdf", "doc.pdf#02", "photo#3.png"]


def test_pages_of_tiff_and_frames_of_animations_are_images_by_option(
    library: Library, folder: Path
) -> None:
    frames = [plain(number) for number in range(40)]
    frames[0].save(folder / "a.gif", save_all=True, append_images=frames[1:])
    frames[0].save(folder / "b.tif", save_all=True, append_images=frames[1:3])
    assert index(library, folder).new == 2
    report = index(library, folder, pages=True)
    assert (report.new, report.failures) == (15 + 2, 0)
    assert paths(library)[-2:] == ["b.tif#2", "b.tif#3"]
    hits = library.search(plain(2), extractor="dhash", k=1)
    assert hits.hits[0].path == "b.tif#3"
    assert index(library, folder, pages=True).unchanged == 19
    assert index(library, folder).unchanged == 19


def test_documents_with_one_cover_are_no_copies_and_those_of_the_same_pages_are(
    library: Library, folder: Path
) -> None:
    for name, numbers in (("a", [1, 2]), ("b", [1, 3]), ("c", [1, 2, 4])):
        first, *others = (Image.fromarray(scene(number)) for number in numbers)
        first.save(folder / f"{name}.pdf", save_all=True, append_images=others)
    Image.fromarray(scene(2)).save(folder / "second.png")
    index(library, folder)
    assert not library.duplicates().groups
    (folder / "again.pdf").write_bytes((folder / "a.pdf").read_bytes() + b"\n% saved again\n")
    index(library, folder)
    (group,) = library.duplicates().groups
    assert {member.image.path for member in group.members} == {"a.pdf", "again.pdf"}
    assert group.members[1].reason == "stays: a PDF is compared by its looks only"


def test_a_page_is_never_moved_to_the_trash_for_its_file(library: Library, folder: Path) -> None:
    write_pdf(folder / "doc.pdf", [1, 2])
    index(library, folder)
    report = library.trash([folder / "doc.pdf#2"])
    assert not report.moved
    assert "page of a file" in report.refused[0][1]
    assert (folder / "doc.pdf").exists()


def test_an_interrupted_run_reads_the_missing_pages(
    library: Library, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lookalike.indexing.indexer import Indexer

    write_pdf(folder / "doc.pdf", [1, 2, 3])
    original, calls = Indexer._write, []

    def interrupted(self: Indexer, *arguments: object) -> None:
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        original(self, *arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(Indexer, "_write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            index(library, folder)
    assert paths(library) == ["doc.pdf#2"]
    index(library, folder)
    assert paths(library) == ["doc.pdf", "doc.pdf#2", "doc.pdf#3"]


def write_jpeg(path: Path, number: int, taken: str = "2024:05:01 12:30:00") -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = taken
    plain(number).save(path, quality=95, exif=exif)


def outcomes(library: Library) -> dict[str, str]:
    return {image.path: image.reason or image.outcome for image in library.files(list(Outcome))}


def test_a_raw_file_and_the_jpeg_of_its_moment_are_one_image(
    library: Library, folder: Path
) -> None:
    pytest.importorskip("rawpy")
    write_jpeg(folder / "IMG_1.JPG", 1)
    (folder / "IMG_1.dng").write_bytes(dng(plain(1), preview=plain(1)))
    (folder / "IMG_1.dng.xmp").write_text(XMP)  # darktable's, of the raw file
    write_jpeg(folder / "IMG_2.jpg", 2, "2019:01:01 00:00:00")
    (folder / "IMG_2.dng").write_bytes(dng(plain(3), preview=plain(3)))
    report = index(library, folder)
    assert (report.new, report.companions, report.not_images) == (3, 1, 1)
    assert [hit.path for hit in library.search(where="keywords = 'boat'")] == ["IMG_1.JPG"]
    (folder / "IMG_1.dng.xmp").unlink()
    index(library, folder)
    assert outcomes(library) == {
        "IMG_1.JPG": "indexed",
        "IMG_1.dng": "the raw file of IMG_1.JPG",
        "IMG_2.jpg": "indexed",
        "IMG_2.dng": "indexed",
    }
    hits = library.search(folder / "IMG_1.dng", extractor="dhash", k=1)
    assert hits.hits[0].path == "IMG_1.JPG"
    assert index(library, folder).indexed == 0
    (folder / "IMG_1.JPG").unlink()
    index(library, folder)
    assert paths(library) == ["IMG_1.dng", "IMG_2.dng", "IMG_2.jpg"]
    write_jpeg(folder / "IMG_1.JPG", 1)
    index(library, folder)
    assert paths(library) == ["IMG_1.JPG", "IMG_2.dng", "IMG_2.jpg"]
    index(library, folder, pairs=False)
    assert paths(library) == ["IMG_1.JPG", "IMG_1.dng", "IMG_2.dng", "IMG_2.jpg"]


def test_the_video_of_a_live_photo_belongs_to_it(library: Library, folder: Path) -> None:
    write_jpeg(folder / "IMG_1.jpg", 1)
    write_video(folder / "IMG_1.mov", [(200, 0, 0), (0, 0, 200)])
    write_video(folder / "film.mp4", [(200, 0, 0), (0, 0, 200)])
    report = index(library, folder)
    assert report.companions == 1
    assert paths(library) == ["IMG_1.jpg", "film.mp4", "film.mp4#t=1"]
    # A still that is left out has no video.
    options = IndexOptions(workers=1, exclude=("*.jpg",))
    library.add(folder, extractors=["dhash"], options=options)
    assert paths(library) == ["IMG_1.mov", "IMG_1.mov#t=1", "film.mp4", "film.mp4#t=1"]


def test_a_motion_photo_is_its_still(library: Library, folder: Path) -> None:
    write_jpeg(folder / "a.jpg", 1)
    write_video(folder / "b.mp4", [(200, 0, 0)])
    still = (folder / "a.jpg").read_bytes() + (folder / "b.mp4").read_bytes()
    (folder / "b.mp4").unlink()
    (folder / "a.jpg").write_bytes(still)
    index(library, folder)
    assert outcomes(library) == {"a.jpg": "indexed"}


def test_bad_files_have_one_outcome_each(library: Library, folder: Path) -> None:
    (folder / "a.pdf").write_bytes(b"%PDF-1.7\n" + bytes(range(256)))
    (folder / "b.mp4").write_bytes(b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp41" + bytes(999))
    (folder / "c.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg"><image href="/a"/></svg>'
    )
    (folder / "d.nef").write_bytes(b"II*\x00\x08\x00\x00\x00" + bytes(500))
    assert index(library, folder).failures == 4
    assert sorted(outcomes(library)) == ["a.pdf", "b.mp4", "c.svg", "d.nef"]
    assert index(library, folder).known_failures == 4
