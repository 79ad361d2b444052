"""Speed of the built-in network and of a larger one, on one core: prepared pixels, and whole files.

    python benchmarks/builtin_model.py FOLDER [--model M.onnx] [--beside TEACHER.onnx] [--files 300]

Images are the .jpg files below FOLDER. The two networks alternate in one run, with one thread each. Prints
the median images per second of each, and their ratio.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from lookalike.images.decode import decode
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.images.resize import fit
from lookalike.workers.limits import Limits

BUILT_IN = Path(__file__).parents[1] / "src/lookalike/extractors/models/lookalike.onnx"
BATCH = 8
Run = Callable[[Sequence[Pixels]], NDArray[np.float32]]


def session(path: Path) -> Any:
    """Return a session with one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def built_in(path: Path) -> tuple[Run, PixelSpec]:
    """Return the built-in network, which takes unscaled pixels."""
    opened = session(path)
    side = int(opened.get_modelmeta().custom_metadata_map["side"])
    needs = PixelSpec(fit="stretch", height=side, width=side)
    return lambda images: np.asarray(opened.run(None, {"pixels": np.stack(images)})[0]), needs


def beside(path: Path) -> tuple[Run, PixelSpec]:
    """Return a network that takes 224 pixels, channels first, scaled to [-1, 1]."""
    opened = session(path)
    name = opened.get_inputs()[0].name

    def run(images: Sequence[Pixels]) -> NDArray[np.float32]:
        scaled = np.stack(images).transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1
        return np.asarray(opened.run(["embedding"], {name: scaled})[0])

    return run, PixelSpec(fit="stretch", height=224, width=224)


def batches(run: Run, images: Sequence[Pixels]) -> NDArray[np.float32]:
    """Return the vectors of all images, (n, dim)."""
    return np.concatenate(
        [run(images[at : at + BATCH]) for at in range(0, len(images), BATCH)]
    ).reshape(len(images), -1)


def read(path: Path, needs: PixelSpec) -> Pixels:
    """Return the pixels of a file as indexing reads it: decoded no larger than needed, then stretched."""
    return fit(
        decode(path.read_bytes(), specs=(needs,), limits=Limits(), name=path.name).pixels, needs
    )


def rates(
    networks: dict[str, tuple[Run, PixelSpec]], files: Sequence[Path], rounds: int
) -> Iterator[str]:
    """Return the images per second from prepared pixels and from files; the networks alternate."""
    ready: dict[str, list[float]] = {name: [] for name in networks}
    whole: dict[str, list[float]] = {name: [] for name in networks}
    for _ in range(rounds):
        for name, (run, needs) in networks.items():
            start = time.process_time()
            images = [read(path, needs) for path in files]
            middle = time.process_time()
            batches(run, images)
            end = time.process_time()
            ready[name].append(len(files) / (end - middle))
            whole[name].append(len(files) / (end - start))
    yield "network        ready pixels/s   from files/s   (one core, seconds of CPU)"
    for name in networks:
        pixels, files_rate = statistics.median(ready[name]), statistics.median(whole[name])
        yield f"{name:12s} {pixels:14.0f} {files_rate:14.0f}"
    if len(networks) == 2:
        first, second = (statistics.median(whole[name]) for name in networks)
        yield f"from files, the first is {first / second:.1f} times as fast"


def paths(folder: Path) -> list[Path]:
    """Return the JPEG files below a folder, in a stable order."""
    return sorted(folder.rglob("*.jpg"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", type=Path, default=BUILT_IN)
    parser.add_argument("--beside", type=Path, help="ONNX file of a larger network")
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    wanted = parser.parse_args()
    cv2.setNumThreads(1)
    networks = {"lookalike": built_in(wanted.model)}
    if wanted.beside:
        networks["beside"] = beside(wanted.beside)
    found = paths(wanted.folder)
    for line in rates(networks, found[: wanted.files], wanted.rounds):
        print(line)


if __name__ == "__main__":
    main()
