"""Ground truth: what is relevant, and what is counted because it cannot be used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lookalike.errors import UsageError
from lookalike.evaluation.collection import Collection
from lookalike.evaluation.ground_truth import Note, by_labels
from lookalike.evaluation.labels import as_qrels, from_folders, from_qrels, from_table, truth

NAMES = ("cats/1.jpg", "cats/2.jpg", "dogs/1.jpg", "dogs/2.jpg", "alone/1.jpg", "top.jpg")


def pictures(folder: Path) -> Collection:
    below = tuple(name.rpartition("/")[0] for name in NAMES)
    files = tuple(folder / name for name in NAMES)
    return Collection(np.array([2, 3, 5, 7, 11, 13]), NAMES, files, below)


def said(notes: tuple[Note, ...]) -> list[str]:
    return [str(note) for note in notes]


def test_pictures_of_a_label_are_relevant_to_each_other_but_not_to_themselves() -> None:
    found = by_labels(["a", "b", "a", "a", None], list("vwxyz"))
    assert found.names == ("v", "x", "y")
    assert found.relevant(1).rows.tolist() == [0, 3]
    assert said(found.notes) == [
        "1 picture has no label: it asks nothing, but may be found: z",
        "1 picture is the only one of its label: it asks nothing, but may be found: w",
    ]


def test_folders_are_labels_and_what_lies_in_none_is_counted(tmp_path: Path) -> None:
    found = from_folders(pictures(tmp_path))
    assert found.names == NAMES[:4]
    assert found.relevant(0).rows.tolist() == [1]
    assert [note.count for note in found.notes] == [1, 1]
    assert "top.jpg" in said(found.notes)[0]
    assert "alone/1.jpg" in said(found.notes)[1]


def test_a_table_may_name_pictures_that_are_not_indexed_and_leave_some_out(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("path,kind\ncats/1.jpg,x\ndogs/2.jpg,x\ngone.jpg,x\ncats/2.jpg,\n")
    found = truth(f"{table}:kind", pictures(tmp_path), folder=tmp_path)
    assert found.names == ("cats/1.jpg", "dogs/2.jpg")
    assert found.source == "table.csv, column kind"
    assert said(found.notes)[0] == "1 row of the table names no indexed picture: gone.jpg"
    assert found.notes[1].count == 4


def test_a_table_elsewhere_may_use_the_names_of_the_library(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    table = tmp_path / "far" / "table.csv"
    table.write_text("path,label\ncats/1.jpg,x\ncats/2.jpg,x\n")
    assert from_table(table, pictures(tmp_path)).names == NAMES[:2]


def test_a_table_without_any_indexed_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("path,label\nno.jpg,x\nnor.jpg,x\n")
    with pytest.raises(UsageError, match=r"none of the 2 paths .*no.jpg"):
        from_table(tmp_path / "t.csv", pictures(tmp_path))


def test_two_labels_for_one_picture_are_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("path,label\ncats/1.jpg,x\n./cats/1.jpg,y\n")
    with pytest.raises(UsageError, match="two labels, 'x' and 'y'"):
        from_table(tmp_path / "t.csv", pictures(tmp_path))


def test_labels_that_are_nowhere_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no file"):
        truth("labels.csv", pictures(tmp_path), folder=tmp_path)


def test_judgements_count_what_they_cannot_use(tmp_path: Path) -> None:
    (tmp_path / "outside.jpg").write_bytes(b"")
    found = from_qrels(
        {
            "cats/1.jpg": {"cats/2.jpg": 2, "gone.jpg": 1, "dogs/1.jpg": 0},
            "nothing.jpg": {"cats/2.jpg": 1},
            "dogs/1.jpg": {"cats/2.jpg": 0},
            "outside.jpg": {"top.jpg": 1},
        },
        pictures(tmp_path),
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
    assert said(found.notes) == [
        "1 question is no indexed picture and no file beside the judgements: left out: nothing.jpg",
        "1 question has no relevant picture: left out: dogs/1.jpg",
        "1 relevant picture is not indexed: it counts as not found: gone.jpg",
    ]


def test_judgements_without_any_question_that_can_be_asked_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no question of .* can be judged: 1 question has no"):
        from_qrels({"cats/1.jpg": {"top.jpg": 0}}, pictures(tmp_path), file=tmp_path / "q")


def test_labels_become_judgements_and_these_the_same_truth(tmp_path: Path) -> None:
    here = pictures(tmp_path)
    labels = from_folders(here)
    again = from_qrels(as_qrels(labels, here), here, file=tmp_path / "q")
    assert again.names == labels.names
    for at in range(len(labels)):
        assert again.relevant(at).rows.tolist() == labels.relevant(at).rows.tolist()


def test_some_questions_are_spread_evenly(tmp_path: Path) -> None:
    found = by_labels(["a"] * 9).some(3)
    assert found.rows.tolist() == [0, 4, 8]
    assert found.relevant(1).rows.tolist() == [0, 1, 2, 3, 5, 6, 7, 8]


def test_one_label_for_all_pictures_is_refused_because_every_ranking_is_right(
    tmp_path: Path,
) -> None:
    whole = pictures(tmp_path)
    alike = Collection(whole.ids, whole.names, whole.files, ("all",) * len(NAMES))
    with pytest.raises(
        UsageError, match=r"all 6 pictures have the same label, 'all', .*first folder"
    ):
        from_folders(alike)
    table = tmp_path / "t.csv"
    table.write_text("path,label\n" + "".join(f"{name},x\n" for name in NAMES))
    with pytest.raises(UsageError, match=r"the same label, 'x', .*another column of t\.csv"):
        from_table(table, whole)
