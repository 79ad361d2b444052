"""Vectors of real photos for the benchmarks of approximate search: `python benchmarks/ann_data.py --help`.

`sift`    SIFT descriptors (Lowe, 2004) of all photos in the folders, of their smaller copies and mirror
          images, until there are enough: (n, 128), of length 1.
`spread`  many vectors derived from few real ones: each is a real vector moved along the difference of
          two of its neighbours. So they lie in the same clusters and along the same directions as real
          ones, unlike random numbers. PCA first reduces them to the dimension sample for.
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.vectors.pca import principal_axes
from lookalike.vectors.similarity import normalise, top_k

# Copies of each photo: scale, and whether mirrored.
COPIES = ((1.0, False), (0.7, False), (0.5, False), (0.35, False), (1.0, True), (0.7, True))

BLOCK = 100_000


def sift(folders: Sequence[Path], count: int, out: Path, *, seed: int = 0) -> int:
    """Write at most `count` descriptors, in random order, so that any part of the file is a fair sample."""
    made = np.lib.format.open_memmap(out, "w+", np.float16, (count, 128))
    order = np.random.default_rng(seed).permutation(count)
    done = 0
    for found in descriptors(folders):
        some = found[: count - done]
        made[np.sort(order[done : done + len(some)])] = normalise(some)
        done += len(some)
        if done == count:
            break
    if done < count:
        print(f"only {done:,} descriptors: cut the file yourself or give more photos")
    return done


def descriptors(folders: Sequence[Path]) -> Iterator[NDArray[np.float32]]:
    """Yield the descriptors of all copies of all photos, computed by one process per core."""
    files = sorted(
        file
        for folder in folders
        for file in folder.rglob("*")
        if file.suffix.lower() in (".jpg", ".jpeg", ".png")
    )
    jobs = [(file, scale, mirrored) for scale, mirrored in COPIES for file in files]
    with multiprocessing.get_context("spawn").Pool() as pool:
        yield from (some for some in pool.imap(describe, jobs, chunksize=4) if len(some))


def describe(job: tuple[Path, float, bool]) -> NDArray[np.float32]:
    """Return the descriptors (n, 128) of one copy; a low contrast threshold keeps faint keypoints too."""
    import cv2

    cv2.setNumThreads(1)
    detector = cv2.SIFT_create(  # type: ignore[attr-defined]
        nfeatures=0, contrastThreshold=0.005, edgeThreshold=30
    )
    file, scale, mirrored = job
    image = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
    if image is None:
        return np.empty((0, 128), np.float32)
    if scale != 1.0:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    if mirrored:
        image = np.ascontiguousarray(image[:, ::-1])
    _, found = detector.detectAndCompute(image, None)
    return np.empty((0, 128), np.float32) if found is None else np.asarray(found, np.float32)


def spread(vectors: Path, count: int, dim: int, out: Path, *, seed: int = 0) -> None:
    """Write `count` vectors of length 1 and dimension `dim`, as float16."""
    random = np.random.default_rng(seed)
    real = np.asarray(np.load(vectors, mmap_mode="r"), np.float32)
    axes = principal_axes(real[:20_000])
    real = normalise(axes.apply(real, dim) if dim < real.shape[1] else real)
    print(f"{axes.retained(dim):.1%} of the variance retained")
    sample = random.permutation(len(real))[:20_000]
    near, _ = top_k(real, real[sample], 16, similarity="cosine")
    made = np.lib.format.open_memmap(out, "w+", np.float16, (count, dim))
    for start in range(0, count, BLOCK):
        size = min(BLOCK, count - start)
        position = random.integers(len(sample), size=size)
        first = near[position, random.integers(1, 16, size=size)]
        second = near[position, random.integers(1, 16, size=size)]
        share = random.uniform(0.2, 0.8, size=(size, 1)).astype(np.float32)
        moved = real[sample[position]] + share * (real[first] - real[second])
        made[start : start + size] = normalise(moved)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("sift", "spread"))
    parser.add_argument(
        "source", type=Path, nargs="+", help="folders of photos, or an NPY of real vectors"
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=256, help="of spread vectors")
    given = parser.parse_args()
    if given.what == "sift":
        sift(given.source, given.count, given.out)
    else:
        spread(given.source[0], given.count, given.dim, given.out)


if __name__ == "__main__":
    main()
