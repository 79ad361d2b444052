"""The built-in model beside a larger network, on one core: ready pixels, whole files, and copies.

    python benchmarks/builtin_model.py FOLDER [--model M.onnx] [--beside TEACHER.onnx] [--files 300]

Pictures are the .jpg files below FOLDER. Both networks take turns in one run, one thread each;
figures are medians of images a second, and their ratio. `--copies OTHER` also saves pictures of
FOLDER in twelve ways and asks, for each copy, whether its original is the nearest among the
originals and all pictures of OTHER.
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
from lookalike.images.fit import fit
from lookalike.images.needs import Limits, Needs, Pixels

BUILT_IN = Path(__file__).parents[1] / "src/lookalike/extractors/models/lookalike.onnx"
BATCH = 16
Run = Callable[[Sequence[Pixels]], NDArray[np.float32]]


def session(path: Path) -> Any:
    """A network on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def built_in(path: Path) -> tuple[Run, Needs]:
    """The built-in model: pixels as they are."""
    opened = session(path)
    side = int(opened.get_modelmeta().custom_metadata_map["side"])
    needs = Needs(fit="stretch", height=side, width=side)
    return lambda images: np.asarray(opened.run(None, {"pixels": np.stack(images)})[0]), needs


def beside(path: Path) -> tuple[Run, Needs]:
    """A network of the usual kind: 224 pixels, channels first, scaled to [-1, 1]."""
    opened = session(path)
    name = opened.get_inputs()[0].name

    def run(images: Sequence[Pixels]) -> NDArray[np.float32]:
        scaled = np.stack(images).transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1
        return np.asarray(opened.run(["embedding"], {name: scaled})[0])

    return run, Needs(fit="stretch", height=224, width=224)


def batches(run: Run, pictures: Sequence[Pixels]) -> NDArray[np.float32]:
    """Vectors of all pictures."""
    return np.concatenate(
        [run(pictures[at : at + BATCH]) for at in range(0, len(pictures), BATCH)]
    ).reshape(len(pictures), -1)


def read(path: Path, needs: Needs) -> Pixels:
    """One file as indexing reads it: decoded no larger than needed, then squeezed."""
    return fit(
        decode(path.read_bytes(), needs=(needs,), limits=Limits(), name=path.name).pixels, needs
    )


def rates(
    networks: dict[str, tuple[Run, Needs]], files: Sequence[Path], rounds: int
) -> Iterator[str]:
    """Images a second on ready pixels and from files, the networks taking turns."""
    ready: dict[str, list[float]] = {name: [] for name in networks}
    whole: dict[str, list[float]] = {name: [] for name in networks}
    for _ in range(rounds):
        for name, (run, needs) in networks.items():
            start = time.process_time()
            pictures = [read(path, needs) for path in files]
            middle = time.process_time()
            batches(run, pictures)
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


def edits(picture: Pixels) -> dict[str, Pixels]:
    """Twelve ways in which copies differ from their original."""
    height, width = picture.shape[:2]
    top, left = height // 20, width // 20
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), 5, 1.0)
    lettered = cv2.putText(
        picture.copy(), "SAMPLE", (width // 8, height // 2), 0, width / 250, (255, 255, 255), 3
    )
    edge = max(4, width // 20)
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    made = {
        "jpeg 30": recoded(picture, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, 30]),
        "half size": cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
        "10 % crop": picture[top : height - top, left : width - left],
        "90 degrees": np.rot90(picture),
        "mirrored": picture[:, ::-1],
        "brighter": np.clip(picture.astype(np.float32) * 1.3, 0, 255).astype(np.uint8),
        "blurred": cv2.GaussianBlur(picture, (0, 0), 2),
        "text": lettered,
        "border": cv2.copyMakeBorder(
            picture, edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=(255, 255, 255)
        ),
        "grey": np.repeat(grey[..., None], 3, axis=2),
        "5 degrees": cv2.warpAffine(picture, turn, (width, height)),
        "webp": recoded(picture, ".webp", [cv2.IMWRITE_WEBP_QUALITY, 60]),
    }
    return {name: np.ascontiguousarray(edited) for name, edited in made.items()}


def recoded(picture: Pixels, kind: str, options: list[int]) -> Pixels:
    """Saved in a lossy format and read again."""
    coded = cv2.imencode(kind, picture[..., ::-1], options)[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), dtype=np.uint8)[..., ::-1]


def copies(
    network: tuple[Run, Needs], originals: Sequence[Path], others: Sequence[Path]
) -> dict[str, float]:
    """Share of the copies whose original is nearest, by kind of edit."""
    run, needs = network
    known = unit(batches(run, [read(path, needs) for path in [*originals, *others]]))
    found: dict[str, list[bool]] = {}
    for number, path in enumerate(originals):
        whole = decode(path.read_bytes(), needs=(Needs(),), limits=Limits(), name=path.name).pixels
        edited = edits(whole)
        asked = unit(batches(run, [fit(copy, needs) for copy in edited.values()]))
        nearest = (asked @ known.T).argmax(axis=1)
        for name, at in zip(edited, nearest, strict=True):
            found.setdefault(name, []).append(bool(at == number))
    return {name: float(np.mean(hits)) for name, hits in found.items()}


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of length 1."""
    scaled: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return scaled


def paths(folder: Path) -> list[Path]:
    """The JPEG pictures below a folder, in a stable order."""
    return sorted(folder.rglob("*.jpg"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", type=Path, default=BUILT_IN)
    parser.add_argument("--beside", type=Path, help="ONNX file of a larger network")
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--copies", type=Path, nargs="+", default=[], metavar="OTHER")
    wanted = parser.parse_args()
    cv2.setNumThreads(1)
    networks = {"lookalike": built_in(wanted.model)}
    if wanted.beside:
        networks["beside"] = beside(wanted.beside)
    found = paths(wanted.folder)
    for line in rates(networks, found[: wanted.files], wanted.rounds):
        print(line)
    if wanted.copies:
        others = [path for folder in wanted.copies for path in paths(folder)]
        for name, network in networks.items():
            shares = copies(network, found[:200], others)
            print(name, f"copies found first: {np.mean(list(shares.values())):.3f}", shares)


if __name__ == "__main__":
    main()
