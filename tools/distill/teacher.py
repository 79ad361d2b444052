"""What the teacher says about every view, computed once and stored beside a small copy of the view.

The student never runs the teacher while it trains.
"""

import json
import multiprocessing
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tools.distill.sources import Photo, choose_views, make_view, read_photo, stretch

from lookalike.errors import UsageError
from lookalike.extractors import efficientnet_lite
from lookalike.extractors.preprocessing import Scaling, read_preprocessing
from lookalike.images.pixel_spec import Pixels

FEATURES, CLASSES = 1280, 1000
# Side of the stored copies: larger than what the student sees, so that they can be cropped.
VIEW_SIDE = 160
BATCH = 8
# Views in one job, and in one line of the record of finished jobs.
CHUNK = 128
_FILES = {
    "pixels": (np.uint8, (VIEW_SIDE, VIEW_SIDE, 3)),
    "features": (np.float16, (FEATURES,)),
    "logits": (np.float16, (CLASSES,)),
}


@dataclass(frozen=True)
class Teacher:
    """A classifier in ONNX that maps (n, 3, side, side) RGB to features (n, 1280) and logits (n, 1000), with
    the pixels scaled as the preprocessor_config.json of its folder says."""

    session: Any
    scaling: Scaling

    @classmethod
    def open(cls, path: Path) -> "Teacher":
        """Open FOLDER/onnx/model.onnx, or the network of the package of EfficientNet-Lite2 by its name."""
        import onnxruntime

        if path.name == efficientnet_lite.NAME and not path.exists():
            path = efficientnet_lite.install() / "onnx" / "model.onnx"
        folder = path.parent.parent
        processor, config = folder / "preprocessor_config.json", folder / "config.json"
        if not path.is_file() or not processor.is_file():
            raise UsageError(
                f"no teacher at {path}: name {efficientnet_lite.NAME}, or FOLDER/onnx/model.onnx beside "
                "a preprocessor_config.json, with --teacher"
            )
        prepared = read_preprocessing(
            json.loads(processor.read_text()), json.loads(config.read_text())
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        return cls(
            onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]),
            prepared.scaling,
        )

    def answer(self, images: Sequence[Pixels]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return features and logits of images of any size, which are stretched to the network's."""
        port = self.session.get_inputs()[0]
        side = int(port.shape[2])
        pixels = np.empty((len(images), 3, side, side), np.float32)
        self.scaling.batch([enlarge(image, side) for image in images], pixels)
        features, logits = self.session.run(["embedding", "logits"], {port.name: pixels})
        return features.reshape(len(images), -1), logits


def enlarge(image: Pixels, side: int) -> Pixels:
    """Stretch an image to a square, bicubic where it grows: bilinear costs the teacher a good part of its
    accuracy."""
    if min(image.shape[:2]) >= side:
        return stretch(image, side)
    contiguous = np.ascontiguousarray(image)
    return np.asarray(cv2.resize(contiguous, (side, side), interpolation=cv2.INTER_CUBIC))


@dataclass(frozen=True)
class TaughtViews:
    """Views and the teacher's answers, memory-mapped: pixels (n, 160, 160, 3), features (n, 1280), logits
    (n, 1000)."""

    pixels: Pixels
    features: NDArray[np.float16]
    logits: NDArray[np.float16]

    @classmethod
    def open(cls, folder: Path, mode: Any = "r") -> "TaughtViews":
        """Open what `prepare` wrote."""
        try:
            return cls(*(np.load(folder / f"{name}.npy", mmap_mode=mode) for name in _FILES))
        except FileNotFoundError as error:
            raise UsageError(f"{folder} holds no views: run the step prepare first") from error


def prepare(
    sources: Sequence[tuple[Path, int | None]], *, teacher: Path, out: Path, workers: int = 2
) -> None:
    """Make the views of all sources and store the teacher's answers. What is finished is kept, so that an
    interrupted run continues.

    sources  folder or zip file of photos, and the number of views (see `choose_views`)
    """
    Teacher.open(teacher)  # complain before the views are chosen
    views = choose_views(sources)
    out.mkdir(parents=True, exist_ok=True)
    done = out / "done.txt"
    if not done.exists():
        for name, (dtype, shape) in _FILES.items():
            path = out / f"{name}.npy"
            np.lib.format.open_memmap(path, "w+", dtype, (len(views), *shape)).flush()
        done.touch()
    if len(TaughtViews.open(out).pixels) != len(views):
        raise UsageError(f"{out} was begun with other photos: name another --output")
    finished = set(map(int, done.read_text().split()))
    jobs = [
        (at, views[at : at + CHUNK])
        for at in range(0, len(views), CHUNK)
        if at // CHUNK not in finished
    ]
    with multiprocessing.get_context("spawn").Pool(workers, _start, (teacher, out)) as pool:
        for start in pool.imap_unordered(_job, jobs):
            with done.open("a") as log:
                log.write(f"{start // CHUNK}\n")


_teacher: Teacher | None = None
_views: TaughtViews | None = None


def _start(teacher: Path, out: Path) -> None:
    global _teacher, _views
    cv2.setNumThreads(1)
    _teacher, _views = Teacher.open(teacher), TaughtViews.open(out, "r+")


def _job(job: tuple[int, list[tuple[Photo, int]]]) -> int:
    assert _teacher is not None
    assert _views is not None
    start, chosen = job
    for at in range(0, len(chosen), BATCH):
        images = []
        for row, (photo, number) in enumerate(chosen[at : at + BATCH], start + at):
            images.append(make_view(read_photo(photo), np.random.default_rng((3, row, number))))
        rows = slice(start + at, start + at + len(images))
        _views.features[rows], _views.logits[rows] = _teacher.answer(images)
        _views.pixels[rows] = [stretch(image, VIEW_SIDE) for image in images]
    return start
