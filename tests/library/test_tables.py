"""Tables with metadata: their columns, their rows, and the images that these name."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.library.image_builders import draw

from lookalike import IndexOptions, Library
from lookalike.errors import UsageError
from lookalike.indexing.report import IndexReport

NAMES = ("a.jpg", "b.jpg", "c.jpg")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for number, name in enumerate(NAMES):
        draw(folder / name, number, size=16)
    return folder


@pytest.fixture
def library(photos: Path) -> Iterator[Library]:
    with Library.create(photos) as library:
        library.add([photos], extractors=["histogram"], options=IndexOptions(workers=1))
        yield library


def describe(library: Library, table: Any, **options: Any) -> IndexReport:
    [root] = [root.path for root in library.info().roots]
    given = IndexOptions(workers=1, metadata=table, **options)
    return library.add([root], extractors=["histogram"], options=given)


def metadata(library: Library) -> dict[str, Mapping[str, Any]]:
    return {image.path: image.metadata for image in library.files()}


def kept(library: Library, where: str) -> list[str]:
    with library.snapshot() as snapshot:
        return sorted(i.path for i in snapshot.images(snapshot.select(where).tolist()).values())


def column(
    library: Library, photos: Path, cells: list[str], mark: str = ",", **more: list[str]
) -> Any:
    """Return the values that a column `x` of these cells becomes, and the notes about it."""
    rows = [["path", "x", *more]]
    rows += [list(row) for row in zip(NAMES, cells, *more.values(), strict=False)]
    lines = [mark.join(f'"{cell}"' for cell in row) for row in rows]
    (photos / "t.csv").write_text("\n".join(lines) + "\n", "utf-8")
    report = describe(library, photos / "t.csv", replace_metadata=True)
    found = metadata(library)
    values = [found[name].get("x") for name in NAMES[: len(cells)]]
    return values, [note for note in report.table_notes if note.startswith("x ")]


@pytest.mark.parametrize(
    ("cells", "mark", "values", "note"),
    [
        (["1", "2.5", "-3"], ",", [1, 2.5, -3], None),
        (["1,5", "2,75", "10"], ";", [1.5, 2.75, 10], "'1,5' is 1.5"),
        (["€ 1.234,50", "€ 5,00"], ";", [1234.5, 5], "'€ 1.234,50' is 1234.5"),
        (["$1,234.50", "$3", ""], ",", [1234.5, 3, None], "'$1,234.50' is 1234.5"),
        (["12 kr", "7 kr"], ",", [12, 7], "'12 kr' is 12"),
        (["1\u202f234,5", "12 000 000"], "\t", [1234.5, 12_000_000], "'1\u202f234,5' is 1234.5"),
        (["1,234", "5"], ",", [1234, 5], "'1,234' is 1234"),
        (["1,234", "5"], ";", [1.234, 5], "'1,234' is 1.234"),
        (["1.234", "5"], ";", ["1.234", "5"], "which may be 1.234 or 1234"),
        (["1e-05", "-2.5E+3"], ",", [1e-05, -2500], None),
        (["5 €", "5 $"], ",", ["5 €", "5 $"], "row 3 has '5 $', and the rows before are in €"),
        (["1,5", "2.5"], ";", ["1,5", "2.5"], "row 3 has '2.5', with other separators"),
        (["8", "007", "9"], ",", ["8", "007", "9"], "row 3 has '007', with a leading zero"),
        (["1.0e999", "-2.5e400", "3.5"], ",", ["1.0e999", "-2.5e400", "3.5"], None),
        (["1546130668394913823", "1"], ",", [1546130668394913823, 1], None),
        (["5", "n/a", "NaN"], ",", [5, None, None], None),
        (["5", "7", "sold out"], ",", ["5", "7", "sold out"], "text: row 4 has 'sold out'"),
        (["red", "None", "5"], ",", ["red", None, "5"], "text: row 2 has 'red'"),
        (["True", "False", ""], ",", [True, False, None], None),
        (["TRUE", "false", "maybe"], ",", ["TRUE", "false", "maybe"], "text: row 4 has 'maybe'"),
        (["yes", "no"], ",", ["yes", "no"], None),
        (["2024-05-01 08:00", "2024-05-02"], ",", ["2024-05-01T08:00", "2024-05-02"], None),
        (["2024-05-02T09:30:00Z"], ",", ["2024-05-02T09:30:00Z"], None),
        (["2024/5/1", "2024:05:02 10:00:00"], ",", ["2024-05-01", "2024-05-02T10:00:00"], None),
        (["192.168.100.100", "10.0.0.1"], ",", ["192.168.100.100", "10.0.0.1"], None),
        (["=1+1", "1E5"], ",", ["=1+1", "1E5"], None),
        (["12 kg", "7.5kg"], ",", [12, 7.5], "'12 kg' is 12"),
        (["(1,000.50)", "($3)", "4"], ",", ["(1,000.50)", "($3)", "4"], "'($3)', and the rows before"),
        (["(1,000.50)", "-2.5", "4"], ",", [-1000.5, -2.5, 4], "'(1,000.50)' is -1000.5"),
        (["1.200,-", "980,-"], ";", [1200, 980], "'1.200,-' is 1200"),
        (["($3)", "$4"], ",", [-3, 4], "'($3)' is -3"),
        (["(1)", "(4.8)", "(500 ml)"], ",", ["(1)", "(4.8)", "(500 ml)"], None),
        (["1.2.10", "10-20-30"], ",", ["1.2.10", "10-20-30"], None),
        (["05/01/2024", "12/31/2024"], ",", ["05/01/2024", "12/31/2024"], "not the year first"),
        (["2024-05-01 08:00:00+00", "0000-00-00 00:00:00.0"], ",", ["2024-05-01T08:00:00+00:00", None], None),
        (["\\N", "5"], "\t", [None, 5], None),
    ],
)  # fmt: skip
def test_a_column_has_one_type_decided_from_all_of_its_cells(
    library: Library, photos: Path, cells: list[str], mark: str, values: list[Any], note: str | None
) -> None:
    found, notes = column(library, photos, cells, mark)
    assert found == values
    assert list(map(type, found)) == list(map(type, values)) or float in map(type, found)
    if note is not None:
        [said] = notes
        assert note in said


def test_other_columns_tell_the_decimal_separator(library: Library, photos: Path) -> None:
    assert column(library, photos, ["1.234"], ";", y=["0,5"])[0] == [1234]
    assert column(library, photos, ["1.234"], ";", y=["0.5"])[0] == [1.234]
    assert column(library, photos, ["1.234"], ";", y=["0.5"], z=["0,5"])[0] == ["1.234"]


def test_filters_compare_the_typed_values(library: Library, photos: Path) -> None:
    (photos / "t.csv").write_text(
        "path;price;sold;code\na.jpg;1,50 €;True;01\nb.jpg;1.200,00 €;False;2\nc.jpg;;;\n", "utf-8"
    )
    describe(library, photos / "t.csv")
    assert kept(library, "price < 5") == ["a.jpg"]
    assert kept(library, "sold = false and price = 1200") == ["b.jpg"]
    assert kept(library, "code = '01' or code = '2'") == ["a.jpg", "b.jpg"]
    assert kept(library, "price is null and sold is null and code is null") == ["c.jpg"]
    with pytest.raises(UsageError, match="code holds texts, such as '01', not numbers"):
        kept(library, "code = 1")


def test_json_and_data_frames_have_one_type_a_column_too(library: Library, photos: Path) -> None:
    table = photos / "t.jsonl"
    table.write_text(
        '{"path": "a.jpg", "sku": 12, "price": 5}\n{"path": "b.jpg", "sku": "A7", "price": "n/a"}\n'
    )
    report = describe(library, table)
    assert metadata(library)["a.jpg"] == {"sku": "12", "price": 5}
    assert metadata(library)["b.jpg"] == {"sku": "A7", "price": None}
    assert report.table_notes == ("sku is text: line 2 has 'A7', and line 1 has 12",)
    rows = [{"path": "a.jpg", "n": True}, {"path": "b.jpg", "n": "x"}]
    assert describe(library, rows).table_notes == ("n is text: row 2 has 'x', and row 1 has true",)
    assert kept(library, "n = 'true'") == ["a.jpg"]


def test_odd_names_and_texts_of_json_lines(library: Library, photos: Path) -> None:
    (photos / "t.jsonl").write_text('{"path": "b.jpg", "": 1, "\u00e9": "\\ud800"}\n', "utf-8")
    describe(library, photos / "t.jsonl")
    assert metadata(library)["b.jpg"] == {"": 1, "\u00e9": "?"}
    assert kept(library, '"" = 1') == ["b.jpg"]
    assert [hit.path for hit in library.search(sort="e\u0301", k=1)] == ["b.jpg"]


def test_rows_of_one_image_are_joined(library: Library, photos: Path) -> None:
    (photos / "t.csv").write_text(
        "path,caption,id,split\na.jpg,a cat,1,train\nb.jpg,a boat,2,train\n./a.jpg,a red cat,3,train\n"
        "a.jpg,a cat,4,train\n"
    )
    for _ in range(2):  # again, nothing grows
        report = describe(library, photos / "t.csv")
        assert (report.described, report.repeated_rows, report.unmatched_rows) == (2, 2, 0)
        assert metadata(library)["a.jpg"] == {
            "caption": "a cat\na red cat", "id": [1, 3, 4], "split": "train",
        }  # fmt: skip
    assert kept(library, "id = 3 and caption like '%red%'") == ["a.jpg"]
    assert library.search(text="cat").hits[0].path == "a.jpg"


def test_a_second_table_adds_to_the_first_or_replaces_it(library: Library, photos: Path) -> None:
    describe(
        library, [{"path": "a.jpg", "price": 5, "colour": "red"}, {"path": "b.jpg", "price": 7}]
    )
    describe(library, [{"path": "a.jpg", "colour": None, "size": "M", "price": 6}])
    assert metadata(library)["a.jpg"] == {"price": 6, "colour": "red", "size": "M"}
    describe(library, [{"path": "a.jpg", "kind": "mug"}], replace_metadata=True)
    assert metadata(library)["a.jpg"] == {"kind": "mug"}
    assert metadata(library)["b.jpg"] == {"price": 7}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_tables_are_read_as_spreadsheets_write_them(
    library: Library, photos: Path, encoding: str, mark: str
) -> None:
    text = (
        f'"path"{mark} größe {mark}note\r\n\r\na.jpg{mark}5{mark}"two\r\nlines"\r\n{mark}{mark}\r\n'
    )
    data = text.encode(encoding)
    (photos / "t.csv").write_bytes(data if encoding != "utf-16-le" else b"\xff\xfe" + data)
    report = describe(library, photos / "t.csv")
    assert (report.described, report.unmatched_rows) == (1, 0)
    assert metadata(library)["a.jpg"] == {"größe": 5, "note": "two\r\nlines"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,x\na.jpg,1,2\n", "row 2: the number of cells is 3, and the header has 2"),
        ("path,x\na.jpg,1\nb.jpg\n", "row 3: the number of cells is 1, and the header has 2"),
        (
            "path,x\na.jpg,1\nb.jpg," + "y" * 1_100_000 + "\n",
            "row 3: a cell has more than 1,048,576 char",
        ),
        ('path,x\na.jpg,"1\n', "row 2: not a CSV"),
        ("path,x\na.jpg,\0\n", "row 2: has a zero byte: save the table as UTF-8"),
        ("file;x\na.jpg;1\n", "needs a column `path`; it has: file, x .--path-column"),
        ("", "needs a column `path`; it has: none"),
        ("PK\x03\x04", "a workbook of Excel or LibreOffice: save the table as CSV"),
        ("PAR1", "a Parquet file: save the table as CSV"),
    ],
)
def test_a_wrong_row_is_told_before_anything_is_done(
    library: Library, photos: Path, text: str, message: str
) -> None:
    (photos / "t.csv").write_text(text)
    draw(photos / "new.jpg", 7, size=16)
    with pytest.raises(UsageError, match=message):
        describe(library, photos / "t.csv")
    assert set(metadata(library)) == {*NAMES}


def test_long_cells_and_columns_left_out(library: Library, photos: Path) -> None:
    words = "word " * 40_000
    (photos / "t.csv").write_text(f"sep=,\npath,x,,x, y\na.jpg,{words},1,2,3,,\n")
    report = describe(library, photos / "t.csv")
    assert metadata(library)["a.jpg"] == {"x": words, "y": 3}
    assert report.table_notes == (
        "column 3 has no name and is left out",
        "column 4 has the name of another, x, and is left out",
    )


def test_columns_with_line_breaks_are_named_on_one_line(library: Library, photos: Path) -> None:
    (photos / "t.csv").write_text('path,"Price\n(EUR)","Price\n(EUR)"\na.jpg,12,13\nb.jpg,x,\n')
    notes = describe(library, photos / "t.csv").table_notes
    assert len(notes) == 2
    assert all("Price (EUR)" in note for note in notes)
    with pytest.raises(UsageError, match=r"it has: path, Price \(EUR\) \("):
        describe(library, photos / "t.csv", path_column="file")


def test_a_second_table_of_another_type_is_told(library: Library, photos: Path) -> None:
    (photos / "first.csv").write_text("path,size_eu,x\na.jpg,S,1\nb.jpg,M,2\n")
    assert describe(library, photos / "first.csv").table_notes == ()
    (photos / "second.csv").write_text("path,size_eu\nc.jpg,42\n")
    [note] = describe(library, photos / "second.csv").table_notes
    assert "size_eu has numbers in some images and texts in others" in note
    (photos / "third.csv").write_text("path,x\nc.jpg,3\n")  # says nothing of it
    assert describe(library, photos / "third.csv").table_notes == ()


def test_the_column_with_the_paths_may_have_another_name(library: Library, photos: Path) -> None:
    (photos / "t.csv").write_text("Datei;path\na.jpg;x\n")
    assert describe(library, photos / "t.csv", path_column="Datei").described == 1
    assert metadata(library)["a.jpg"] == {"path": "x"}
    (photos / "t.csv").write_text("x;PATH\n5;a.jpg\n")
    assert describe(library, photos / "t.csv").described == 1
    (photos / "t.jsonl").write_text('{"file": "b.jpg", "n": 1}\n')
    assert describe(library, photos / "t.jsonl", path_column="file").described == 1
    assert describe(library, [{"img": photos / "c.jpg", "n": 1}], path_column="img").described == 1


def test_images_are_found_by_all_ways_to_write_their_paths(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "Café Müller")
    folder = tmp_path / "photos"
    names = [f"{decomposed}/ü{number}.jpg" for number in range(7)] + [
        "trip/IMG_1.JPG",
        "trip/x.jpg",
    ]
    for number, name in enumerate(names):
        draw(folder / name, number, size=16)
    (tmp_path / "link").symlink_to(folder)
    composed = [unicodedata.normalize("NFC", name) for name in names]
    rows = [
        composed[0],
        f"./{composed[1]}",
        composed[2].replace("/", "\\"),
        str(folder / names[3]),
        str(folder / composed[4]),
        str(tmp_path / "link" / names[5]),
        f"C:\\Users\\anna\\photos\\{composed[6]}".replace("/", "\\"),
        "trip\\img_1.jpg",
        "trip/../trip//x.jpg ",
        "elsewhere.jpg",
        (folder / composed[6]).as_uri(),
        f"FILE:///C:/anna/photos/{composed[6]}",
        f"file:{composed[6]}#x",
        "file://[x/2.jpg",
        "file:///a%00b.jpg",
    ]
    (folder / "t.csv").write_text(
        "path,n\n" + "".join(f"{r},{n}\n" for n, r in enumerate(rows)), "utf-8"
    )
    with Library.create(folder) as library:
        options = IndexOptions(workers=1, metadata=folder / "t.csv")
        report = library.add([folder], extractors=["histogram"], options=options)
        assert (report.described, report.unmatched_rows, report.repeated_rows) == (9, 4, 2)
        assert report.unmatched_example == "elsewhere.jpg"
        said = [metadata(library)[name]["n"] for name in names]
        assert said == [0, 1, 2, 3, 4, 5, [6, 10, 11], 7, 8]
        for name in (names[0], composed[0]):
            assert [hit.path for hit in library.search(Path(name), k=1)] == [names[0]]
            assert len(list(library.files(below=folder / name))) == 1
        assert library.remove(folder / unicodedata.normalize("NFC", decomposed)) == 7


def test_metadata_of_removed_images_returns_with_their_content(
    library: Library, photos: Path
) -> None:
    (photos / "sub").mkdir()
    for name in NAMES:
        (photos / name).rename(photos / "sub" / name)
    (photos / "copy.jpg").write_bytes((photos / "sub" / "a.jpg").read_bytes())
    describe(library, [{"path": f"sub/{name}", "caption": f"word {name[0]}"} for name in NAMES])
    describe(library, [{"path": "copy.jpg", "caption": "the copy"}])
    before = metadata(library)
    moved = (photos / "sub").rename(photos.parent / "away")
    (photos / "copy.jpg").rename(moved / "copy.jpg")
    draw(photos / "other.jpg", 9, size=16)
    options = IndexOptions(workers=1, prune=True)
    assert library.add([photos], extractors=["histogram"], options=options).removed == 4
    (moved / "copy.jpg").rename(photos / "copy.jpg")
    moved.rename(photos / "sub")
    assert library.add([photos], extractors=["histogram"], options=options).new >= 3
    assert {path: values for path, values in metadata(library).items() if values} == before
    assert library.search(text="b").hits[0].path == "sub/b.jpg"
    library.remove(photos / "sub" / "b.jpg")
    (photos / "sub" / "b.jpg").rename(photos / "new name.jpg")
    library.add([photos], extractors=["histogram"], options=options)
    assert metadata(library)["new name.jpg"] == {"caption": "word b"}


def test_texts_that_no_caption_has_are_searched_by_parts(library: Library, photos: Path) -> None:
    texts = {"a.jpg": "Sommerkleid", "b.jpg": "京都の寺", "c.jpg": "Sommer"}
    describe(library, [{"path": path, "caption": text} for path, text in texts.items()])
    assert [hit.path for hit in library.search(text="sommer")] == ["c.jpg"]
    assert [hit.path for hit in library.search(text="sommerk")] == ["a.jpg"]
    assert [hit.path for hit in library.search(text="東京都")] == ["b.jpg"]
    assert [hit.path for hit in library.search(text="sommer", where="path = 'a.jpg'")] == []
