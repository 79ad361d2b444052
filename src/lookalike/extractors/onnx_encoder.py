"""The part of a network that sees, in a graph of ONNX: pictures in, raw features out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.extractors.classifier_head import LastLayer
from lookalike.extractors.onnx_graph import Graph, with_outputs
from lookalike.extractors.preprocessing import Preprocessing
from lookalike.extractors.runtime import Session, batch_for, run_all
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.models.checksums import file_sha256

Pooling: TypeAlias = Literal["flat", "first", "tokens", "pixels"]


@dataclass(frozen=True, slots=True)
class Tap:
    """Which tensor of a graph the vectors are made of, and how.

    pooling  "flat" as it is, "first" the first token, "tokens" the mean of (n, tokens, dim),
             "pixels" the mean of (n, dim, height, width)
    layer    the last layer of a classifier, when the tensor is what goes into it
    """

    output: str
    pooling: Pooling
    layer: LastLayer | None = None


class Eye:
    """The part of a network that sees: pictures in, raw features out."""

    def __init__(
        self, session: Session, tap: Tap, preparing: Preprocessing, *, also: Mapping[str, Any] = {}
    ) -> None:
        self._session, self._tap, self._preparing = session, tap, preparing
        self._also = dict(also)  # feeds that the graph demands besides the picture
        ports = [port for port in session.inputs.values() if port.name not in self._also]
        if len(ports) != 1 or len(ports[0].shape) != 4:
            named = ", ".join(f"{port.name} {port.shape}" for port in ports)
            raise UsageError(f"the network wants {named or 'nothing'}; one picture is expected")
        self._port = ports[0]
        self._check_size()

    @property
    def pixels(self) -> PixelSpec:
        """The pictures that it takes."""
        return self._preparing.pixels

    @property
    def dtype(self) -> np.dtype[Any]:
        """The numbers that the graph takes."""
        return self._port.dtype

    def dim(self) -> int:
        """Length of a vector, found by looking at a grey picture."""
        needs = self._preparing.pixels
        found = self.features([np.full((needs.height, needs.width, 3), 127, np.uint8)])
        if not np.isfinite(found).all():
            raise UsageError(
                f"{self._session.path} gives NaN or infinity on this machine; try another variant"
            )
        return int(found.shape[1])

    def features(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        """(n, dim), in small batches, as many at a time as the processor has cores."""
        size = self._session.batch
        batches = [images[start : start + size] for start in range(0, len(images), size)]
        # Fewer pictures than batches × cores: divide them among the cores all the same.
        streams = self._session.streams()
        if len(batches) < streams and size > 1:
            share = max(1, -(-len(images) // streams))
            batches = [images[start : start + share] for start in range(0, len(images), share)]
        return np.concatenate(run_all(streams, batches, self._one_batch))

    def raw(self, images: Sequence[Pixels], outputs: Sequence[str]) -> list[NDArray[np.float32]]:
        """Any tensors of the graph for one batch."""
        needs = self._preparing.pixels
        buffer = np.empty((len(images), 3, needs.height, needs.width), np.float32)
        pixels = self._preparing.scaling.batch(images, buffer)
        feeds = {**self._also, self._port.name: pixels.astype(self._port.dtype, copy=False)}
        return [np.asarray(a, np.float32) for a in self._session.run(outputs, feeds)]

    def peek(self, images: Sequence[Pixels], tensors: Sequence[str]) -> list[NDArray[np.float32]]:
        """Any tensors inside the graph, output or not, for a batch of pictures. Opens the file anew."""
        path = self._session.path
        missing = [name for name in tensors if name not in self._session.outputs]
        session = Session(path, content=with_outputs(path.read_bytes(), missing), alone=True)
        eye = Eye(session, self._tap, self._preparing, also=self._also)
        found = [eye.raw([image], tensors) for image in images]
        return [np.concatenate(arrays) for arrays in zip(*found, strict=True)]

    def _one_batch(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        return _pool(self.raw(images, [self._tap.output])[0], self._tap.pooling)

    def _check_size(self) -> None:
        _, channels, height, width = self._port.shape
        needs = self._preparing.pixels
        given = (3, needs.height, needs.width)
        for wanted, has in zip((channels, height, width), given, strict=True):
            if wanted is not None and wanted != has:
                raise UsageError(
                    f"the network takes {(channels, height, width)}, but preprocessor_config.json "
                    f"prepares {given}"
                )


def check_weights(graph: Graph) -> None:
    """The weights of a large graph lie in files beside it; says which one is missing."""
    for name in graph.external_files():
        if not (graph.path.parent / name).is_file():
            raise UsageError(
                f"{graph.path.parent} has no {name}, which holds the weights of {graph.path.name}"
            )


def open_session(graph: Graph, tap: Tap) -> Session:
    """The graph as a running network, with the tap among its outputs."""
    content: bytes | None = None
    if tap.output not in graph.outputs:
        content = with_outputs(graph.path.read_bytes(), [tap.output])
    # Dynamic quantisation takes its scale from the whole batch, so a picture's numbers would
    # depend on its neighbours in it.
    alone = graph.has_op("DynamicQuantizeLinear", "DynamicQuantizeMatMul", "MatMulIntegerToFloat")
    files = [graph.path, *(graph.path.parent / name for name in graph.external_files())]
    weights = sum(file.stat().st_size for file in files)
    session = Session(graph.path, content=content, batch=batch_for(weights), alone=alone)
    fixed = {port.shape[0] for port in session.inputs.values() if len(port.shape) > 1} - {None}
    if fixed == {1}:
        session.batch = 1
    elif fixed:
        raise UsageError(f"{graph.path} takes batches of exactly {fixed.pop()}: not supported")
    return session


def revision_of(graph: Graph, recipe: Sequence[str]) -> str:
    """Changes with the content of the graph and its weights, and with how they are used."""
    parts = [file_sha256(graph.path)]
    parts += [file_sha256(graph.path.parent / name) for name in graph.external_files()]
    return hashlib.sha256(json.dumps([*parts, *recipe]).encode()).hexdigest()[:16]


def _pool(features: NDArray[np.float32], pooling: Pooling) -> NDArray[np.float32]:
    if pooling == "flat" or features.ndim == 2:
        return features.reshape(len(features), -1)
    if features.ndim == 4:
        return np.asarray(features.mean(axis=(2, 3)), np.float32)
    if pooling == "first":
        return np.ascontiguousarray(features[:, 0])
    return np.asarray(features.mean(axis=1), np.float32)
