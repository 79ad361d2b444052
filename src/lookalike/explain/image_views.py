"""The pictures to be explained: as people see them, and as the extractor does."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from lookalike.errors import ImageError, UsageError
from lookalike.images.decode import decode
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.images.reading import read
from lookalike.images.resize import fit
from lookalike.images.scale import cover_scale
from lookalike.query import Box, QueryImage
from lookalike.workers.limits import Failure, Limits
from lookalike.workers.pool import Pool

SHOWN = PixelSpec(fit="inside", max_side=640)
"""Large enough to draw on."""


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One picture.

    shown  (h, w, 3) uint8 RGB, upright, at most 640 pixels long
    seen   the pixels that the extractor gets
    frame  which part of `shown` these are: x, y, width, height as fractions of it
    """

    shown: Pixels
    seen: Pixels
    frame: Box


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """A picture, and what the extractor needs of it."""

    picture: str | bytes | Pixels
    pixels: PixelSpec


@dataclass(frozen=True, slots=True)
class Looking:
    """The work of a worker."""

    limits: Limits

    def __call__(self, request: Request) -> Look | Failure:
        picture, needs = request.picture, request.pixels
        try:
            if isinstance(picture, np.ndarray):
                shown = seen = picture
            else:
                name = picture if isinstance(picture, str) else ""
                data = read(picture).data if isinstance(picture, str) else picture
                # Twice, because the extractor is to see what it sees when it indexes: how small a
                # picture is decoded changes its pixels a little.
                shown, seen = (
                    decode(data, specs=[each], limits=self.limits, name=name).pixels
                    for each in (SHOWN, needs)
                )
        except ImageError as error:
            return Failure(error.outcome, error.reason)
        height, width = shown.shape[:2]
        return Look(fit(shown, SHOWN), fit(seen, needs), frame_of(width, height, needs))


def frame_of(width: int, height: int, needs: PixelSpec) -> Box:
    """Which part of a picture of that size `fit` leaves: all of it, unless the middle is cut out."""
    if needs.fit != "cover":
        return 0.0, 0.0, 1.0, 1.0
    scale = cover_scale(width, height, needs)
    wide = min(1.0, needs.width / (width * scale))
    high = min(1.0, needs.height / (height * scale))
    return (1 - wide) / 2, (1 - high) / 2, wide, high


class Looks:
    """Reads pictures in guarded workers. Close it; the next picture starts a worker again."""

    def __init__(self, limits: Limits | None = None) -> None:
        limits = limits or Limits()
        self._pool: Pool[Request, Look | Failure] = Pool(Looking(limits), workers=1, limits=limits)

    def of(self, pictures: Sequence[QueryImage], needs: PixelSpec) -> list[Look]:
        """One look a picture; `UsageError` naming the one that cannot be read, and why."""
        requests = [Request(_portable(picture), needs) for picture in pictures]
        found = []
        for picture, look in zip(pictures, self._pool.map(requests), strict=True):
            if not isinstance(look, Look):
                named = str(picture) if isinstance(picture, Path) else "the picture given"
                raise UsageError(f"cannot explain {named}: {look.reason}")
            found.append(look)
        return found

    def close(self) -> None:
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _portable(picture: QueryImage) -> str | bytes | Pixels:
    return os.fspath(picture) if isinstance(picture, Path) else picture
