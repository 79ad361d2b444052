"""Spare files are moved to a folder or the trash after a check, and come back."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cli.program_runner import process
from tests.duplicates.image_builders import save, scene

from lookalike import Library
from lookalike.duplicates.move_record import digest, undo
from lookalike.errors import UsageError
from lookalike.files import move_file


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Draw an image and copies of it in two folders, one with sidecars."""
    folder = tmp_path / "photos"
    old = save(folder / "a.jpg", scene(1))
    os.utime(old, (1e9, 1e9))
    for name in ("sub/a.jpg", 'inbox/new\nline "q".jpg', "inbox/\udcff.jpg"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(old, folder / name)
    (folder / "sub" / "a.jpg.xmp").write_text("<rating/>")
    (folder / "sub" / "a.txt").write_text("a red fox")
    with Library.create(folder) as library:
        library.add([folder], extractors=["pixels"])
    return folder


@pytest.fixture
def library(photos: Path) -> Iterator[Library]:
    with Library.open(photos) as library:
        yield library


def files(folder: Path) -> set[str]:
    """Return the paths of all files below a folder, without the library's own."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {path.as_posix() for path in found if path.parts[0] != ".lookalike"}


def test_spare_files_move_to_a_folder_and_back(library: Library, photos: Path) -> None:
    before, spare = files(photos), photos.parent / "spare"
    report = library.move_spare(library.duplicates(kind="exact"), spare)
    assert len(report.moved) == 3 and not report.refused
    gone = {"sub/a.jpg", 'inbox/new\nline "q".jpg', "inbox/\udcff.jpg"}
    assert files(spare) == gone | {"sub/a.jpg.xmp", "sub/a.txt"}
    assert files(photos) == {"a.jpg", "a.jpg.xmp", "a.txt"}
    assert report.record
    undone = undo(report.record)
    assert {path.relative_to(photos).as_posix() for path in undone.restored} >= gone
    assert files(photos) == before and not files(spare) and not undone.refused
    assert undo(report.record) == type(undone)((), ())


def test_a_dry_run_moves_nothing(library: Library, photos: Path) -> None:
    before = files(photos)
    report = library.move_spare(library.duplicates(kind="exact"), photos.parent / "x", dry_run=True)
    assert (len(report.moved), report.record) == (3, None)
    assert files(photos) == before and not (photos.parent / "x").exists()


def test_captions_stay_with_the_image_that_is_kept(library: Library, photos: Path) -> None:
    library.move_spare(library.duplicates(kind="exact"), photos.parent / "spare")
    [kept] = [image for image in library.files() if image.path == "a.jpg"]
    assert kept.metadata["caption"] == "a red fox"


def test_nothing_is_overwritten(library: Library, photos: Path) -> None:
    spare = photos.parent / "spare"
    (spare / "sub").mkdir(parents=True)
    (spare / "sub" / "a.jpg").write_text("mine")
    report = library.move_spare(library.duplicates(kind="exact"), spare)
    assert (spare / "sub" / "a.jpg").read_text() == "mine"
    gone = {"sub/a.jpg", "sub/a (2).jpg", "sub/a (2).jpg.xmp", "sub/a (2).txt"}
    assert {name for name in files(spare) if name.startswith("sub/")} == gone
    assert report.record
    (photos / "sub" / "a.jpg").write_text("another")
    undone = undo(report.record)
    assert [path.name for path, _ in undone.refused] == ["a.jpg"]
    assert "not overwritten" in undone.refused[0][1]
    assert (photos / "sub" / "a.jpg").read_text() == "another"
    assert (spare / "sub" / "a (2).jpg").is_file()


def remove_kept(photos: Path) -> None:
    (photos / "a.jpg").unlink()


def change_kept(photos: Path) -> None:
    state = (photos / "a.jpg").stat()
    (photos / "a.jpg").write_bytes(b"x" * state.st_size)
    os.utime(photos / "a.jpg", ns=(state.st_atime_ns, state.st_mtime_ns))


def link_all_to_kept(photos: Path) -> None:
    for path in [photos / "sub" / "a.jpg", *(photos / "inbox").iterdir()]:
        path.unlink()
        os.link(photos / "a.jpg", path)


def link_folders(photos: Path) -> None:
    for name in ("sub", "inbox"):
        (photos / name).rename(photos.parent / name)
        (photos / name).symlink_to(photos.parent / name, target_is_directory=True)


def change_spare(photos: Path) -> None:
    for path in [photos / "sub" / "a.jpg", *(photos / "inbox").iterdir()]:
        path.write_bytes(path.read_bytes() + b"x")


@pytest.mark.parametrize(
    ("meanwhile", "reason"),
    [
        (remove_kept, "cannot be read"),
        (change_kept, "has changed"),
        (link_all_to_kept, "same file"),
        (link_folders, "symbolic link"),
        (change_spare, "changed since it was indexed"),
    ],
)
def test_what_changed_after_the_search_stays(
    library: Library, photos: Path, meanwhile: Callable[[Path], None], reason: str
) -> None:
    found = library.duplicates(kind="exact")
    meanwhile(photos)
    before = files(photos)
    report = library.move_spare(found, photos.parent / "spare")
    assert not report.moved and len(report.refused) == 3
    assert all(reason in file.refused for file in report.refused)
    assert files(photos) == before


def test_the_image_with_a_raw_file_is_kept(library: Library, photos: Path) -> None:
    (photos / "sub" / "a.CR2").write_bytes(b"raw")
    report = library.move_spare(library.duplicates(kind="exact"), photos.parent / "spare")
    assert {file.kept for file in report.moved} == {photos / "sub" / "a.jpg"}


def test_a_sidecar_keeps_its_name_if_the_image_does(library: Library, photos: Path) -> None:
    (photos / "sub" / "A.XMP").write_text("<rating/>")
    library.move_spare(library.duplicates(kind="exact"), photos.parent / "spare")
    assert "sub/A.XMP" in files(photos.parent / "spare") and "A.XMP" in files(photos)


def test_the_sidecar_of_a_raw_file_goes_where_the_raw_file_goes(
    library: Library, photos: Path
) -> None:
    for folder in (photos, photos / "sub"):
        (folder / "a.CR2").write_bytes(b"raw")
    (photos / "sub" / "a.CR2.xmp").write_text("<rating/>")
    library.move_spare(library.duplicates(kind="exact"), photos.parent / "spare")
    assert {"a.CR2", "a.CR2.xmp", "a.jpg.xmp"} <= files(photos)
    assert {"sub/a.CR2", "sub/a.CR2.xmp"} <= files(photos.parent / "spare")


def test_a_video_keeps_its_image(library: Library, photos: Path) -> None:
    (photos / "sub" / "a.mov").write_bytes(b"video")
    report = library.move_spare(library.duplicates(kind="exact"), photos.parent / "spare")
    assert [file.path for file in report.refused] == [photos / "sub" / "a.jpg"]
    (photos / "a.mov").write_bytes(b"video")
    again = library.move_spare(library.duplicates(kind="exact"), photos.parent / "spare")
    assert [file.path for file in again.moved] == [photos / "sub" / "a.jpg"]
    assert not (photos / "sub" / "a.mov").exists()


def test_a_record_that_ends_in_the_middle_is_undone(library: Library, photos: Path) -> None:
    before = files(photos)
    report = library.move_spare(library.duplicates(kind="exact"), photos.parent / "spare")
    assert report.record
    lines = report.record.read_bytes().splitlines(keepends=True)
    report.record.write_bytes(b"".join(lines[:-1]) + lines[-1][:4])
    undo(report.record)
    assert files(photos) == before


def test_a_moved_file_that_changed_stays_where_it_is(library: Library, photos: Path) -> None:
    report = library.move_spare(library.duplicates(kind="exact"), photos.parent / "spare")
    changed = photos.parent / "spare" / "sub" / "a.jpg"
    changed.write_text("edited")
    assert report.record
    undone = undo(report.record)
    assert [reason for _, reason in undone.refused] == [f"the file in {changed} has changed since"]
    assert changed.read_text() == "edited"


@pytest.mark.parametrize("content", ["", "{}", "no record\n", json.dumps({"format": "other"})])
def test_another_file_is_no_record(tmp_path: Path, content: str) -> None:
    file = tmp_path / "record"
    file.write_text(content)
    with pytest.raises(UsageError, match="not a record"):
        undo(file)


def test_a_record_of_a_stranger_moves_only_images_and_deletes_no_last_file(
    library: Library, photos: Path
) -> None:
    script, outside = photos.parent / "script", photos.parent / "note.txt"
    script.write_text("#!/bin/sh\n")
    outside.write_text("mine")
    steps = [
        ("move", photos.parent / "home/.profile", script),
        ("copy", photos / "gone.txt", outside),
        ("copy", outside, outside),
    ]
    record = photos.parent / "record.jsonl"

    def write(*steps: tuple[str, object, object, object]) -> None:
        lines: list[object] = [{"format": "lookalike moved files 1"}]
        for number, (action, source, target, sha256) in enumerate(steps, start=1):
            step = {"step": number, "action": action, "from": source, "to": target}
            lines.append(step | {"sha256": sha256})
        record.write_text("".join(json.dumps(line) + "\n" for line in lines))

    write(*((how, str(one), str(other), digest(other)) for how, one, other in steps))
    undone = undo(record)
    assert not undone.restored and len(undone.refused) == 3
    assert script.exists() and outside.exists() and not (photos.parent / "home").exists()
    for name in ("relative.jpg", "/a\0b", 7, ""):
        write(("move", name, str(script), digest(script)))
        with pytest.raises(UsageError, match="not a record"):
            undo(record)


def test_the_program_moves_to_the_trash_and_back(photos: Path) -> None:
    before = files(photos)
    env = {"XDG_DATA_HOME": str(photos.parent / "data")}
    moved = process("duplicates", "--kind", "exact", "--trash", cwd=photos, env=env)
    assert moved.returncode == 0, moved.stderr
    assert files(photos) == {"a.jpg", "a.jpg.xmp", "a.txt"}
    [record] = (photos / ".lookalike" / "moved").iterdir()
    back = process("duplicates", "--undo", record, cwd=photos, env=env)
    assert back.returncode == 0, back.stderr
    assert files(photos) == before
    assert process("duplicates", "--undo", record, cwd=photos, env=env).returncode == 1


def test_a_file_moves_to_another_device(tmp_path: Path) -> None:
    own = tmp_path.stat().st_dev
    folders = (Path("/dev/shm"), Path("/var/tmp"))
    other = next((one for one in folders if one.is_dir() and one.stat().st_dev != own), None)
    if other is None:
        pytest.skip("needs a second device")
    target = other / f"lookalike-{os.getpid()}"
    source = tmp_path / "a"
    source.write_text("content")
    try:
        move_file(source, target)
        assert target.read_text() == "content" and not source.exists()
        source.write_text("second")
        with pytest.raises(FileExistsError):
            move_file(source, target)
        assert target.read_text() == "content" and source.read_text() == "second"
    finally:
        target.unlink()
