"""Any image network exported to ONNX, in the folder layout that the Hugging Face hub uses."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.extractors.contract import Place, Vectors
from lookalike.extractors.last_layer import LastLayer, agrees, find_last_layer
from lookalike.extractors.onnx_graph import Graph, read_graph, with_outputs
from lookalike.extractors.preprocessing import Preprocessing, read_preprocessing
from lookalike.extractors.runtime import RuntimeFacts, Session, batch_for, run_all
from lookalike.images.needs import Needs, Pixels
from lookalike.models.checksums import file_sha256
from lookalike.models.files import ModelFiles
from lookalike.models.obtain import Progress
from lookalike.models.spec import ModelSpec, parse_spec, read_json
from lookalike.vectors.similarity import Similarity, normalise

_RECIPE = "1"
"""Part of every revision: changes when this file computes other numbers from the same model."""

# Outputs that are an embedding of the whole picture, best first.
_EMBEDDINGS = ("image_embeds", "embedding", "embeddings", "pooler_output")
# In these the pooled output is a layer that was trained for another task, or not at all: for the
# self-supervised checkpoints transformers fills it with random numbers.
_POOLER_UNTRAINED = {"vit", "deit", "vit_mae", "vit_msn"}
# Transformers whose first token stands for the whole picture.
_FIRST_TOKEN = _POOLER_UNTRAINED | {
    "dinov2",
    "dinov2_with_registers",
    "dinov3_vit",
    "clip_vision_model",
    "beit",
}

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


class OnnxExtractor:
    """A network that turns pictures into vectors of unit length. Made by `load_onnx`."""

    similarity: Similarity = "cosine"
    place: Place = "parent"

    def __init__(
        self, name: str, session: Session, tap: Tap, preparing: Preprocessing, revision: str
    ) -> None:
        self.name = name
        self.revision = revision
        self.needs: Needs = preparing.needs
        self._session = session
        self._tap = tap
        self._eye = Eye(session, tap, preparing)
        self.dim = self._eye.dim()

    def extract(self, images: Sequence[Pixels]) -> Vectors:
        """Pictures (height, width, 3) as `needs` says → (n, dim) float32 of unit length."""
        if not len(images):
            return np.zeros((0, self.dim), np.float32)
        return normalise(self._eye.features(images))

    def lanes(self) -> tuple[int, int]:
        """See `Concurrent`."""
        return self._session.lanes()

    def facts(self) -> RuntimeFacts:
        """How the network runs here: provider, threads, batch."""
        return self._session.facts()

    @property
    def model(self) -> Path:
        """Where the graph lies."""
        return self._session.path

    @property
    def output(self) -> str:
        """The tensor that the vectors are made of."""
        return self._tap.output

    def peek(self, images: Sequence[Pixels], tensors: Sequence[str]) -> list[NDArray[np.float32]]:
        """See `inside.Network`."""
        return self._eye.peek(images, tensors)

    def close(self) -> None:
        """Gives the memory of the network back; forgetting the extractor does too."""
        self._session.close()


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

    def dim(self) -> int:
        """Length of a vector, found by looking at a grey picture."""
        needs = self._preparing.needs
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
        needs = self._preparing.needs
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
        needs = self._preparing.needs
        given = (3, needs.height, needs.width)
        for wanted, has in zip((channels, height, width), given, strict=True):
            if wanted is not None and wanted != has:
                raise UsageError(
                    f"the network takes {(channels, height, width)}, but preprocessor_config.json "
                    f"prepares {given}"
                )


def load_onnx(
    text: str, *, models: Path | None = None, progress: Progress | None = None
) -> OnnxExtractor:
    """The extractor for "onnx:" and `text`: a preset, a folder, or OWNER/NAME[@REVISION][:VARIANT].

    Filter, size, mean and deviation are those of the model's own preprocessor_config.json. The
    margin that the file cuts off is kept (`Preprocessing.without_margin` says why) unless `text`
    ends in ":crop".

    models    where models are kept (--model-dir); see `models.places`
    progress  called while the model is downloaded

    Raises UsageError: which file is missing or damaged, or what is not supported.
    """
    spec = parse_spec("onnx", text, models=models)
    graph_name = spec.graph("model")
    files = spec.fetch(spec.picture_files("onnx"), models=models, progress=progress)
    config = read_json(files, "config.json")
    preparing = read_preprocessing(read_processor(spec, files, config), config)
    if not spec.crop:
        preparing = preparing.without_margin()
    path = files.path(graph_name)
    graph = read_graph(path)
    check_weights(graph)
    tap = find_tap(graph, str(config.get("model_type", "")))
    session = open_session(graph, tap)
    revision = revision_of(graph, [_RECIPE, tap.output, tap.pooling, repr(preparing)])
    extractor = OnnxExtractor(spec.name, session, tap, preparing, revision)
    if tap.layer is not None:
        _check_layer(path, Eye(session, tap, preparing), tap, graph)
    return extractor


def read_processor(
    spec: ModelSpec, files: ModelFiles, config: Mapping[str, Any]
) -> Mapping[str, Any]:
    """What preprocessor_config.json says; the record's, where the repository has none."""
    if spec.record is not None and spec.record.processor is not None:
        return spec.record.processor
    if not files.has("preprocessor_config.json") and "pretrained_cfg" not in config:
        raise UsageError(f"{files.folder} has no preprocessor_config.json")
    return read_json(files, "preprocessor_config.json")


def check_weights(graph: Graph) -> None:
    """The weights of a large graph lie in files beside it; says which one is missing."""
    for name in graph.external_files():
        if not (graph.path.parent / name).is_file():
            raise UsageError(
                f"{graph.path.parent} has no {name}, which holds the weights of {graph.path.name}"
            )


def find_tap(graph: Graph, model_type: str) -> Tap:
    """Where in a graph the vector of a picture is.

    An output that is one; else the last hidden state, pooled as its kind of network does; else the
    input of a classifier's last layer. Raises UsageError when there is none of these.
    """
    outputs = set(graph.outputs)
    for name in _EMBEDDINGS:
        if name in outputs and not (name == "pooler_output" and model_type in _POOLER_UNTRAINED):
            return Tap(name, "flat")
    if "last_hidden_state" in outputs:
        return Tap("last_hidden_state", "first" if model_type in _FIRST_TOKEN else "tokens")
    logits = "logits" if "logits" in outputs else graph.outputs[0] if graph.outputs else ""
    layer = find_last_layer(graph, logits)
    if layer is None:
        raise UsageError(
            f"{graph.path} has no output named {', '.join(_EMBEDDINGS)} or last_hidden_state, and "
            f"its output {logits!r} does not come from a last layer over pooled features"
        )
    return Tap(layer.features, "flat", layer)


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


def _check_layer(path: Path, eye: Eye, tap: Tap, graph: Graph) -> None:
    """Features × last layer = logits, on noise; otherwise the wrong tensor was taken."""
    assert tap.layer is not None
    logits = "logits" if "logits" in graph.outputs else graph.outputs[0]
    needs = eye._preparing.needs
    noise = np.random.default_rng(0).integers(0, 256, (needs.height, needs.width, 3), np.uint8)
    features, output = eye.raw([noise], [tap.output, logits])
    half = eye._port.dtype == np.float16
    if not agrees(tap.layer, features, output, tolerance=0.05 if half else 2e-3):
        raise UsageError(
            f"{path}: the features found before its last layer do not give its output; use an "
            "export without the classifier"
        )
