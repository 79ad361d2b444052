"""Recognise a file's format by its first bytes, and refuse files that cannot be decoded.

The formats in `formats.FORMATS` are decoded. Others are recognised, so that the message can say what to do,
but never opened: every decoder that runs on untrusted bytes adds to what can be attacked. The file's name
only affects the wording of a refusal, and tells raw camera files from TIFF.
"""

from __future__ import annotations

import struct
from pathlib import PurePath

from lookalike.errors import ImageError, Outcome
from lookalike.images.formats import (
    BY_SUFFIX,
    DOCUMENTS,
    FORMATS,
    RAW_SUFFIXES,
    how_to_read,
    is_readable,
)

HEAD_BYTES = 4096
"""Bytes that `sniff` reads of a file: enough to include the first directory of raw camera files."""

MAX_FILE_BYTES = 1 << 30
"""Largest file. An image of 512 megapixels is smaller in every supported format unless uncompressed."""

_COMMON = frozenset({"jpeg", "png", "gif", "bmp", "webp", "avif", "heic"})

NOT_AN_IMAGE = "not an image"
"""How the reason begins for files that are not images by name or content."""

# fmt: off
_OTHER_SUFFIXES = frozenset({
    ".jxr", ".wdp", ".hdp", ".psb", ".cur", ".icns", ".dds", ".pcx", ".dcx", ".tga", ".ppm", ".pgm", ".pbm",
    ".pnm", ".pam", ".pfm", ".sgi", ".rgb", ".rgba", ".bw", ".ras", ".xbm", ".xpm",
    ".eps", ".wmf", ".emf", ".qoi", ".exr", ".hdr", ".fits", ".xcf", ".djvu", ".fli",
    ".flc", ".blp",
})
# fmt: on

SIDECAR_SUFFIXES = frozenset({".xmp", ".aae", ".pp3", ".dop"})
MAYBE_SIDECAR_SUFFIXES = frozenset({".json", ".txt"})
"""Suffixes of files that describe an image: Adobe and darktable; Apple; RawTherapee; DxO. Those of Google
Takeout and our own are common to many files."""

IMAGE_SUFFIXES = _OTHER_SUFFIXES | BY_SUFFIX.keys()
"""Suffixes of image files. A file with one of them counts as failed if it cannot be used."""

_FORMAT_NAMES = {
    "cur": "Windows cursor",
    "jxr": "JPEG XR",
    "icns": "macOS icon",
    "dds": "DirectDraw surface (DDS)",
    "pcx": "PCX",
    "pnm": "portable anymap (PBM, PGM, PPM)",
    "sgi": "SGI",
    "ras": "Sun raster",
    "eps": "PostScript",
    "wmf": "Windows metafile",
    "qoi": "QOI",
    "exr": "OpenEXR",
    "hdr": "Radiance HDR",
    "fits": "FITS",
    "xcf": "GIMP",
    "djvu": "DjVu",
    "fli": "FLIC animation",
    "blp": "Blizzard texture (BLP)",
    "xpm": "X pixmap",
    "dicom": "DICOM",
    "mng": "MNG",
}

# Fixed first bytes. Order matters only where one is a prefix of another.
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"\x00\x00\x00\x0cjP  ", "jp2"),
    (b"\xff\x4f\xff\x51", "jp2"),
    (b"\xff\x0a", "jxl"),
    (b"\x00\x00\x00\x0cJXL ", "jxl"),
    (b"II\xbc", "jxr"),
    (b"8BPS", "psd"),
    (b"\x00\x00\x01\x00", "ico"),
    (b"\x00\x00\x02\x00", "cur"),
    (b"%PDF-", "pdf"),
    (b"\x1aE\xdf\xa3", "matroska"),
    (b"\x00\x00\x01\xba", "mpeg"),
    (b"\x00\x00\x01\xb3", "mpeg"),
    (b"0&\xb2u\x8ef\xcf\x11", "asf"),
    (b"FLV\x01", "flv"),
    (b"icns", "icns"),
    (b"IIRO", "raw"),
    (b"IIRS", "raw"),
    (b"MMOR", "raw"),
    (b"IIU\x00", "raw"),
    (b"FUJIFILMCCD-RAW", "raw"),
    (b"II\x1a\x00\x00\x00HEAPCCDR", "raw"),
    (b"FOVb", "raw"),
    (b"\x00MRM", "raw"),
    (b"DDS ", "dds"),
    (b"\x01\xda\x00", "sgi"),
    (b"\x01\xda\x01", "sgi"),
    (b"\x59\xa6\x6a\x95", "ras"),
    (b"%!PS", "eps"),
    (b"\xc5\xd0\xd3\xc6", "eps"),
    (b"\xd7\xcd\xc6\x9a", "wmf"),
    (b"qoif", "qoi"),
    (b"\x76\x2f\x31\x01", "exr"),
    (b"#?RADIANCE", "hdr"),
    (b"SIMPLE  =", "fits"),
    (b"gimp xcf", "xcf"),
    (b"AT&TFORM", "djvu"),
    (b"BLP1", "blp"),
    (b"BLP2", "blp"),
    (b"/* XPM */", "xpm"),
    (b"\x8aMNG\r\n\x1a\n", "mng"),
)

