"""How a thumbnail is made: in the guarded workers, like everything that comes from a file."""

from __future__ import annotations

import os
from dataclasses import dataclass

from lookalike.errors import ImageError
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.workers.limits import Failure, Limits

QUALITY = 85
"""On the demo's catalogue a side of 256 then takes 7 KB; with 92 it takes half as much again, and one
must look for the difference."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file, and the longer side that its thumbnail may have at most."""

    path: str
    side: int


@dataclass(frozen=True, slots=True)
class Made:
    """A thumbnail as JPEG, and the SHA-256 of the file it was made from."""

    data: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class Making:
    """The work of a worker."""

    limits: Limits

    def __call__(self, wanted: Wanted) -> Made | Failure:
        # Imported on use: the parent of the workers decodes nothing.
        from lookalike.images.decode import decode
        from lookalike.images.reading import read
        from lookalike.images.resize import fit

        needs = PixelSpec(fit="inside", max_side=wanted.side)
        try:
            content = read(wanted.path)
            decoded = decode(content.data, needs=[needs], limits=self.limits, name=wanted.path)
            return Made(jpeg(fit(decoded.pixels, needs)), content.digest)
        except ImageError as error:
            return Failure(error.outcome, error.reason)


def jpeg(pixels: Pixels) -> bytes:
    """RGB pixels as a JPEG file."""
    import simplejpeg

    # Small pictures show their chroma; large ones are half as big again with all of it.
    subsampling = "444" if max(pixels.shape[:2]) <= 128 else "420"
    data: bytes = simplejpeg.encode_jpeg(
        pixels, quality=QUALITY, colorspace="RGB", colorsubsampling=subsampling
    )
    return data


def pixels_of(data: bytes) -> Pixels:
    """A thumbnail's pixels, (height, width, 3) RGB."""
    import simplejpeg

    pixels: Pixels = simplejpeg.decode_jpeg(data, colorspace="RGB")
    return pixels


def wanted(file: os.PathLike[str], side: int) -> Wanted:
    """The task for a file."""
    return Wanted(os.fspath(file), side)
