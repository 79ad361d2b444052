"""Training images: Tiny ImageNet's zip files and views of photos.

Every source yields (260, 260, 3) uint8 views that are determined by a seed and a position, so that an
interrupted run can continue at any image and two runs see the same views. 260 is the teacher's input
size; the student's copy is made smaller afterwards.
"""

import io
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.images.resize import fit

TEACHER_SIZE = 260
TINY_SIZE = 64
PHOTO_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
# Longest side of a photo before it is cropped: at 18 megapixels every crop would be slow, and a view of a
# fifth of the photo still has 260 pixels per side.
PHOTO_SIDE = 1600


def tiny_imagenet(folder: Path) -> tuple[Pixels, NDArray[np.int64], list[str]]:
    """Read all images of Tiny ImageNet from its zip files: pixels (n, 64, 64, 3), labels (n,), class names.

    The class is the name of an image's folder (a WordNet id); images are in the order of sorted names.
    """
    archives = sorted(folder.glob("*.zip"))
    if not archives:
        raise FileNotFoundError(
            f"no zip file of Tiny ImageNet in {folder}: name the folder with train-0.zip …"
        )
    images: list[Pixels] = []
    folders: list[str] = []
    for archive in archives:
        with zipfile.ZipFile(archive) as opened:
            for name in sorted(opened.namelist()):
                if name.endswith("/") or Path(name).suffix.lower() not in PHOTO_SUFFIXES:
                    continue
                image = np.asarray(Image.open(io.BytesIO(opened.read(name))).convert("RGB"))
                images.append(stretch(image, TINY_SIZE))
                folders.append(Path(name).parent.name)
    if not images:
        raise FileNotFoundError(
            f"no images in the zip files of {folder}: name the folder of Tiny ImageNet"
        )
    names = sorted(set(folders))
    number = {name: i for i, name in enumerate(names)}
    return np.stack(images), np.array([number[f] for f in folders], dtype=np.int64), names


def photo_paths(folders: Sequence[Path]) -> list[Path]:
    """Return every photo below the folders, sorted, so that position and seed determine a view."""
    found = [
        p for folder in folders for p in folder.rglob("*") if p.suffix.lower() in PHOTO_SUFFIXES
    ]
    if not found:
        raise FileNotFoundError(f"no photos in {', '.join(map(str, folders))}")
    return sorted(found)


def read_photo(path: Path) -> Pixels:
    """Read a photo, upright, in RGB, its longest side at most `PHOTO_SIDE` pixels."""
    with Image.open(path) as opened:
        opened.draft("RGB", (PHOTO_SIDE, PHOTO_SIDE))
        image = ImageOps.exif_transpose(opened).convert("RGB")
    image.thumbnail((PHOTO_SIDE, PHOTO_SIDE))
    return np.asarray(image)


def stretch(image: Pixels, size: int) -> Pixels:
    """Stretch the whole image to a square, exactly as the extractor's pixels are prepared."""
    return fit(np.ascontiguousarray(image), PixelSpec(fit="stretch", height=size, width=size))


def photo_views(path: Path, *, views: int, seed: int) -> Iterator[Pixels]:
    """Yield views of a photo: the whole, the centre square, then random crops of 8 to 90 % of its area;
    each mirrored with probability one half."""
    image = read_photo(path)
    height, width = image.shape[:2]
    rng = np.random.default_rng(seed)
    for number in range(views):
        if number == 0:
            view = image
        elif number == 1:
            side = min(height, width)
            top, left = (height - side) // 2, (width - side) // 2
            view = image[top : top + side, left : left + side]
        else:
            view = random_crop(image, rng, smallest=0.08, largest=0.9)
        if rng.random() < 0.5:
            view = view[:, ::-1]
        yield stretch(np.ascontiguousarray(view), TEACHER_SIZE)


def random_crop(
    image: Pixels, rng: np.random.Generator, *, smallest: float, largest: float
) -> Pixels:
    """Return a random rectangle: a share of the area (log-uniform), aspect between 3:4 and 4:3."""
    height, width = image.shape[:2]
    area = height * width * np.exp(rng.uniform(np.log(smallest), np.log(largest)))
    aspect = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
    wide = int(np.clip(np.sqrt(area * aspect), 8, width))
    high = int(np.clip(np.sqrt(area / aspect), 8, height))
    top = int(rng.integers(0, height - high + 1))
    left = int(rng.integers(0, width - wide + 1))
    return image[top : top + high, left : left + wide]
