"""A file is read completely, whatever is at its path."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import pytest
from tests.images.image_builders import encode_motif

from lookalike.errors import ImageError, Outcome
from lookalike.images.reading import mtime_ns_of, read

posix = pytest.mark.skipif(sys.platform == "win32", reason="no FIFO, no such permissions")


def outcome(path: Path | str, **options: int) -> ImageError:
    with pytest.raises(ImageError) as caught:
        read(path, **options)
    return caught.value


def test_a_file_is_read_with_its_digest(tmp_path: Path) -> None:
    data = encode_motif("JPEG")
    (tmp_path / "a.jpg").write_bytes(data)
    content = read(tmp_path / "a.jpg")
    assert content.data == data
    assert content.digest == hashlib.sha256(data).digest()
    assert content.size == len(data)
    assert content.mtime_ns == (tmp_path / "a.jpg").stat().st_mtime_ns


def test_a_file_larger_than_one_read_is_read_completely(tmp_path: Path) -> None:
    data = encode_motif("BMP") + os.urandom(9_000_000)
    (tmp_path / "a.bmp").write_bytes(data)
    assert read(tmp_path / "a.bmp").data == data


def test_a_missing_file_is_missing(tmp_path: Path) -> None:
    assert outcome(tmp_path / "a.jpg").outcome is Outcome.MISSING
    assert outcome(str(tmp_path / "a\0b.jpg")).outcome is Outcome.MISSING


@posix
@pytest.mark.parametrize("name", ["pipe.jpg", "pipe"])
def test_a_fifo_does_not_block(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    assert outcome(tmp_path / name).outcome is Outcome.UNREADABLE


@posix
def test_a_device_and_a_folder_are_unreadable(tmp_path: Path) -> None:
    assert outcome("/dev/zero").outcome is Outcome.UNREADABLE
    assert outcome(tmp_path).outcome is Outcome.UNREADABLE


@posix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may read all")
def test_no_permission_is_unreadable_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encode_motif("JPEG"))
    (tmp_path / "a.jpg").chmod(0)
    error = outcome(tmp_path / "a.jpg")
    assert error.outcome is Outcome.UNREADABLE
    assert "permission" in error.reason


def test_a_file_over_the_limit_is_too_large(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encode_motif("JPEG"))
    error = outcome(tmp_path / "a.jpg", max_bytes=500)
    assert error.outcome is Outcome.TOO_LARGE


def test_a_huge_video_is_identified_without_being_read(tmp_path: Path) -> None:
    pytest.importorskip("av", reason="needs PyAV (lookalike[video])")
    with (tmp_path / "video.mp4").open("wb") as video:
        video.write(b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp41")
        video.truncate(50 << 30)  # a sparse file: 50 GB that take no space
    content = read(tmp_path / "video.mp4")
    assert (content.size, content.file) == (50 << 30, str(tmp_path / "video.mp4"))
    assert len(content.data) < 1 << 20


def test_an_empty_image_file_is_too_small(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    assert outcome(tmp_path / "a.jpg").outcome is Outcome.TOO_SMALL


def test_dates_beyond_64_bits_are_clipped() -> None:
    class State:
        st_mtime_ns = 1 << 70

    assert mtime_ns_of(State()) == (1 << 63) - 1  # type: ignore[arg-type]
