"""Decode untrusted bytes to upright 8-bit RGB pixels, no larger than needed."""

from __future__ import annotations

import importlib
import io
import math
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from lookalike.errors import ImageError, Outcome
from lookalike.images.decode_errors import to_image_error, truncated
from lookalike.images.formats import FORMATS, VIDEO_FORMATS, is_readable
from lookalike.images.jpeg import JpegHeader, decode_plain, is_plain, read_header
from lookalike.images.jpeg_end import with_end
from lookalike.images.jxl import jxl_size
from lookalike.images.metadata.facts import NO_METADATA, Facts, MetadataBlocks
from lookalike.images.pages import chosen_frames, further_pages
from lookalike.images.pixel_spec import Decoded, Pixels, PixelSpec
from lookalike.images.reading import Content
from lookalike.images.resize import crop_box, decode_scale, limit_aspect
from lookalike.images.sniff import HEAD_BYTES, is_raw, kind_of, refusal
from lookalike.images.tiff import at_page, decode_numeric, read_info
from lookalike.workers.limits import Limits

if TYPE_CHECKING:
    from PIL import Image

TEXT_BYTES = 16 << 20
"""The largest text or colour profile of a PNG. Pillow's 1 MiB is less than printers' profiles have."""

_ANIMATED = frozenset({"png", "gif", "webp", "avif"})

_pillow_lock = threading.Lock()


def decode(
    content: bytes | Content,
    *,
    specs: Sequence[PixelSpec],
    limits: Limits | None = None,
    name: str = "",
    whole: bool = False,
    page: str = "",
) -> Decoded:
    """Decode an image at the smallest scale that serves all `specs` (empty: the full size).

    EXIF orientation and the color profile are applied, transparency is composited on white (on black if
    the content would vanish on white), an animation gives its first frame, and images beyond 3:1 are
    cropped to the centre unless `whole` is true or a spec wants the whole. `name` is the file's name, used
    in error messages and to tell raw files from TIFF. `page` is one of a file with several ("3", "t=12.5"),
    by default that of the content. The pixels are scaled by whole factors only; `resize.fit` does the rest.
    Raises ImageError, nothing else.
    """
    limits = limits or Limits()
    file = ""
    if isinstance(content, bytes):
        data = content
    else:
        data, page, file = content.data, page or content.page, content.file
    head = data[:HEAD_BYTES]
    if refused := refusal(name, head, len(data)):
        raise refused
    kind = kind_of(name, head) or ""
    if kind == "tiff" and is_readable("raw") and is_raw(data):
        kind = "raw"  # the first directory lies beyond the head, and an upload has no name
    if page and not page.isdecimal() and kind not in VIDEO_FORMATS:
        raise ImageError(Outcome.MISSING, f"the file has no page {page}")
    check_size = partial(_check_size, limits=limits)
    scale = partial(_scale, orientation=1, specs=specs)
    try:
        if kind == "jpeg":
            decoded = _decode_jpeg(data, specs, limits)
        elif kind == "heic":
            decoded = _decode_heic(data, specs, limits)
        elif kind == "tiff":
            decoded = _decode_tiff(data, specs, limits, page)
        elif kind == "raw":
            decoded = _decode_raw(data, specs, limits)
        elif kind == "pdf":
            from lookalike.images.pdf import decode_pdf

            decoded = decode_pdf(data, page, scale)
        elif kind == "svg":
            from lookalike.images.svg import decode_svg

            decoded = decode_svg(data, scale, check_size)
        elif kind in VIDEO_FORMATS:
            from lookalike.images.video import decode_video

            decoded = decode_video(file or io.BytesIO(data), kind, page, scale, check_size, limits)
        else:
            decoded = _decode_pillow(data, kind, specs, limits, page=page)
        if page and page != "1" and FORMATS[kind].pages is False:
            raise ImageError(Outcome.MISSING, f"the file has no page {page}")
    except ImageError:
        raise
    except Exception as error:
        raise to_image_error(error, kind, data) from None
    central = limit_aspect(decoded.pixels)
    if central is decoded.pixels or whole or any(spec.whole for spec in specs):
        return decoded
    return replace(decoded, pixels=central)


