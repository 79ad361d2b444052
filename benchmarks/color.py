"""Ablation of the extractor `color`: ranking by class, and retrieval of edited copies.

    python benchmarks/color.py [FOLDER]        FOLDER holds corel1k/, grocery/ and coco-mini/

mAP and P@1 are leave-one-out with the cosine. The other columns are the mean reciprocal rank of the
original among all three sets, for 300 images, each edited in one way.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.evaluation.rankings import leave_one_out
from lookalike.extractors import load
from lookalike.extractors.color import GAIN, POWER, Color, histograms
from lookalike.images.decode import decode
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.images.resize import fit
from lookalike.vectors.similarity import normalise

Array = NDArray[np.float64]
Way = Callable[[Pixels], NDArray[np.floating]]

PLAIN = PixelSpec(min_side=128)
CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "crop 80%": lambda image: crop(image, 0.8),
    "crop 50%": lambda image: crop(image, 0.5),
    "darker": lambda image: image.point(lambda level: level * 0.7),
    "lighter": lambda image: image.point(lambda level: min(255, level * 1.3)),
    "warmer": lambda image: image.convert("RGB", (1.1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0.9, 0)),
    "mirror": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "turn": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "jpeg 30": lambda image: image,
}


def crop(image: Image.Image, share: float) -> Image.Image:
    """Return a random part with this share of the area (the same part for the same size)."""
    width, height = (int(side * share**0.5) for side in image.size)
    rng = np.random.default_rng(image.width * image.height + width)
    left = int(rng.integers(0, image.width - width + 1))
    top = int(rng.integers(0, image.height - height + 1))
    return image.crop((left, top, left + width, top + height))


def plain_hsv(pixels: Pixels) -> Array:
    """Return the usual joint histogram, 12×4×4, square-rooted."""
    hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)
    counts = cv2.calcHist([hsv], [0, 1, 2], None, [12, 4, 4], [0, 180, 0, 256, 0, 256])
    return np.sqrt(np.asarray(counts, np.float64).reshape(-1))


def built(*, power: float, middle: bool, gain: float) -> Way:
    def way(pixels: Pixels) -> Array:
        made = histograms(fit(pixels, Color.pixels), gain=gain) ** power
        return made.reshape(-1) if middle else made[0]

    return way


def extracted(name: str) -> Way:
    extractor = load(name)
    return lambda pixels: extractor.extract([fit(pixels, extractor.pixels)])[0]


WAYS: dict[str, Way] = {
    "histogram 3×32": extracted("histogram"),
    "HSV 12×4×4, square root": plain_hsv,
    "… shared between bins": built(power=0.5, middle=False, gain=0),
    f"… power {POWER}": built(power=POWER, middle=False, gain=0),
    "… and of the middle": built(power=POWER, middle=True, gain=0),
    "… common brightness": built(power=POWER, middle=True, gain=GAIN),
    "color (mean removed)": extracted("color"),
}


def files(folder: Path) -> tuple[list[Path], list[tuple[int, int, NDArray[np.intp]]]]:
    """Return all files, and for each labelled set its first row, its end and its labels."""
    found: list[Path] = []
    sets = []
    for name in ("corel1k", "grocery"):
        with (folder / name / "manifest.csv").open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
        labels = np.unique([row["label"] for row in rows], return_inverse=True)[1]
        sets.append((len(found), len(found) + len(rows), labels))
        found += [folder / name / row["path"] for row in rows]
    found += sorted((folder / "coco-mini").glob("*/*.jpg"))
    return found, sets


def ranking(vectors: NDArray[np.float32], labels: NDArray[np.intp]) -> tuple[float, float]:
    """Return (mAP, P@1), leave-one-out; images that are alone with their label are not queries."""
    means = leave_one_out(vectors, [str(label) for label in labels]).means()
    return means["AP"], means["P@1"]


def vectors_of(way: Way, images: Sequence[Pixels]) -> NDArray[np.float32]:
    return normalise(np.array([way(pixels) for pixels in images]))


def jpeg(image: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    shared = os.environ.get("LOOKALIKE_SHARED", Path(__file__).parents[2] / "shared")
    arguments.add_argument("folder", nargs="?", type=Path, default=Path(shared) / "data")
    paths, sets = files(arguments.parse_args().folder)
    images = [decode(path.read_bytes(), specs=[PLAIN]).pixels for path in paths]
    query_rows = np.arange(0, len(paths), len(paths) // 300)
    changed: dict[str, list[Pixels]] = {name: [] for name in CHANGES}
    for number in query_rows:
        with Image.open(paths[number]) as image:
            whole = image.convert("RGB")
        for name, change in CHANGES.items():
            data = jpeg(change(whole), 30 if name == "jpeg 30" else 90)
            changed[name].append(decode(data, specs=[PLAIN]).pixels)
    heads = ["dim", "corel mAP", "P@1", "grocery mAP", "P@1", *CHANGES]
    print(f"{'':26}", *(f"{head:>8}" for head in heads))
    for name, way in WAYS.items():
        vectors = vectors_of(way, images)
        cells = [
            value for start, end, labels in sets for value in ranking(vectors[start:end], labels)
        ]
        for variants in changed.values():
            similarities = vectors_of(way, variants) @ vectors.T
            own = similarities[np.arange(len(query_rows)), query_rows]
            cells.append(float(np.mean(1 / (similarities >= own[:, None] - 1e-7).sum(axis=1))))
        shown = (
            f"{cell:{max(8, len(head))}.3f}" for cell, head in zip(cells, heads[1:], strict=True)
        )
        print(f"{name:26} {vectors.shape[1]:8}", *shown, flush=True)


if __name__ == "__main__":
    main()
