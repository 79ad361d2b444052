"""Training photos, and the views of them that teacher and student see.

A view is determined by its row and its photo, so that an interrupted run can continue anywhere and two
runs see the same views.
"""

import io
import zipfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from lookalike.errors import UsageError
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.images.resize import fit

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
# Longest side of a photo before it is cropped: at 18 megapixels every crop would be slow.
PHOTO_SIDE = 1600
# Crops have at least about so many pixels, as far as the photo allows, ...
CROP_PIXELS = 40_000
# ... and between these shares of its area.
SMALLEST_SHARE, LARGEST_SMALLEST_SHARE = 0.06, 0.6


class Photo(NamedTuple):
    """A file, or a member of a zip file."""

    file: Path
    member: str = ""


def find_photos(source: Path) -> list[Photo]:
    """Return every photo below a folder or in a zip file, and in zip files below the folder, sorted.
    UsageError if there is none."""
    archives = [source] if source.suffix.lower() == ".zip" else sorted(source.rglob("*.zip"))
    found = [Photo(path) for path in source.rglob("*") if path.suffix.lower() in SUFFIXES]
    for archive in archives:
        with zipfile.ZipFile(archive) as opened:
            found += [
                Photo(archive, name)
                for name in opened.namelist()
                if Path(name).suffix.lower() in SUFFIXES
            ]
    if not found:
        raise UsageError(f"no photos in {source}")
    return sorted(found)


def read_photo(photo: Photo) -> Pixels:
    """Read a photo, upright, in RGB, on white where it is transparent, its longest side at most `PHOTO_SIDE`
    pixels."""
    content = _archive(photo.file).read(photo.member) if photo.member else photo.file.read_bytes()
    with Image.open(io.BytesIO(content)) as opened:
        opened.draft("RGB", (PHOTO_SIDE, PHOTO_SIDE))
        image = ImageOps.exif_transpose(opened).convert("RGBA")
    ground = Image.new("RGBA", image.size, (255, 255, 255, 255))
    image = Image.alpha_composite(ground, image).convert("RGB")
    image.thumbnail((PHOTO_SIDE, PHOTO_SIDE))
    return np.asarray(image)


@lru_cache(maxsize=8)
def _archive(path: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)


def stretch(image: Pixels, size: int) -> Pixels:
    """Stretch the whole image to a square, exactly as the extractor's pixels are prepared."""
    return fit(np.ascontiguousarray(image), PixelSpec(fit="stretch", height=size, width=size))


def choose_views(sources: Sequence[tuple[Path, int | None]]) -> list[tuple[Photo, int]]:
    """Return (photo, number of the view) of all views, shuffled.

    sources  folder or zip file, and the number of views; None: two of each photo

    Every photo of a source gets a first view before any gets a second.
    """
    views: list[tuple[Photo, int]] = []
    for number, (source, count) in enumerate(sources):
        photos = find_photos(source)
        order = np.random.default_rng((5, number)).permutation(len(photos))
        total = 2 * len(photos) if count is None else count
        views += [(photos[order[n % len(photos)]], n // len(photos)) for n in range(total)]
    return [views[n] for n in np.random.default_rng(11).permutation(len(views))]


def make_view(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Return a view of a photo, in its own resolution: the whole, often; the whole with bars that make it a
    square; the central square; or a crop. Half of them are mirrored."""
    height, width = image.shape[:2]
    chance = rng.random()
    if chance < 0.35:
        view = image
    elif chance < 0.42:
        view = add_bars(image, rng)
    elif chance < 0.5:
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        view = image[top : top + side, left : left + side]
    else:
        view = random_crop(image, rng)
    return view[:, ::-1] if rng.random() < 0.5 else view


def random_crop(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Return a random rectangle of about the photo's proportions; see `CROP_PIXELS` for its size."""
    height, width = image.shape[:2]
    smallest = np.clip(CROP_PIXELS / (height * width), SMALLEST_SHARE, LARGEST_SMALLEST_SHARE)
    share, aspect = (
        np.exp(rng.uniform(np.log(smallest), 0)) ** 0.5,
        np.exp(rng.uniform(-0.25, 0.25)),
    )
    wide = int(max(16, min(1, share * aspect) * width))
    high = int(max(16, min(1, share / aspect) * height))
    top = int(rng.integers(0, max(1, height - high + 1)))
    left = int(rng.integers(0, max(1, width - wide + 1)))
    return image[top : top + high, left : left + wide]


def add_bars(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Return the image in the middle of a square of white, black, its mean colour or any colour."""
    height, width = image.shape[:2]
    side = max(height, width)
    shades = [np.full(3, 255), np.zeros(3), image.mean((0, 1)), rng.integers(0, 256, 3)]
    square = np.empty((side, side, 3), np.uint8)
    square[:] = shades[int(rng.integers(4))].astype(np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = image
    return square