def _decode_jpeg(data: bytes, specs: Sequence[PixelSpec], limits: Limits) -> Decoded:
    header = read_header(data)
    if header is None:
        raise to_image_error(ValueError("no frame header"), "jpeg", data)
    _check_size(header.width, header.height, limits)
    if header.bits != 8:
        raise ImageError(
            Outcome.UNSUPPORTED,
            f"JPEG with {header.bits} bits is not supported; save it with 8 bits",
        )
    try:
        return _decode_whole_jpeg(data, header, specs, limits)
    except (ImageError, OSError, ValueError) as error:
        failure = error if isinstance(error, ImageError) else to_image_error(error, "jpeg", data)
        mended = with_end(data) if failure.outcome is Outcome.TRUNCATED else None
        if mended is None:
            raise failure from None
    whole, note = mended
    decoded = _decode_whole_jpeg(whole, header, specs, limits)
    return replace(decoded, facts=replace(decoded.facts, note=note))


def _decode_whole_jpeg(
    data: bytes, header: JpegHeader, specs: Sequence[PixelSpec], limits: Limits
) -> Decoded:
    if is_plain(header):
        pixels = decode_plain(data, header, _halvings(header, specs))
        if pixels is not None:
            if header.profile:
                pixels = _to_srgb(pixels, header.profile, grey=header.components == 1)
            facts = _facts(header.width, header.height, header.orientation, "jpeg", header.blocks)
            return Decoded(_finish(pixels, header.orientation), facts)
    return _decode_pillow(data, "jpeg", specs, limits, header)


def _halvings(header: JpegHeader, specs: Sequence[PixelSpec]) -> int:
    scale = _scale(header.width, header.height, header.orientation, specs)
    return next(times for times in (3, 2, 1, 0) if 0.5**times >= scale)


def _decode_pillow(
    data: bytes,
    kind: str,
    specs: Sequence[PixelSpec],
    limits: Limits,
    header: JpegHeader | None = None,
    page: str = "",
) -> Decoded:
    from lookalike.images.metadata.read_metadata import metadata_blocks

    name = FORMATS[kind].pillow
    module = importlib.import_module(FORMATS[kind].module)
    if kind == "avif":
        setattr(module, "DEFAULT_MAX_THREADS", 1)  # noqa: B010 - every core already has its worker
    if kind == "jxl":
        _check_size(*jxl_size(data), limits)  # opening it decodes all of it
        from pillow_jxl import JpegXLImagePlugin

        JpegXLImagePlugin.DECODE_THREADS = 0
    if kind == "png":
        setattr(module, "MAX_TEXT_CHUNK", TEXT_BYTES)  # noqa: B010
    with _quiet_pillow() as pillow, pillow.open(io.BytesIO(data), formats=[name]) as image:
        width, height = image.size
        _check_size(width, height, limits)
        frames = max(1, getattr(image, "n_frames", 1)) if kind in _ANIMATED else 1
        if page:
            _seek(image, int(page), frames)
        orientation = header.orientation if header else 1
        if header:
            scale = _scale(width, height, orientation, specs)
            image.draft(None, (math.ceil(width * scale), math.ceil(height * scale)))
        if kind == "jp2":
            scale = _scale(width, height, 1, specs)
            setattr(image, "reduce", next(n for n in (3, 2, 1, 0) if 0.5**n >= scale))  # noqa: B010
        image.load()
        if kind not in ("jpeg", "tiff"):  # Pillow turns TIFF upright while loading it
            # The decoder of JPEG XL applies the orientation, unless a JPEG is in it.
            upright_already = kind == "jxl" and not getattr(image, "jpeg", False)
            orientation = 1 if upright_already else _tagged_orientation(image)
        if not header and kind != "jp2":
            width, height = image.size
            _check_size(width, height, limits)  # that of an icon is only known now
        scale = _scale(width, height, orientation, specs)
        profile = header.profile if header else None
        pixels = _pixels(image, width, height, scale, profile, data)
        blocks = header.blocks if header else metadata_blocks(image)
        facts = _facts(width, height, orientation, kind, blocks, 1 if page else frames)
    further = chosen_frames(frames) if frames > 1 and not page else ()
    return Decoded(_finish(pixels, orientation), facts, further)