# Compressions of Sony, Epson, Samsung, Nikon, Kodak and Pentax, by their numbers in TIFF.
_RAW_COMPRESSIONS = frozenset({32767, 32769, 32770, 32772, 34713, 65000, 65535})
_BMP_HEADER_SIZES = frozenset({12, 16, 40, 52, 56, 64, 108, 124})
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_AUDIO_BRANDS = frozenset({b"M4A ", b"M4B ", b"M4P ", b"F4A ", b"F4B "})


def sniff(head: bytes) -> str | None:
    """Return the format of an image by its first bytes, or None if they are not a known one.

    `head` is the beginning of the file; HEAD_BYTES are enough. The result is one of FORMATS or a
    format that is only recognised (see `refusal`). Formats without fixed first bytes (TGA) give None.
    """
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head[:4] == b"RIFF" and head[8:12] in (b"WEBP", b"AVI "):
        return "webp" if head[8:12] == b"WEBP" else "avi"
    if head[:4] in (b"II*\x00", b"MM\x00*"):
        return "raw" if is_raw(head) else "tiff"
    if head[:4] in (b"II+\x00", b"MM\x00+"):
        return "tiff"
    if head[4:8] == b"ftyp":
        return _iso_media(head)
    if head[4:8] in (b"moov", b"mdat", b"wide"):  # QuickTime without a statement of its brand
        return "mp4"
    if head[:2] == b"BM" and len(head) >= 18:
        return "bmp" if struct.unpack_from("<I", head, 14)[0] in _BMP_HEADER_SIZES else None
    return _without_magic(head)


def _iso_media(head: bytes) -> str | None:
    """Recognise HEIC, AVIF, and videos, which share their container, by their brands."""
    size = min(struct.unpack_from(">I", head)[0], len(head))
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, size - 3, 4))]
    if brands[0] == b"crx ":
        return "raw"
    if brands[0] in _AVIF_BRANDS:
        return "avif"
    if brands[0] in _HEIF_BRANDS:
        # A generic first brand (mif1) leaves the codec to the compatible brands.
        generic = brands[0] in (b"mif1", b"msf1")
        return "avif" if generic and not _AVIF_BRANDS.isdisjoint(brands) else "heic"
    if not _AVIF_BRANDS.isdisjoint(brands):
        return "avif"
    if b"heic" in brands:
        return "heic"
    return None if brands[0] in _AUDIO_BRANDS else "mp4"


def is_raw(data: bytes) -> bool:
    """Return whether this TIFF-like file is a raw camera file, whose first image is only a thumbnail.

    Canon's CR2 has a signature. DNG has tag 50706. NEF, ARW and similar ones describe a reduced
    image (tag 254 is 1) in the first directory beside sub-directories (tag 330) with the real one. Others
    have the sensor's values there: a colour filter array (32803), or compressed as no TIFF is.
    """
    if data[8:10] == b"CR":
        return True
    order = "<" if data[:2] == b"II" else ">"
    if len(data) < 10:
        return False
    start = struct.unpack_from(order + "I", data, 4)[0]
    if start + 2 > len(data):
        return False
    count = struct.unpack_from(order + "H", data, start)[0]
    reduced = children = False
    for at in range(start + 2, min(start + 2 + 12 * count, len(data) - 11), 12):
        tag, _, _, value = struct.unpack_from(order + "HHII", data, at)
        short = struct.unpack_from(order + "H", data, at + 8)[0]
        if tag == 50706 or (tag, short) == (262, 32803):
            return True
        if tag == 259 and short in _RAW_COMPRESSIONS:
            return True
        reduced |= tag == 254 and value == 1
        children |= tag == 330
    return reduced and children


