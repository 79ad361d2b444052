"""Feature maps of a network: its intermediate results between the pixels and the vector."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from lookalike.extractors.onnx_graph import Graph, Node, read_graph
from lookalike.images.pixel_spec import Pixels

# Operations that end a layer in the graphs of convolutional networks: their output feeds the next layer.
_LAYER_ENDS = {"Relu", "Clip", "HardSwish", "LeakyRelu", "PRelu", "Gelu", "Elu", "Add", "Concat"}
_POOLS = {"GlobalAveragePool", "ReduceMean", "AveragePool", "GlobalMaxPool"}
_CONVOLUTIONS = {"Conv", "FusedConv", "QLinearConv", "ConvInteger"}

# Tensors returned from one pass, at most; more would only take memory.
MAX_MAPS = 24


@runtime_checkable
class NetworkExtractor(Protocol):
    """An extractor that runs an ONNX graph.

    model   path of the graph
    output  the tensor that the vectors are made of
    """

    @property
    def model(self) -> Path: ...
    @property
    def output(self) -> str: ...
    def peek(self, images: Sequence[Pixels], tensors: Sequence[str]) -> list[NDArray[np.float32]]:
        """Return tensors inside the graph for a batch of images prepared as `pixels` describes."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class FeatureMap:
    """Output of one layer for n images.

    values  (n, channels, height, width)
    depth   relative position of the layer between the pixels (0) and the vector (1)
    """

    name: str
    values: NDArray[np.float32]
    depth: float

    @property
    def positions(self) -> tuple[int, int]:
        """Number of rows and columns."""
        return self.values.shape[2], self.values.shape[3]


def feature_maps(network: NetworkExtractor, images: Sequence[Pixels]) -> list[FeatureMap]:
    """Return the outputs of the layers for these images, first to last.

    Empty unless the graph is a convolutional network or a transformer exported with its tokens.
    """
    graph = read_graph(network.model)
    if _is_transformer(graph):
        return _tokens(network, graph, images)
    ends = _layer_ends(graph, network.output)
    if not ends:
        return []
    names = [node.outputs[0] for node in ends]
    maps = []
    for number, (name, values) in enumerate(
        zip(names, network.peek(images, names), strict=True), start=1
    ):
        if values.ndim == 4 and min(values.shape[2:]) > 1 and values.shape[1] > 1:
            maps.append(FeatureMap(name, values, number / len(names)))
    return maps


def _is_transformer(graph: Graph) -> bool:
    """Return whether the graph has more matrix products than convolutions."""
    products = sum(node.op in {"MatMul", "Attention", "MultiHeadAttention"} for node in graph.nodes)
    return products > sum(node.op in _CONVOLUTIONS for node in graph.nodes)


def _tokens(network: NetworkExtractor, graph: Graph, images: Sequence[Pixels]) -> list[FeatureMap]:
    """Return the last hidden state of a transformer as a map.

    Tokens without a position (class, registers) come first and are dropped.
    """
    if "last_hidden_state" not in graph.outputs:
        return []
    (hidden,) = network.peek(images, ["last_hidden_state"])
    if hidden.ndim != 3:
        return []
    side = math.isqrt(hidden.shape[1])
    if side < 2:
        return []
    patches = hidden[:, hidden.shape[1] - side * side :].transpose(0, 2, 1)
    values = np.ascontiguousarray(patches).reshape(len(hidden), -1, side, side)
    return [FeatureMap("last_hidden_state", values, 1.0)]


def _layer_ends(graph: Graph, output: str) -> list[Node]:
    """Return the nodes that end a layer before the network pools, in the order of the graph."""
    pools = [node for node in _ancestors(graph, output) if node.op in _POOLS]
    paths = [_ancestors(graph, pool.inputs[0]) for pool in pools] or [_ancestors(graph, output)]
    # A graph may have several branches (the built-in one counts colours, too): take the deepest.
    path = max(paths, key=lambda nodes: sum(node.op in _CONVOLUTIONS for node in nodes))
    if not any(node.op in _CONVOLUTIONS for node in path):
        return []
    ends = [node for node in path if node.op in _LAYER_ENDS] or [
        n for n in path if n.op in _CONVOLUTIONS
    ]
    chosen = np.linspace(0, len(ends) - 1, min(MAX_MAPS, len(ends))).astype(int)
    return [ends[index] for index in chosen]


def _ancestors(graph: Graph, tensor: str) -> list[Node]:
    """Return all nodes that a tensor is computed from, in the order of the graph."""
    seen: set[str] = set()
    waiting = [tensor]
    while waiting:
        node = graph.makers.get(waiting.pop())
        if node is not None and node.outputs[0] not in seen:
            seen.add(node.outputs[0])
            waiting.extend(node.inputs)
    return [node for node in graph.nodes if node.outputs and node.outputs[0] in seen]