def _seek(image: Image.Image, page: int, frames: int) -> None:
    if not 1 <= page <= frames:
        raise ImageError(Outcome.MISSING, f"the file has no frame {page} (any more)")
    image.seek(page - 1)


def _decode_tiff(data: bytes, specs: Sequence[PixelSpec], limits: Limits, page: str) -> Decoded:
    """Decode TIFF: up to 8 bits by Pillow, the rest, and what Pillow refuses, by OpenCV."""
    if page:
        try:
            data = at_page(data, int(page) - 1) if int(page) > 1 else data
        except IndexError:
            raise ImageError(Outcome.MISSING, f"the TIFF has no page {page} (any more)") from None
    info = read_info(data)
    if page:
        info = replace(info, pages=1)
    further = further_pages(info.pages)
    _check_size(info.width, info.height, limits)
    try:
        if not info.is_numeric:
            decoded = _decode_pillow(data, "tiff", specs, limits)
            return Decoded(decoded.pixels, replace(decoded.facts, frames=info.pages), further)
    except (OSError, ValueError) as error:
        # Pillow cannot identify the file, or lacks the mode of its pixels: OpenCV may read it.
        if info.ends_early or not info.is_rgb:
            raise
        failure = error
    if info.ends_early:
        raise truncated()
    try:
        image = decode_numeric(data, info)
    except NotImplementedError:
        if not info.is_numeric:
            raise failure from None
        raise
    width, height = image.size
    scale = _scale(width, height, info.orientation, specs)
    pixels = _pixels(image, width, height, scale, info.profile, data)
    blocks = MetadataBlocks(data, info.xmp, info.iptc)
    facts = _facts(width, height, info.orientation, "tiff", blocks, info.pages)
    return Decoded(_finish(pixels, info.orientation), facts, further)


def _decode_raw(data: bytes, specs: Sequence[PixelSpec], limits: Limits) -> Decoded:
    """Decode a raw camera file: its preview, or a development of half the size."""
    from lookalike.images.raw import read_raw

    raw = read_raw(
        data, partial(_scale, orientation=1, specs=specs), partial(_check_size, limits=limits)
    )
    facts = _facts(raw.width, raw.height, raw.orientation, "raw", raw.blocks)
    facts = replace(facts, note=raw.note)
    if raw.pixels is None:
        preview = _decode_jpeg(raw.preview, specs, limits)
        header = read_header(raw.preview)
        # Most previews state their orientation, or LibRaw does; some lie as the sensor, some are upright.
        stated = header is not None and header.orientation != 1
        turned = (preview.facts.height > preview.facts.width) != (raw.height > raw.width)
        upright_already = stated or (raw.orientation >= 5 and turned)
        orientation = 1 if upright_already else raw.orientation
        return Decoded(_enlarged(_finish(preview.pixels, orientation), facts, specs), facts)
    from PIL import Image as pillow

    height, width = raw.pixels.shape[:2]
    scale = _scale(raw.width, raw.height, 1, specs)
    factor = int(min(width / (raw.width * scale), height / (raw.height * scale)) + 1e-9)
    pixels = raw.pixels
    if factor > 1:
        pixels = np.asarray(pillow.fromarray(pixels).reduce(factor))
    return Decoded(_enlarged(_finish(pixels, raw.orientation), facts, specs), facts)


def _enlarged(pixels: Pixels, facts: Facts, specs: Sequence[PixelSpec]) -> Pixels:
    """Return the pixels of a raw file in the size that is wanted, where there are fewer: large views and
    regions count in pixels of the sensor."""
    import cv2

    scale = _scale(facts.width, facts.height, 1, specs)
    size = round(facts.width * scale), round(facts.height * scale)
    if max(pixels.shape[:2]) >= 0.98 * max(size):
        return pixels
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def _decode_heic(data: bytes, specs: Sequence[PixelSpec], limits: Limits) -> Decoded:
    """Decode HEIC. libheif turns it upright by the container's rules, so EXIF must not do it again.

    Phones store a thumbnail of 320 pixels or more in the file. It is decoded instead if it is large
    enough and a true copy (pillow-heif compares shape, crop and rotation).
    """
    from pillow_heif import options
    from pillow_heif.as_plugin import HeifImageFile

    from lookalike.images.metadata.read_metadata import metadata_blocks

    options.DECODE_THREADS = 1
    with _quiet_pillow(), HeifImageFile(io.BytesIO(data)) as image:
        width, height = image.size
        _check_size(width, height, limits)
        frames = max(1, getattr(image, "n_frames", 1))
        scale = _scale(width, height, 1, specs)
        image.draft(None, (math.ceil(width * scale), math.ceil(height * scale)))
        image.load()
        pixels = _pixels(image, width, height, scale, None, data)
        facts = _facts(width, height, 1, "heic", metadata_blocks(image), frames)
    return Decoded(_finish(pixels, 1), facts)


