"""Writes tiny networks in the folder layout of model hubs, for tests that need any network."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

SIZE = 8
FEATURES = 12


def write_onnx(folder: Path) -> Path:
    """Write a classifier: a 1×1 convolution, a nonlinearity, pooling, and a last layer of five classes."""
    weights = _weights()
    nodes = [
        ("Conv", ["pixel_values", "mix"], ["mixed"]),
        ("Relu", ["mixed"], ["seen"]),
        ("GlobalAveragePool", ["seen"], ["pool"]),
        ("Flatten", ["pool"], ["flat"]),
        ("Gemm", ["flat", "head"], ["logits"]),
    ]
    _save(folder / "onnx" / "model.onnx", nodes, "logits", weights)
    _describe(folder, "resnet")
    return folder


def write_clip(folder: Path) -> Path:
    """Write the image side of a CLIP, and a text side that reads single words."""
    tokenizers = pytest.importorskip("tokenizers")
    weights = _weights()
    nodes = [
        ("Conv", ["pixel_values", "mix"], ["mixed"]),
        ("Relu", ["mixed"], ["seen"]),
        ("GlobalAveragePool", ["seen"], ["pool"]),
        ("Flatten", ["pool"], ["image_embeds"]),
    ]
    _save(folder / "onnx" / "vision_model.onnx", nodes, "image_embeds", weights)
    reading = [
        ("Gather", ["words", "input_ids"], ["each"]),
        ("ReduceMean", ["each"], ["text_embeds"]),
    ]
    _save(folder / "onnx" / "text_model.onnx", reading, "text_embeds", weights)
    made = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({"<unk>": 0, "cat": 1, "dog": 2}, unk_token="<unk>")
    )
    made.save(str(folder / "tokenizer.json"))
    _describe(folder, "clip", text_config={"max_position_embeddings": 9})
    return folder


def _weights() -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(5)
    shapes = {"mix": (FEATURES, 3, 1, 1), "head": (FEATURES, 5), "words": (3, FEATURES)}
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def _describe(folder: Path, kind: str, **more: Any) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": kind, **more}))
    processor = {
        "do_resize": True,
        "size": {"shortest_edge": SIZE},
        "do_center_crop": True,
        "crop_size": {"height": SIZE, "width": SIZE},
        "resample": 3,
        "image_mean": [0.5, 0.4, 0.3],
        "image_std": [0.2, 0.3, 0.4],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))


def _save(
    path: Path,
    nodes: Sequence[tuple[str, list[str], list[str]]],
    output: str,
    weights: Mapping[str, NDArray[np.float32]],
) -> None:
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    inputs = {
        "pixel_values": (TensorProto.FLOAT, ["n", 3, SIZE, SIZE]),
        "input_ids": (TensorProto.INT64, ["n", "length"]),
    }
    used = {name for _, names, _ in nodes for name in names}
    options: dict[str, dict[str, Any]] = {"ReduceMean": {"axes": [1], "keepdims": 0}}
    graph = helper.make_graph(
        [helper.make_node(op, *ends, **options.get(op, {})) for op, *ends in nodes],
        "g",
        [helper.make_tensor_value_info(n, *inputs[n]) for n in inputs if n in used],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in weights.items() if name in used],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=9), path)
