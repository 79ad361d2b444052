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
from lookalike.files import atomic_path, atomic_write, output_file

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
