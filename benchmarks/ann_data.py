"""Vectors of real photos for the benchmarks of approximate search: `python benchmarks/ann_data.py --help`.

`sift`    SIFT descriptors (Lowe, 2004) of every photo below the folders, of its smaller copies, and of its
          mirror image, until there are enough: (n, 128), of length 1.
`spread`  many vectors derived from few real ones: each is a real vector moved along the difference of
          two of its neighbours. So they lie where real ones lie, in the same clusters and along the same
          directions, unlike random numbers. PCA first brings them to the dimension asked for.
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

COPIES = ((1.0, False), (0.7, False), (0.5, False), (0.35, False), (1.0, True), (0.7, True))
"""Of each photo: how large, and whether mirrored."""

BLOCK = 100_000


def sift(folders: Sequence[Path], count: int, out: Path, *, seed: int = 0) -> int:
    """As many descriptors as asked for, or as there are; in random order, so that any part of the file
    is a fair sample."""
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
    """Of each photo in each copy, by as many processes as there are cores."""
    files = sorted(
        file
        for folder in folders
        for file in folder.rglob("*")
        if file.suffix.lower() in (".jpg", ".jpeg", ".png")
    )
    jobs = [(file, scale, mirrored) for scale, mirrored in COPIES for file in files]
    with multiprocessing.get_context("spawn").Pool() as pool:
        yield from (some for some in pool.imap(described, jobs, chunksize=4) if len(some))


def described(job: tuple[Path, float, bool]) -> NDArray[np.float32]:
    """(n, 128) of one copy; a low contrast threshold keeps the faint keypoints too."""
    import cv2

    cv2.setNumThreads(1)
    detector = cv2.SIFT_create(  # type: ignore[attr-defined]
        nfeatures=0, contrastThreshold=0.005, edgeThreshold=30
    )
    file, scale, mirrored = job
    picture = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
    if picture is None:
        return np.empty((0, 128), np.float32)
    if scale != 1.0:
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    if mirrored:
        picture = np.ascontiguousarray(picture[:, ::-1])
    _, found = detector.detectAndCompute(picture, None)
    return np.empty((0, 128), np.float32) if found is None else np.asarray(found, np.float32)


def spread(vectors: Path, count: int, dim: int, out: Path, *, seed: int = 0) -> None:
    """`count` vectors of length 1 and `dim` numbers, in float16."""
    random = np.random.default_rng(seed)
    real = np.asarray(np.load(vectors, mmap_mode="r"), np.float32)
    axes = principal_axes(real[:20_000])
    real = normalise(axes.apply(real, dim) if dim < real.shape[1] else real)
    print(f"{axes.retained(dim):.1%} of the variance kept")
    asked = random.permutation(len(real))[:20_000]
    near, _ = top_k(real, real[asked], 16, similarity="cosine")
    made = np.lib.format.open_memmap(out, "w+", np.float16, (count, dim))
    for start in range(0, count, BLOCK):
        size = min(BLOCK, count - start)
        place = random.integers(len(asked), size=size)
        first = near[place, random.integers(1, 16, size=size)]
        second = near[place, random.integers(1, 16, size=size)]
        far = random.uniform(0.2, 0.8, size=(size, 1)).astype(np.float32)
        moved = real[asked[place]] + far * (real[first] - real[second])
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
