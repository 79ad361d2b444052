"""The teacher's features of every training image, computed once and stored.

The student never runs the teacher while it trains: features of all views are computed beforehand
(float16), together with the small copies of the views that the student sees.
"""

import json
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
    photo_paths,
    photo_views,
    read_photo,
    stretch,
    tiny_imagenet,
)

from lookalike.catalogue.generate import KINDS, write_catalogue
from lookalike.extractors import efficientnet_lite
from lookalike.extractors.preprocessing import Scaling, read_preprocessing
from lookalike.images.pixel_spec import Pixels

FEATURES = 1280
# Side of the stored copies of photos and cut-outs: larger than what the student sees, so that they can be
# cropped.
VIEW_SIZE = 128
BATCH = 16
# Images of Tiny ImageNet in one job.
SHARD = 1024
# Cut-outs that are drawn with one photo as texture.
CUTOUTS_PER_PHOTO = 16
PRODUCT_SEED = 20240608


@dataclass(frozen=True)
class Teacher:
    """A network in ONNX that maps (n, 3, side, side) RGB to (n, 1280) features, with the pixels scaled as the
    preprocessor_config.json of its folder says."""

    session: Any
    scaling: Scaling

    @classmethod
    def open(cls, path: Path, *, threads: int = 1) -> "Teacher":
        """Open FOLDER/onnx/model.onnx, or the network of the package of EfficientNet-Lite2 by its name."""
        import onnxruntime

        if path.name == efficientnet_lite.NAME and not path.exists():
            path = efficientnet_lite.install() / "onnx" / "model.onnx"
        processor = path.parent.parent / "preprocessor_config.json"
        if not path.is_file() or not processor.is_file():
            raise FileNotFoundError(
                f"no teacher at {path}: name {efficientnet_lite.NAME}, or FOLDER/onnx/model.onnx beside "
                "a preprocessor_config.json, with --teacher"
            )
        config = path.parent.parent / "config.json"
        prepared = read_preprocessing(
            json.loads(processor.read_text()), json.loads(config.read_text())
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        return cls(
            onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]),
            prepared.scaling,
        )

    def features(self, images: Pixels) -> NDArray[np.float32]:
        """Return the features of images (n, height, width, 3), which are stretched to the network's size."""
        port = self.session.get_inputs()[0]
        side = int(port.shape[2])
        fitted = [
            cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
            if image.shape[0] != side
            else image
            for image in images
        ]
        pixels = np.empty((len(images), 3, side, side), np.float32)
        self.scaling.batch(fitted, pixels)
        (output,) = self.session.run(["embedding"], {port.name: pixels})
        return np.asarray(output, dtype=np.float32).reshape(len(images), -1)


@dataclass(frozen=True)
class TaughtImages:
    """Images and the teacher's features.

    labels, instances  numbers of the label and of the single object shown, -1 where unknown
    """

    pixels: Pixels
    features: NDArray[np.float16]
    labels: NDArray[np.int64]
    instances: NDArray[np.int64]

    @classmethod
    def open(cls, folder: Path, name: str) -> "TaughtImages":
        """Open the files of a source, memory-mapped."""
        labels, instances = (
            np.load(folder / f"{name}-labels.npy"),
            folder / f"{name}-instances.npy",
        )
        return cls(
            np.load(folder / f"{name}-pixels.npy", mmap_mode="r"),
            np.load(folder / f"{name}-features.npy", mmap_mode="r"),
            labels,
            np.load(instances) if instances.exists() else np.full_like(labels, -1),
        )


def enlarge(image: Pixels) -> Pixels:
    """Scale a small image to the teacher's size: bicubic, because bilinear costs the teacher a good part
    of its accuracy."""
    return np.asarray(
        cv2.resize(image, (TEACHER_SIZE, TEACHER_SIZE), interpolation=cv2.INTER_CUBIC)
    )


