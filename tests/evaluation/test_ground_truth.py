"""Ground truth: relevant images, and notes of input that cannot be used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lookalike.errors import UsageError
from lookalike.evaluation.collection import Collection
from lookalike.evaluation.ground_truth import Note, truth_by_labels
from lookalike.evaluation.labels import (
    from_folders,
    from_qrels,
    from_table,
    load_ground_truth,
    to_qrels,
)

NAMES = ("cats/1.jpg", "cats/2.jpg", "dogs/1.jpg", "dogs/2.jpg", "alone/1.jpg", "top.jpg")


def collection(folder: Path) -> Collection:
    folders = tuple(name.rpartition("/")[0] for name in NAMES)
    files = tuple(folder / name for name in NAMES)
    return Collection(np.array([2, 3, 5, 7, 11, 13]), NAMES, files, folders)


def texts(notes: tuple[Note, ...]) -> list[str]:
    return [str(note) for note in notes]


def test_images_of_a_label_are_relevant_to_each_other_but_not_to_themselves() -> None:
    found = truth_by_labels(["a", "b", "a", "a", None], list("vwxyz"))
    assert found.names == ("v", "x", "y")
    assert found.relevant(1).rows.tolist() == [0, 3]
    assert texts(found.notes) == [
        "1 image has no label: it is not a query, but may be retrieved: z",
        "1 image is the only one with its label: it is not a query, but may be retrieved: w",
    ]


def test_folders_are_labels_and_images_outside_are_counted(tmp_path: Path) -> None:
    found = from_folders(collection(tmp_path))
    assert found.names == NAMES[:4]
    assert found.relevant(0).rows.tolist() == [1]
    assert [note.count for note in found.notes] == [1, 1]
    assert "top.jpg" in texts(found.notes)[0]
    assert "alone/1.jpg" in texts(found.notes)[1]


def test_a_table_may_name_unindexed_images_and_omit_others(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("path,kind\ncats/1.jpg,x\ndogs/2.jpg,x\ngone.jpg,x\ncats/2.jpg,\n")
    found = load_ground_truth(f"{table}:kind", collection(tmp_path), folder=tmp_path)
    assert found.names == ("cats/1.jpg", "dogs/2.jpg")
    assert found.source == "table.csv, column kind"
    assert texts(found.notes)[0] == "1 row of the table names no indexed image: gone.jpg"
    assert found.notes[1].count == 4


def test_a_table_elsewhere_may_use_the_names_of_the_library(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    table = tmp_path / "far" / "table.csv"
    table.write_text("path,label\ncats/1.jpg,x\ncats/2.jpg,x\n")
    assert from_table(table, collection(tmp_path)).names == NAMES[:2]


def test_a_table_without_any_indexed_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("path,label\nno.jpg,x\nnor.jpg,x\n")
    with pytest.raises(UsageError, match=r"none of the 2 paths .*no.jpg"):
        from_table(tmp_path / "t.csv", collection(tmp_path))


def test_two_labels_for_one_image_are_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("path,label\ncats/1.jpg,x\n./cats/1.jpg,y\n")
    with pytest.raises(UsageError, match="two labels, 'x' and 'y'"):
        from_table(tmp_path / "t.csv", collection(tmp_path))


def test_a_missing_label_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no file"):
        load_ground_truth("labels.csv", collection(tmp_path), folder=tmp_path)


def test_unusable_judgements_are_counted(tmp_path: Path) -> None:
    (tmp_path / "outside.jpg").write_bytes(b"")
    found = from_qrels(
        {
            "cats/1.jpg": {"cats/2.jpg": 2, "gone.jpg": 1, "dogs/1.jpg": 0},
            "nothing.jpg": {"cats/2.jpg": 1},
            "dogs/1.jpg": {"cats/2.jpg": 0},
            "outside.jpg": {"top.jpg": 1},
        },
        collection(tmp_path),
        file=tmp_path / "q",
    )
    assert found.names == ("cats/1.jpg", "outside.jpg")
    assert found.rows.tolist() == [0, -1]
    assert found.files == {1: tmp_path / "outside.jpg"}
    relevant = found.relevant(0)
    assert (relevant.rows.tolist(), relevant.gains.tolist()) == ([1], [2.0])
    assert relevant.absent.tolist() == [1.0]
    assert found.judged is not None
    assert found.judged[0].tolist() == [1, 2]
    assert texts(found.notes) == [
        "1 query is neither an indexed image nor a file beside the judgements: left out: nothing.jpg",
        "1 query has no relevant image: left out: dogs/1.jpg",
        "1 relevant image is not indexed: it counts as not found: gone.jpg",
    ]


def test_judgements_without_a_usable_query_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no query of .* can be evaluated: 1 query has no"):
        from_qrels({"cats/1.jpg": {"top.jpg": 0}}, collection(tmp_path), file=tmp_path / "q")


def test_labels_converted_to_judgements_give_the_same_truth(tmp_path: Path) -> None:
    here = collection(tmp_path)
    labels = from_folders(here)
    again = from_qrels(to_qrels(labels, here), here, file=tmp_path / "q")
    assert again.names == labels.names
    for at in range(len(labels)):
        assert again.relevant(at).rows.tolist() == labels.relevant(at).rows.tolist()


def test_a_subset_of_queries_is_evenly_spaced(tmp_path: Path) -> None:
    found = truth_by_labels(["a"] * 9).subset(3)
    assert found.rows.tolist() == [0, 4, 8]
    assert found.relevant(1).rows.tolist() == [0, 1, 2, 3, 5, 6, 7, 8]


def test_one_label_for_all_images_is_refused(
    tmp_path: Path,
) -> None:
    whole = collection(tmp_path)
    one_label = Collection(whole.ids, whole.names, whole.files, ("all",) * len(NAMES))
    with pytest.raises(
        UsageError, match=r"all 6 images have the same label, 'all', .*first folder"
    ):
        from_folders(one_label)
    table = tmp_path / "t.csv"
    table.write_text("path,label\n" + "".join(f"{name},x\n" for name in NAMES))
    with pytest.raises(UsageError, match=r"the same label, 'x', .*another column of t\.csv"):
        from_table(table, whole)
