"""Minimal reader of ONNX files: finds a tensor inside a graph and makes it an output.

ONNX Runtime returns only what a graph declares as outputs, and exported classifiers declare the logits only.
The `onnx` package could edit that, at the cost of three more dependencies and of loading all weights. But
protobuf messages may be concatenated, which joins their repeated fields: a graph gets one more output by
appending a few bytes that encode "graph: { output: { name } }", and the rest of the file stays as it is.

Reference: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (field numbers),
https://protobuf.dev/programming-guides/encoding/#last-one-wins (concatenation).
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError

# Field numbers of onnx.proto.
_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_TENSOR, _GRAPH_INPUT, _GRAPH_OUTPUT = 1, 5, 11, 12
_NODE_INPUT, _NODE_OUTPUT, _NODE_OP, _NODE_ATTRIBUTE = 1, 2, 4, 5
_ATTRIBUTE_NAME, _ATTRIBUTE_FLOAT, _ATTRIBUTE_INT, _ATTRIBUTE_TENSOR = 1, 2, 3, 5
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_FLOATS, _TENSOR_INTS, _TENSOR_NAME, _TENSOR_RAW = (
    1,
    2,
    4,
    5,
    8,
    9,
)
_TENSOR_EXTERNAL = 13
_VALUE_NAME = 1

# Largest number of elements of a weight; only those of the last layer are read.
_MAX_ELEMENTS = 1 << 30

_TYPES: dict[int, str] = {1: "<f4", 2: "u1", 3: "i1", 6: "<i4", 7: "<i8", 10: "<f2", 11: "<f8"}


@dataclass(frozen=True, slots=True)
class Tensor:
    """A weight of the graph; `values` reads it."""

    name: str
    shape: tuple[int, ...]
    type: int
    data: memoryview | None
    packed: bool
    external: dict[str, str]


@dataclass(frozen=True, slots=True)
class Node:
    """One operation; `numbers` are its numeric attributes."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    numbers: dict[str, float]
    tensor: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Graph:
    """The graph of an ONNX file. Weights stay in the file; `makers` has the node of each tensor."""

    path: Path
    nodes: tuple[Node, ...]
    tensors: dict[str, Tensor]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    makers: dict[str, Node] = field(default_factory=dict)

    def has_op(self, *ops: str) -> bool:
        """Return whether the graph contains one of these operations."""
        return any(node.op in ops for node in self.nodes)

    def external_files(self) -> tuple[str, ...]:
        """Return the names of the files next to the graph that hold its weights."""
        return tuple(sorted({t.external["location"] for t in self.tensors.values() if t.external}))