def write_tiny(
    folder: Path, teacher: Path, out: Path, *, count: int | None = None, workers: int
) -> None:
    """Write Tiny ImageNet's pixels, labels and features as `.npy` files.

    count  only so many of its images

    They are shuffled once: the zip files are sorted by class, and a part of them must have every class.
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
    jobs = [
        (teacher, out, start, min(start + SHARD, count))
        for start in range(0, count, SHARD)
        if start not in finished
    ]
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        for start in pool.imap_unordered(_tiny_job, jobs):
            with done.open("a") as log:
                log.write(f"{start}\n")


def _tiny_job(job: tuple[Path, Path, int, int]) -> int:
    teacher_path, out, start, stop = job
    cv2.setNumThreads(1)
    teacher = Teacher.open(teacher_path)
    pixels = np.load(out / "tiny-pixels.npy", mmap_mode="r")
    features = np.load(out / "tiny-features.npy", mmap_mode="r+")
    for at in range(start, stop, BATCH):
        end = min(at + BATCH, stop)
        features[at:end] = teacher.features(np.stack([enlarge(p) for p in pixels[at:end]]))
    features.flush()
    return start


def write_photos(
    folders: list[Path], teacher: Path, out: Path, *, name: str, views: int, workers: int
) -> None:
    """Write views of photos, without labels, and their features."""
    jobs = [("photo", p, views, n) for n, p in enumerate(photo_paths(folders))]
    _write(jobs, teacher, out, name=name, workers=workers)


def write_cutouts(
    folders: list[Path], teacher: Path, out: Path, *, name: str, count: int, workers: int
) -> None:
    """Write drawn product images, textured with crops of the photos, and their features."""
    paths = photo_paths(folders)
    each = CUTOUTS_PER_PHOTO
    jobs = [("cutout", paths[n * 7919 % len(paths)], each, n) for n in range(-(-count // each))]
    _write(jobs, teacher, out, name=name, workers=workers)


def write_products(
    teacher: Path, out: Path, *, name: str, products: int, views: int, workers: int
) -> None:
    """Write images of the simulated catalogue, their features, kinds (as labels) and products (as
    instances).

    The kinds are those of every simulated catalogue; the products are different from those of any
    catalogue with a usual seed.
    """
    shop = out / "catalogue"
    rows = write_catalogue(
        shop, products=products, views=views, seed=PRODUCT_SEED, size=TEACHER_SIZE
    )
    write_photos([shop], teacher, out, name=name, views=1, workers=workers)
    known = {shop / row.path: (list(KINDS).index(row.kind), int(row.product[1:])) for row in rows}
    numbers = np.array([known[path] for path in photo_paths([shop])], dtype=np.int64)
    np.save(out / f"{name}-instances.npy", numbers[:, 1])
    np.save(out / f"{name}-labels.npy", numbers[:, 0])


def _write(
    jobs: list[tuple[str, Path, int, int]], teacher: Path, out: Path, *, name: str, workers: int
) -> None:
    with multiprocessing.get_context("spawn").Pool(workers, _open_teacher, (teacher,)) as pool:
        parts = pool.map(_views_job, jobs, chunksize=8)
    pixels = np.concatenate([p for p, _ in parts])
    np.save(out / f"{name}-pixels.npy", pixels)
    np.save(out / f"{name}-features.npy", np.concatenate([f for _, f in parts]))
    np.save(out / f"{name}-labels.npy", np.full(len(pixels), -1, dtype=np.int64))


_teacher: Teacher | None = None


def _open_teacher(path: Path) -> None:
    global _teacher
    cv2.setNumThreads(1)
    _teacher = Teacher.open(path)


def _views_job(job: tuple[str, Path, int, int]) -> tuple[Pixels, NDArray[np.float16]]:
    assert _teacher is not None
    kind, path, views, seed = job
    made = (
        photo_views(path, views=views, seed=seed)
        if kind == "photo"
        else _cutouts(path, views, seed)
    )
    images = np.stack(list(made))
    features = [_teacher.features(images[i : i + BATCH]) for i in range(0, len(images), BATCH)]
    small = np.stack([stretch(image, VIEW_SIZE) for image in images])
    return small, np.concatenate(features).astype(np.float16)


def _cutouts(path: Path, count: int, seed: int) -> Iterator[Pixels]:
    rng = np.random.default_rng(seed)
    texture = read_photo(path)
    for _ in range(count):
        yield cutout(texture, rng)
