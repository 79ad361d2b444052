"""Bytes → upright 8-bit RGB pixels, no larger than needed. Everything in the bytes is suspect."""

from __future__ import annotations

import importlib
import io
import math
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from lookalike.errors import ImageError, Outcome
from lookalike.images.decode_errors import judge
from lookalike.images.jpeg import JpegHeader, decode_plain, is_plain, read_header
from lookalike.images.metadata.facts import NOTHING, Blocks, blocks_of, with_blocks
from lookalike.images.pixel_spec import Facts, Pixels, PixelSpec
from lookalike.images.scale import WIDEST, crop_box, least_scale
from lookalike.images.sniff import HEAD_BYTES, refusal, sniff
from lookalike.workers.limits import Limits

if TYPE_CHECKING:
    from PIL import Image

# Pillow imports its plugins as it pleases unless they are named: only these ever see the bytes.
_PLUGINS = {
    "jpeg": ("JPEG", "PIL.JpegImagePlugin"),
    "png": ("PNG", "PIL.PngImagePlugin"),
    "gif": ("GIF", "PIL.GifImagePlugin"),
    "bmp": ("BMP", "PIL.BmpImagePlugin"),
    "webp": ("WEBP", "PIL.WebPImagePlugin"),
    "tiff": ("TIFF", "PIL.TiffImagePlugin"),
    "avif": ("AVIF", "PIL.AvifImagePlugin"),
}

TEXT_BYTES = 16 << 20
"""The largest text or colour profile of a PNG."""

_pillow_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Decoded:
    """A picture: `pixels` (h, w, 3) uint8 RGB, upright, at most 3:1; `facts` of the whole file."""

    pixels: Pixels
    facts: Facts


def decode(
    data: bytes, *, needs: Sequence[PixelSpec], limits: Limits | None = None, name: str = ""
) -> Decoded:
    """Decodes a picture at the smallest scale that serves all `needs` (none: the full size).

    EXIF orientation is applied, alpha is put on white, of an animation the first frame is taken,
    beyond 3:1 the centre is kept. `name` is the file's name, used for refusals only. The pixels are
    scaled by a whole factor at most; `fit` does the rest. Raises ImageError, nothing else.
    """
    limits = limits or Limits()
    head = data[:HEAD_BYTES]
    if refused := refusal(name, head, len(data)):
        raise refused
    kind = sniff(head) or ""
    try:
        if kind == "jpeg":
            return _decode_jpeg(data, needs, limits)
        if kind == "heic":
            return _decode_heic(data, needs, limits)
        return _decode_pillow(data, kind, needs, limits, 1)
    except ImageError:
        raise
    except Exception as error:
        raise judge(error, kind, data) from None


def _decode_jpeg(data: bytes, needs: Sequence[PixelSpec], limits: Limits) -> Decoded:
    header = read_header(data)
    if header is None:
        raise judge(ValueError("no frame header"), "jpeg", data)
    _check_size(header.width, header.height, limits)
    if header.bits != 8:
        raise ImageError(
            Outcome.UNSUPPORTED, f"JPEG of {header.bits} bits is not read; save it with 8 bits"
        )
    if is_plain(header):
        pixels = decode_plain(data, header, _halvings(header, needs))
        if pixels is not None:
            facts = _facts(header.width, header.height, header.orientation, "jpeg", header.blocks)
            return Decoded(_finish(pixels, header.orientation), facts)
    return _decode_pillow(data, "jpeg", needs, limits, header.orientation, header.blocks)


def _halvings(header: JpegHeader, needs: Sequence[PixelSpec]) -> int:
    scale = _scale(header.width, header.height, header.orientation, needs)
    return next(times for times in (3, 2, 1, 0) if 0.5**times >= scale)


