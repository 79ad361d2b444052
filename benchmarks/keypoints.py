"""Keypoints: retrieval of images that were cropped, rotated, scaled and re-saved, and speed.

Prints a table for each detector.

    python benchmarks/keypoints.py QUERIES [DISTRACTORS ...] [--detectors sift,orb]
                                   [--images 200] [--pairs 1000] [--no-rates]

The library holds the images of QUERIES and DISTRACTORS. Each query is cropped to half of its area, or to half
of its sides (a quarter of its area), at a random place, rotated by 20° (the new corners are black), scaled to
0.7 and saved as JPEG 60. It is searched for by its vector, and the best 50 hits are verified. Where a folder
has a manifest.csv with labels, the mean average precision of the vectors is shown, too.
"""

from __future__ import annotations

import argparse
import csv
import io
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.evaluation.rankings import leave_one_out
from lookalike.extractors.keypoints import (
    PIXEL_SPECS,
    Detector,
    Keypoints,
    detect,
    unit_descriptors,
)
from lookalike.extractors.verification import Match, compare, rerank
from lookalike.extractors.vlad import VladExtractor, fit_vocabulary
from lookalike.images.pixel_spec import Pixels
from lookalike.images.resize import fit

KINDS = {"half area": 0.5**0.5, "half sides": 0.5}
Box = tuple[float, float, float, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--detectors", default="sift,orb")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument(
        "--sample", type=int, default=512, help="images to which the vocabulary is fitted"
    )
    parser.add_argument("--no-rates", action="store_true")
    options = parser.parse_args()
    folders = [image_files(folder) for folder in options.folders]
    paths = [path for folder in folders for path in folder]
    query_rows = list(range(min(options.images, len(folders[0]))))
    for detector in options.detectors.split(","):
        if not options.no_rates:
            rates(paths[:40], detector)
        measure(options, detector, paths, query_rows)


def measure(
    options: argparse.Namespace, detector: Detector, paths: list[Path], query_rows: list[int]
) -> None:
    with ProcessPoolExecutor() as pool:
        library = list(pool.map(found, paths, [detector] * len(paths), chunksize=8))
        number = sum(map(len, library)) / len(library)
        print(f"\n{detector}: {len(paths)} images, {number:.0f} keypoints each")
        chance = np.random.default_rng(1)
        chosen = np.sort(chance.permutation(len(paths))[: options.sample])
        begun = time.perf_counter()
        extractor = fitted([library[one] for one in chosen], detector)
        print(f"  vocabulary fitted to {len(chosen)} in {time.perf_counter() - begun:.1f} s")
        vectors = extractor.describe(library)
        for kind, side in KINDS.items() if query_rows else ():
            made = [(paths[one], side, one, detector) for one in query_rows]
            queries = list(pool.map(altered, *zip(*made, strict=True), chunksize=8))
            searches(kind, queries, query_rows, library, vectors, extractor)
    labels(options.folders, paths, vectors)
    false_alarms(library, options.pairs)


def searches(
    kind: str,
    queries: Sequence[tuple[Keypoints, Box]],
    query_rows: Sequence[int],
    library: Sequence[Keypoints],
    vectors: NDArray[np.float32],
    extractor: VladExtractor,
) -> None:
    """Print how often the original comes first, by the vectors alone and after verification."""
    similarity = extractor.describe([query for query, _ in queries]) @ vectors.T
    order = np.argsort(-similarity, axis=1, kind="stable")
    places = np.array(
        [int(np.flatnonzero(row == one)[0]) for row, one in zip(order, query_rows, strict=True)]
    )
    first, wrong, overlaps, spent = 0, 0, [], 0.0
    for (query, box), row, one in zip(queries, order, query_rows, strict=True):
        begun = time.process_time()
        ranked = rerank(query, [library[place] for place in row[:50]])
        spent += time.process_time() - begun
        first += row[ranked[0].index] == one
        for verified in ranked:
            if verified.match and row[verified.index] == one:
                overlaps.append(overlap(box, verified.match.box))
            elif verified.match:
                wrong += 1
    recalls = ", ".join(f"@{k} {np.mean(places < k):.1%}" for k in (1, 10, 50))
    print(f"  {kind}: vectors {recalls}; verified first {first / len(query_rows):.1%}")
    print(
        f"    {wrong} other images confirmed of {50 * len(query_rows)}; box overlap (IoU) "
        f"{np.mean(overlaps):.2f}; comparing 50: {spent / len(query_rows):.3f} s of one core"
    )