def read_graph(path: Path) -> Graph:
    """Return the graph in an ONNX file; UsageError where it is not one or is truncated."""
    try:
        with path.open("rb") as stream:
            content = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
        graphs = [value for number, value in _fields(content) if number == _MODEL_GRAPH]
        if not graphs:
            raise ValueError("it contains no graph")
        return _graph(path, graphs)
    except (ValueError, IndexError, KeyError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not an ONNX model, or is truncated ({error})") from None


def with_outputs(content: bytes, names: list[str]) -> bytes:
    """Return the ONNX file `content` with these tensors of its graph as additional outputs."""
    for name in names:
        value = message(_VALUE_NAME, name.encode())
        content += message(_MODEL_GRAPH, message(_GRAPH_OUTPUT, value))
    return content


def values(tensor: Tensor, folder: Path) -> NDArray[np.generic]:
    """Return the values of a weight; `folder` holds external data. UsageError where they are invalid."""
    try:
        return _values(tensor, folder)
    except (ValueError, KeyError, OSError) as error:
        raise UsageError(
            f"the weight {tensor.name!r} of the model in {folder} cannot be read ({error})"
        ) from None


def _values(tensor: Tensor, folder: Path) -> NDArray[np.generic]:
    dtype = np.dtype(_TYPES[tensor.type])
    count = math.prod(tensor.shape)
    if min(tensor.shape, default=0) < 0 or count > _MAX_ELEMENTS:
        raise ValueError(f"its shape is {tensor.shape}")
    if tensor.external:
        with (folder / tensor.external["location"]).open("rb") as stream:
            stream.seek(int(tensor.external.get("offset", 0)))
            content = stream.read(count * dtype.itemsize)
        return np.frombuffer(content, dtype).reshape(tensor.shape)
    if tensor.data is None:
        return np.zeros(tensor.shape, dtype)
    if tensor.packed:  # small integers and float16 are stored as one varint each
        numbers = np.array(list(_varints(tensor.data)), np.int64)
        bits = numbers.astype(np.uint16).view(np.float16) if tensor.type == 10 else numbers
        return bits.astype(dtype).reshape(tensor.shape)
    return np.frombuffer(tensor.data, dtype).reshape(tensor.shape)


def _graph(path: Path, pieces: list[memoryview]) -> Graph:
    nodes: list[Node] = []
    tensors: dict[str, Tensor] = {}
    inputs: list[str] = []
    outputs: list[str] = []
    for number, value in (entry for piece in pieces for entry in _fields(piece)):
        if number == _GRAPH_NODE:
            nodes.append(_node(value))
        elif number == _GRAPH_TENSOR:
            tensor = _tensor(value)
            tensors[tensor.name] = tensor
        elif number == _GRAPH_INPUT:
            inputs.append(_value_name(value))
        elif number == _GRAPH_OUTPUT:
            outputs.append(_value_name(value))
    makers = {name: node for node in nodes for name in node.outputs}
    # Older exports list the weights among the inputs, too.
    real = tuple(name for name in inputs if name not in tensors)
    return Graph(path, tuple(nodes), tensors, real, tuple(outputs), makers)


def _node(content: memoryview) -> Node:
    inputs: list[str] = []
    outputs: list[str] = []
    op = ""
    numbers: dict[str, float] = {}
    tensor: Tensor | None = None
    for number, value in _fields(content):
        if number == _NODE_INPUT:
            inputs.append(_text(value))
        elif number == _NODE_OUTPUT:
            outputs.append(_text(value))
        elif number == _NODE_OP:
            op = _text(value)
        elif number == _NODE_ATTRIBUTE:
            name, amount, constant = _attribute(value)
            numbers[name] = amount
            tensor = constant if name == "value" and constant is not None else tensor
    return Node(op, tuple(inputs), tuple(outputs), numbers, tensor)


def _attribute(content: memoryview) -> tuple[str, float, Tensor | None]:
    name, amount, tensor = "", 0.0, None
    for number, value in _fields(content):
        if number == _ATTRIBUTE_NAME:
            name = _text(value)
        elif number == _ATTRIBUTE_FLOAT:
            amount = float(np.frombuffer(value, "<f4")[0])
        elif number == _ATTRIBUTE_INT:
            amount = float(_number(value))
        elif number == _ATTRIBUTE_TENSOR:
            tensor = _tensor(value)
    return name, amount, tensor


def _tensor(content: memoryview) -> Tensor:
    name, kind, packed = "", 0, False
    shape: list[int] = []
    data: memoryview | None = None
    external: dict[str, str] = {}
    for number, value in _fields(content):
        if number == _TENSOR_DIMS:
            shape += _varints(value)
        elif number == _TENSOR_TYPE:
            kind = _number(value)
        elif number == _TENSOR_NAME:
            name = _text(value)
        elif number in {_TENSOR_RAW, _TENSOR_FLOATS}:
            data, packed = value, False
        elif number == _TENSOR_INTS:
            data, packed = value, True
        elif number == _TENSOR_EXTERNAL:
            entry = dict(_fields(value))
            external[_text(entry[1])] = _text(entry[2])
    if external and not _is_in_folder(external.get("location", "")):
        raise ValueError("its weights would be in another folder")
    return Tensor(name, tuple(shape), kind, data, packed, external)


def _is_in_folder(location: str) -> bool:
    """Return whether external data is next to the graph: an untrusted model must not read other files."""
    parts = location.replace("\\", "/").split("/")
    return bool(location) and not {"", ".."} & {*parts} and ":" not in parts[0]


def _value_name(content: memoryview) -> str:
    return next((_text(value) for number, value in _fields(content) if number == _VALUE_NAME), "")


def _fields(content: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield number and content of each field of a message; an integer's content is its varint."""
    at, end = 0, len(content)
    while at < end:
        key, at = _varint(content, at)
        wire = key & 7
        start = at
        if wire == 0:
            _, at = _varint(content, at)
        elif wire == 1:
            at += 8
        elif wire == 2:
            length, start = _varint(content, at)
            at = start + length
        elif wire == 5:
            at += 4
        else:
            raise ValueError(f"unexpected byte at {at}")
        if at > end:
            raise ValueError(f"it ends {at - end} bytes too early")
        yield key >> 3, content[start:at]


def _varint(content: memoryview, at: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        byte = content[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, at
        shift += 7
        if shift > 63:
            raise ValueError(f"the integer at byte {at} has more than 64 bits")


def _varints(content: memoryview) -> Iterator[int]:
    at = 0
    while at < len(content):
        number, at = _varint(content, at)
        yield number - (1 << 64) if number >> 63 else number


def _number(content: memoryview) -> int:
    for number in _varints(content):
        return number
    raise ValueError("an integer is missing")


def _text(content: memoryview) -> str:
    return bytes(content).decode()


def integer(number: int, value: int) -> bytes:
    """Encode a field that holds an integer from 0."""
    return _encode(number << 3) + _encode(value)


def message(number: int, content: bytes) -> bytes:
    """Encode a length-delimited field."""
    return _encode(number << 3 | 2) + _encode(len(content)) + content


def _encode(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)