def _decode_pillow(
    data: bytes,
    kind: str,
    needs: Sequence[PixelSpec],
    limits: Limits,
    orientation: int,
    blocks: Blocks = NOTHING,
) -> Decoded:
    from lookalike.images.convert import to_rgb

    name, plugin = _PLUGINS[kind]
    module = importlib.import_module(plugin)
    if kind == "avif":
        setattr(module, "DEFAULT_MAX_THREADS", 1)  # noqa: B010 - every core already has its worker
    if kind == "png":
        # Of a colour profile or a text. Pillow's is 1 MiB, which printers' profiles exceed.
        setattr(module, "MAX_TEXT_CHUNK", TEXT_BYTES)  # noqa: B010
    with _quiet_pillow() as pillow, pillow.open(io.BytesIO(data), formats=[name]) as image:
        width, height = image.size
        _check_size(width, height, limits)
        if kind == "jpeg":
            scale = _scale(width, height, orientation, needs)
            image.draft(None, (math.ceil(width * scale), math.ceil(height * scale)))
        image.load()
        if kind not in ("jpeg", "tiff"):  # Pillow turns TIFF upright while loading
            orientation = _tagged_orientation(image)
        if kind != "jpeg":
            width, height = image.size
        scale = _scale(width, height, orientation, needs)
        pixels = _shrunk(to_rgb(image), width, height, scale)
        if kind != "jpeg":
            blocks = blocks_of(image)
        facts = _facts(width, height, orientation, kind, blocks)
    return Decoded(_finish(pixels, orientation), facts)


def _decode_heic(data: bytes, needs: Sequence[PixelSpec], limits: Limits) -> Decoded:
    """libheif turns the picture upright by the container's own rules; EXIF must not do it again.

    Phones store a thumbnail of 320 pixels or more beside the picture. Where it is large enough and
    a true copy (pillow-heif compares shape, crop and rotation) it is decoded instead.
    """
    from pillow_heif import options
    from pillow_heif.as_plugin import HeifImageFile

    from lookalike.images.convert import to_rgb

    options.DECODE_THREADS = 1
    with _quiet_pillow(), HeifImageFile(io.BytesIO(data)) as image:
        width, height = image.size
        _check_size(width, height, limits)
        scale = _scale(width, height, 1, needs)
        image.draft(None, (math.ceil(width * scale), math.ceil(height * scale)))
        image.load()
        pixels = _shrunk(to_rgb(image), width, height, scale)
        facts = _facts(width, height, 1, "heic", blocks_of(image))
    return Decoded(_finish(pixels, 1), facts)


@contextmanager
def _quiet_pillow() -> Iterator[ModuleType]:
    """Pillow's module, with its warnings off and its own size limit replaced by ours.

    Both switches are global to the process, hence the lock; in a worker nobody waits for it.
    """
    from PIL import Image as pillow

    with _pillow_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit = pillow.MAX_IMAGE_PIXELS
        pillow.MAX_IMAGE_PIXELS = None
        try:
            yield pillow
        finally:
            pillow.MAX_IMAGE_PIXELS = limit


def _tagged_orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(274, 1)
    except Exception:  # whatever a damaged EXIF block does, the picture itself is fine
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _shrunk(image: Image.Image, width: int, height: int, scale: float) -> Pixels:
    """The pixels of an RGB image, averaged over whole blocks as far as `scale` allows."""
    factor = int(min(image.width / (width * scale), image.height / (height * scale)) + 1e-9)
    return np.asarray(image.reduce(factor) if factor > 1 else image)


def _scale(width: int, height: int, orientation: int, needs: Sequence[PixelSpec]) -> float:
    """`least_scale` of what remains of the upright picture after the cut to 3:1."""
    if orientation >= 5:
        width, height = height, width
    return least_scale(*crop_box(width, height)[2:], needs)


def _finish(pixels: Pixels, orientation: int) -> Pixels:
    """Upright, cut to 3:1, contiguous."""
    if max(pixels.shape[:2]) > WIDEST * min(pixels.shape[:2]):
        left, top, width, height = crop_box(pixels.shape[1], pixels.shape[0])
        pixels = pixels[top : top + height, left : left + width]
    return np.ascontiguousarray(upright(pixels, orientation))


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Undoes EXIF orientation 1 to 8 (Exif 2.32, tag 274): a view, nothing is copied."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def _check_size(width: int, height: int, limits: Limits) -> None:
    if width < 1 or height < 1:
        raise ImageError(Outcome.UNREADABLE, f"says that it has {width}×{height} pixels: damaged")
    if width * height > limits.max_pixels:
        raise ImageError(
            Outcome.TOO_LARGE,
            f"has {width}×{height} = {width * height / 1e6:.0f} megapixels, more than"
            f" {limits.max_pixels / 1e6:.0f}; raise --max-pixels if you trust it",
        )


def _facts(width: int, height: int, orientation: int, kind: str, blocks: Blocks) -> Facts:
    if orientation >= 5:
        width, height = height, width
    facts = Facts(width, height, kind)
    return facts if blocks is NOTHING else with_blocks(facts, blocks)
