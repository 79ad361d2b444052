"""Labelled folders: manifests and subfolders."""

from __future__ import annotations

from pathlib import Path

import pytest

from lookalike.errors import UsageError
from lookalike.evaluation.labels import (
    LabelledImage,
    read_folders,
    read_labelled,
    read_manifest,
)


def test_a_manifest_gives_paths_labels_and_other_columns_in_order(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("path,label,split\nb/2.jpg,cat,train\na/1.jpg,dog,\n")
    rows = list(read_manifest(tmp_path / "manifest.csv"))
    assert [(r.path, r.label) for r in rows] == [
        (tmp_path / "b/2.jpg", "cat"),
        (tmp_path / "a/1.jpg", "dog"),
    ]
    assert [dict(r.others) for r in rows] == [{"split": "train"}, {}]


def test_another_column_can_be_the_label(tmp_path: Path) -> None:
    (tmp_path / "products.csv").write_text("path,kind,product\nm/1.jpg,mug,p1\n")
    (row,) = read_manifest(tmp_path / "products.csv", label="product")
    assert row.label == "p1"
    assert row.others == {"kind": "mug"}


def test_a_semicolon_table_is_read_and_a_wrong_encoding_is_named(
    tmp_path: Path,
) -> None:
    table = tmp_path / "manifest.csv"
    table.write_text("path;label\na,1.jpg;grün\n", encoding="utf-8")
    assert [(r.path.name, r.label) for r in read_manifest(table)] == [("a,1.jpg", "grün")]
    table.write_text("path;label\na,1.jpg;grün\n", encoding="cp1252")
    with pytest.raises(UsageError, match=r"not text in UTF-8 \(byte 0xfc\)"):
        list(read_manifest(table))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("file,label\na.jpg,cat\n", "no column 'path'"),
        ("path,class\na.jpg,cat\n", "no column 'label'"),
        ("", "no column 'path'; its first line has: nothing"),
        ("path,label\na.jpg,cat\nb.jpg,\n", "line 3"),
        ("path,label\na.jpg\n", "line 2"),
    ],
)
def test_an_invalid_manifest_is_refused_with_its_name_and_cause(
    tmp_path: Path, text: str, complaint: str
) -> None:
    table = tmp_path / "manifest.csv"
    table.write_text(text)
    with pytest.raises(UsageError, match=complaint) as refusal:
        list(read_manifest(table))
    assert str(table) in str(refusal.value)


def test_a_missing_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such table"):
        list(read_manifest(tmp_path / "manifest.csv"))


def test_folders_give_their_names_as_labels(tmp_path: Path) -> None:
    for name in ("dog/2.png", "cat/deep/1.JPG", "cat/notes.txt", ".hidden/3.jpg", "cat/.4.jpg"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (tmp_path / "loose.jpg").touch()
    assert list(read_folders(tmp_path)) == [
        LabelledImage(tmp_path / "cat/deep/1.JPG", "cat"),
        LabelledImage(tmp_path / "dog/2.png", "dog"),
    ]


def test_folders_without_images_are_refused(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    with pytest.raises(UsageError, match="no images"):
        list(read_folders(tmp_path))
    with pytest.raises(UsageError, match="no such folder"):
        list(read_folders(tmp_path / "nowhere"))


def test_a_manifest_takes_precedence_over_folders(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat/1.jpg").touch()
    assert [r.label for r in read_labelled(tmp_path)] == ["cat"]
    (tmp_path / "manifest.csv").write_text("path,label\ncat/1.jpg,tabby\n")
    assert [r.label for r in read_labelled(tmp_path)] == ["tabby"]
