"""Finds the last layer of a classifier in its graph; the input of that layer is the pooled features."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.extractors.onnx_graph import Graph, Node, values

_DENSE = {"Gemm", "MatMul", "Conv", "MatMulInteger", "QLinearMatMul", "QGemm"}
# Operations allowed between the last layer and the output: except for softmax they do not mix classes.
_AFTER = {
    "Identity",
    "Flatten",
    "Reshape",
    "Squeeze",
    "Cast",
    "Add",
    "Mul",
    "Softmax",
    "Sigmoid",
    "LogSoftmax",
    "DequantizeLinear",
    "QuantizeLinear",
}
# Operations skipped before it: their input is the unquantised features.
_BEFORE = {"DynamicQuantizeLinear", "QuantizeLinear", "DequantizeLinear", "Identity", "Cast"}

_DEPTH = 16
"""Nodes that are followed at most: a damaged graph may go round in circles."""


@dataclass(frozen=True, slots=True)
class ClassifierHead:
    """The layer that computes logits from features.

    features  name of its input tensor
    weights   (dim, classes) float32
    bias      (classes,) float32
    exact     False for integer arithmetic: features × weights only approximates the logits
    """

    features: str
    weights: NDArray[np.float32]
    bias: NDArray[np.float32] | None
    exact: bool


def find_classifier_head(graph: Graph, logits: str) -> ClassifierHead | None:
    """Return the last layer before the output `logits`; None when the graph ends in something else."""
    found = _walk(graph, logits, ())
    if found is None or not found[0].inputs:
        return None
    node, path = found
    features = node.inputs[0]
    for _ in range(_DEPTH):
        maker = graph.makers.get(features)
        if maker is None or maker.op not in _BEFORE or not maker.inputs:
            break
        features = maker.inputs[0]
    folder = graph.path.parent
    exact = node.op in {"Gemm", "MatMul", "Conv"}
    read = _float_matrix if exact else _integer_matrix
    with np.errstate(over="ignore", invalid="ignore"):
        matrix = read(graph, node, folder)
        bias = _bias(graph, node, path, folder)
    if matrix is None or not np.isfinite(matrix).all():  # it could not be checked
        return None
    return ClassifierHead(features, matrix, bias, exact)


def reproduces(
    layer: ClassifierHead,
    features: NDArray[np.float32],
    output: NDArray[np.float32],
    *,
    tolerance: float = 2e-3,
) -> bool:
    """Return whether features × head gives the output of the graph, up to rounding.

    The output may have passed a softmax or sigmoid. Integer layers are approximate: for them the correlation
    over the classes must be at least .98.
    """
    flat = features.reshape(len(features), -1)
    if flat.shape[1] != layer.weights.shape[0]:
        return False
    logits = flat @ layer.weights + (layer.bias if layer.bias is not None else 0.0)
    found = output.reshape(len(output), -1)
    if found.shape != logits.shape:
        return False
    if layer.exact:
        scale = max(float(np.abs(found).max()), 1e-6)
        candidates = (logits, _softmax(logits), 1 / (1 + np.exp(-logits)))
        return any(float(np.abs(c - found).max()) <= tolerance * scale for c in candidates)
    correlation = np.corrcoef(
        np.concatenate([logits.ravel(), [0.0]]), np.append(found.ravel(), 0.0)
    )
    return bool(correlation[0, 1] >= 0.98)


def _walk(graph: Graph, name: str, path: tuple[Node, ...]) -> tuple[Node, tuple[Node, ...]] | None:
    """Return the first dense layer above a tensor, and the nodes between."""
    node = graph.makers.get(name)
    if node is None or len(path) > _DEPTH:
        return None
    if node.op in _DENSE:
        return node, path
    if node.op not in _AFTER:
        return None
    for source in node.inputs:
        if found := _walk(graph, source, (*path, node)):
            return found
    return None


def _float_matrix(graph: Graph, node: Node, folder: Path) -> NDArray[np.float32] | None:
    """Return the weights as (dim, classes), multiplied by Gemm's alpha."""
    weights = _constant(graph, node.inputs[1], folder) if len(node.inputs) > 1 else None
    if weights is None:
        return None
    if node.op == "Conv":  # TensorFlow's classifiers end in a 1×1 convolution
        if weights.ndim != 4 or weights.shape[2:] != (1, 1):
            return None
        return np.ascontiguousarray(weights[:, :, 0, 0].T)
    if weights.ndim != 2 or node.numbers.get("transA"):
        return None
    if node.op == "Gemm":
        matrix = weights.T if node.numbers.get("transB") else weights
        return np.ascontiguousarray(matrix * np.float32(node.numbers.get("alpha", 1.0)))
    return weights


def _integer_matrix(graph: Graph, node: Node, folder: Path) -> NDArray[np.float32] | None:
    """Return integer weights minus zero point, times scale; both are found by name, if at all."""
    position = 3 if node.op in {"QLinearMatMul", "QGemm"} else 1
    if len(node.inputs) <= position:
        return None
    name = node.inputs[position]
    weights = _constant(graph, name, folder)
    if weights is None or weights.ndim != 2:
        return None
    if node.op == "QGemm" and node.numbers.get("transB"):
        weights = weights.T
    stem = name.removesuffix("_quantized")
    zero = _constant(graph, f"{stem}_zero_point", folder)
    scale = _constant(graph, f"{stem}_scale", folder)
    shifted = weights - (zero if zero is not None else 0.0)
    return np.asarray(shifted * (scale if scale is not None else 1.0), np.float32)


def _bias(
    graph: Graph, node: Node, path: tuple[Node, ...], folder: Path
) -> NDArray[np.float32] | None:
    """Return the sum of the layer's own bias and of constants added after it."""
    total: NDArray[np.float32] | None = None
    if node.op in {"Gemm", "Conv"} and len(node.inputs) > 2:
        own = _constant(graph, node.inputs[2], folder)
        if own is not None:
            total = own.reshape(-1) * np.float32(node.numbers.get("beta", 1.0))
    for step in path:
        if step.op != "Add":
            continue
        for name in step.inputs:
            added = _constant(graph, name, folder)
            if added is not None:
                total = added.reshape(-1) if total is None else total + added.reshape(-1)
    return total


def _constant(graph: Graph, name: str, folder: Path) -> NDArray[np.float32] | None:
    """Return a weight as float32, also through the nodes that exporters insert before its use."""
    if name in graph.tensors:
        return np.asarray(values(graph.tensors[name], folder), np.float32)
    node = graph.makers.get(name)
    if node is None:
        return None
    if node.op == "Constant" and node.tensor is not None:
        return np.asarray(values(node.tensor, folder), np.float32)
    if node.op in {"Identity", "Cast"}:
        return _constant(graph, node.inputs[0], folder)
    if node.op == "Transpose":
        inner = _constant(graph, node.inputs[0], folder)
        return inner.T if inner is not None and inner.ndim == 2 else None
    if node.op == "DequantizeLinear":
        parts = [_constant(graph, part, folder) for part in node.inputs]
        weights, scale = parts[0], parts[1]
        zero = parts[2] if len(parts) > 2 else None
        if weights is None or scale is None:
            return None
        axis = int(node.numbers.get("axis", 1))
        shape = [1] * weights.ndim
        if scale.size > 1:
            shape[axis] = scale.size
        centred = weights - (zero.reshape(shape) if zero is not None and zero.size > 1 else 0.0)
        if zero is not None and zero.size == 1:
            centred = weights - zero.reshape(())
        return np.asarray(centred * scale.reshape(shape if scale.size > 1 else ()), np.float32)
    return None


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True), np.float32)
