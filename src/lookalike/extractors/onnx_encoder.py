"""Image encoder in an ONNX graph: images in, raw features out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.extractors.classifier_head import ClassifierHead, reproduces
from lookalike.extractors.onnx_graph import Graph, with_outputs
from lookalike.extractors.preprocessing import Preprocessing
from lookalike.extractors.runtime import Session, batch_for, run_all
from lookalike.images.pixel_spec import Pixels, PixelSpec

Pooling: TypeAlias = Literal["flat", "first", "tokens", "pixels"]


@dataclass(frozen=True, slots=True)
class FeatureOutput:
    """Which tensor of a graph the vectors are made of, and how it is pooled.

    pooling  "flat": as it is; "first": the first token; "tokens": the mean of (n, tokens, dim);
             "pixels": the mean of (n, dim, height, width)
    head     the head of a classifier, when the tensor is its input
    """

    tensor: str
    pooling: Pooling
    head: ClassifierHead | None = None


class ImageEncoder:
    """Runs the image side of a network.

    extra_feeds  inputs that the graph demands besides the image
    """

    def __init__(
        self,
        session: Session,
        output: FeatureOutput,
        preprocessing: Preprocessing,
        *,
        extra_feeds: Mapping[str, Any] | None = None,
    ) -> None:
        self._session, self._output, self._preprocessing = session, output, preprocessing
        self._extra_feeds = dict(extra_feeds or {})
        ports = [port for port in session.inputs.values() if port.name not in self._extra_feeds]
        if len(ports) != 1 or len(ports[0].shape) != 4:
            inputs = ", ".join(f"{port.name} {port.shape}" for port in ports)
            raise UsageError(f"the network takes {inputs or 'nothing'}; one image is expected")
        self._port = ports[0]
        self._check_size()

    @property
    def pixels(self) -> PixelSpec:
        """The pixels that it takes."""
        return self._preprocessing.pixels

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the graph's input."""
        return self._port.dtype

    def dim(self) -> int:
        """Return the length of a vector, determined by running a grey image."""
        found = self.features([np.full((self.pixels.height, self.pixels.width, 3), 127, np.uint8)])
        if not np.isfinite(found).all():
            raise UsageError(
                f"{self._session.path} gives NaN or infinity on this machine; try another variant"
            )
        return int(found.shape[1])

    def features(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        """Return (n, dim), computed in small batches, as many at a time as there are cores."""
        size = self._session.batch
        batches = [images[start : start + size] for start in range(0, len(images), size)]
        # With fewer images than batches × cores, divide them among the cores all the same.
        streams = self._session.streams()
        if len(batches) < streams and size > 1:
            share = max(1, -(-len(images) // streams))
            batches = [images[start : start + share] for start in range(0, len(images), share)]
        return np.concatenate(run_all(streams, batches, self._one_batch))

    def run(self, images: Sequence[Pixels], outputs: Sequence[str]) -> list[NDArray[np.float32]]:
        """Return outputs of the graph for one batch."""
        spec = self.pixels
        buffer = np.empty((len(images), 3, spec.height, spec.width), np.float32)
        pixels = self._preprocessing.scaling.batch(images, buffer)
        feeds = {**self._extra_feeds, self._port.name: pixels.astype(self._port.dtype, copy=False)}
        return [np.asarray(a, np.float32) for a in self._session.run(outputs, feeds)]

    def peek(self, images: Sequence[Pixels], tensors: Sequence[str]) -> list[NDArray[np.float32]]:
        """Return any tensors inside the graph, outputs or not. Opens the file a second time."""
        path = self._session.path
        missing = [name for name in tensors if name not in self._session.outputs]
        content = with_outputs(path.read_bytes(), missing)
        session = Session(path, content=content, single_images=True)
        encoder = ImageEncoder(
            session, self._output, self._preprocessing, extra_feeds=self._extra_feeds
        )
        found = [encoder.run([image], tensors) for image in images]
        return [np.concatenate(arrays) for arrays in zip(*found, strict=True)]

    def _one_batch(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        return _pool(self.run(images, [self._output.tensor])[0], self._output.pooling)

    def _check_size(self) -> None:
        _, channels, height, width = self._port.shape
        prepared = (3, self.pixels.height, self.pixels.width)
        for expected, actual in zip((channels, height, width), prepared, strict=True):
            if expected is not None and expected != actual:
                raise UsageError(
                    f"the network takes {(channels, height, width)}, but preprocessor_config.json "
                    f"prepares {prepared}"
                )


def features_of_noise(
    encoder: ImageEncoder, head: ClassifierHead, features: str, output: str
) -> NDArray[np.float32] | None:
    """Return the tensor `features` for an image of noise; None where features × head is not the output."""
    size = encoder.pixels.height, encoder.pixels.width
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    raw, found = encoder.run([noise], [features, output])
    tolerance = 0.05 if encoder.dtype == np.float16 else 2e-3
    return raw if reproduces(head, raw, found, tolerance=tolerance) else None


def check_weights(graph: Graph) -> None:
    """Raise UsageError naming the first missing file of external weights."""
    for name in graph.external_files():
        if not (graph.path.parent / name).is_file():
            raise UsageError(
                f"{graph.path.parent} has no {name}, which holds the weights of {graph.path.name}"
            )


def open_session(graph: Graph, output: FeatureOutput) -> Session:
    """Load the graph with the feature tensor among its outputs."""
    content: bytes | None = None
    if output.tensor not in graph.outputs:
        content = with_outputs(graph.path.read_bytes(), [output.tensor])
    # Dynamic quantisation takes its scale from the whole batch, so an image's numbers would depend on
    # the others in it.
    single_images = graph.has_op(
        "DynamicQuantizeLinear", "DynamicQuantizeMatMul", "MatMulIntegerToFloat"
    )
    files = [graph.path, *(graph.path.parent / name for name in graph.external_files())]
    weights = sum(file.stat().st_size for file in files)
    session = Session(
        graph.path, content=content, batch=batch_for(weights), single_images=single_images
    )
    fixed = {port.shape[0] for port in session.inputs.values() if len(port.shape) > 1} - {None}
    if fixed == {1}:
        session.batch = 1
    elif fixed:
        raise UsageError(f"{graph.path} takes batches of exactly {fixed.pop()}: not supported")
    return session


def revision_of(graph: Graph, recipe: Sequence[str]) -> str:
    """Return a hash of the graph, its weights, and how they are used."""
    from lookalike.models.files import file_sha256  # with it comes what fetches models

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
