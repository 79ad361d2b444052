"""The teacher's word on every training picture, asked once and kept on disk.

The student never sees the teacher while it trains: features of all views are computed beforehand
(float16), together with the small copies of the views that the student will look at.
"""

import multiprocessing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tools.distill.cutouts import cutout
from tools.distill.sources import (
    TEACHER_SIZE,
    fitted,
    photo_paths,
    photo_views,
    read_photo,
    tiny_imagenet,
)

from lookalike.catalogue.generate import KINDS, write_catalogue
from lookalike.images.pixel_spec import Pixels

FEATURES = 1280
# What is kept of photos and cut-outs for the student: more than it will see, so that it can be
# cropped.
VIEW_SIZE = 128
BATCH = 16
PRODUCT_SEED = 20240608


@dataclass(frozen=True)
class Teacher:
    """A network in ONNX that turns `(n, 3, 224, 224)` RGB in [-1, 1] into `(n, 1280)` features."""

    session: Any

    @classmethod
    def open(cls, path: Path, *, threads: int = 1) -> "Teacher":
        import onnxruntime

        if not path.is_file():
            raise FileNotFoundError(f"no teacher at {path}: give its ONNX file with --teacher")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        return cls(
            onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        )

    def features(self, pictures: Pixels) -> NDArray[np.float32]:
        """Features of `(n, 224, 224, 3)` pictures."""
        scaled = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2), dtype=np.float32) / 127.5 - 1
        (answer,) = self.session.run(["embedding"], {self.session.get_inputs()[0].name: scaled})
        return np.asarray(answer, dtype=np.float32).reshape(len(pictures), -1)


@dataclass(frozen=True)
class Lesson:
    """Pictures and what the teacher says of them; labels, and numbers of single things, are -1
    where none are known.
    """

    pixels: Pixels
    features: NDArray[np.float16]
    labels: NDArray[np.int64]
    things: NDArray[np.int64]

    @classmethod
    def open(cls, folder: Path, name: str) -> "Lesson":
        labels, things = np.load(folder / f"{name}-labels.npy"), folder / f"{name}-things.npy"
        return cls(
            np.load(folder / f"{name}-pixels.npy", mmap_mode="r"),
            np.load(folder / f"{name}-features.npy", mmap_mode="r"),
            labels,
            np.load(things) if things.exists() else np.full_like(labels, -1),
        )


def enlarged(picture: Pixels) -> Pixels:
    """A small picture at the teacher's size: bicubic, because bilinear costs it a good part of its
    judgement.
    """
    return np.asarray(
        cv2.resize(picture, (TEACHER_SIZE, TEACHER_SIZE), interpolation=cv2.INTER_CUBIC)
    )


def write_tiny(
    folder: Path, teacher: Path, out: Path, *, count: int | None = None, workers: int
) -> None:
    """Tiny ImageNet's pictures, labels and features as three `.npy` files in `out`; `count` asks
    about fewer of them.

    They are shuffled once: the zips are sorted by class, and a part of them must still hold every
    class.
    """
    if not (out / "tiny-labels.npy").exists():
        pixels, labels, _ = tiny_imagenet(folder)
        order = np.random.default_rng(0).permutation(len(labels))[:count]
        np.save(out / "tiny-pixels.npy", pixels[order])
        np.save(out / "tiny-labels.npy", labels[order])
    count = len(np.load(out / "tiny-labels.npy"))
    path, done = out / "tiny-features.npy", out / "tiny-features.done"
    done.touch()
    if not path.exists():
        np.lib.format.open_memmap(path, "w+", np.float16, (count, FEATURES)).flush()
    finished = set(map(int, done.read_text().split()))
    shares = [
        (teacher, out, s, min(s + 1024, count)) for s in range(0, count, 1024) if s not in finished
    ]
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        for start in pool.imap_unordered(_tiny_share, shares):
            with done.open("a") as log:
                log.write(f"{start}\n")


