"""Products of 8-bit numbers by ONNX Runtime, which has them for every processor.

With AMX they are formed ten times as fast as those of float32 (`benchmarks/search.py`).
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.cpu import physical_cores
from lookalike.errors import raise_interrupt

TIMES = 2.0
"""As fast as float32 the 8-bit products must be here: comparing what passes for nothing takes time too."""

HIGHEST = 127
"""Of a number of a query, and minus that the lowest; rows have 0..255 around their zero point."""

LARGEST_DIM = (2**31 - 1) // (255 * HIGHEST)
"""Beyond it a sum of products may leave 32 bits."""


@functools.cache
def fast() -> bool:
    """Whether this machine forms 8-bit products right, and so much faster. Measured once, in 10 ms."""
    if not right():
        return False
    queries = np.ones((256, 256), np.float32)
    session = open_session(queries.astype(np.int8))
    rows = np.ones((512, 256), np.float32)
    products, step = np.empty((512, 256), np.int32), np.empty((), np.float32)
    ours = _quickest(lambda: multiply(session, rows, products, step)) / physical_cores()
    theirs = _quickest(lambda: queries @ rows.T)
    return ours * TIMES <= theirs


@functools.cache
def right() -> bool:
    """Whether it forms them right: AVX2 without VNNI adds two of them in 16 bits, which may overflow."""
    rows = np.ones((4, 64), np.float32)
    products, step = np.empty((4, 8), np.int32), np.empty((), np.float32)
    try:
        multiply(open_session(np.full((64, 8), HIGHEST, np.int8)), rows, products, step)
    except Exception as error:  # its exceptions have no common class
        raise_interrupt(error)
        return False  # without it, float32 does the work
    return bool((products == 255 * HIGHEST * 64).all())


def _quickest(work: Callable[[], object]) -> float:
    times = []
    for _ in range(5):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def multiply(
    session: Any, rows: NDArray[np.float32], products: NDArray[np.int32], step: NDArray[np.float32]
) -> None:
    """Fills `products` (n, q) and `step` (), for rows (n, dim)."""
    binding = session.io_binding()
    binding.bind_cpu_input("rows", rows)
    for name, array in (("products", products), ("step", step)):
        binding.bind_output(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
    session.run_with_iobinding(binding)


def open_session(queries: NDArray[np.int8]) -> Any:
    """ONNX Runtime with these queries (dim, q), working on the thread that asks."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(
        product_graph(queries), options, providers=["CPUExecutionProvider"]
    )


def product_graph(queries: NDArray[np.int8]) -> bytes:
    """An ONNX file: rows (n, dim) float32 are rounded, around a zero point, to 0..255 times `step` and
    multiplied with the queries (dim, q).

    Written by hand, for it is 300 bytes beside the queries, and the `onnx` package is none of our
    dependencies. Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
    """
    float32, int8, int32 = 1, 3, 6
    dim, count = queries.shape

    def node(op: bytes, inputs: list[bytes], outputs: list[bytes]) -> bytes:
        ports = [_field(1, name) for name in inputs] + [_field(2, name) for name in outputs]
        return _field(1, b"".join(ports) + _field(4, op))

    def value(name: bytes, kind: int, *sides: bytes) -> bytes:
        shape = b"".join(_field(1, side) for side in sides)
        return _field(1, name) + _field(2, _field(1, _number(1, kind) + _field(2, shape)))

    tensor = _number(1, dim) + _number(1, count) + _number(2, int8)
    tensor += _field(8, b"queries") + _field(9, queries.tobytes())
    n = _field(2, b"n")
    graph = (
        node(b"DynamicQuantizeLinear", [b"rows"], [b"whole", b"step", b"zero"])
        + node(b"MatMulInteger", [b"whole", b"queries", b"zero"], [b"products"])
        + _field(2, b"products of whole numbers")
        + _field(5, tensor)
        + _field(11, value(b"rows", float32, n, _number(1, dim)))
        + _field(12, value(b"products", int32, n, _number(1, count)))
        + _field(12, value(b"step", float32))
    )
    return _number(1, 8) + _field(7, graph) + _field(8, _number(2, 17))


def _field(number: int, content: bytes) -> bytes:
    """A protobuf field of bytes."""
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _number(number: int, value: int) -> bytes:
    """A protobuf field of a number."""
    return bytes([number << 3]) + _varint(value)


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])
