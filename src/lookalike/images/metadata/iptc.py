"""Read headline, caption, keywords and dates from IPTC-IIM records (Information Interchange Model 4.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lookalike.images.metadata.facts import NO_TEXT, EmbeddedText, clean_text
from lookalike.images.metadata.moment import iso_moment

_RESOURCE = b"8BIM"
_IPTC = 0x0404
_HEADLINE, _CAPTION, _KEYWORD = (2, 105), (2, 120), (2, 25)
_TITLE = (2, 5)
_CREATED, _CREATED_TIME = (2, 55), (2, 60)
_DIGITIZED, _DIGITIZED_TIME = (2, 62), (2, 63)
_CHARACTERS = (1, 90)
_UTF8 = b"\x1b%G"


@dataclass(frozen=True, slots=True)
class IptcData:
    """Texts of the IPTC records, and when the image was taken and digitized (None: not stated)."""

    text: EmbeddedText = NO_TEXT
    taken: str | None = None
    digitized: str | None = None


def read_iptc(block: bytes) -> IptcData:
    """Return what a block says: plain records, or Photoshop image resources that contain them."""
    records = _resource(block) if block[:4] == _RESOURCE else block
    title = headline = caption = b""
    keywords: list[bytes] = []
    dates: dict[tuple[int, int], bytes] = {}
    utf8 = False
    for tag, value in _datasets(records):
        if tag == _CHARACTERS:
            utf8 = value == _UTF8
        elif tag == _TITLE:
            title = title or value
        elif tag == _HEADLINE:
            headline = headline or value
        elif tag == _CAPTION:
            caption = caption or value
        elif tag == _KEYWORD:
            keywords.append(value)
        elif tag in (_CREATED, _CREATED_TIME, _DIGITIZED, _DIGITIZED_TIME):
            dates.setdefault(tag, value)
    text = EmbeddedText(
        _text(headline or title, utf8),
        _text(caption, utf8),
        tuple(_text(keyword, utf8) for keyword in keywords),
    )
    return IptcData(
        text,
        _moment(dates.get(_CREATED, b""), dates.get(_CREATED_TIME, b"")),
        _moment(dates.get(_DIGITIZED, b""), dates.get(_DIGITIZED_TIME, b"")),
    )


def _moment(day: bytes, time: bytes) -> str | None:
    """Return the moment of a date CCYYMMDD and a time HHMMSS±HHMM, of which the latter may be missing."""
    date, clock = day.decode("ascii", "replace").strip(), time.decode("ascii", "replace").strip()
    text = f"{date[:4]}-{date[4:6]}-{date[6:8]}"
    if len(clock) >= 6:
        text += f"T{clock[:2]}:{clock[2:4]}:{clock[4:6]}{clock[6:]}"
    return iso_moment(text) if len(date) == 8 else None


def _resource(block: bytes) -> bytes:
    """Return the records among Photoshop's resources: "8BIM", id, Pascal name, size, data, all padded."""
    at = 0
    while block[at : at + 4] == _RESOURCE and at + 12 <= len(block):
        kind = int.from_bytes(block[at + 4 : at + 6], "big")
        at += 6 + ((block[at + 6] + 2) & ~1)
        size = int.from_bytes(block[at : at + 4], "big")
        if kind == _IPTC:
            return block[at + 4 : at + 4 + size]
        at += 4 + ((size + 1) & ~1)
    return b""


def _datasets(records: bytes) -> Iterator[tuple[tuple[int, int], bytes]]:
    at = 0
    while at + 5 <= len(records) and records[at] == 0x1C:
        size = int.from_bytes(records[at + 3 : at + 5], "big")
        start = at + 5
        if size & 0x8000:  # an extended dataset: this many bytes hold the length
            width = size & 0x7FFF
            size = int.from_bytes(records[start : start + min(width, 8)], "big")
            start += width
        yield (records[at + 1], records[at + 2]), records[start : start + size]
        at = start + size


def _text(value: bytes, utf8: bool) -> str:
    """Decode a text. Records rarely state their encoding; valid UTF-8 is hardly ever Latin-1."""
    try:
        return clean_text(value.decode("utf-8"))
    except UnicodeDecodeError:
        return clean_text(value.decode("utf-8" if utf8 else "cp1252", "replace"))
