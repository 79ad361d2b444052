"""Files behind the members of groups: one file is not its own copy, and only what exists can go."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.duplicates.image_builders import save, scene

from lookalike import Library
from lookalike.duplicates.report import Duplicates


def duplicates(*sources: Path) -> Duplicates:
    """Index the sources in one library and return the files with equal content."""
    with Library.create(sources[0], folder=sources[0].parent / "library") as library:
        library.add(sources, extractors=["pixels"])
        return library.duplicates(kind="exact")


def spare(found: Duplicates, folder: Path) -> list[str]:
    paths = (path for group in found.groups for member in group.spare for path in member.links)
    return sorted(path.relative_to(folder).as_posix() for path in paths)


def make_folder_link(photos: Path) -> None:
    save(photos / "zzz" / "a.png", scene(1))
    (photos / "aaa").symlink_to(photos / "zzz", target_is_directory=True)


def make_file_link(photos: Path) -> None:
    save(photos / "b.png", scene(1))
    (photos / "a.png").symlink_to(photos / "b.png")


def make_link_to_a_link(photos: Path) -> None:
    make_file_link(photos)
    (photos / "0.png").symlink_to(photos / "a.png")


def make_hard_link(photos: Path) -> None:
    os.link(save(photos / "a.png", scene(1)), photos / "b.png")


def make_loop(photos: Path) -> None:
    save(photos / "inside" / "a.png", scene(1))
    (photos / "inside" / "again").symlink_to(photos, target_is_directory=True)


@pytest.mark.parametrize(
    "make", [make_folder_link, make_file_link, make_link_to_a_link, make_hard_link, make_loop]
)
def test_one_file_is_not_its_own_copy(tmp_path: Path, make: Callable[[Path], None]) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    make(photos)
    assert duplicates(photos).groups == ()


def test_one_file_below_two_roots_is_not_its_own_copy(tmp_path: Path) -> None:
    save(tmp_path / "photos" / "inner" / "a.png", scene(1))
    with Library.create(tmp_path / "photos" / "inner", folder=tmp_path / "library") as library:
        library.add([tmp_path / "photos" / "inner"], extractors=["pixels"])
        library.add([tmp_path / "photos"], extractors=["pixels"])
        assert len(library.info().roots) == 2
        assert library.duplicates(kind="exact").groups == ()


def test_the_linked_file_is_kept_and_its_copy_is_spare(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    save(photos / "z.png", scene(1))
    shutil.copy2(photos / "z.png", photos / "b.png")
    (photos / "a.png").symlink_to(photos / "z.png")
    found = duplicates(photos)
    assert spare(found, photos) == ["b.png"]
    [group] = found.groups
    assert (group.best.image.path, group.best.aliases) == ("z.png", ("a.png",))
    assert group.best.reason == "other paths lead to this file"


def test_a_file_outside_that_a_link_leads_to_never_goes(tmp_path: Path) -> None:
    save(tmp_path / "outside" / "a.png", scene(1))
    shutil.copy2(save(tmp_path / "photos" / "b.png", scene(1)), tmp_path / "photos" / "c.png")
    (tmp_path / "photos" / "a").symlink_to(tmp_path / "outside", target_is_directory=True)
    os.utime(tmp_path / "photos" / "b.png", (0, 0))
    found = duplicates(tmp_path / "photos")
    assert spare(found, tmp_path / "photos") == ["b.png", "c.png"]
    assert found.groups[0].best.file == tmp_path / "photos" / "a" / "a.png"


def test_all_hard_links_of_a_spare_file_go_and_none_with_a_name_elsewhere(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    save(photos / "keep.png", scene(1))
    os.utime(photos / "keep.png", (0, 0))
    shutil.copy(photos / "keep.png", photos / "a.png")
    os.link(photos / "a.png", photos / "b.png")
    shutil.copy(photos / "keep.png", photos / "c.png")
    shutil.copy(photos / "keep.png", photos / "d.png")
    assert spare(duplicates(photos), photos) == ["a.png", "b.png", "c.png", "d.png"]
    os.link(photos / "c.png", tmp_path / "elsewhere.png")
    found = duplicates(photos)
    assert found.groups[0].best.image.path == "c.png"
    os.link(photos / "d.png", tmp_path / "elsewhere too.png")
    [group] = duplicates(photos).groups
    assert [member.image.path for member in group.members if not member.spare] == ["c.png", "d.png"]


def test_missing_and_changed_files_are_left_out(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for name in "abcd":
        save(photos / f"{name}.png", scene(1))
    with Library.create(photos) as library:
        library.add([photos], extractors=["pixels"])
        (photos / "a.png").unlink()
        (photos / "b.png").write_bytes(b"something else")
        found = library.duplicates(kind="exact")
        assert {m.image.path for group in found.groups for m in group.members} == {"c.png", "d.png"}
        assert found.stale == 2
        (photos / "c.png").unlink()
        assert library.duplicates(kind="exact").groups == ()


def test_a_file_replaced_at_the_same_size_and_date_is_left_out(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for name in "abcd":
        save(photos / f"{name}.png", scene(1))
    with Library.create(photos) as library:
        library.add([photos], extractors=["pixels"])
        for name, content in (("a", False), ("b", True)):
            file = photos / f"{name}.png"
            state, data = file.stat(), bytearray(file.read_bytes())
            data[-20] ^= not content  # b keeps its content and gets another inode
            (photos / "new").write_bytes(data)
            (photos / "new").replace(file)
            os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
        found = library.duplicates(kind="exact")
        paths = {member.image.path for group in found.groups for member in group.members}
        assert paths == {"b.png", "c.png", "d.png"}
        assert found.stale == 1
