"""Where training pictures come from: Tiny ImageNet's zips, folders of photos, and drawn cut-outs.

Every source is a generator of `(224, 224, 3) uint8` views, made from a seed and a position, so that
a run that was cut can go on at any picture and two runs see the same views. 224 is what the teacher
reads; the student's copy is made smaller afterwards.
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

TEACHER_SIZE = 224
TINY_SIZE = 64
PHOTO_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
# Longest side kept of a photo before it is cropped: 18 megapixels would make every one of its crops
# slow, and a view of a fifth of the picture still has 224 pixels a side.
PHOTO_SIDE = 1600


def tiny_imagenet(folder: Path) -> tuple[Pixels, NDArray[np.int64], list[str]]:
    """All pictures of Tiny ImageNet's zips, read in place: `(n, 64, 64, 3)` pixels, `(n,)` labels,
    class names.

    A class is the name of the folder a picture lies in (a WordNet id); the order is that of the
    sorted names.
    """
    archives = sorted(folder.glob("*.zip"))
    if not archives:
        raise FileNotFoundError(
            f"no zip of Tiny ImageNet in {folder}: give the folder that holds train-0.zip …"
        )
    pictures: list[Pixels] = []
    folders: list[str] = []
    for archive in archives:
        with zipfile.ZipFile(archive) as opened:
            for name in sorted(opened.namelist()):
                if name.endswith("/") or Path(name).suffix.lower() not in PHOTO_SUFFIXES:
                    continue
                picture = np.asarray(Image.open(io.BytesIO(opened.read(name))).convert("RGB"))
                pictures.append(fitted(picture, TINY_SIZE))
                folders.append(Path(name).parent.name)
    if not pictures:
        raise FileNotFoundError(
            f"no pictures in the zips of {folder}: give the folder of Tiny ImageNet's"
        )
    names = sorted(set(folders))
    number = {name: i for i, name in enumerate(names)}
    return np.stack(pictures), np.array([number[f] for f in folders], dtype=np.int64), names


def photo_paths(folders: Sequence[Path]) -> list[Path]:
    """Every photo below the folders, sorted, so that position and seed name the same view in every
    run.
    """
    found = [
        p for folder in folders for p in folder.rglob("*") if p.suffix.lower() in PHOTO_SUFFIXES
    ]
    if not found:
        raise FileNotFoundError(f"no photos in {', '.join(map(str, folders))}")
    return sorted(found)


def read_photo(path: Path) -> Pixels:
    """One photo upright, in RGB, at most `PHOTO_SIDE` pixels long."""
    with Image.open(path) as opened:
        opened.draft("RGB", (PHOTO_SIDE, PHOTO_SIDE))
        picture = ImageOps.exif_transpose(opened).convert("RGB")
    picture.thumbnail((PHOTO_SIDE, PHOTO_SIDE))
    return np.asarray(picture)


def fitted(picture: Pixels, size: int) -> Pixels:
    """The whole picture squeezed into a square, exactly as the extractor's pixels are made."""
    return fit(np.ascontiguousarray(picture), PixelSpec(fit="stretch", height=size, width=size))


def photo_views(path: Path, *, views: int, seed: int) -> Iterator[Pixels]:
    """Views of one photo: the whole, the middle square, then random pieces of 8 to 90 % of its
    area.
    """
    picture = read_photo(path)
    height, width = picture.shape[:2]
    rng = np.random.default_rng(seed)
    for number in range(views):
        if number == 0:
            piece = picture
        elif number == 1:
            side = min(height, width)
            top, left = (height - side) // 2, (width - side) // 2
            piece = picture[top : top + side, left : left + side]
        else:
            piece = random_piece(picture, rng, smallest=0.08, largest=0.9)
        if rng.random() < 0.5:
            piece = piece[:, ::-1]
        yield fitted(np.ascontiguousarray(piece), TEACHER_SIZE)


def random_piece(
    picture: Pixels, rng: np.random.Generator, *, smallest: float, largest: float
) -> Pixels:
    """A random rectangle of the picture: a share of its area (log-uniform), proportions between 3:4
    and 4:3.
    """
    height, width = picture.shape[:2]
    area = height * width * np.exp(rng.uniform(np.log(smallest), np.log(largest)))
    proportion = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
    wide = int(np.clip(np.sqrt(area * proportion), 8, width))
    high = int(np.clip(np.sqrt(area / proportion), 8, height))
    top = int(rng.integers(0, height - high + 1))
    left = int(rng.integers(0, width - wide + 1))
    return picture[top : top + high, left : left + wide]
