"""Data types for what an image file states about itself beyond its pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True, slots=True)
class Facts:
    """Size, format and embedded metadata of an image file.

    width, height        upright size in pixels
    format               of the content, whatever the name says: "jpeg", "png", "gif", "bmp", "webp",
                         "tiff", "avif" or "heic"
    frames               images in the file: frames of an animation, pages of a TIFF; 1 in most files
    note                 what is wrong with the file although it could be decoded
    dominant_color       of its pixels, "#rrggbb" (`images.dominant_color`)

    The rest comes from EXIF, IPTC and XMP, where present and plausible:
    taken                local time, "2024-05-01T12:30:00", followed by "+02:00" if that is known; or only
                         a date
    camera, lens         as the maker calls them
    exposure             "1/250 s f/8 ISO 100 +1.0 EV"
    latitude, longitude  degrees, north and east positive; both or neither
    caption, keywords    written by people
    rating               1 to 5, -1: rejected
    color_label          "Red"
    people               their names
    hierarchical_keywords  "Places|France|Paris"

    What an extractor has read in it, if one has:
    ocr_text, ocr_confidence, ocr_outcome   see `extractors.interface.ImageText`
    """

    width: int
    height: int
    format: str
    taken: str | None = None
    camera: str | None = None
    lens: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    caption: str | None = None
    keywords: tuple[str, ...] = ()
    frames: int = 1
    note: str | None = None
    rating: float | None = None
    color_label: str | None = None
    people: tuple[str, ...] = ()
    hierarchical_keywords: tuple[str, ...] = ()
    ocr_text: str | None = None
    ocr_confidence: float | None = None
    ocr_outcome: str | None = None
    dominant_color: str | None = None
    exposure: str | None = None

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Return the facts of these fields as JSON has them, with lists instead of tuples."""
        fields: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
        return cls(**fields)


OCR_TEXT = "ocr_text"
"""Field of the text that an extractor has read in an image."""

OCR_FIELDS = (OCR_TEXT, "ocr_confidence", "ocr_outcome")


@dataclass(frozen=True, slots=True)
class EmbeddedText:
    """Title, description and keywords from one metadata block."""

    title: str = ""
    description: str = ""
    keywords: tuple[str, ...] = ()


NO_TEXT = EmbeddedText()


@dataclass(frozen=True, slots=True)
class MetadataBlocks:
    """The metadata blocks of a file, not parsed; b"" for a missing one.

    exif  TIFF-structured, without "Exif\\0\\0" before it, or Pillow's object for it
    xmp   an XML packet
    iptc  IPTC-IIM records, or the Photoshop resources that contain them
    text  from the image format itself
    """

    exif: bytes | Image.Exif = b""
    xmp: bytes = b""
    iptc: bytes = b""
    text: EmbeddedText | None = None


NO_METADATA = MetadataBlocks()


def whole_position(latitude: float | None, longitude: float | None) -> tuple[float, float] | None:
    """Return latitude and longitude, or None where one is missing or impossible.

    Receivers write 0° 0' before they know where they are.
    """
    if latitude is None or longitude is None or (latitude, longitude) == (0, 0):
        return None
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        return None
    return round(latitude, 7), round(longitude, 7)


def clean_text(text: str) -> str:
    """Return a text without NUL and what follows it, and without surrounding blanks."""
    return text.partition("\x00")[0].strip()
