"""Read the directories of TIFF files, and decode the kinds of TIFF that Pillow cannot.

Pillow decodes TIFF of 1 to 8 bits. Rasters of more bits, of floating point or of signed numbers, BigTIFF in
big-endian order and planes stored one after another are decoded by OpenCV, whose libtiff gives the numbers as
they are (see `numbers`).
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lookalike.images.numbers import decode_numbers, to_image

if TYPE_CHECKING:
    from PIL import Image

MAX_PAGES = 100_000
"""Directories that are followed at most: a damaged chain may lead back into itself."""

MAX_NUMBERS = 1 << 17
"""Numbers of one tag that are read at most: in a hostile file, each tag may have all of it as its value."""

# Format characters of `struct` by TIFF type: of whole numbers, and of blocks of bytes.
_NUMBERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_BYTES = {1: "s", 2: "s", 6: "s", 7: "s"}

_SUBFILE, _BITS, _PHOTOMETRIC, _STRIPS, _ORIENTATION, _SAMPLES = 254, 258, 262, 273, 274, 277
_STRIP_SIZES, _TILES, _TILE_SIZES, _EXTRA_SAMPLES, _SAMPLE_FORMAT = 279, 324, 325, 338, 339
_PLANAR, _IGNORED, _WIDTH, _HEIGHT, _PREDICTOR, _TILE_WIDTH = 284, 337, 256, 257, 317, 322
_PROFILE, _XMP, _IPTC, _NO_DATA = 34675, 700, 33723, 42113

_BLOCKS = frozenset({_PROFILE, _XMP, _IPTC, _NO_DATA})
PLACES = frozenset({_STRIPS, _STRIP_SIZES, _TILES, _TILE_SIZES})
"""Tags with the places and sizes of strips and tiles."""

_INFO = PLACES | _BLOCKS | {
    _BITS, _PHOTOMETRIC, _ORIENTATION, _SAMPLES, _EXTRA_SAMPLES, _SAMPLE_FORMAT, _PLANAR, _WIDTH, _HEIGHT
}  # fmt: skip

_REDUCED_OR_MASK = 1 | 4

UNSIGNED, SIGNED, FLOAT = 1, 2, 3
"""Values of tag 339, SampleFormat."""

NO_ALPHA, ASSOCIATED, UNASSOCIATED = 0, 1, 2
"""Values of tag 338, ExtraSamples."""

_MIN_IS_WHITE, _RGB, _PALETTE = 0, 2, 3


@dataclass(frozen=True, slots=True)
class TiffInfo:
    """What the directories of a TIFF say.

    width, height  as stored
    bits           per sample of the first channel
    sample_format  UNSIGNED, SIGNED or FLOAT
    samples        channels, alpha included
    colors         the first channels, which are shown: 3 for RGB, else 1
    planes         tags of each channel as an image of its own, where channels are stored one after another
    alpha          NO_ALPHA, ASSOCIATED (colors are multiplied by it) or UNASSOCIATED
    alpha_at       which channel is alpha, from 0; other extra channels (near infrared) may precede it
    no_data        the value that stands for "no data" (GDAL), NaN included; None if there is none
    pages          images in the file, without reduced copies and masks
    ends_early     a strip or tile of the first image lies beyond the end of the file
    profile, xmp, iptc  these blocks, b"" where there is none
    """

    width: int
    height: int
    bits: int
    sample_format: int
    samples: int
    colors: int
    photometric: int
    orientation: int
    planes: tuple[Mapping[int, Sequence[int]], ...]
    alpha: int
    alpha_at: int
    no_data: float | None
    pages: int
    ends_early: bool
    profile: bytes
    xmp: bytes
    iptc: bytes

    @property
    def is_rgb(self) -> bool:
        """Whether OpenCV shows its colors right: it is grey, RGB, or has a palette of these."""
        return self.photometric <= _PALETTE

    @property
    def is_numeric(self) -> bool:
        """Whether it is grey or RGB of a kind that Pillow gets wrong: more than 8 bits, numbers that are not
        unsigned, or planes multiplied by alpha."""
        wide = self.bits > 8 or self.sample_format != UNSIGNED
        multiplied = bool(self.planes) and self.alpha == ASSOCIATED
        return (wide or multiplied) and self.photometric <= _RGB


class DirectoryReader:
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
        return int(self._unpack(self.offset, 8 if self.big else 4)[0])

    def directory(
        self, start: int, wanted: Collection[int], *, most: int = MAX_NUMBERS, whole: bool = False
    ) -> tuple[dict[int, tuple[Any, ...]], int]:
        """Return the values of the wanted tags, and where the next directory begins (0: there is none).

        Those that lie beyond the end, and those of more than `most` numbers, are left out.

        whole  raise struct.error where a value lies beyond the end
        """
        (entries,) = self._unpack(self.count, start)
        start += struct.calcsize("<" + self.count)
        found: dict[int, tuple[Any, ...]] = {}
        for at in range(start, start + min(entries, 4096) * self.size, self.size):
            tag, kind, length = self._unpack(self.entry, at)
            code = (_BYTES if tag in _BLOCKS else _NUMBERS).get(kind)
            if tag not in wanted or tag in found or code is None:
                continue
            if length <= (len(self.data) if code == "s" else most):
                try:
                    found[tag] = self._values(at + self.size - self.inline, code, length)
                except struct.error:
                    if whole:
                        raise
        end = start + entries * self.size
        following = self.data[end : end + self.inline]
        return found, int.from_bytes(following, "little" if self.order == "<" else "big")

    def _values(self, at: int, kind: str, length: int) -> tuple[Any, ...]:
        form = f"{length}{kind}"
        if struct.calcsize("<" + form) > self.inline:
            (at,) = self._unpack(self.offset, at)
        return self._unpack(form, at)

    def _unpack(self, form: str, at: int) -> tuple[Any, ...]:
        if at > len(self.data):  # offsets of BigTIFF may be larger than `struct` takes
            raise struct.error("beyond the end")
        return struct.unpack_from(self.order + form, self.data, at)


def read_info(data: bytes) -> TiffInfo:
    """Return what the directories say. Raises struct.error if the first one cannot be read."""
    reader = DirectoryReader(data)
    tags, _ = reader.directory(reader.first(), _INFO)
    bits = tags.get(_BITS) or (1,)
    photometric, samples = _first(tags, _PHOTOMETRIC, 1), _first(tags, _SAMPLES, 1)
    colors = 3 if photometric == _RGB and samples >= 3 else 1
    extra = tags.get(_EXTRA_SAMPLES, ())
    alphas = [
        (at, kind)
        for at, kind in enumerate(extra, samples - len(extra))
        if at >= colors and kind in (ASSOCIATED, UNASSOCIATED)
    ]
    alpha_at, alpha = alphas[0] if alphas else (0, NO_ALPHA)
    return TiffInfo(
        width=_first(tags, _WIDTH, 0),
        height=_first(tags, _HEIGHT, 0),
        bits=int(bits[0]),
        sample_format=_first(tags, _SAMPLE_FORMAT, UNSIGNED),
        samples=samples,
        colors=colors,
        photometric=photometric,
        orientation=_first(tags, _ORIENTATION, 1),
        planes=_planes(tags),
        alpha=alpha,
        alpha_at=alpha_at,
        no_data=_no_data(tags),
        pages=sum(1 for _ in _pages(reader)),
        ends_early=ends_early(tags, len(data)),
        profile=_block(tags.get(_PROFILE)),
        xmp=_block(tags.get(_XMP)),
        iptc=_block(tags.get(_IPTC)),
    )


def _block(value: tuple[Any, ...] | None) -> bytes:
    return value[0] if value else b""


def _first(tags: Mapping[int, tuple[Any, ...]], tag: int, default: int) -> int:
    value = tags.get(tag, (default,))
    return value[0] if value and isinstance(value[0], int) else default


def _no_data(tags: Mapping[int, tuple[Any, ...]]) -> float | None:
    try:
        return float(_block(tags.get(_NO_DATA)).partition(b"\x00")[0].strip())
    except ValueError:
        return None


def _pages(reader: DirectoryReader) -> Iterator[int]:
    """Yield where the directory of each image begins; pyramids and masks are none, unless they come first."""
    seen: set[int] = set()
    start = reader.first()
    while start and start not in seen and len(seen) < MAX_PAGES:
        try:
            tags, following = reader.directory(start, {_SUBFILE}, most=1)
        except struct.error:
            break
        if not seen or not _first(tags, _SUBFILE, 0) & _REDUCED_OR_MASK:
            yield start
        seen.add(start)
        start = following


def at_page(data: bytes, number: int) -> bytes:
    """Return a TIFF whose first image is that page of another. IndexError if it has no such page."""
    reader = DirectoryReader(data)
    start = next(islice(_pages(reader), number, None), None)
    if start is None:
        raise IndexError(number)
    offset = struct.pack(reader.order + reader.offset, start)
    at = 8 if reader.big else 4
    return data[:at] + offset + data[at + len(offset) :]


def ends_early(
    tags: Mapping[int, tuple[Any, ...]], size: int, *, missing: float = 0, starts_tag: int = _STRIPS
) -> bool:
    """Return whether a file of that size lacks more than a share of a strip or tile of a directory.

    starts_tag  where the places of strips are
    """
    starts = tags.get(starts_tag) or tags.get(_TILES) or ()
    sizes = tags.get(_STRIP_SIZES) or tags.get(_TILE_SIZES) or ()
    return any(a + b * (1 - missing) > size for a, b in zip(starts, sizes, strict=False))


def _planes(tags: Mapping[int, tuple[Any, ...]]) -> tuple[Mapping[int, Sequence[int]], ...]:
    """Return, for channels stored one after another, the tags of grey images that each hold one of them."""
    samples = _first(tags, _SAMPLES, 1)
    if _first(tags, _PLANAR, 1) != 2 or not 1 < samples < 1 << 16:
        return ()
    grey = {
        _PHOTOMETRIC: [1],
        _SAMPLES: [1],
        _PLANAR: [1],
        _BITS: tags.get(_BITS, (1,))[:1],
        _SAMPLE_FORMAT: tags.get(_SAMPLE_FORMAT, (UNSIGNED,))[:1],
    }
    planes = []
    for plane in range(samples):
        own: dict[int, Sequence[int]] = dict(grey)
        for tag in (_STRIPS, _STRIP_SIZES, _TILES, _TILE_SIZES):
            count = len(tags.get(tag, ())) // samples
            own[tag] = tags.get(tag, ())[plane * count : (plane + 1) * count]
        planes.append(own)
    return tuple(planes)


def decode_numeric(data: bytes, info: TiffInfo) -> Image.Image:
    """Return the first image in 8 bits. NotImplementedError for kinds that OpenCV does not know."""
    shown = [*range(info.colors), *([info.alpha_at] if info.alpha else ())]
    if info.planes:
        # OpenCV mixes up the planes of more than 8 bits.
        numbers = np.dstack([_numbers(data, info, info.planes[channel]) for channel in shown])
    elif info.samples > (4 if info.colors == 3 else 1):
        numbers = _interleaved(data, info)[:, :, shown]
    else:
        numbers = _numbers(data, info, {})
    # libtiff itself turns 8 bits the right way round.
    inverted = info.photometric == _MIN_IS_WHITE and numbers.dtype.itemsize > 1
    return to_image(
        numbers,
        no_data=info.no_data,
        min_is_white=inverted,
        has_alpha=info.alpha != NO_ALPHA,
        associated=info.alpha == ASSOCIATED,
    )


def _numbers(data: bytes, info: TiffInfo, tags: Mapping[int, Sequence[int]]) -> NDArray[Any]:
    """Return the numbers of a file of which some tags are replaced."""
    is_half = info.bits == 16 and info.sample_format == FLOAT
    if is_half:  # OpenCV reads no half precision, but the bytes of the numbers are the same
        tags = {**tags, _SAMPLE_FORMAT: [UNSIGNED] * (1 if tags else info.samples)}
    numbers = decode_numbers(_with_tags(data, tags) if tags else data)
    if numbers is None:
        raise NotImplementedError(f"{info.samples} channels of {info.bits} bits")
    if is_half and numbers.dtype == np.uint16:
        return np.ascontiguousarray(numbers).view(np.float16).astype(np.float32)
    kind = {UNSIGNED: "u", SIGNED: "i"}.get(info.sample_format)
    if kind and numbers.dtype.kind in "ui" and 8 * numbers.dtype.itemsize == info.bits:
        return numbers.view(f"{kind}{numbers.dtype.itemsize}")  # OpenCV 4 mixes them up
    return numbers


def _interleaved(data: bytes, info: TiffInfo) -> NDArray[Any]:
    """Return the numbers (h, w, channels) of channels that OpenCV does not know together, which are read as a
    grey image of as many times the width."""
    reader = DirectoryReader(data)
    tags, _ = reader.directory(reader.first(), {_PREDICTOR, _TILE_WIDTH})
    width = info.width * info.samples
    if _first(tags, _PREDICTOR, 1) != 1 or width >= 1 << 16:
        raise NotImplementedError(f"{info.samples} channels of {info.bits} bits")
    wide = {_WIDTH: [width], _TILE_WIDTH: [_first(tags, _TILE_WIDTH, 0) * info.samples]}
    wide |= {_PHOTOMETRIC: [1], _SAMPLES: [1], _BITS: [info.bits]}
    numbers = _numbers(data, info, wide | {_SAMPLE_FORMAT: [info.sample_format]})
    return numbers.reshape(info.height, info.width, info.samples)


def _with_tags(data: bytes, tags: Mapping[int, Sequence[int]]) -> bytes:
    """Return a TIFF in whose first directory these tags, where they are present, have other values.

    Extra samples are dropped where there is one sample. Of a tag that is there twice, the first counts.
    """
    tags, is_single = dict(tags), tags.get(_SAMPLES) == [1]
    reader = DirectoryReader(data)
    start = reader.first()
    (entries,) = struct.unpack_from(reader.order + reader.count, data, start)
    start += struct.calcsize("<" + reader.count)
    patched = bytearray(data)
    for at in range(start, start + min(entries, 4096) * reader.size, reader.size):
        tag, kind, _ = struct.unpack_from(reader.order + reader.entry, data, at)
        if tag == _EXTRA_SAMPLES and is_single:
            struct.pack_into(reader.order + "H", patched, at, _IGNORED)
        if tag not in tags or kind not in _NUMBERS:
            continue
        values = tags.pop(tag)
        content = struct.pack(f"{reader.order}{len(values)}{_NUMBERS[kind]}", *values)
        struct.pack_into(reader.order + reader.entry, patched, at, tag, kind, len(values))
        if len(content) > reader.inline:
            offset = struct.pack(reader.order + reader.offset, len(patched))
            patched += content
            content = offset
        patched[at + reader.size - reader.inline : at + reader.size] = content.ljust(
            reader.inline, b"\0"
        )
    return bytes(patched)
