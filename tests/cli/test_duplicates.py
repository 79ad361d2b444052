"""`lookalike duplicates`, `similar-groups`, and `feedback`."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from tests.cli.program_runner import lookalike
from tests.duplicates.image_builders import save, scene

from lookalike import Library


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for number in range(3):
        save(tmp_path / "photos" / f"{number}.png", scene(number))
    save(tmp_path / "photos" / "saved again.jpg", scene(0), quality=60)
    with Library.create(tmp_path / "photos") as library:
        library.add([tmp_path / "photos"])
    return tmp_path


def test_the_table_lists_each_group_and_the_image_to_keep(home: Path) -> None:
    run = lookalike("duplicates", cwd=home / "photos")
    assert run.returncode == 0
    lines = run.stdout.splitlines()
    assert lines[0].split() == ["group", "pixels", "size", "path", "why"]
    assert lines[1].split()[:3] == ["1", "keep", "240×180"] and "0.png" in lines[1]
    assert lines[1].endswith("lossless")
    assert "saved again.jpg" in lines[2] and "copy" in lines[2]
    assert len(lines) == 3


def test_all_formats_list_the_same_group(home: Path) -> None:
    def run(*arguments: str) -> str:
        return lookalike("duplicates", *arguments, cwd=home / "photos").stdout

    document = json.loads(run("--format", "json"))
    [group] = document["groups"]
    assert [image["path"] for image in group["members"]] == ["0.png", "saved again.jpg"]
    assert [image["keep"] for image in group["members"]] == [True, False]
    assert group["reclaimable_bytes"] == (home / "photos" / "saved again.jpg").stat().st_size
    assert json.loads(run("--format", "jsonl")) == group
    rows = list(csv.DictReader(io.StringIO(run("--format", "csv"))))
    assert [(row["group"], row["path"]) for row in rows] == [
        ("1", "0.png"),
        ("1", "saved again.jpg"),
    ]
    assert run("-0") == "saved again.jpg\0"


def test_nothing_found_is_exit_1(home: Path) -> None:
    run = lookalike("duplicates", "--kind", "exact", cwd=home / "photos")
    assert (run.returncode, run.stdout) == (1, "")
    assert "No duplicates found." in run.stderr


def test_feedback_is_added_listed_exported_and_removed(home: Path) -> None:
    photos = home / "photos"
    judgement = ("not-duplicate", "0.png", "saved again.jpg")
    added = lookalike("feedback", "add", *judgement, cwd=photos)
    assert (added.returncode, added.stdout) == (0, "Added 1 judgement.\n")
    assert lookalike("duplicates", cwd=photos).returncode == 1
    assert "not-duplicate" in lookalike("feedback", "list", cwd=photos).stdout
    exported = lookalike("feedback", "export", "-o", "feedback.jsonl", cwd=photos)
    assert exported.returncode == 0
    removed = lookalike("feedback", "remove", *judgement, cwd=photos)
    assert removed.stdout == "Removed 1 judgement.\n"
    assert lookalike("feedback", "remove", *judgement, cwd=photos).returncode == 1
    assert lookalike("feedback", "list", cwd=photos).returncode == 1
    imported = lookalike("feedback", "import", "feedback.jsonl", cwd=photos)
    assert imported.stdout == "Added 1 new judgement.\n"
    assert lookalike("duplicates", cwd=photos).returncode == 1


def test_feedback_on_a_missing_file_is_refused_in_one_line(home: Path) -> None:
    run = lookalike("feedback", "add", "keep", "nowhere.png", cwd=home / "photos")
    assert run.returncode == 2
    assert run.stderr.count("\n") == 1 and "nowhere.png is not a file" in run.stderr


def test_similar_groups_are_looser(home: Path) -> None:
    run = lookalike("similar-groups", "--min-similarity", "-1", cwd=home / "photos")
    assert run.returncode == 0
    assert len(run.stdout.splitlines()) == 5
    alone = lookalike("similar-groups", "--min-similarity", "1.1", cwd=home / "photos")
    assert alone.returncode == 1


def test_folders_with_images_in_common_are_listed(home: Path) -> None:
    photos = home / "photos"
    for number in (0, 1):
        save(photos / "again" / f"{number}.png", scene(number))
    save(photos / "again" / "else" / "9.png", scene(9))
    assert lookalike("index", ".", cwd=photos).returncode == 0
    run = lookalike("duplicates", "--folders", "--format", "json", cwd=photos)
    assert json.loads(run.stdout)["folders"] == [
        {
            "folder": "again",
            "other": ".",
            "shared": 2,
            "images": 2,
            "other_images": 4,
            "share": 1.0,
        }
    ]
    table = lookalike("duplicates", "--folders", cwd=photos).stdout.splitlines()
    assert table[1].split()[:5] == ["100%", "2", "of", "2", "again"]
    assert lookalike("duplicates", "--folders", "-0", cwd=photos).returncode == 2


def test_options_that_do_not_fit_are_refused_in_one_line(home: Path) -> None:
    for options in (
        ("--trash", "--move-to", "x"),
        ("--dry-run",),
        ("--record", "x"),
        ("--undo", "nowhere"),
        ("--move-to", "0.png"),
        ("--trash", "--folders"),
        ("again", "--against", "nowhere"),
    ):
        run = lookalike("duplicates", *options, cwd=home / "photos")
        assert run.returncode == 2, options
        assert run.stderr.strip().count("\n") <= 2
