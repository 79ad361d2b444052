"""The image formats that are read, with the library that reads each (docs/formats.md repeats the table)."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import NamedTuple


class Format(NamedTuple):
    """One format.

    name        as people call it
    suffixes    of its files, in lower case
    module      that reads it
    extra       of this package that installs the module, "" where the package needs it anyway
    media_type  as HTTP sends the file; "" for what a browser cannot show, or should not
    pillow      name that Pillow has for it, "" where Pillow does not read it
    demuxer     name that FFmpeg has for the container of a video
    pages       whether each page, or chosen frames, are images of their own; None: with `--pages`
    """

    name: str
    suffixes: tuple[str, ...]
    module: str
    extra: str = ""
    media_type: str = ""
    pillow: str = ""
    demuxer: str = ""
    pages: bool | None = False


# fmt: off
RAW_SUFFIXES = frozenset({
    ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".dng", ".orf", ".rw2",
    ".raf", ".pef", ".srw", ".x3f", ".mrw", ".kdc", ".dcr", ".erf", ".mef", ".mos", ".3fr",
    ".iiq", ".rwl", ".fff", ".gpr", ".ori", ".ptx", ".pxn", ".cap", ".dcs", ".drf", ".k25",
})


def _video(name: str, suffixes: tuple[str, ...], demuxer: str, media_type: str = "") -> Format:
    return Format(name, suffixes, "av", "video", media_type, demuxer=demuxer, pages=True)


FORMATS = {
    "jpeg": Format("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"), "PIL.JpegImagePlugin",
                   media_type="image/jpeg", pillow="JPEG"),
    "png": Format("PNG", (".png", ".apng"), "PIL.PngImagePlugin",
                  media_type="image/png", pillow="PNG", pages=None),
    "gif": Format("GIF", (".gif",), "PIL.GifImagePlugin",
                  media_type="image/gif", pillow="GIF", pages=None),
    "bmp": Format("BMP", (".bmp", ".dib"), "PIL.BmpImagePlugin",
                  media_type="image/bmp", pillow="BMP"),
    "webp": Format("WebP", (".webp",), "PIL.WebPImagePlugin",
                   media_type="image/webp", pillow="WEBP", pages=None),
    "tiff": Format("TIFF", (".tif", ".tiff"), "PIL.TiffImagePlugin",
                   media_type="image/tiff", pillow="TIFF", pages=None),
    "avif": Format("AVIF", (".avif", ".avifs"), "PIL.AvifImagePlugin",
                   media_type="image/avif", pillow="AVIF", pages=None),
    "heic": Format("HEIC", (".heic", ".heif", ".hif"), "pillow_heif", media_type="image/heic"),
    "jp2": Format("JPEG 2000", (".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"),
                  "PIL.Jpeg2KImagePlugin", media_type="image/jp2", pillow="JPEG2000"),
    "psd": Format("Photoshop", (".psd",), "PIL.PsdImagePlugin", pillow="PSD"),
    "ico": Format("Windows icon", (".ico",), "PIL.IcoImagePlugin",
                  media_type="image/x-icon", pillow="ICO"),
    "jxl": Format("JPEG XL", (".jxl",), "pillow_jxl", "jxl", "image/jxl", "JXL"),
    "raw": Format("raw camera", tuple(sorted(RAW_SUFFIXES)), "rawpy", "raw"),
    "svg": Format("SVG", (".svg", ".svgz"), "resvg_py", "svg"),
    "pdf": Format("PDF", (".pdf",), "pypdfium2", "pdf", "application/pdf", pages=True),
    "mp4": _video("MP4 or QuickTime", (".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2"), "mov", "video/mp4"),
    "matroska": _video("Matroska or WebM", (".mkv", ".webm"), "matroska", "video/webm"),
    "avi": _video("AVI", (".avi",), "avi"),
    "mpegts": _video("MPEG transport stream", (".mts", ".m2ts"), "mpegts"),
    "mpeg": _video("MPEG", (".mpg", ".mpeg", ".vob"), "mpeg"),
    "asf": _video("Windows Media", (".wmv", ".asf"), "asf"),
    "flv": _video("Flash video", (".flv",), "flv"),
}
# fmt: on

VIDEO_FORMATS = frozenset(kind for kind, one in FORMATS.items() if one.demuxer)
VIDEO_SUFFIXES = frozenset(end for kind in VIDEO_FORMATS for end in FORMATS[kind].suffixes)

DOCUMENTS = VIDEO_FORMATS | {"pdf"}
"""Formats whose files are more than their first page: none is spare because that is a copy."""

BY_SUFFIX = {suffix: kind for kind, one in FORMATS.items() for suffix in one.suffixes}


@cache
def is_readable(kind: str | None) -> bool:
    """Return whether files of a format can be read here: whether the library that reads it is installed."""
    if kind not in FORMATS:
        return False
    return not FORMATS[kind].extra or find_spec(FORMATS[kind].module) is not None


def name_of(kind: str) -> str:
    """Return what people call a format; the containers of videos are all "video"."""
    return "video" if kind in VIDEO_FORMATS else FORMATS[kind].name


def how_to_read(kind: str) -> str:
    """Return the reason why files of a format are not read: it names the missing extra."""
    extra = FORMATS[kind].extra
    return f"{name_of(kind)} files are read by an extra: pip install 'lookalike[{extra}]'"


RAW_OF, LIVE_OF = "the raw file of ", "the video of the live photo "
"""How the reasons begin for files that belong to an image, whose name follows."""


def still_of(reason: str) -> str | None:
    """Return the name of the image that a file belongs to, by its stored reason; None if it is its own."""
    if not reason.startswith((RAW_OF, LIVE_OF)):
        return None
    return reason.removeprefix(RAW_OF).removeprefix(LIVE_OF)


def missing_extra(reason: str) -> tuple[str, str] | None:
    """Return the format and the extra that a stored reason (`how_to_read`) names, or None."""
    name, found, rest = reason.partition(" files are read by an extra: pip install 'lookalike[")
    return (name, rest.removesuffix("]'")) if found else None


def became_readable(reason: str, suffix: str) -> bool:
    """Return whether a file was not read for a reason that no longer holds: an extra that is installed now,
    or a format that an older version did not read (its reasons are the literals here)."""
    if missing := missing_extra(reason):
        return any(one.extra == missing[1] and is_readable(kind) for kind, one in FORMATS.items())
    old = reason.startswith("not an image") or reason.endswith(
        "are not supported; export it as JPEG, PNG or TIFF"
    )
    return old and suffix.lower() in BY_SUFFIX
