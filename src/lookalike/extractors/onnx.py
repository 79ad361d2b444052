"""Extractor for image networks exported to ONNX, in the folder layout of the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.extractors.classifier_head import find_classifier_head
from lookalike.extractors.interface import RunsIn, Vectors
from lookalike.extractors.onnx_encoder import (
    FeatureOutput,
    ImageEncoder,
    Pooling,
    check_weights,
    features_of_noise,
    open_session,
    revision_of,
)
from lookalike.extractors.onnx_graph import Graph, read_graph
from lookalike.extractors.preprocessing import Preprocessing, read_preprocessing
from lookalike.extractors.runtime import Session
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.models.files import ModelFiles
from lookalike.models.spec import ModelSpec, parse_spec, read_json
from lookalike.vectors.similarity import Similarity, normalise

if TYPE_CHECKING:
    from lookalike.extractors.class_words import ClassWords

# Part of every revision: changes when this file computes other numbers from the same model.
_RECIPE = "1"

# Outputs that are an embedding of the whole image, best first.
_EMBEDDINGS = ("image_embeds", "embedding", "embeddings", "pooler_output")
# Models whose pooled output is a layer trained for another task, or untrained: for self-supervised
# checkpoints transformers fills it with random numbers.
_POOLER_UNTRAINED = {"vit", "deit", "vit_mae", "vit_msn"}
# Transformers whose first token represents the whole image.
_FIRST_TOKEN = _POOLER_UNTRAINED | {
    "dinov2",
    "dinov2_with_registers",
    "dinov3_vit",
    "clip_vision_model",
    "beit",
}


class OnnxExtractor:
    """A network that turns images into vectors of unit length; created by `load_onnx`."""

    similarity: Similarity = "cosine"
    runs_in: RunsIn = "main"

    def __init__(
        self,
        name: str,
        session: Session,
        output: FeatureOutput,
        preprocessing: Preprocessing,
        revision: str,
        class_words: Callable[[], ClassWords],
    ) -> None:
        self.name = name
        self.revision = revision
        self.pixels: PixelSpec = preprocessing.pixels
        self.model = session.path
        self.output = output.tensor
        self._session = session
        self._encoder = ImageEncoder(session, output, preprocessing)
        self.dim = self._encoder.dim()
        self._class_words = cache(class_words)

    def extract(self, images: Sequence[Pixels]) -> Vectors:
        """Return (n, dim) float32 of unit length for images (height, width, 3)."""
        if not len(images):
            return np.zeros((0, self.dim), np.float32)
        return normalise(self._encoder.features(images))

    def concurrency(self) -> tuple[int, int]:
        """See `ConcurrentExtractor`."""
        return self._session.concurrency()

    def peek(self, images: Sequence[Pixels], tensors: Sequence[str]) -> list[NDArray[np.float32]]:
        """See `feature_maps.NetworkExtractor`."""
        return self._encoder.peek(images, tensors)

    def class_words(self) -> ClassWords:
        """See `ClassifierExtractor`."""
        return self._class_words()

    def close(self) -> None:
        """Free the memory of the network; dropping the extractor does so, too."""
        self._session.close()


def load_onnx(text: str) -> OnnxExtractor:
    """Return the extractor for "onnx:" and `text`: a preset, a folder, or OWNER/NAME[@REVISION][:VARIANT].

    Resampling filter, size, mean and standard deviation are those of the model's preprocessor_config.json.
    The margin that it crops off is kept (see `Preprocessing.without_margin`) unless `text` ends in ":crop".

    Raises UsageError: which file is missing or damaged, or what is not supported.
    """
    return open_onnx(parse_spec("onnx", text))


def open_onnx(spec: ModelSpec) -> OnnxExtractor:
    """Return the extractor of a model; see `load_onnx`."""
    graph_name = spec.graph("model")
    files = spec.fetch(spec.image_files("onnx"))
    config = read_json(files, "config.json")
    preprocessing = read_preprocessing(read_processor(spec, files, config), config)
    if not spec.crop:
        preprocessing = preprocessing.without_margin()
    path = files.path(graph_name)
    graph = read_graph(path)
    check_weights(graph)
    output = find_feature_output(graph, str(config.get("model_type", "")))
    session = open_session(graph, output)
    recipe = [_RECIPE, output.tensor, output.pooling, preprocessing.recipe()]
    usual = spec.record.labels if spec.record is not None else ""

    def class_words() -> ClassWords:
        from lookalike.extractors.class_words import classifier_words, read_labels

        labels = read_labels(files, config, usual)
        encoder = ImageEncoder(session, output, preprocessing)
        return classifier_words(encoder, graph, output.tensor, labels, name=spec.name)

    extractor = OnnxExtractor(
        spec.name, session, output, preprocessing, revision_of(graph, recipe), class_words
    )
    if output.head is not None:
        _check_head(path, ImageEncoder(session, output, preprocessing), output, graph)
    return extractor


def read_processor(
    spec: ModelSpec, files: ModelFiles, config: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return the contents of preprocessor_config.json, or the preset's where the repository has none."""
    if spec.record is not None and spec.record.processor is not None:
        return spec.record.processor
    name = spec.setting("preprocessor_config.json")
    if not files.has(name) and "pretrained_cfg" not in config:
        raise UsageError(f"{files.folder} has no {name}")
    return read_json(files, name)


def find_feature_output(graph: Graph, model_type: str) -> FeatureOutput:
    """Return which tensor of a graph is the vector of an image.

    That is an output that is an embedding; else the last hidden state, pooled as its kind of network does;
    else the input of a classifier's head. Raises UsageError when there is none of these.
    """
    outputs = set(graph.outputs)
    for name in _EMBEDDINGS:
        if name in outputs and not (name == "pooler_output" and model_type in _POOLER_UNTRAINED):
            return FeatureOutput(name, "flat")
    if "last_hidden_state" in outputs:
        pooling: Pooling = "first" if model_type in _FIRST_TOKEN else "tokens"
        return FeatureOutput("last_hidden_state", pooling)
    logits = "logits" if "logits" in outputs else graph.outputs[0] if graph.outputs else ""
    head = find_classifier_head(graph, logits)
    if head is None:
        raise UsageError(
            f"{graph.path} has no output named {', '.join(_EMBEDDINGS)} or last_hidden_state, and "
            f"its output {logits!r} does not come from a last layer over pooled features"
        )
    return FeatureOutput(head.features, "flat", head)


def _check_head(path: Path, encoder: ImageEncoder, output: FeatureOutput, graph: Graph) -> None:
    """Check on noise that features × head = logits; otherwise the wrong tensor was taken."""
    assert output.head is not None
    logits = "logits" if "logits" in graph.outputs else graph.outputs[0]
    if features_of_noise(encoder, output.head, output.tensor, logits) is None:
        raise UsageError(
            f"{path}: the features found before its last layer do not give its output; use an "
            "export without the classifier"
        )
