"""Read the directories of TIFF files, and decode the kinds of TIFF that Pillow cannot.

Pillow decodes TIFF of 1 to 8 bits. Rasters of more bits, of floating point or of signed numbers, BigTIFF in
big-endian order and planes stored one after another are decoded by OpenCV, whose libtiff gives the numbers as
they are; `convert` turns these into 8 bits.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_PAGES = 100_000
"""Directories that are followed at most: a damaged chain may lead back into itself."""

# Format characters of `struct` by TIFF type; RATIONAL (5, 10) is not read.
_TYPES = {1: "B", 2: "s", 3: "H", 4: "I", 6: "b", 7: "s", 8: "h", 9: "i", 11: "f", 12: "d"} | {
    16: "Q",
    17: "q",
    18: "Q",
}

_SUBFILE, _BITS, _PHOTOMETRIC, _STRIPS, _ORIENTATION, _SAMPLES = 254, 258, 262, 273, 274, 277
_STRIP_SIZES, _TILES, _TILE_SIZES, _EXTRA_SAMPLES, _SAMPLE_FORMAT = 279, 324, 325, 338, 339
_PROFILE, _NO_DATA = 34675, 42113

_REDUCED_OR_MASK = 1 | 4

UNSIGNED, SIGNED, FLOAT = 1, 2, 3
"""Values of tag 339, SampleFormat."""

MIN_IS_WHITE = 0


@dataclass(frozen=True, slots=True)
class TiffInfo:
    """What the directories of a TIFF say.

    width, height  as stored
    bits           per sample of the first channel
    sample_format  UNSIGNED, SIGNED or FLOAT
    samples        channels, alpha included
    alpha          whether one of them is alpha
    no_data        the value that stands for "no data" (GDAL), NaN included; None if there is none
    pages          images in the file, without reduced copies and masks
    ends_early     a strip or tile of the first image lies beyond the end of the file
    profile        ICC profile, b"" if there is none
    """

    width: int
    height: int
    bits: int
    sample_format: int
    samples: int
    photometric: int
    orientation: int
    alpha: bool
    no_data: float | None
    pages: int
    ends_early: bool
    profile: bytes

    @property
    def is_measured(self) -> bool:
        """Whether its numbers are more than 8 bits or not unsigned."""
        return self.bits > 8 or self.sample_format != UNSIGNED


class _Reader:
    """Reads the directories of classic TIFF and BigTIFF. Raises struct.error beyond the end."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.order = "<" if data[:2] == b"II" else ">"
        self.big = struct.unpack_from(self.order + "H", data, 2)[0] == 43
        # Number of entries, one entry (tag, type, count), and an offset.
        self.count, self.entry, self.offset = ("Q", "HHQ", "Q") if self.big else ("H", "HHI", "I")
        self.inline = 8 if self.big else 4
        self.size = struct.calcsize("<" + self.entry) + self.inline

    def first(self) -> int:
        """Return where the first directory begins."""
        return int(struct.unpack_from(self.order + self.offset, self.data, 8 if self.big else 4)[0])

    def directory(self, start: int) -> tuple[dict[int, tuple[Any, ...]], int]:
        """Return values by tag, and where the next directory begins (0: there is none)."""
        (entries,) = struct.unpack_from(self.order + self.count, self.data, start)
        start += struct.calcsize("<" + self.count)
        found: dict[int, tuple[Any, ...]] = {}
        for at in range(start, start + min(entries, 4096) * self.size, self.size):
            tag, kind, length = struct.unpack_from(self.order + self.entry, self.data, at)
            if kind in _TYPES and length <= len(self.data):
                value = self._values(at + self.size - self.inline, _TYPES[kind], length)
                if value is not None:
                    found.setdefault(tag, value)
        (following,) = struct.unpack_from(
            self.order + self.offset, self.data, start + entries * self.size
        )
        return found, int(following)

    def _values(self, at: int, kind: str, length: int) -> tuple[Any, ...] | None:
        form = f"{self.order}{length}{kind}"
        if struct.calcsize(form) > self.inline:
            (at,) = struct.unpack_from(self.order + self.offset, self.data, at)
        try:
            return struct.unpack_from(form, self.data, at)
        except struct.error:
            return None


