"""Translate decoder errors into the outcome of a file and a reason in plain English."""

from __future__ import annotations

import struct
from contextlib import suppress

from lookalike.errors import ImageError, Outcome
from lookalike.images.tiff import PLACES, DirectoryReader
from lookalike.images.tiff import ends_early as tiff_ends_early

_UNSUPPORTED_PHRASES = ("unsupported", "not supported", "unknown pixel mode", "cannot handle")
_TRUNCATED_PHRASES = ("truncated", "premature end", "end of file", "end-of-file", "unexpected end")

MAX_DIRECTORIES = 32
"""Directories of a raw file that are looked at."""

_MEMORY_PHRASES = ("memory", "alloc")


def truncated() -> ImageError:
    """Return the error for a file whose end is missing."""
    return ImageError(
        Outcome.TRUNCATED, "the end of the file is missing; copy or download it again"
    )


def to_image_error(error: Exception, kind: str, data: bytes) -> ImageError:
    """Return the error for a file of format `kind` whose decoder raised `error`."""
    text = " ".join(str(error).split()).rstrip(".")
    low = text.lower()
    format_name = kind.upper()
    if isinstance(error, MemoryError) or any(phrase in low for phrase in _MEMORY_PHRASES):
        return ImageError(
            Outcome.OUT_OF_MEMORY,
            "needs more memory than is allowed; save it smaller, or index with a higher --max-memory",
        )
    if any(phrase in low for phrase in _TRUNCATED_PHRASES):
        return truncated()
    # Texts with Python objects ("<_io.BytesIO object at 0x7f...>") are of no use to people.
    readable = 0 < len(text) < 100 and not any(sign in text for sign in ("<", "0x", "Plugin"))
    cause = f" ({text})" if readable else ""
    if any(phrase in low for phrase in _UNSUPPORTED_PHRASES) or isinstance(
        error, NotImplementedError
    ):
        return ImageError(
            Outcome.UNSUPPORTED,
            f"this kind of {format_name} is not supported{cause}; save it as an ordinary JPEG or PNG",
        )
    if ends_early(kind, data):
        return truncated()
    return ImageError(
        Outcome.UNREADABLE,
        f"the {format_name} data is damaged or of an unusual kind{cause}; try to open it elsewhere and"
        " save it again",
    )


def ends_early(kind: str, data: bytes) -> bool:
    """Return whether the file ends before its own structure says. For use after decoding has failed."""
    try:
        return kind in _CHECKS and _CHECKS[kind](data)
    except (struct.error, IndexError):
        return True  # it ends within a header


def _jpeg_ends_early(data: bytes) -> bool:
    scan = data.rfind(b"\xff\xda")
    return scan < 0 or data.find(b"\xff\xd9", scan) < 0


def _png_ends_early(data: bytes) -> bool:
    return b"IEND" not in data[-1024:] and b"IEND" not in data


def _gif_ends_early(data: bytes) -> bool:
    return not data.rstrip(b"\x00").endswith(b";")


def _bmp_ends_early(data: bytes) -> bool:
    start, header = struct.unpack_from("<II", data, 10)
    if header == 12:
        width, height, _planes, bits = struct.unpack_from("<HHHH", data, 18)
        compression = 0
    else:
        width, height, _planes, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    row: int = (abs(width) * bits + 31) // 32 * 4
    return bool(compression in (0, 3) and len(data) < start + row * abs(height))


def _webp_ends_early(data: bytes) -> bool:
    return bool(len(data) < struct.unpack_from("<I", data, 4)[0] + 8)


def _boxes_end_early(data: bytes) -> bool:
    """Return whether a box of a HEIC or AVIF file reaches beyond its end."""
    at = 0
    while at + 8 <= len(data):
        size = struct.unpack_from(">I", data, at)[0]
        if size == 1:
            size = struct.unpack_from(">Q", data, at + 8)[0]
        if size < 8:  # 0: the last box, up to the end
            return False
        at += size
    return at > len(data)


def _tiff_ends_early(data: bytes) -> bool:
    """Return whether the first directory, or a strip or tile, lies beyond the end."""
    reader = DirectoryReader(data)
    return tiff_ends_early(reader.directory(reader.first(), PLACES, whole=True)[0], len(data))


def raw_is_cut(data: bytes) -> bool:
    """Return whether a raw file lacks a fiftieth of its data; its preview may be whole."""
    with suppress(struct.error):
        return _raw_ends_early(data, missing=0.02)
    return False


def _raw_ends_early(data: bytes, missing: float = 0.5) -> bool:
    """Return whether a raw file lacks that share of a block that one of its directories names, or a box."""
    if data.startswith(b"FUJIFILM"):
        start, size = struct.unpack_from(">II", data, 100)
        return bool(start + size * (1 - missing) > len(data))
    if data[4:8] == b"ftyp":
        return _boxes_end_early(data)
    if data[:2] not in (b"II", b"MM") or data[6:10] == b"HEAP":
        return False
    # Panasonic has the place of the raw data in a tag of its own.
    starts_tag = 280 if data[2:4] == b"U\x00" else 273
    reader = DirectoryReader(data)
    waiting = [reader.first()]
    for start in waiting:
        tags, following = reader.directory(start, PLACES | {280, 330})
        waiting += [one for one in (*tags.get(330, ()), following) if one and one not in waiting]
        del waiting[MAX_DIRECTORIES:]
        if tiff_ends_early(tags, len(data), missing=missing, starts_tag=starts_tag):
            return True
    return False


_CHECKS = {
    "jpeg": _jpeg_ends_early,
    "png": _png_ends_early,
    "gif": _gif_ends_early,
    "bmp": _bmp_ends_early,
    "webp": _webp_ends_early,
    "tiff": _tiff_ends_early,
    "raw": _raw_ends_early,
    "avif": _boxes_end_early,
    "heic": _boxes_end_early,
}