def labels(folders: Sequence[Path], paths: Sequence[Path], vectors: NDArray[np.float32]) -> None:
    for folder in folders:
        manifest = folder / "manifest.csv"
        if not manifest.is_file():
            continue
        with manifest.open(newline="", encoding="utf-8") as file:
            known = {folder / row["path"]: row["label"] for row in csv.DictReader(file)}
        held = [place for place, path in enumerate(paths) if path in known]
        names = [known[paths[place]] for place in held]
        precision = leave_one_out(vectors[held], names).means()["AP"]
        print(f"  {folder.name}: mean average precision {precision:.3f}")


def false_alarms(library: Sequence[Keypoints], pairs: int) -> None:
    """Print how often two different images, drawn at random, are taken for the same object."""
    chance = np.random.default_rng(2)
    inliers = []
    for _ in range(pairs):
        one, other = chance.choice(len(library), 2, replace=False)
        match: Match | None = compare(library[one], library[other], min_inliers=4)
        inliers.append(match.inliers if match else 0)
    counts = ", ".join(f">={k}: {np.sum(np.array(inliers) >= k)}" for k in (6, 7, 8, 9, 10, 12, 15))
    print(f"  {pairs} random pairs by number of inliers: {counts}")


def rates(paths: Sequence[Path], detector: Detector) -> None:
    """Print the speed of one core, from prepared pixels to keypoints and to a vector."""
    cv2.setNumThreads(1)
    ready = [shrunk(path, detector) for path in paths]
    begun = time.process_time()
    keypoints = [detect(pixels, detector=detector) for pixels in ready]
    detecting = time.process_time() - begun
    extractor = fitted(keypoints, detector)
    begun = time.process_time()
    extractor.describe(keypoints)
    describing = time.process_time() - begun
    print(
        f"\n{detector}: {len(ready) / (detecting + describing):.0f} images per second and core "
        f"({1000 * detecting / len(ready):.0f} ms to detect, "
        f"{1000 * describing / len(ready):.1f} ms for the vector)"
    )


def fitted(keypoints: Sequence[Keypoints], detector: Detector) -> VladExtractor:
    return VladExtractor(
        detector, vocabulary=fit_vocabulary([unit_descriptors(each) for each in keypoints])
    )


def found(path: Path, detector: Detector) -> Keypoints:
    cv2.setNumThreads(1)
    return detect(shrunk(path, detector), detector=detector)


def altered(path: Path, side: float, seed: int, detector: Detector) -> tuple[Keypoints, Box]:
    """Edit an image; return its keypoints, and the box of the crop in fractions of the original."""
    cv2.setNumThreads(1)
    image = Image.open(path).convert("RGB")
    width, height = round(image.width * side), round(image.height * side)
    chance = np.random.default_rng(seed)
    left = int(chance.integers(0, image.width - width + 1))
    top = int(chance.integers(0, image.height - height + 1))
    crop = image.crop((left, top, left + width, top + height))
    turned = crop.rotate(20, expand=True, resample=Image.Resampling.BICUBIC)
    small = turned.resize((round(turned.width * 0.7), round(turned.height * 0.7)))
    file = io.BytesIO()
    small.save(file, "JPEG", quality=60)
    pixels = fit(np.asarray(Image.open(file).convert("RGB")), PIXEL_SPECS[detector])
    box = (left / image.width, top / image.height, width / image.width, height / image.height)
    return detect(pixels, detector=detector), box


def shrunk(path: Path, detector: Detector) -> Pixels:
    return fit(np.asarray(Image.open(path).convert("RGB")), PIXEL_SPECS[detector])


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes (x, y, width, height)."""
    across = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    down = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    shared = max(across, 0.0) * max(down, 0.0)
    return shared / (one[2] * one[3] + other[2] * other[3] - shared)


def image_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".png"))


if __name__ == "__main__":
    main()
