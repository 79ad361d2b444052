"""`lookalike info`, `failures`, `remove` and `check`."""

import csv
import json
import re
import shlex
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from tests.cli.program_runner import Album, lookalike
from tests.library.image_builders import draw

from lookalike.stores.local.migrations import APPLICATION_ID, MIGRATIONS


@pytest.fixture(scope="module")
def failures(album: Album) -> list[dict[str, str]]:
    run = lookalike("failures", "--format", "json", "--library", "photos", cwd=album.home)
    assert run.returncode == 0, run.stderr
    files: list[dict[str, str]] = json.loads(run.stdout)["files"]
    return files


def test_failures_name_path_outcome_and_reason(failures: list[dict[str, str]]) -> None:
    images = {file["path"]: file for file in failures if file["path"].endswith(".jpg")}
    assert set(images) == {"photos/cut.jpg", "photos/none.jpg"}
    assert images["photos/cut.jpg"]["outcome"] == "truncated"
    assert all(file["reason"] for file in failures)
    assert all(list(file) == ["path", "outcome", "reason"] for file in failures)


def test_all_formats_name_the_same_failures(album: Album, failures: list[dict[str, str]]) -> None:
    def output(*arguments: str) -> str:
        run = lookalike("failures", *arguments, cwd=album.photos)
        assert run.returncode == 0, run.stderr
        return run.stdout

    names = [file["path"].removeprefix("photos/") for file in failures]
    assert [json.loads(line)["path"] for line in output("--format", "jsonl").splitlines()] == names
    assert [row["path"] for row in csv.DictReader(output("--format", "csv").splitlines())] == names
    assert output("--format", "paths").splitlines() == names
    assert output("-0") == "".join(name + "\0" for name in names)
    table = output().splitlines()
    assert len(table) == len(names)
    assert any(line.startswith("truncated      cut.jpg: ") for line in table)


