"""Atomic writes: a file is replaced as a whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Thread
from typing import BinaryIO, TypeAlias

import pytest

from lookalike.errors import UsageError
from lookalike.files import atomic_folder, atomic_path, atomic_write, output_file

Writer: TypeAlias = Callable[[Path], AbstractContextManager[BinaryIO]]


@pytest.mark.parametrize("write", [atomic_write, output_file])
def test_a_file_is_replaced_when_the_new_one_is_complete(tmp_path: Path, write: Writer) -> None:
    file = tmp_path / "map.html"
    file.write_text("the old one")
    with write(file) as out:
        out.write(b"the new one")
        out.flush()
        assert file.read_text() == "the old one"
    assert file.read_text() == "the new one"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("write", [atomic_write, output_file])
@pytest.mark.parametrize("error", [KeyboardInterrupt, UsageError])
def test_an_error_while_writing_leaves_the_old_file(
    tmp_path: Path, error: type[BaseException], write: Writer
) -> None:
    file = tmp_path / "map.html"
    file.write_text("the old one")
    with pytest.raises(error), write(file) as out:
        out.write(b"half of the new one")
        raise error
    assert file.read_text() == "the old one"
    assert list(tmp_path.iterdir()) == [file]


def test_a_writer_that_takes_a_path_is_atomic_too(tmp_path: Path) -> None:
    file = tmp_path / "ann.faiss"
    with atomic_path(file, durable=True) as part:
        part.write_bytes(b"index")
        assert not file.exists()
    assert file.read_bytes() == b"index"
    assert list(tmp_path.iterdir()) == [file]


def test_threads_that_write_the_same_file_do_not_disturb_each_other(tmp_path: Path) -> None:
    file = tmp_path / "thumbnail.jpg"

    def write(content: bytes) -> None:
        for _ in range(50):
            with atomic_write(file, shared=True) as out:
                out.write(content)

    threads = [Thread(target=write, args=(bytes([n]) * 1000,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    data = file.read_bytes()
    assert data == data[:1] * 1000
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")
def test_a_link_in_place_of_the_temporary_file_is_not_followed(tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    (tmp_path / "ann.json.part").symlink_to(mine)
    with atomic_write(tmp_path / "ann.json") as out:
        out.write(b"{}")
    assert mine.read_text() == "mine"
    assert not (tmp_path / "ann.json").is_symlink()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux's always full device")
def test_output_to_a_device_is_written_directly(tmp_path: Path) -> None:
    for name in ("null", "full"):
        (tmp_path / name).symlink_to(f"/dev/{name}")
    with output_file(tmp_path / "null") as out:
        out.write(b"nothing")
    with pytest.raises(UsageError, match=r"cannot write .*: No space left"):  # noqa: SIM117
        with output_file(tmp_path / "full") as out:
            out.write(b"nothing")
    assert len(list(tmp_path.iterdir())) == 2
    assert (tmp_path / "full").is_symlink()


@pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")
def test_output_follows_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    with output_file(tmp_path / "link") as out:
        out.write(b"new")
    assert (tmp_path / "real").read_text() == "new"
    assert (tmp_path / "link").is_symlink()


def test_output_into_a_missing_folder_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "nowhere" / "map.html"
    with pytest.raises(UsageError, match=r"cannot write .*map\.html: No such file"):  # noqa: SIM117
        with output_file(file):
            pass


@pytest.mark.parametrize("link", [False, True])
def test_a_folder_is_replaced_when_the_new_one_is_complete(tmp_path: Path, link: bool) -> None:
    folder = tmp_path / "model"
    if link:
        folder.symlink_to("elsewhere")
    for content in ("first", "second"):
        with atomic_folder(folder) as part:
            (part / "head").write_text(content)
        assert (folder / "head").read_text() == content
    assert folder.is_symlink() == link
    assert len(list(tmp_path.iterdir())) == 1 + link


@pytest.mark.parametrize("whole", [False, True])
def test_what_a_killed_process_set_aside_is_restored_or_deleted(
    tmp_path: Path, whole: bool
) -> None:
    folder, aside = tmp_path / "model", tmp_path / ".model.old"
    for one in (aside, folder)[: 1 + whole]:
        one.mkdir()
        (one / "head").write_text(one.name)
    with pytest.raises(KeyboardInterrupt), atomic_folder(folder):
        raise KeyboardInterrupt
    assert (folder / "head").read_text() == ("model" if whole else ".model.old")
    assert list(tmp_path.iterdir()) == [folder]


def test_a_folder_stays_if_the_new_one_cannot_be_moved_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "head").write_text("old")
    with pytest.raises(OSError, match="No such file"), atomic_folder(folder) as part:
        part.rmdir()
        monkeypatch.setattr(Path, "chmod", lambda *_: None)
    assert (folder / "head").read_text() == "old"
    assert list(tmp_path.iterdir()) == [folder]
