"""Metadata from tables, from sidecar files, and from the images themselves."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.library.image_builders import draw

from lookalike import IndexOptions, Library, Outcome
from lookalike.errors import UsageError
from lookalike.images.reading import InodeState
from lookalike.images.walk import FoundFile
from lookalike.indexing.sidecars import Pairing

EMPTY: Mapping[str, Any] = {}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for number, name in enumerate(["a.jpg", "b.jpg", "trip/c.jpg", "trip/c.png"]):
        draw(folder / name, number)
    return folder


@pytest.fixture
def library(photos: Path) -> Iterator[Library]:
    with Library.create(photos) as library:
        index(library, photos)
        yield library


def index(library: Library, photos: Path, **options: Any) -> Any:
    given: dict[str, Any] = {"workers": 1, **options}
    return library.add([photos], extractors=["histogram"], options=IndexOptions(**given))


def metadata(library: Library) -> dict[str, Mapping[str, Any]]:
    """Return the metadata of every image that has some, by path."""
    with library.snapshot() as snapshot:
        return {image.path: image.metadata for image in snapshot.iter_files() if image.metadata}


def kept(library: Library, where: str) -> list[str]:
    with library.snapshot() as snapshot:
        images = snapshot.images(snapshot.select(where).tolist())
    return sorted(image.path for image in images.values())


def write(file: Path, content: str | bytes) -> None:
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    # A second write in the same tick of the clock would go unseen.
    os.utime(file, ns=(0, file.stat().st_mtime_ns + write_count()))


def write_count(counter: list[int] = []) -> int:  # noqa: B006 - one counter for all
    counter.append(0)
    return len(counter) * 1_000_000


def test_a_table_of_json_lines_is_read(library: Library, photos: Path) -> None:
    table = photos / "table.jsonl"
    rows = [
        {"path": "a.jpg", "tags": ["red", "sale"], "stock": 0, "live": False, "gone": None},
        {"path": "trip/c.jpg", "size": {"unit": "cm", "w": 3}},
        {"path": "nowhere.jpg", "x": 1},
    ]
    table.write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    added = index(library, photos, metadata=table)
    assert (added.described, added.unmatched_rows) == (2, 1)
    assert kept(library, "tags = 'sale' and live = false") == ["a.jpg"]
    assert kept(library, "size.w = 3") == ["trip/c.jpg"]


def test_a_table_is_applied_to_unchanged_images(library: Library, photos: Path) -> None:
    table = photos / "table.csv"
    table.write_text("path,kind,fresh,code\na.jpg,shoe,true,007\nb.jpg,,FALSE,8\n")
    added = index(library, photos, metadata=table)
    assert (added.indexed, added.described) == (0, 2)
    assert metadata(library)["a.jpg"] == {"kind": "shoe", "fresh": True, "code": "007"}
    assert kept(library, "fresh = true and code = '007'") == ["a.jpg"]
    assert kept(library, "kind is null and path glob '[ab]*'") == ["b.jpg"]


class FrameOfPandas:
    """The method of a pandas data frame that is used, with missing values as pandas has them."""

    def to_dict(self, orient: str) -> list[dict[str, Any]]:
        assert orient == "records"
        return [
            {"path": "a.jpg", "price": np.float64(9.5), "stock": float("nan")},
            {"path": "trip/c.jpg", "price": np.int64(3), "added": date(2024, 5, 1)},
        ]


class TableOfPyarrow:
    """The method of a pyarrow table that is used."""

    def to_pylist(self) -> list[dict[str, Any]]:
        return FrameOfPandas().to_dict("records")


@pytest.mark.parametrize(
    "table",
    [FrameOfPandas().to_dict("records"), FrameOfPandas(), TableOfPyarrow()],
    ids=["list of dicts", "pandas", "pyarrow"],
)
def test_a_table_in_memory_is_read(library: Library, photos: Path, table: Any) -> None:
    report = index(library, photos, metadata=table)
    assert (report.described, report.unmatched_rows) == (2, 0)
    assert metadata(library) == {
        "a.jpg": {"price": 9.5, "stock": None},
        "trip/c.jpg": {"price": 3, "added": "2024-05-01"},
    }


def test_a_row_in_memory_without_a_path_is_refused(library: Library, photos: Path) -> None:
    with pytest.raises(UsageError, match="row 2: needs a mapping with a `path`"):
        index(library, photos, metadata=[{"path": "a.jpg"}, {"price": 3}])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"path": "a.jpg"', "line 1: not a JSON object"),
        ('{"path": "a.jpg"}\n[1]', "line 2: needs an object"),
        ('{"path": 3}', 'needs an object with a string "path"'),
        ('{"path": "a.jpg", "x": NaN}', "line 1: not a JSON object"),
        ('{"path": "a.jpg", "x": -1e999}', "too large a number"),
        ("[" * 100_000, "line 1: not a JSON object"),
    ],
)
def test_broken_lines_are_named(library: Library, photos: Path, text: str, message: str) -> None:
    table = photos / "table.jsonl"
    table.write_text(text)
    with pytest.raises(UsageError, match=message):
        index(library, photos, metadata=table)


@pytest.mark.parametrize("mark", [";", "\t"])
def test_a_table_as_spreadsheets_write_it_is_read(
    library: Library, photos: Path, mark: str
) -> None:
    table = photos / "table.csv"
    table.write_text(f'\ufeffpath{mark}kind\na.jpg{mark}"a{mark}b"\nno/a.jpg{mark}x\nnor{mark}x\n')
    added = index(library, photos, metadata=table)
    assert (added.described, added.unmatched_rows, added.unmatched_example) == (1, 2, "no/a.jpg")
    assert metadata(library)["a.jpg"] == {"kind": f"a{mark}b"}


def test_a_table_that_is_not_utf_8_says_how_to_save_it(library: Library, photos: Path) -> None:
    table = photos / "table.csv"
    table.write_bytes("path,colour\na.jpg,grün\n".encode("cp1252"))
    with pytest.raises(
        UsageError, match=r"not text in UTF-8 \(byte 0xfc\): save it again as UTF-8"
    ):
        index(library, photos, metadata=table)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.jpg.txt", "two cats\n", {"caption": "two cats"}),
        ("a.txt", "\ufefftwo cats", {"caption": "two cats"}),
        ("a.JPG.TXT", "upper", None),
        ("a.jpg.json", '{"kind": "cat", "n": 2}', {"kind": "cat", "n": 2}),
        ("a.json", '{"caption": "two cats"}', {"caption": "two cats"}),
        ("a.txt", "   \n", EMPTY),
    ],
)
def test_sidecar_files_describe_an_image(
    library: Library, photos: Path, name: str, content: str, expected: Mapping[str, Any] | None
) -> None:
    write(photos / name, content)
    added = index(library, photos)
    found = metadata(library).get("a.jpg", EMPTY)
    assert found == (EMPTY if expected is None else expected)
    assert added.sidecars == (expected is not None)
    assert added.broken_sidecars == 0


def test_the_full_name_and_the_text_file_take_precedence(library: Library, photos: Path) -> None:
    write(photos / "a.json", '{"caption": "1", "kind": "1", "only": 1}')
    write(photos / "a.jpg.json", '{"caption": "2", "kind": "2"}')
    write(photos / "a.txt", "3")
    index(library, photos)
    assert metadata(library)["a.jpg"] == {"caption": "3", "kind": "2", "only": 1}
    write(photos / "a.jpg.txt", "4")
    index(library, photos)
    assert metadata(library)["a.jpg"]["caption"] == "4"


def test_a_sidecar_without_image_extension_describes_all_images_of_that_name(
    library: Library, photos: Path
) -> None:
    write(photos / "trip" / "c.txt", "both")
    write(photos / "trip" / "c.png.txt", "only the png")
    index(library, photos)
    found = {path: values["caption"] for path, values in metadata(library).items()}
    assert found == {"trip/c.jpg": "both", "trip/c.png": "only the png"}


def test_a_changed_or_removed_sidecar_is_noticed(library: Library, photos: Path) -> None:
    sidecar = photos / "a.txt"
    write(sidecar, "first")
    assert index(library, photos).sidecars == 1
    again = index(library, photos)
    assert (again.sidecars, again.indexed) == (0, 0)
    write(sidecar, "other")
    again = index(library, photos)
    assert (again.sidecars, again.indexed, again.unchanged) == (1, 0, 4)
    assert metadata(library)["a.jpg"] == {"caption": "other"}
    sidecar.unlink()
    index(library, photos)
    assert metadata(library) == {}


def test_sidecars_move_with_their_image(library: Library, photos: Path) -> None:
    write(photos / "a.txt", "a cat")
    index(library, photos)
    (photos / "a.jpg").rename(photos / "trip" / "z.jpg")
    (photos / "a.txt").rename(photos / "trip" / "z.txt")
    added = index(library, photos)
    assert (added.moved, added.sidecars) == (1, 0)
    assert metadata(library) == {"trip/z.jpg": {"caption": "a cat"}}


def test_globs_remove_no_metadata_of_sidecars(library: Library, photos: Path) -> None:
    write(photos / "a.txt", "a cat")
    index(library, photos)
    index(library, photos, include=("*.jpg",))
    assert metadata(library) == {"a.jpg": {"caption": "a cat"}}
    index(library, photos, sidecars=False)
    assert metadata(library) == {"a.jpg": {"caption": "a cat"}}


def test_sidecars_can_be_ignored(photos: Path) -> None:
    write(photos / "a.txt", "a cat")
    with Library.create(photos) as library:
        assert index(library, photos, sidecars=False).sidecars == 0
        assert metadata(library) == {}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "{", "not JSON"),
        ("a.json", "[1, 2]", "not an object"),
        ("a.json", '{"x": NaN}', "NaN"),
        ("a.json", '{"x": [1e999]}', "too large a number: 1e999"),
        ("a.json", "[" * 100_000, "nested too deep"),
        ("a.txt", b"\xff\xfe\x00c", "not UTF-8"),
        ("a.txt", b"a\x00b", "not a text"),
        ("a.txt", b"a" * (1 << 20) + b"b", "larger than 1 MB"),
    ],
)
def test_broken_sidecars_are_counted_named_and_harmless(
    library: Library, photos: Path, name: str, content: str | bytes, message: str
) -> None:
    write(photos / name, content)
    write(photos / "a.jpg.json", '{"kind": "cat"}')
    added = index(library, photos)
    assert added.broken_sidecars == 1
    [(path, reason)] = added.broken_examples
    assert path.endswith(name)
    assert message in reason
    assert metadata(library)["a.jpg"] == {"kind": "cat"}


@pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")
@pytest.mark.parametrize("name", ["a.txt", "a.jpg.json"])
def test_a_link_cannot_put_a_file_from_elsewhere_into_a_caption(
    library: Library, photos: Path, name: str
) -> None:
    secret = photos.parent / "secret"
    secret.write_text('{"caption": "secret"}')
    (photos / name).symlink_to(secret)
    (photos / "trip" / "words.txt").write_text("on a hill")
    (photos / "trip" / "c.txt").symlink_to("words.txt")
    added = index(library, photos)
    assert [(Path(path).name, why) for path, why in added.broken_examples] == [
        (name, "a link to a file outside the folder")
    ]
    expected = {"caption": "on a hill"}
    assert metadata(library) == {"trip/c.jpg": expected, "trip/c.png": expected}


def test_a_table_overrides_a_sidecar_which_overrides_the_file(photos: Path) -> None:
    tags = Image.Exif()
    tags[0x010E] = "from the file"
    Image.new("RGB", (60, 60), "red").save(photos / "e.jpg", exif=tags)
    with Library.create(photos) as library:
        index(library, photos)
        assert kept(library, "caption = 'from the file'") == ["e.jpg"]
        write(photos / "e.txt", "from the sidecar")
        index(library, photos)
        assert kept(library, "caption is not null") == ["e.jpg"]
        assert kept(library, "caption = 'from the sidecar'") == ["e.jpg"]
        (photos / "t.csv").write_text("path,caption\ne.jpg,from the table\n")
        index(library, photos, metadata=photos / "t.csv")
        assert kept(library, "caption = 'from the table'") == ["e.jpg"]


def test_a_large_folder_of_new_images_with_sidecars_is_described(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for number in range(40):
        draw(photos / f"IMG.{number:04d}.jpg", number, size=16)
        write(photos / f"IMG.{number:04d}.jpg.json", f'{{"n": {number}}}')
    draw(photos / "IMG.jpg", 99)
    write(photos / "IMG.txt", "the first")
    with Library.create(photos) as library:
        assert index(library, photos).sidecars == 41
        assert kept(library, "n between 7 and 8") == ["IMG.0007.jpg", "IMG.0008.jpg"]
        assert kept(library, "caption = 'the first'") == ["IMG.jpg"]


def test_images_and_their_sidecars_are_paired_in_any_byte_order() -> None:
    mixed = (
        "x.avif x.jpg x.jpg.txt x.json x.txt x.webp x.2.jpg x.2.txt x.d/y.jpg x.d/y.jpg.json "
        "y.txt notes .txt z.jpg. z.jpg"
    )
    names = sorted(mixed.split(), key=str.encode)
    pairing = Pairing()
    pairs: dict[str, set[str]] = {}
    for name in names:
        pairs |= {
            p: {f.path for f in files.values()}
            for p, files in pairing.add(name, FoundFile(name, 1, 1, InodeState(1, 1)))
        }
        assert len(pairing._open) <= 3
    pairs |= {p: {f.path for f in files.values()} for p, files in pairing.end()}
    assert pairs == {
        "x.2.jpg": {"x.2.txt"},
        "x.avif": {"x.json", "x.txt"},
        "x.jpg": {"x.json", "x.txt", "x.jpg.txt"},
        "x.webp": {"x.json", "x.txt"},
        "x.d/y.jpg": {"x.d/y.jpg.json"},
    }


def test_images_with_a_note_can_be_listed(library: Library, photos: Path) -> None:
    whole = io.BytesIO()
    Image.new("RGB", (64, 64), (200, 30, 30)).save(whole, "JPEG")
    (photos / "webcam.jpg").write_bytes(whole.getvalue()[:-2])
    assert index(library, photos).failures == 0
    assert kept(library, "note is not null") == ["webcam.jpg"]
    [image] = library.files(below=photos / "webcam.jpg")
    assert image.outcome is Outcome.INDEXED
    assert image.reason == image.facts["note"]
    assert "image is complete" in image.reason
