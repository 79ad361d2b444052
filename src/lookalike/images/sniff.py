"""What a file is, by its first bytes; its name only decides how politely it is refused.

Eight formats are decoded. All others are named, so that the message can say what to do, but never
opened: every decoder that runs on foreign bytes is one more thing that can be attacked.
"""

from __future__ import annotations

import struct
from pathlib import PurePath

from lookalike.errors import ImageError, Outcome

READABLE = frozenset({"jpeg", "png", "gif", "bmp", "webp", "tiff", "avif", "heic"})
"""The formats that are decoded."""

HEAD_BYTES = 4096
"""`sniff` needs no more of a file than this: the first directory of raw camera files lies in it."""

MIN_FILE_BYTES = 100
"""Below this no file holds a picture worth comparing: empty files, tracking pixels."""

# fmt: off
_READABLE_ENDINGS = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".gif", ".bmp", ".dib", ".webp",
    ".tif", ".tiff", ".avif", ".avifs", ".heic", ".heif", ".hif",
})
# fmt: on
# fmt: off
_RAW_ENDINGS = frozenset({
    ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".dng", ".orf", ".rw2",
    ".raf", ".pef", ".srw", ".x3f", ".mrw", ".kdc", ".dcr", ".erf", ".mef", ".mos", ".3fr",
    ".iiq", ".rwl",
})
# fmt: on
# fmt: off
_OTHER_ENDINGS = frozenset({
    ".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx", ".jxl", ".jxr", ".wdp", ".hdp", ".psd",
    ".psb", ".ico", ".cur", ".icns", ".dds", ".pcx", ".dcx", ".tga", ".ppm", ".pgm", ".pbm",
    ".pnm", ".pam", ".pfm", ".sgi", ".rgb", ".rgba", ".bw", ".ras", ".xbm", ".xpm", ".svg",
    ".svgz", ".eps", ".wmf", ".emf", ".qoi", ".exr", ".hdr", ".fits", ".xcf", ".djvu", ".fli",
    ".flc", ".blp",
})
# fmt: on

PICTURE_ENDINGS = _READABLE_ENDINGS | _RAW_ENDINGS | _OTHER_ENDINGS
"""Name endings that promise a picture. Such a file is reported when it cannot be used."""

_NAMES = {
    "jp2": "JPEG 2000",
    "jxl": "JPEG XL",
    "jxr": "JPEG XR",
    "psd": "Photoshop",
    "ico": "Windows icon or cursor",
    "icns": "macOS icon",
    "raw": "raw camera",
    "dds": "DirectDraw surface (DDS)",
    "pcx": "PCX",
    "pnm": "portable anymap (PBM, PGM, PPM)",
    "sgi": "SGI",
    "ras": "Sun raster",
    "svg": "SVG drawing",
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

# Fixed first bytes. Order matters only where one is the beginning of another.
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
    (b"\x00\x00\x02\x00", "ico"),
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

_BMP_HEADER_SIZES = frozenset({12, 16, 40, 52, 56, 64, 108, 124})
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})


def sniff(head: bytes) -> str | None:
    """The format of a picture by its first bytes, or None if they are no picture known here.

    `head` is the beginning of the file; HEAD_BYTES are enough. The answer is one of READABLE or a
    format that can only be named (see `refusal`). Files without fixed first bytes (TGA) give None.
    """
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[:4] in (b"II*\x00", b"MM\x00*"):
        return "raw" if _is_raw(head) else "tiff"
    if head[:4] in (b"II+\x00", b"MM\x00+"):
        return "tiff"
    if head[4:8] == b"ftyp":
        return _iso_media(head)
    if head[:2] == b"BM" and len(head) >= 18:
        return "bmp" if struct.unpack_from("<I", head, 14)[0] in _BMP_HEADER_SIZES else None
    return _without_magic(head)


def _iso_media(head: bytes) -> str | None:
    """HEIC and AVIF share their container with films; the brands tell them apart."""
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
    return "heic" if b"heic" in brands else None


def _is_raw(head: bytes) -> bool:
    """Is this TIFF-like file a raw camera file, whose first picture is only a thumbnail?

    Canon's CR2 signs itself. DNG carries tag 50706. NEF, ARW and their kin describe, in the first
    directory, a reduced picture (tag 254 is 1) beside sub-directories (tag 330) with the real one.
    """
    if head[8:10] == b"CR":
        return True
    order = "<" if head[:2] == b"II" else ">"
    if len(head) < 10:
        return False
    start = struct.unpack_from(order + "I", head, 4)[0]
    if start + 2 > len(head):
        return False
    count = struct.unpack_from(order + "H", head, start)[0]
    reduced = children = False
    for at in range(start + 2, min(start + 2 + 12 * count, len(head) - 11), 12):
        tag, _kind, _many, value = struct.unpack_from(order + "HHII", head, at)
        if tag == 50706:
            return True
        reduced |= tag == 254 and value == 1
        children |= tag == 330
    return reduced and children


def _without_magic(head: bytes) -> str | None:
    """The weakly signed formats, tried last."""
    if len(head) >= 4 and head[0] == 0x0A and head[1] in (0, 2, 3, 4, 5) and head[2] == 1:
        return "pcx" if head[3] in (1, 2, 4, 8) else None
    if head[:1] == b"P" and head[1:2] in b"1234567" and head[2:3] in (b" ", b"\t", b"\n", b"\r"):
        return "pnm"
    if head[4:6] in (b"\x11\xaf", b"\x12\xaf") and len(head) >= 6:
        return "fli"
    if head[128:132] == b"DICM":
        return "dicom"
    text = head[:1024].lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(b"<svg") or (text.startswith(b"<?xml") and b"<svg" in text):
        return "svg"
    return None


def refusal(name: str, head: bytes, size: int) -> ImageError | None:
    """Why this file is not decoded, judged by name, first bytes and size; None if it will be.

    `name` may be empty (an upload without a name). The reason of a file that is a picture neither
    by name nor by content begins with "not a picture"; such files are not reported as failures.
    """
    found = sniff(head)
    if found in READABLE and found != "tiff" and size >= MIN_FILE_BYTES:
        return None  # nearly every file: not worth 7 µs for its name
    ending = PurePath(name).suffix.lower()
    raw = found == "raw" or (found == "tiff" and ending in _RAW_ENDINGS)
    if found is None and ending not in PICTURE_ENDINGS:
        return ImageError(
            Outcome.UNSUPPORTED, "not a picture: neither its name nor its content says so"
        )
    if size < MIN_FILE_BYTES:
        return ImageError(
            Outcome.TOO_SMALL, f"has {size} bytes; a picture has at least {MIN_FILE_BYTES}"
        )
    if found in READABLE and not raw:
        return None
    if found is not None:
        kind = _NAMES["raw" if raw else found]
        return ImageError(
            Outcome.UNSUPPORTED, f"{kind} files are not read; export it as JPEG, PNG or TIFF"
        )
    if ending not in _READABLE_ENDINGS:  # some formats, Targa for one, have no sign of their own
        return ImageError(
            Outcome.UNSUPPORTED, f"{ending} files are not read; export it as JPEG, PNG or TIFF"
        )
    return ImageError(Outcome.UNREADABLE, f"is named {ending} but {_other_content(head)}")


def _other_content(head: bytes) -> str:
    if not head.strip(b"\x00"):
        return "contains nothing but zeros (lost by a disk or a copy); restore it from a backup"
    if head.lstrip()[:9].lower() == b"<!doctype" or b"<html" in head[:512].lower():
        return "contains a web page; download the picture itself"
    return "its content is no picture known here; open it elsewhere and save it as JPEG"