def test_a_command_that_only_reads_migrates_a_library_of_an_older_format(tmp_path: Path) -> None:
    shutil.copytree(Path(__file__).parents[1] / "formats" / "1" / "photos", tmp_path / "photos")
    run = lookalike("search", "photos/red.jpg", "--format", "paths", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert "photos/blue.jpg" in run.stdout


def test_failures_can_be_chosen_by_outcome(album: Album) -> None:
    run = lookalike("failures", "--outcome", "truncated", "--format", "paths", cwd=album.photos)
    assert run.stdout == "cut.jpg\n"
    run = lookalike("failures", "--outcome", "timed_out", cwd=album.photos)
    assert (run.returncode, run.stdout) == (0, "")
    assert run.stderr == "No file has that outcome.\n"


def test_failures_answer_why_a_file_is_not_found(album: Album) -> None:
    run = lookalike("failures", "photos/cut.jpg", "photos/pets", cwd=album.home)
    assert run.returncode == 0, run.stderr
    first, second = run.stdout.splitlines()
    assert first.startswith("truncated      photos/cut.jpg: ")
    assert second == "indexed        photos/pets/cat.jpg"
    run = lookalike("failures", "photos/dog.jpg", "photos/pets", cwd=album.home)
    assert run.returncode == 1
    assert "photos/dog.jpg" in run.stderr
    assert "photos/pets/cat.jpg" in run.stdout


def test_info_shows_folders_images_and_spaces(album: Album) -> None:
    run = lookalike("info", cwd=album.photos)
    assert run.returncode == 0, run.stderr
    assert str(album.photos.resolve()) in run.stdout
    assert "8 images" in run.stdout
    assert "1 truncated" in run.stdout
    rows = [line.split() for line in run.stdout.splitlines()]
    (pixels,) = (row for row in rows if row and row[0] == "pixels")
    assert pixels[2:6] == ["4,096", "cosine", "8", "0.1"]
    assert pixels[6] == "16.39"


def test_info_as_json_is_as_documented(album: Album) -> None:
    run = lookalike("info", "--format", "json", cwd=album.photos)
    info = json.loads(run.stdout)
    assert list(info) == [
        "library", "version", "roots", "exclude", "images", "outcomes", "bytes", "read_only",
        "spaces", "runtime",
    ]  # fmt: skip
    assert info["roots"] == [str(album.photos.resolve())]
    assert info["images"] == 8
    assert info["outcomes"]["truncated"] == 1
    assert info["outcomes"]["skipped"] == 1  # notes.txt
    spaces = {space["extractor"]: space for space in info["spaces"]}
    assert set(spaces) == {"color", "pixels"}
    assert spaces["pixels"]["dim"] == 4096
    assert spaces["pixels"]["vectors"] == 8
    assert spaces["pixels"]["bytes_per_image"] == 4096 * 4 + 8  # and the id


def test_remove_deletes_images_from_the_library_and_leaves_their_files(
    tmp_path: Path, album: Album
) -> None:
    photos = tmp_path / "photos"
    shutil.copytree(album.photos, photos, copy_function=shutil.copy2)
    files = sorted(file for file in photos.iterdir() if file.is_file())
    run = lookalike("remove", "photos/pets", "photos/0.png", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert run.stdout == "Removed 2 images from the library. No file was touched.\n"
    assert sorted(file for file in photos.iterdir() if file.is_file()) == files
    assert (photos / "pets" / "cat.jpg").is_file()
    info = lookalike("info", "--format", "json", cwd=photos)
    assert json.loads(info.stdout)["images"] == 6
    run = lookalike("remove", "photos/pets", cwd=tmp_path)
    assert run.returncode == 2
    assert run.stderr.count("\n") == 1
    assert "photos/pets" in run.stderr


@pytest.mark.parametrize("command", [["info"], ["failures"], ["remove", "a.jpg"]])
def test_without_a_library_the_error_is_one_line(tmp_path: Path, command: list[str]) -> None:
    run = lookalike(*command, cwd=tmp_path)
    assert run.returncode == 2
    assert run.stderr.startswith("Error: there is no library here")
    assert run.stderr.count("\n") == 1


def test_a_tilde_is_expanded_to_the_home_folder(album: Album, tmp_path: Path) -> None:
    (tmp_path / "photos").symlink_to(album.photos)
    home = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    run = lookalike("info", "--library=~/photos", "--format", "json", cwd=tmp_path, env=home)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["images"] == 8


def test_check_finds_damaged_vectors_and_makes_them_again(tmp_path: Path) -> None:
    photos = draw(tmp_path / "photos" / "a.png", 1).parent
    draw(photos / "b.png", 2)
    lookalike("index", "photos", "--extractor", "histogram", cwd=tmp_path)
    run = lookalike("check", cwd=photos)
    assert (run.returncode, run.stdout) == (0, "The library is intact: 2 vectors read.\n")
    [file] = (photos / ".lookalike" / "spaces").glob("histogram-*/vectors-*")
    whole = file.read_bytes()
    file.write_bytes(b"\xff" * 8 + whole[8:])
    run = lookalike("check", cwd=photos)
    (line,) = run.stdout.splitlines()
    assert run.returncode == 3
    assert line.endswith("2 vectors are in blocks that are not what was written, or cannot be read")
    assert "`lookalike check --repair` makes again" in run.stderr
    run = lookalike("check", "--repair", cwd=photos)
    assert run.returncode == 0, run.stderr
    assert "2 vectors are made again from their images" in run.stdout
    assert run.stdout.splitlines()[-1] == "The library is intact: 2 vectors read."
    [file] = (photos / ".lookalike" / "spaces").glob("histogram-*/vectors-*")
    assert file.read_bytes() == whole


def test_remove_takes_images_as_hits_show_them(tmp_path: Path, album: Album) -> None:
    photos = tmp_path / "photos"
    shutil.copytree(album.photos, photos, copy_function=shutil.copy2)
    hits = lookalike("search", "photos/0.png", "--format", "json", "-k", "3", cwd=tmp_path)
    [_, second, third] = [hit["path"] for hit in json.loads(hits.stdout)["hits"]]
    run = lookalike("remove", second, f"{third}", "--library", "photos", cwd=tmp_path)
    assert run.stdout == "Removed 2 images from the library. No file was touched.\n"
    run = lookalike("remove", "id:1", "--library", "photos", cwd=tmp_path)
    assert (run.returncode, run.stdout[:15]) == (0, "Removed 1 image")
    for name in ("id:1", "id:x", "photos/none.png", "..", "."):
        run = lookalike("remove", name, "--library", "photos", cwd=tmp_path)
        assert run.returncode == 2, name
        assert "id:N" in run.stderr


@pytest.mark.parametrize("name", ["img/3.jpg", "id:4", "shop/img/3.jpg"])
def test_imported_images_are_named_as_hits_show_them(tmp_path: Path, name: str) -> None:
    shop = tmp_path / "shop"
    shop.mkdir()
    np.save(shop / "v.npy", np.eye(8, dtype=np.float32))
    (shop / "paths.txt").write_text("".join(f"img/{n}.jpg\n" for n in range(8)))
    paths = ("--paths", "shop/paths.txt", "--library", "shop")
    run = lookalike("import", "shop/v.npy", "--extractor", "v", *paths, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    for command in (["failures", name], ["remove", name]):
        run = lookalike(*command, "--library", "shop", cwd=tmp_path)
        assert run.returncode == 0, run.stderr
    assert run.stdout == "Removed 1 image from the library. No file was touched.\n"
    found = lookalike("search", "id:1", "-e", "v", "--library", "shop", "-k", "9", cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    assert "img/3.jpg" not in found.stdout
    assert lookalike("remove", "img", "--library", "shop", cwd=tmp_path).returncode == 2


def test_a_library_that_was_killed_while_it_was_made_is_called_unfinished(tmp_path: Path) -> None:
    draw(tmp_path / "photos" / "a.png", 1)
    home = tmp_path / "photos" / ".lookalike"
    for steps in (0, 1, 3, len(MIGRATIONS)):
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(mode=0o700)
        (home / "spaces").mkdir()
        connection = sqlite3.connect(home / "catalogue.sqlite", isolation_level=None)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        for number in range(steps):
            MIGRATIONS[number](connection)
            connection.execute(f"PRAGMA user_version = {number + 1}")
        connection.close()
        run = lookalike("check", "--library", "photos", cwd=tmp_path)
        said = run.stdout + run.stderr
        assert "interrupted" in said and "older" not in said
        found = re.search(r"`[^`]*(index [^`]+)`", said)
        assert found is not None
        again = lookalike(*shlex.split(found[1]), "-e", "color", cwd=tmp_path)
        assert again.returncode == 0 and "Indexed 1 image" in again.stdout
        intact = lookalike("check", "--library", "photos", cwd=tmp_path)
        assert intact.stdout == "The library is intact: 1 vector read.\n"


def test_the_commands_in_messages_work_as_they_stand(tmp_path: Path) -> None:
    photos = tmp_path / "some photos"
    for number in range(3):
        draw(photos / f"{number}.png", number)
    assert lookalike("index", photos, "-e", "color", cwd=tmp_path).returncode == 0
    image = photos / "0.png"
    for folder, library in ((tmp_path, ("--library", photos)), (photos, ())):
        for name in ("shape", "dhash+pca2") if folder == photos else ("histogram",):
            failed = lookalike("search", image, "-e", name, *library, cwd=folder)
            assert failed.returncode == 2
            found = re.search(r"`lookalike ([^`]+)`", failed.stderr)
            assert found is not None, failed.stderr
            assert lookalike(*shlex.split(found[1]), cwd=folder).returncode == 0, found[1]
            assert lookalike("search", image, "-e", name, *library, cwd=folder).returncode == 0
    unknown = lookalike("search", image, "-e", "hog", cwd=photos).stderr
    assert "no extractor has that name" in unknown and "`" not in unknown
    nowhere = lookalike("search", image, "--library", "nowhere", cwd=tmp_path).stderr
    assert "there is no folder nowhere" in nowhere
    empty = tmp_path / "an empty folder"
    empty.mkdir()
    assert (
        "index 'an empty folder'" in lookalike("info", "--library", empty.name, cwd=tmp_path).stderr
    )
    again = lookalike("index", cwd=photos)
    assert again.returncode == 0 and "3 unchanged" in again.stdout
    assert lookalike("index", cwd=empty).returncode == 2


def test_export_metadata_lists_writes_and_says_what_cannot_be_written(tmp_path: Path) -> None:
    draw(tmp_path / "a.png", 1)
    draw(tmp_path / "b.png", 2)
    (tmp_path / "b.png.xmp").write_text("<broken")
    (tmp_path / "table.csv").write_text("path,caption\na.png,a boat\nb.png,a tree\n")
    run = lookalike("index", ".", "-e", "histogram", "--metadata", "table.csv", cwd=tmp_path)
    assert "b.png.xmp: not XMP" in run.stderr and "mend or delete" in run.stderr
    run = lookalike("export-metadata", "a.png", "--dry-run", cwd=tmp_path)
    assert (run.returncode, run.stdout) == (0, f"{tmp_path}/a.png.xmp\n")
    assert not (tmp_path / "a.png.xmp").exists()
    run = lookalike("export-metadata", cwd=tmp_path)
    assert (run.returncode, run.stdout) == (1, "Wrote 1 sidecar.\n")
    assert "b.png.xmp: not XMP" in run.stderr
    assert "a boat" in (tmp_path / "a.png.xmp").read_text()