def _pixels(
    image: Image.Image, width: int, height: int, scale: float, profile: bytes | None, data: bytes
) -> Pixels:
    """Return a loaded image as sRGB, averaged over whole blocks as far as `scale` allows.

    width, height  of the whole image, of which `image` may be a reduced copy
    profile        its ICC profile; None: the one that the file or Pillow states
    """
    from lookalike.images.convert import is_grey_mode, profile_of, to_rgb
    from lookalike.images.numbers import wide_png

    if profile is None:
        profile = profile_of(image, data)
    if image.format == "PNG":
        image = wide_png(data, image)
    grey = is_grey_mode(image.mode)
    factor = int(min(image.width / (width * scale), image.height / (height * scale)) + 1e-9)
    if factor > 1 and image.mode == "CMYK":
        image = image.reduce(factor)  # converting the whole would take many times as long
        factor = 1
    rgb = to_rgb(image)
    pixels = np.asarray(rgb.reduce(factor) if factor > 1 else rgb)
    return _to_srgb(pixels, profile, grey=grey) if profile else pixels


def _to_srgb(pixels: Pixels, profile: bytes, *, grey: bool) -> Pixels:
    from lookalike.images.color_profile import convert_to_srgb

    return convert_to_srgb(pixels, profile, grey=grey)


@contextmanager
def _quiet_pillow() -> Iterator[ModuleType]:
    """Yield Pillow's module with warnings off and its own size limit replaced by ours.

    Both switches are global to the process, hence the lock; a worker has one thread.
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
    except Exception:  # a damaged EXIF block must not cost the image
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _scale(width: int, height: int, orientation: int, specs: Sequence[PixelSpec]) -> float:
    """Return `decode_scale` of the upright image after the crop to 3:1."""
    if orientation >= 5:
        width, height = height, width
    return decode_scale(*crop_box(width, height)[2:], specs)


def _finish(pixels: Pixels, orientation: int) -> Pixels:
    """Turn upright and make contiguous."""
    return np.ascontiguousarray(upright(pixels, orientation))


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Undo EXIF orientation 1 to 8 (Exif 2.32, tag 274). Returns a view."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def _check_size(width: int, height: int, limits: Limits) -> None:
    if width < 1 or height < 1:
        raise ImageError(
            Outcome.UNREADABLE,
            f"states a size of {width}×{height} pixels: damaged; restore it from a backup",
        )
    if width * height > limits.max_pixels:
        raise ImageError(
            Outcome.TOO_LARGE,
            f"has {width}×{height} = {width * height / 1e6:.0f} megapixels, more than"
            f" {limits.max_pixels / 1e6:.0f}; save it smaller, or index it with a higher --max-pixels",
        )


def _facts(
    width: int, height: int, orientation: int, kind: str, blocks: MetadataBlocks, frames: int = 1
) -> Facts:
    if orientation >= 5:
        width, height = height, width
    facts = Facts(width, height, kind, frames=frames)
    if blocks is NO_METADATA:
        return facts
    from lookalike.images.metadata.read_metadata import add_metadata

    return add_metadata(facts, blocks)


def decode_frame(
    content: bytes | Content,
    number: int,
    *,
    spec: PixelSpec,
    limits: Limits | None = None,
    name: str = "",
) -> Pixels:
    """Decode one frame or page, counted from 0, the whole of it, at the smallest scale that serves `spec`.

    Unlike `decode`, an image beyond 3:1 is not cropped. HEIC has its first image only. Raises ImageError.
    """
    page = str(number + 1) if number else ""
    return decode(content, specs=[spec], limits=limits, name=name, whole=True, page=page).pixels
