"""Formats are recognised by their first bytes, and files are refused with a helpful reason."""

from __future__ import annotations

import struct

import pytest
from tests.images.image_builders import encode_motif

from lookalike.errors import Outcome
from lookalike.images.formats import is_readable
from lookalike.images.sniff import NOT_AN_IMAGE, kind_of, refusal, sniff


@pytest.mark.parametrize(
    ("kind", "format"),
    [
        ("JPEG", "jpeg"),
        ("PNG", "png"),
        ("GIF", "gif"),
        ("BMP", "bmp"),
        ("WEBP", "webp"),
        ("TIFF", "tiff"),
        ("AVIF", "avif"),
        ("HEIF", "heic"),
    ],
)
def test_supported_formats_are_recognised(kind: str, format: str) -> None:
    assert sniff(encode_motif(kind)) == format
    assert is_readable(format)


@pytest.mark.parametrize(
    ("kind", "format"),
    [
        ("PPM", "pnm"),
        ("PCX", "pcx"),
        ("SGI", "sgi"),
        ("DDS", "dds"),
        ("EPS", "eps"),
        ("QOI", "qoi"),
    ],
)
def test_other_formats_are_recognised_and_refused(kind: str, format: str) -> None:
    data = encode_motif(kind)
    assert sniff(data) == format
    assert not is_readable(format)
    error = refusal("image.jpg", data, len(data))
    assert error is not None
    assert error.outcome is Outcome.UNSUPPORTED
    assert "export it as JPEG" in error.reason


@pytest.mark.parametrize(
    ("head", "format"),
    [
        (b"8BPS\x00\x01", "psd"),
        (b"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1heic", "heic"),
        (b"\x00\x00\x00\x1cftypmif1\x00\x00\x00\x00mif1avifmiaf", "avif"),
        (b"\x00\x00\x00\x18ftypcrx \x00\x00\x00\x01crx isom", "raw"),
        (b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp41", "mp4"),
        (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "jxl"),
        (b"II+\x00\x08\x00\x00\x00", "tiff"),
        (b"BM, said the letter, and went on", None),
        (b"<?xml version='1.0'?><svg xmlns='x'/>", "svg"),
        (b"%PDF-1.7", "pdf"),
        (b"", None),
        (b"\xff", None),
    ],
)
def test_first_bytes_written_by_hand(head: bytes, format: str | None) -> None:
    assert sniff(head) == format


def tiff_directory(*entries: tuple[int, int, int]) -> bytes:
    """Return a little-endian TIFF with these (tag, type, value) in its first directory."""
    body = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    return b"II*\x00\x08\x00\x00\x00" + struct.pack("<H", len(entries)) + body + bytes(4)


def test_raw_camera_files_are_distinguished_from_tiff() -> None:
    assert sniff(tiff_directory((256, 4, 100), (257, 4, 100))) == "tiff"
    assert sniff(tiff_directory((254, 4, 0), (256, 4, 100), (50706, 1, 1))) == "raw"  # DNG
    assert sniff(tiff_directory((254, 4, 1), (256, 4, 160), (330, 4, 999))) == "raw"  # NEF, ARW
    assert sniff(tiff_directory((256, 4, 4928), (259, 3, 65535))) == "raw"  # PEF
    assert sniff(tiff_directory((259, 3, 1), (262, 3, 32803))) == "raw"  # a colour filter array
    assert sniff(b"II*\x00\x10\x00\x00\x00CR\x02\x00") == "raw"


def test_a_tiff_with_a_raw_suffix_is_raw() -> None:
    head = tiff_directory((256, 4, 100), (257, 4, 100))
    assert refusal("a.tif", head, 1000) is None
    assert kind_of("a.tif", head) == "tiff"
    assert kind_of("a.NEF", head) == "raw"


def test_a_file_without_image_name_or_content_is_not_an_image() -> None:
    for name in ("letter.txt", "film.srt", "Makefile", ""):
        error = refusal(name, b"Dear Sir or Madam" * 20, 340)
        assert error is not None
        assert error.outcome is Outcome.SKIPPED
        assert error.reason.startswith(NOT_AN_IMAGE)


def test_a_sidecar_is_called_so() -> None:
    for name in (
        "a.xmp",
        "IMG_1.AAE",
        "a.jpg.json",
        "a.JPG.supplemental-metadata.json",
        "a.cr2.txt",
    ):
        error = refusal(name, b"<?xml version='1.0'?>", 340)
        assert error is not None
        assert (error.outcome, error.reason[:26]) == (Outcome.SKIPPED, "not an image but a sidecar")


def test_a_small_text_file_is_not_an_image_rather_than_too_small() -> None:
    error = refusal("notes.txt", b"milk", 4)
    assert error is not None
    assert error.outcome is Outcome.SKIPPED


def test_only_an_empty_file_is_too_small() -> None:
    error = refusal("a.jpg", b"", 0)
    assert error is not None
    assert error.outcome is Outcome.TOO_SMALL
    assert refusal("a.gif", b"GIF89a" + bytes(20), 26) is None


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (bytes(500), "only zeros"),
        (b"<!DOCTYPE html><html>" + bytes(200), "web page"),
        (b"random words " * 20, "not in a supported format"),
    ],
)
def test_an_image_by_name_only_is_unreadable_with_a_hint(content: bytes, text: str) -> None:
    error = refusal("IMG_1.JPG", content, len(content))
    assert error is not None
    assert error.outcome is Outcome.UNREADABLE
    assert text in error.reason


def test_formats_without_a_signature_are_named_by_their_suffix() -> None:
    error = refusal("a.tga", bytes(range(200)), 200)
    assert error is not None
    assert error.outcome is Outcome.UNSUPPORTED
    assert error.reason.startswith(".tga files are not supported")
