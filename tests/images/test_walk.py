"""Files are found in order, through links, and filtered by globs."""

from __future__ import annotations

import os
import sys
import tracemalloc
from pathlib import Path

import pytest

from lookalike.errors import UsageError
from lookalike.images.reading import inode_of
from lookalike.images.walk import DANGLING, FoundFile, count_files, find_files

posix = pytest.mark.skipif(sys.platform == "win32", reason="links and odd names are POSIX")

NO_PERMISSION = "no permission to read it; change its permissions, or leave it out with --exclude"


def grow(root: Path, *names: str) -> None:
    """Make files with these relative paths."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def paths(root: Path, **options: object) -> list[str]:
    """Return the relative paths that `find_files` yields, with "/"."""
    found = find_files([root], **options)  # type: ignore[arg-type]
    return [Path(one.path).relative_to(root).as_posix() for one in found]


def test_files_come_in_the_byte_order_of_their_relative_paths(tmp_path: Path) -> None:
    names = ["a/z.jpg", "a.jpg", "a-b/c.jpg", "B.jpg", "b.jpg", "ä.jpg", "a/b/c.png", "a/b.png"]
    grow(tmp_path, *names)
    assert paths(tmp_path) == sorted(names, key=os.fsencode)


def test_every_regular_file_is_found_whatever_its_name(tmp_path: Path) -> None:
    grow(tmp_path, "letter.txt", "noending", "photo.JPG")
    assert paths(tmp_path) == ["letter.txt", "noending", "photo.JPG"]


def test_size_and_time_are_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"12345")
    os.utime(tmp_path / "a.jpg", ns=(7_000_000_001, 9_000_000_002))
    expected = FoundFile(
        str(tmp_path / "a.jpg"), 5, 9_000_000_002, inode_of((tmp_path / "a.jpg").stat())
    )
    assert list(find_files([tmp_path])) == [expected]


def test_hidden_files_and_folders_are_skipped(tmp_path: Path) -> None:
    grow(tmp_path, ".a.jpg", ".lookalike/catalogue.sqlite", "sub/.thumbs/t.jpg", "sub/a.jpg")
    assert paths(tmp_path) == ["sub/a.jpg"]


def test_a_source_that_is_hidden_itself_is_entered(tmp_path: Path) -> None:
    grow(tmp_path / ".photos", "a.jpg")
    assert paths(tmp_path / ".photos") == ["a.jpg"]


def test_a_source_that_is_a_file_is_found_whatever_the_globs_say(tmp_path: Path) -> None:
    grow(tmp_path, "a.jpg")
    assert [f.path for f in find_files([tmp_path / "a.jpg"], include=["*.png"])] == [
        str(tmp_path / "a.jpg")
    ]


def test_a_missing_source_is_named_before_anything_is_found(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere"):
        find_files([tmp_path, tmp_path / "nowhere"])


def test_an_empty_folder_has_no_files(tmp_path: Path) -> None:
    assert paths(tmp_path) == []


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (["*.jpg"], [], ["2019/a.JPG", "2019/thumbs/b.jpg", "c.jpg"]),
        (["2019/*"], [], ["2019/a.JPG", "2019/d.png"]),
        (["2019/**"], [], ["2019/a.JPG", "2019/d.png", "2019/thumbs/b.jpg"]),
        (["**/thumbs/*"], [], ["2019/thumbs/b.jpg"]),
        ([], ["thumbs"], ["2019/a.JPG", "2019/d.png", "c.jpg"]),
        ([], ["**/thumbs/**"], ["2019/a.JPG", "2019/d.png", "c.jpg"]),
        ([], ["2019"], ["c.jpg"]),
        (["*.jpg"], ["C.*"], ["2019/a.JPG", "2019/thumbs/b.jpg"]),
        (["[ac].jpg"], [], ["2019/a.JPG", "c.jpg"]),
        (["[!ac].jpg"], [], ["2019/thumbs/b.jpg"]),
        (["?.png"], [], ["2019/d.png"]),
    ],
)
def test_globs_filter_files_and_folders(
    tmp_path: Path, include: list[str], exclude: list[str], expected: list[str]
) -> None:
    grow(tmp_path, "2019/a.JPG", "2019/thumbs/b.jpg", "2019/d.png", "c.jpg")
    assert paths(tmp_path, include=include, exclude=exclude) == expected


@posix
def test_an_excluded_folder_is_not_entered(tmp_path: Path) -> None:
    grow(tmp_path, "closed/a.jpg", "open/b.jpg")
    errors: list[str] = []
    (tmp_path / "closed" / "loop").symlink_to("loop")
    found = paths(
        tmp_path, exclude=["closed/**"], on_error=lambda path, reason: errors.append(path)
    )
    assert found == ["open/b.jpg"]
    assert errors == []


def test_a_folder_to_skip_is_not_entered(tmp_path: Path) -> None:
    grow(tmp_path, "library/vectors.f32", "a.jpg")
    assert paths(tmp_path, skip=[tmp_path / "library"]) == ["a.jpg"]


@posix
def test_links_to_files_and_folders_are_followed(tmp_path: Path) -> None:
    grow(tmp_path, "real/a.jpg")
    grow(tmp_path / "elsewhere", "b.jpg")
    (tmp_path / "real" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "real" / "c.jpg").symlink_to(tmp_path / "real" / "a.jpg")
    assert paths(tmp_path / "real") == ["a.jpg", "c.jpg", "link/b.jpg"]


@posix
def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    grow(tmp_path, "a/x.jpg")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "self").symlink_to("self")
    errors: list[str] = []
    found = paths(tmp_path, on_error=lambda path, reason: errors.append(Path(path).name))
    assert found == ["a/x.jpg"]
    assert errors == ["self"]


@posix
def test_folders_that_all_link_to_each_other_do_not_multiply(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "abcdef"]
    for folder in folders:
        grow(folder, "x.jpg")
        for other in folders:
            (folder / f"to-{other.name}").symlink_to(other)
    # Each of the 6 folders by itself, and below each of its 6 links each folder at most once;
    # following every way without a loop would find 6 + 6 * 5 + … = 1956.
    assert 6 <= len(paths(tmp_path)) <= 6 + 36 * 6


@posix
def test_a_link_that_points_to_nothing_is_reported_and_skipped(tmp_path: Path) -> None:
    grow(tmp_path, "a.jpg")
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nothing.jpg")
    errors: list[tuple[str, str]] = []
    found = paths(tmp_path, on_error=lambda path, reason: errors.append((path, reason)))
    assert found == ["a.jpg"]
    assert errors == [(str(tmp_path / "gone.jpg"), DANGLING)]


@posix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may read all")
def test_a_folder_without_permission_is_reported_and_skipped(tmp_path: Path) -> None:
    grow(tmp_path, "closed/a.jpg", "open/b.jpg")
    (tmp_path / "closed").chmod(0)
    errors: list[tuple[str, str]] = []
    try:
        found = paths(tmp_path, on_error=lambda path, reason: errors.append((path, reason)))
    finally:
        (tmp_path / "closed").chmod(0o700)
    assert found == ["open/b.jpg"]
    assert errors == [(str(tmp_path / "closed"), NO_PERMISSION)]


@posix
def test_a_folder_that_cannot_be_listed_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grow(tmp_path, "closed/a.jpg", "open/b.jpg")
    real = os.scandir

    def scandir(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    errors: list[tuple[str, str]] = []
    found = paths(tmp_path, on_error=lambda path, reason: errors.append((path, reason)))
    assert found == ["open/b.jpg"]
    assert errors == [(str(tmp_path / "closed"), NO_PERMISSION)]


@posix
def test_pipes_are_not_files(tmp_path: Path) -> None:
    grow(tmp_path, "a.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    assert paths(tmp_path) == ["a.jpg"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_that_are_not_utf8_are_kept(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/caf\xe9.jpg"
    Path(os.fsdecode(raw)).write_bytes(b"x")
    (found,) = find_files([tmp_path])
    assert os.fsencode(found.path) == raw


def test_a_large_folder_is_sorted_with_files_and_folders_mixed(tmp_path: Path) -> None:
    names = [f"{number * 7919 % 100:03}{'x' * (number % 5)}.jpg" for number in range(100)]
    names += ["folder/inside.jpg", "005/inside.jpg"]
    grow(tmp_path, *names)
    assert paths(tmp_path) == sorted(names, key=os.fsencode)


def test_a_further_file_in_a_folder_costs_less_than_120_bytes_of_memory(tmp_path: Path) -> None:
    def peak(folder: Path, files: int) -> int:
        folder.mkdir()
        for number in range(files):
            (folder / f"{number:08}.jpg").touch()
        tracemalloc.start()
        assert sum(1 for _ in find_files([folder])) == files
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    few, many = peak(tmp_path / "few", 500), peak(tmp_path / "many", 1500)
    assert many - few < 120 * 1000


def test_folders_may_nest_deeper_than_python_recurses(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * 600)
    deep.mkdir(parents=True)
    (deep / "a.jpg").touch()
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(400)
    try:
        found = list(find_files([tmp_path]))
    finally:
        sys.setrecursionlimit(limit)
    assert [one.path for one in found] == [str(deep / "a.jpg")]


def test_the_count_agrees_with_the_files_found(tmp_path: Path) -> None:
    grow(tmp_path, "a/b.jpg", "a/.c.jpg", "d.png", "e/f/g.jpg", "thumbs/t.jpg")
    assert paths(tmp_path, include=["*.jpg"], exclude=["thumbs"]) == ["a/b.jpg", "e/f/g.jpg"]
    assert count_files([tmp_path], include=["*.jpg"], exclude=["thumbs"]) == 2


def test_counting_can_be_stopped(tmp_path: Path) -> None:
    for number in range(1500):
        (tmp_path / str(number)).touch()
    assert count_files([tmp_path], stop=lambda: True) == 1024
    assert count_files([tmp_path]) == 1500