def _without_magic(head: bytes) -> str | None:
    """Recognise the formats with weak signatures, which are tried last."""
    if len(head) >= 4 and head[0] == 0x0A and head[1] in (0, 2, 3, 4, 5) and head[2] == 1:
        return "pcx" if head[3] in (1, 2, 4, 8) else None
    if head[:1] == b"P" and head[1:2] in b"1234567" and head[2:3] in (b" ", b"\t", b"\n", b"\r"):
        return "pnm"
    if head[4:6] in (b"\x11\xaf", b"\x12\xaf") and len(head) >= 6:
        return "fli"
    if head[128:132] == b"DICM":
        return "dicom"
    if b"GGG" in (head[0:377:188], head[4:389:192]):
        return "mpegts"
    text = head[:1024].lstrip(b"\xef\xbb\xbf \t\r\n")
    other = text.startswith((b"<?xml", b"<!--", b"<!DOCTYPE svg")) and b"<html" not in head
    if text.startswith(b"<svg") or (other and b"<svg" in head):
        return "svg"
    return "pdf" if b"%PDF-" in head[:1024] else None


def kind_of(name: str, head: bytes) -> str | None:
    """Return the format of a file by its first bytes and, for raw files that look like TIFF, its name."""
    found, suffix = sniff(head), PurePath(name).suffix.lower() if name else ""
    if found == "tiff" and suffix in RAW_SUFFIXES:
        return "raw"
    return "svg" if suffix == ".svgz" and head.startswith(b"\x1f\x8b") else found


def refusal(name: str, head: bytes, size: int) -> ImageError | None:
    """Return why this file is not decoded, by name, first bytes and size; None if it may be.

    `name` may be empty (an upload without a name). The reason for a file that is an image neither
    by name nor by content begins with NOT_AN_IMAGE; such files are skipped, which is no failure.
    """
    found = sniff(head)
    if found in _COMMON:
        return None  # nearly every file: skips 7 µs for the name
    suffix = PurePath(name).suffix.lower()
    found = kind_of(name, head)
    if found is None and suffix not in IMAGE_SUFFIXES:
        return ImageError(Outcome.SKIPPED, not_an_image(name))
    if not size:
        return ImageError(Outcome.TOO_SMALL, "is empty (0 bytes); copy or download it again")
    if is_readable(found):
        return None
    kind = found or BY_SUFFIX.get(suffix)
    if kind in FORMATS and not is_readable(kind):
        return ImageError(
            Outcome.SKIPPED if kind in DOCUMENTS else Outcome.UNSUPPORTED, how_to_read(kind)
        )
    if found is not None:
        return ImageError(
            Outcome.UNSUPPORTED,
            f"{_FORMAT_NAMES[found]} files are not supported; export it as JPEG, PNG or TIFF",
        )
    if suffix not in BY_SUFFIX:  # some formats, such as Targa, have no signature
        return ImageError(
            Outcome.UNSUPPORTED, f"{suffix} files are not supported; export it as JPEG, PNG or TIFF"
        )
    return ImageError(Outcome.UNREADABLE, f"is named {suffix} but {_other_content(head)}")


def not_an_image(name: str) -> str:
    """Return the reason for a file that is an image neither by name nor by content; it may be a sidecar."""
    suffix = PurePath(name).suffix.lower()
    may_be = suffix in MAYBE_SIDECAR_SUFFIXES
    names_image = any(one.lower() in IMAGE_SUFFIXES for one in PurePath(name).suffixes[:-1])
    if suffix in SIDECAR_SUFFIXES or (may_be and names_image):
        return f"{NOT_AN_IMAGE} but a sidecar: it belongs to the image of the same name"
    beside = "; beside an image of the same name it is its sidecar" if may_be else ""
    return f"{NOT_AN_IMAGE}: neither its name nor its content says so{beside}"


def _other_content(head: bytes) -> str:
    if not head.strip(b"\x00"):
        return "contains only zeros (lost by a disk or a copy); restore it from a backup"
    if head.lstrip()[:9].lower() == b"<!doctype" or b"<html" in head[:512].lower():
        return "contains a web page; download the image itself"
    return "its content is not in a supported format; open it elsewhere and save it as JPEG"