def _tiny_share(job: tuple[Path, Path, int, int]) -> int:
    teacher_path, out, start, stop = job
    cv2.setNumThreads(1)
    teacher = Teacher.open(teacher_path)
    pixels = np.load(out / "tiny-pixels.npy", mmap_mode="r")
    features = np.load(out / "tiny-features.npy", mmap_mode="r+")
    for at in range(start, stop, BATCH):
        end = min(at + BATCH, stop)
        features[at:end] = teacher.features(np.stack([enlarged(p) for p in pixels[at:end]]))
    features.flush()
    return start


def write_photos(
    folders: list[Path], teacher: Path, out: Path, *, name: str, views: int, workers: int
) -> None:
    """Views of photos (never with labels) and their features."""
    jobs = [("photo", p, views, n) for n, p in enumerate(photo_paths(folders))]
    _write(jobs, teacher, out, name=name, workers=workers)


def write_cutouts(
    folders: list[Path], teacher: Path, out: Path, *, name: str, count: int, workers: int
) -> None:
    """Drawn product pictures, filled with pieces of the photos, and their features."""
    paths = photo_paths(folders)
    each = 16
    jobs = [("cutout", paths[n * 7919 % len(paths)], each, n) for n in range(-(-count // each))]
    _write(jobs, teacher, out, name=name, workers=workers)


def write_products(
    teacher: Path, out: Path, *, name: str, products: int, views: int, workers: int
) -> None:
    """Pictures of the simulated catalogue, their features, kinds (as labels) and products (as
    things).

    The kinds are those of every simulated catalogue; the products are others than those of any
    catalogue with a usual seed.
    """
    shop = out / "catalogue"
    rows = write_catalogue(
        shop, products=products, views=views, seed=PRODUCT_SEED, size=TEACHER_SIZE
    )
    write_photos([shop], teacher, out, name=name, views=1, workers=workers)
    known = {shop / row.path: (list(KINDS).index(row.kind), int(row.product[1:])) for row in rows}
    numbers = np.array([known[path] for path in photo_paths([shop])], dtype=np.int64)
    np.save(out / f"{name}-things.npy", numbers[:, 1])
    np.save(out / f"{name}-labels.npy", numbers[:, 0])


def _write(
    jobs: list[tuple[str, Path, int, int]], teacher: Path, out: Path, *, name: str, workers: int
) -> None:
    with multiprocessing.get_context("spawn").Pool(workers, _open_teacher, (teacher,)) as pool:
        parts = pool.map(_views_share, jobs, chunksize=8)
    pixels = np.concatenate([p for p, _ in parts])
    np.save(out / f"{name}-pixels.npy", pixels)
    np.save(out / f"{name}-features.npy", np.concatenate([f for _, f in parts]))
    np.save(out / f"{name}-labels.npy", np.full(len(pixels), -1, dtype=np.int64))


_teacher: Teacher | None = None


def _open_teacher(path: Path) -> None:
    global _teacher
    cv2.setNumThreads(1)
    _teacher = Teacher.open(path)


def _views_share(job: tuple[str, Path, int, int]) -> tuple[Pixels, NDArray[np.float16]]:
    assert _teacher is not None
    kind, path, views, seed = job
    made = (
        photo_views(path, views=views, seed=seed)
        if kind == "photo"
        else _cutouts(path, views, seed)
    )
    pictures = np.stack(list(made))
    features = [_teacher.features(pictures[i : i + BATCH]) for i in range(0, len(pictures), BATCH)]
    return np.stack([fitted(p, VIEW_SIZE) for p in pictures]), np.concatenate(features).astype(
        np.float16
    )


def _cutouts(path: Path, count: int, seed: int) -> Iterator[Pixels]:
    rng = np.random.default_rng(seed)
    texture = read_photo(path)
    for _ in range(count):
        yield cutout(texture, rng)
