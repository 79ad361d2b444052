"""Minimal writer of ONNX files: the few kinds of nodes that a convolutional network needs.

Reference: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (field numbers).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lookalike.extractors.onnx_graph import integer, message

IR_VERSION, OPSET = 8, 17

# Field numbers, and values of AttributeProto.type and TensorProto.data_type.
_MODEL_IR, _MODEL_PRODUCER, _MODEL_GRAPH, _MODEL_OPSET = 1, 2, 7, 8
_GRAPH_NODE, _GRAPH_NAME, _GRAPH_TENSOR, _GRAPH_INPUT, _GRAPH_OUTPUT = 1, 2, 5, 11, 12
_INT, _INTS, _FLOAT32 = 2, 7, 1


class GraphWriter:
    """Collects the nodes and weights of a graph; `finish` returns the file."""

    def __init__(self) -> None:
        self._nodes: list[bytes] = []
        self._weights: list[bytes] = []

    def node(
        self,
        op: str,
        inputs: Sequence[str],
        output: str,
        **numbers: int | Sequence[int],
    ) -> str:
        """Add a node with one output, and return the name of its output."""
        fields = [message(1, name.encode()) for name in inputs]
        fields += [message(2, output.encode()), message(4, op.encode())]
        for name, value in numbers.items():
            if isinstance(value, int):
                body = integer(3, value) + integer(20, _INT)
            else:
                body = b"".join(integer(8, one) for one in value) + integer(20, _INTS)
            fields.append(message(5, message(1, name.encode()) + body))
        self._nodes.append(message(_GRAPH_NODE, b"".join(fields)))
        return output

    def weight(self, name: str, values: NDArray[np.floating]) -> str:
        """Add a weight as float32, and return its name."""
        sizes = b"".join(integer(1, size) for size in values.shape)
        content = np.ascontiguousarray(values, "<f4").tobytes()
        body = sizes + integer(2, _FLOAT32) + message(8, name.encode()) + message(9, content)
        self._weights.append(message(_GRAPH_TENSOR, body))
        return name

    def finish(
        self,
        inputs: Mapping[str, Sequence[int | str]],
        outputs: Mapping[str, Sequence[int | str]],
    ) -> bytes:
        """Return the file; inputs and outputs are float32, a text in a shape names a size that is free."""
        graph = [
            *self._nodes,
            message(_GRAPH_NAME, b"lookalike"),
            *self._weights,
            *(message(_GRAPH_INPUT, _value(name, shape)) for name, shape in inputs.items()),
            *(message(_GRAPH_OUTPUT, _value(name, shape)) for name, shape in outputs.items()),
        ]
        return (
            integer(_MODEL_IR, IR_VERSION)
            + message(_MODEL_PRODUCER, b"lookalike")
            + message(_MODEL_GRAPH, b"".join(graph))
            + message(_MODEL_OPSET, integer(2, OPSET))
        )


def _value(name: str, shape: Sequence[int | str]) -> bytes:
    sizes = [
        message(1, integer(1, size) if isinstance(size, int) else message(2, size.encode()))
        for size in shape
    ]
    tensor = integer(1, _FLOAT32) + message(2, b"".join(sizes))
    return message(1, name.encode()) + message(2, message(1, tensor))