def read_info(data: bytes) -> TiffInfo:
    """Return what the directories say. Raises struct.error if the first one cannot be read."""
    reader = _Reader(data)
    start = reader.first()
    tags, following = reader.directory(start)
    bits = tags.get(_BITS, (1,))
    return TiffInfo(
        width=_first(tags, 256, 0),
        height=_first(tags, 257, 0),
        bits=int(bits[0]),
        sample_format=_first(tags, _SAMPLE_FORMAT, UNSIGNED),
        samples=_first(tags, _SAMPLES, 1),
        photometric=_first(tags, _PHOTOMETRIC, 1),
        orientation=_first(tags, _ORIENTATION, 1),
        alpha=any(kind in (1, 2) for kind in tags.get(_EXTRA_SAMPLES, ())),
        no_data=_no_data(tags),
        pages=_count_pages(reader, tags, following, start),
        ends_early=_ends_early(tags, len(data)),
        profile=bytes(tags.get(_PROFILE, (b"",))[0]) if _is_bytes(tags.get(_PROFILE)) else b"",
    )


def _is_bytes(value: tuple[Any, ...] | None) -> bool:
    return bool(value) and isinstance(value[0], bytes) if value else False


def _first(tags: Mapping[int, tuple[Any, ...]], tag: int, default: int) -> int:
    value = tags.get(tag, (default,))
    return value[0] if value and isinstance(value[0], int) else default


def _no_data(tags: Mapping[int, tuple[Any, ...]]) -> float | None:
    text = tags.get(_NO_DATA)
    if not _is_bytes(text) or text is None:
        return None
    try:
        return float(text[0].partition(b"\x00")[0].strip())
    except ValueError:
        return None


def _count_pages(
    reader: _Reader, tags: Mapping[int, tuple[Any, ...]], following: int, start: int
) -> int:
    """Return the number of images in the chain of directories; pyramids and masks are none."""
    pages = 1
    seen = {start}
    while following and following not in seen and len(seen) < MAX_PAGES:
        seen.add(following)
        try:
            tags, following = reader.directory(following)
        except struct.error:
            break
        pages += not _first(tags, _SUBFILE, 0) & _REDUCED_OR_MASK
    return pages


def _ends_early(tags: Mapping[int, tuple[Any, ...]], size: int) -> bool:
    starts = tags.get(_STRIPS) or tags.get(_TILES) or ()
    sizes = tags.get(_STRIP_SIZES) or tags.get(_TILE_SIZES) or ()
    return any(a + b > size for a, b in zip(starts, sizes, strict=False))


def decode_numbers(data: bytes, info: TiffInfo) -> NDArray[Any]:
    """Return the first image as numbers, (h, w) grey or (h, w, channels) with RGB first.

    Raises NotImplementedError for kinds that OpenCV does not know.
    """
    import cv2

    is_half = info.bits == 16 and info.sample_format == FLOAT
    if is_half:
        data = _as_unsigned(data)
    cv2.utils.logging.setLogLevel(0)  # what it cannot decode it would report on stderr
    numbers = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if numbers is None:
        raise NotImplementedError(
            f"{info.samples} channels of {info.bits} bits"
            if info.samples > 4
            else f"{info.bits} bits"
        )
    result: NDArray[Any] = np.asarray(numbers)
    if is_half and result.dtype == np.uint16:
        result = result.view(np.float16).astype(np.float32)
    if result.ndim == 3:
        order = {3: [2, 1, 0], 4: [2, 1, 0, 3]}.get(result.shape[2])
        result = result[:, :, order] if order else result[:, :, 0]
    return result


def _as_unsigned(data: bytes) -> bytes:
    """Return a TIFF of half-precision numbers that says it holds unsigned integers of 16 bits.

    OpenCV reads no half precision, but the bytes of the numbers are the same.
    """
    reader = _Reader(data)
    start = reader.first()
    (entries,) = struct.unpack_from(reader.order + reader.count, data, start)
    start += struct.calcsize("<" + reader.count)
    patched = bytearray(data)
    for at in range(start, start + min(entries, 4096) * reader.size, reader.size):
        tag, _, length = struct.unpack_from(reader.order + reader.entry, data, at)
        if tag == _SAMPLE_FORMAT:
            values = at + reader.size - reader.inline
            if 2 * length > reader.inline:
                (values,) = struct.unpack_from(reader.order + reader.offset, data, values)
            struct.pack_into(f"{reader.order}{length}H", patched, values, *[UNSIGNED] * length)
    return bytes(patched)
