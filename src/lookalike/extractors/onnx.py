"""Any image network exported to ONNX, in the folder layout that the Hugging Face hub uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.extractors.classifier_head import agrees, find_last_layer
from lookalike.extractors.interface import RunsIn, Vectors
from lookalike.extractors.onnx_encoder import Eye, Tap, check_weights, open_session, revision_of
from lookalike.extractors.onnx_graph import Graph, read_graph
from lookalike.extractors.preprocessing import Preprocessing, read_preprocessing
from lookalike.extractors.runtime import RuntimeFacts, Session
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.models.fetch import Progress
from lookalike.models.files import ModelFiles
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


class OnnxExtractor:
    """A network that turns pictures into vectors of unit length. Made by `load_onnx`."""

    similarity: Similarity = "cosine"
    runs_in: RunsIn = "main"

    def __init__(
        self, name: str, session: Session, tap: Tap, preparing: Preprocessing, revision: str
    ) -> None:
        self.name = name
        self.revision = revision
        self.pixels: PixelSpec = preparing.pixels
        self._session = session
        self._tap = tap
        self._eye = Eye(session, tap, preparing)
        self.dim = self._eye.dim()

    def extract(self, images: Sequence[Pixels]) -> Vectors:
        """Pictures (height, width, 3) as `pixels` says → (n, dim) float32 of unit length."""
        if not len(images):
            return np.zeros((0, self.dim), np.float32)
        return normalise(self._eye.features(images))

    def concurrency(self) -> tuple[int, int]:
        """See `ConcurrentExtractor`."""
        return self._session.concurrency()

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


def _check_layer(path: Path, eye: Eye, tap: Tap, graph: Graph) -> None:
    """Features × last layer = logits, on noise; otherwise the wrong tensor was taken."""
    assert tap.layer is not None
    logits = "logits" if "logits" in graph.outputs else graph.outputs[0]
    needs = eye.pixels
    noise = np.random.default_rng(0).integers(0, 256, (needs.height, needs.width, 3), np.uint8)
    features, output = eye.raw([noise], [tap.output, logits])
    half = eye.dtype == np.float16
    if not agrees(tap.layer, features, output, tolerance=0.05 if half else 2e-3):
        raise UsageError(
            f"{path}: the features found before its last layer do not give its output; use an "
            "export without the classifier"
        )
