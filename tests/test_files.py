"""Files that people asked for appear whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lookalike.errors import UsageError
from lookalike.files import settled


def test_a_file_has_its_name_once_it_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "map.html"
    file.write_text("the old one")
    with settled(file) as out:
        out.write(b"the new one")
        out.flush()
        assert file.read_text() == "the old one"
    assert file.read_text() == "the new one"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("error", [KeyboardInterrupt, UsageError])
def test_what_stood_there_stays_where_the_writing_ends_early(
    tmp_path: Path, error: type[BaseException]
) -> None:
    file = tmp_path / "map.html"
    file.write_text("the old one")
    with pytest.raises(error), settled(file) as out:
        out.write(b"half of the new one")
        raise error
    assert file.read_text() == "the old one"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the full disk of Linux")
def test_a_device_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    for name in ("null", "full"):
        (tmp_path / name).symlink_to(f"/dev/{name}")
    with settled(tmp_path / "null") as out:
        out.write(b"nothing")
    with pytest.raises(UsageError, match=r"cannot write .*: No space left"):  # noqa: SIM117
        with settled(tmp_path / "full") as out:
            out.write(b"nothing")
    assert len(list(tmp_path.iterdir())) == 2
    assert (tmp_path / "full").is_symlink()


@pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")
def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    with settled(tmp_path / "link") as out:
        out.write(b"new")
    assert (tmp_path / "real").read_text() == "new"
    assert (tmp_path / "link").is_symlink()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    file = tmp_path / "nowhere" / "map.html"
    with pytest.raises(UsageError, match=r"cannot write .*map\.html: No such file"):  # noqa: SIM117
        with settled(file):
            pass
