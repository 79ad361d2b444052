"""A sieve before the exact comparison: products of 8-bit numbers, for many queries at once.

Rows and queries are rounded to whole numbers, whose products processors with VNNI or AMX form four to ten
times as fast as those of float32. How far a cosine may be off by that is known (Cauchy and Schwarz:
|q·x - q'·x'| <= |q| |x - x'| + |q - q'| |x'|), so whatever could reach the bar passes, and what does is never
missed. The arithmetic is ONNX Runtime's, which has it for every processor.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import raise_interrupt
from lookalike.processors import usable_cores
from lookalike.vectors.blocks import Floats, Places, as_float32

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

TIMES = 2.0
"""As fast as float32 the 8-bit products must be here: comparing what passes for nothing takes time too."""

ROWS = 512
"""That are multiplied at a time: their products stay in the cache until they were looked through."""

ROUNDING = 1e-3
"""By how much stored vectors are longer than 1, and the half of a step longer than a half, at most."""

_HIGHEST = 127

LARGEST_DIM = (2**31 - 1) // (255 * _HIGHEST)
"""Beyond it a sum of products may leave 32 bits."""


@dataclass(frozen=True, slots=True)
class Passed:
    """Pairs of a query and a place among the rows, by query; the cosine that each is likely to have, and the
    highest that it can have. (n,) each."""

    query: Places
    place: Places
    likely: NDArray[np.float32]
    highest: NDArray[np.float32]

    def where(self, some: NDArray[np.bool_]) -> Passed:
        return Passed(self.query[some], self.place[some], self.likely[some], self.highest[some])


class Sieve:
    """Queries (q, dim) of length 1, ready to be compared with many rows."""

    def __init__(self, queries: NDArray[np.float32]) -> None:
        wide = queries.astype(np.float64)
        self._steps = np.abs(wide).max(axis=1) / _HIGHEST
        whole = np.rint(wide / self._steps[:, None])
        self._lost = np.sqrt(((wide - whole * self._steps[:, None]) ** 2).sum(axis=1))
        self._session = _session(np.ascontiguousarray(whole.T, np.int8))
        self._cores = usable_cores()

    def above(self, rows: Floats, bar: NDArray[np.float32], *, most: int) -> Passed | None:
        """All pairs with `rows` (n, dim), of length 1 or 0, whose cosine can reach the query's bar (q,);
        None if they are more than `most`."""
        share = -(-len(rows) // self._cores)
        starts = range(0, len(rows), share)
        wide = bar.astype(np.float64)
        parts = list(
            threads().map(lambda at: self._share(at, rows[at : at + share], wide, most), starts)
        )
        if sum(len(part[0]) for part in parts) > most:
            return None
        query, place, likely, highest = map(np.concatenate, zip(*parts, strict=True))
        order = np.argsort(query, kind="stable")
        likely, highest = likely.astype(np.float32), highest.astype(np.float32)
        return Passed(query[order], place[order], likely[order], highest[order])

    def _share(
        self, start: int, rows: Floats, bar: NDArray[np.float64], most: int
    ) -> tuple[Places, Places, NDArray[np.float64], NDArray[np.float64]]:
        """On the thread that asks; the columns of `Passed`, by place. Stops where there are more than
        `most`."""
        least = (bar - self._lost * (1.0 + ROUNDING)) / self._steps
        each = (1.0 + self._lost) / self._steps
        places, products, steps, many = [], [], [], 0
        marks = np.empty((min(ROWS, len(rows)), len(bar)), np.bool_)
        for first, found, step in self._products(rows):
            needed = np.floor((least - _lost(step, rows.shape[1]) * each) / step)
            needed = needed.clip(-(2**31), 2**31 - 1).astype(np.int32)
            some = marks[: len(found)]
            np.greater_equal(found, needed, out=some)
            pairs = np.flatnonzero(some.ravel())
            places.append(pairs + first * len(bar))
            products.append(found.ravel()[pairs])
            steps.append(np.full(len(pairs), step))
            many += len(pairs)
            if many > most:
                break
        place, query = np.divmod(np.concatenate(places), len(bar))
        step_of = np.concatenate(steps)
        likely = np.concatenate(products) * step_of * self._steps[query]
        lost = _lost(step_of, rows.shape[1])
        highest = likely + lost + self._lost[query] * (1.0 + ROUNDING + lost) + 1e-6
        return query, place + start, likely, highest

    def _products(self, rows: Floats) -> Iterator[tuple[int, NDArray[np.int32], float]]:
        """Where some rows start, their products (n, q) with all queries, which the next ones overwrite,
        and the step between two whole numbers of these rows."""
        products = np.empty((min(ROWS, len(rows)), len(self._steps)), np.int32)
        step = np.empty((), np.float32)
        room = np.empty((min(ROWS, len(rows)), rows.shape[1]), np.float32)
        for start in range(0, len(rows), ROWS):
            some = as_float32(rows[start : start + ROWS], room[: len(rows) - start])
            found = products[: len(some)]
            multiply(self._session, some, found, step)
            yield start, found, float(step)


@functools.cache
def threads() -> ThreadPoolExecutor:
    """One for every core."""
    from concurrent.futures import ThreadPoolExecutor  # slow to import, and rarely of use

    return ThreadPoolExecutor(usable_cores(), thread_name_prefix="sieve")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=threads.cache_clear)  # a child has none of them


@functools.cache
def fast() -> bool:
    """Whether this machine forms 8-bit products right, and so much faster. Measured once, in 10 ms."""
    if not right():
        return False
    queries = np.ones((256, 256), np.float32)
    session = _session(queries.astype(np.int8))
    rows = np.ones((ROWS, 256), np.float32)
    products, step = np.empty((ROWS, 256), np.int32), np.empty((), np.float32)
    ours = _quickest(lambda: multiply(session, rows, products, step)) / usable_cores()
    theirs = _quickest(lambda: queries @ rows.T)
    return ours * TIMES <= theirs


@functools.cache
def right() -> bool:
    """Whether it forms them right: AVX2 without VNNI adds two of them in 16 bits, which may overflow."""
    rows = np.ones((4, 64), np.float32)
    products, step = np.empty((4, 8), np.int32), np.empty((), np.float32)
    try:
        multiply(_session(np.full((64, 8), _HIGHEST, np.int8)), rows, products, step)
    except Exception as error:  # its exceptions have no common class
        raise_interrupt(error)
        return False  # without it, float32 does the work
    return bool((products == 255 * _HIGHEST * 64).all())


def _quickest(work: Callable[[], object]) -> float:
    times = []
    for _ in range(5):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def _lost(step: Any, dim: int) -> Any:
    """The longest difference between a row and its whole numbers times `step`."""
    return (0.5 + ROUNDING) * step * np.sqrt(dim)


def multiply(
    session: Any, rows: NDArray[np.float32], products: NDArray[np.int32], step: NDArray[np.float32]
) -> None:
    """Fills `products` (n, q) and `step` (), for rows (n, dim)."""
    binding = session.io_binding()
    binding.bind_cpu_input("rows", rows)
    for name, array in (("products", products), ("step", step)):
        binding.bind_output(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
    session.run_with_iobinding(binding)


def _session(queries: NDArray[np.int8]) -> Any:
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
