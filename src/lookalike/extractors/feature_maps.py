"""What a network has computed on its way from pixels to the vector: its feature maps."""

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

# What ends a layer in the graphs of convolutional networks: its output is what the next layer sees.
_ENDS = {"Relu", "Clip", "HardSwish", "LeakyRelu", "PRelu", "Gelu", "Elu", "Add", "Concat"}
_POOLS = {"GlobalAveragePool", "ReduceMean", "AveragePool", "GlobalMaxPool"}
_LAYERS = {"Conv", "FusedConv", "QLinearConv", "ConvInteger"}

MOST = 24
"""Tensors looked at in one pass; more would only take memory."""


@runtime_checkable
class NetworkExtractor(Protocol):
    """An extractor whose vectors come out of an ONNX graph.

    model   where the graph lies
    output  the tensor that the vectors are made of
    """

    @property
    def model(self) -> Path: ...
    @property
    def output(self) -> str: ...
    def peek(self, images: Sequence[Pixels], tensors: Sequence[str]) -> list[NDArray[np.float32]]:
        """Tensors inside the graph for a batch of pictures, as `pixels` describes them."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class FeatureMap:
    """One layer: `values` (n, channels, height, width) for n pictures; `depth` is how far on the way
    from the pixels (0) to the vector (1) it lies."""

    name: str
    values: NDArray[np.float32]
    depth: float

    @property
    def positions(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.values.shape[2], self.values.shape[3]


def feature_maps(network: NetworkExtractor, images: Sequence[Pixels]) -> list[FeatureMap]:
    """The layers of a network for these pictures, first to last; empty where its graph has no maps
    (something else than a convolutional network or an export of a transformer with its tokens)."""
    graph = read_graph(network.model)
    if _is_transformer(graph):
        return _tokens(network, graph, images)
    ends = _ends(graph, network.output)
    if not ends:
        return []
    names = [node.outputs[0] for node in ends]
    maps = []
    for place, (name, values) in enumerate(
        zip(names, network.peek(images, names), strict=True), start=1
    ):
        if values.ndim == 4 and min(values.shape[2:]) > 1 and values.shape[1] > 1:
            maps.append(FeatureMap(name, values, place / len(names)))
    return maps


def _is_transformer(graph: Graph) -> bool:
    """More matrix products than convolutions."""
    products = sum(node.op in {"MatMul", "Attention", "MultiHeadAttention"} for node in graph.nodes)
    return products > sum(node.op in _LAYERS for node in graph.nodes)


def _tokens(network: NetworkExtractor, graph: Graph, images: Sequence[Pixels]) -> list[FeatureMap]:
    """The last hidden state of a transformer as a map; tokens that stand for no place come first."""
    if "last_hidden_state" not in graph.outputs:
        return []
    (hidden,) = network.peek(images, ["last_hidden_state"])
    if hidden.ndim != 3:
        return []
    side = math.isqrt(hidden.shape[1])
    if side < 2:
        return []
    places = hidden[:, hidden.shape[1] - side * side :].transpose(0, 2, 1)
    values = np.ascontiguousarray(places).reshape(len(hidden), -1, side, side)
    return [FeatureMap("last_hidden_state", values, 1.0)]


def _ends(graph: Graph, output: str) -> list[Node]:
    """Nodes that end a layer on the way to where the network pools, in the order of the graph."""
    pools = [node for node in _before(graph, output) if node.op in _POOLS]
    ways = [_before(graph, pool.inputs[0]) for pool in pools] or [_before(graph, output)]
    # A graph may have several (ours counts colours, too): the network is the deep one.
    way = max(ways, key=lambda nodes: sum(node.op in _LAYERS for node in nodes))
    if not any(node.op in _LAYERS for node in way):
        return []
    ends = [node for node in way if node.op in _ENDS] or [n for n in way if n.op in _LAYERS]
    chosen = np.linspace(0, len(ends) - 1, min(MOST, len(ends))).astype(int)
    return [ends[place] for place in chosen]


def _before(graph: Graph, tensor: str) -> list[Node]:
    """All nodes that a tensor is computed from, in the order of the graph."""
    seen: set[str] = set()
    waiting = [tensor]
    while waiting:
        node = graph.makers.get(waiting.pop())
        if node is not None and node.outputs[0] not in seen:
            seen.add(node.outputs[0])
            waiting.extend(node.inputs)
    return [node for node in graph.nodes if node.outputs and node.outputs[0] in seen]
