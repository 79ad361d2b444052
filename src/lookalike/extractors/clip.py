"""Extractor for models that embed images and text in one space: CLIP, SigLIP and others, as ONNX.

Radford et al., Learning Transferable Visual Models From Natural Language Supervision, ICML 2021.
Zhai et al., Sigmoid Loss for Language Image Pre-Training, ICCV 2023; Tschannen et al., SigLIP 2,
arXiv 2502.14786.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.extractors.interface import RunsIn, Vectors
from lookalike.extractors.onnx import read_processor
from lookalike.extractors.onnx_encoder import (
    FeatureOutput,
    ImageEncoder,
    check_weights,
    open_session,
    revision_of,
)
from lookalike.extractors.onnx_graph import Graph, read_graph
from lookalike.extractors.preprocessing import Preprocessing, read_preprocessing
from lookalike.extractors.runtime import Array, Session
from lookalike.extractors.tokenizer import Tokenizer, read_rules
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.models.presets import DEFAULT_CLIP
from lookalike.models.spec import TOKENIZER_SETTINGS, ModelSpec, parse_spec, read_json
from lookalike.vectors.similarity import Similarity, normalise

# Part of every revision: changes when this file computes other numbers from the same model.
_RECIPE = "1"

# Prompt templates; the vectors of all three are averaged. The bare text is one of them because people
# also type whole sentences.
TEMPLATES = ("{}", "a photo of {}", "a picture of {}")

_IMAGE_OUTPUTS = ("image_embeds", "pooler_output")
_TEXT_OUTPUTS = ("text_embeds", "pooler_output")


@dataclass(frozen=True, slots=True)
class _TextSource:
    """Files and settings to load the text encoder on first use.

    joint_graph  name of the single graph that holds both sides, or ""
    """

    spec: ModelSpec
    joint_graph: str


class ClipExtractor:
    """Turns images and text into vectors of unit length in one space; created by `load_clip`.

    The text side (often the larger one) is fetched and loaded with the first text.
    """

    similarity: Similarity = "cosine"
    runs_in: RunsIn = "main"

    def __init__(
        self,
        name: str,
        graph: Graph,
        preprocessing: Preprocessing,
        text_source: _TextSource,
    ) -> None:
        tensor = _first_output(graph, _IMAGE_OUTPUTS)
        output = FeatureOutput(tensor, "flat")
        self.name = name
        self.revision = revision_of(graph, [_RECIPE, tensor, preprocessing.recipe()])
        self.pixels: PixelSpec = preprocessing.pixels
        self._text_source = text_source
        self._lock = threading.Lock()
        self._text_encoder: TextEncoder | None = None
        self.model = graph.path
        self.output = tensor
        self._session = open_session(graph, output)
        self._image_encoder = ImageEncoder(
            self._session, output, preprocessing, extra_feeds=_dummy_text(self._session)
        )
        self.dim = self._image_encoder.dim()

    def extract(self, images: Sequence[Pixels]) -> Vectors:
        """Return (n, dim) float32 of unit length for images (height, width, 3)."""
        if not len(images):
            return np.zeros((0, self.dim), np.float32)
        return normalise(self._image_encoder.features(images))

    def extract_text(self, texts: Sequence[str]) -> Vectors:
        """Return (n, dim) float32 of unit length: the mean over `TEMPLATES` of unit vectors."""
        if not len(texts):
            return np.zeros((0, self.dim), np.float32)
        encoder = self._load_text()
        vectors = np.empty((len(texts), self.dim), np.float32)
        for row, text in enumerate(texts):
            prompts = [template.format(text) for template in TEMPLATES]
            vectors[row] = normalise(encoder.features(prompts)).mean(axis=0)
        return normalise(vectors)

    def concurrency(self) -> tuple[int, int]:
        """See `ConcurrentExtractor`."""
        return self._session.concurrency()

    def peek(self, images: Sequence[Pixels], tensors: Sequence[str]) -> list[NDArray[np.float32]]:
        """See `feature_maps.NetworkExtractor`."""
        return self._image_encoder.peek(images, tensors)

    def close(self) -> None:
        """Free the memory of both sides; dropping the extractor does so, too."""
        self._session.close()
        if self._text_encoder is not None:
            self._text_encoder.session.close()

    def _load_text(self) -> TextEncoder:
        with self._lock:
            if self._text_encoder is None:
                self._text_encoder = _open_text(self._text_source, self._session, self.pixels)
                dim = self._text_encoder.features(["a"]).shape[1]
                if dim != self.dim:
                    raise UsageError(
                        f"{self.name}: image vectors have {self.dim} numbers, text vectors {dim}"
                    )
            return self._text_encoder


def load_clip(text: str = "") -> ClipExtractor:
    """Return the extractor for "clip:" and `text`: a preset, a folder, or OWNER/NAME[@REVISION][:VARIANT].

    An empty text means the default model.

    Raises UsageError: which file is missing or damaged, or what is not supported.
    """
    spec = parse_spec("clip", text or DEFAULT_CLIP.partition(":")[2])
    vision, joint = spec.graph("vision_model"), spec.graph("model")
    files = spec.fetch(spec.image_files("clip"))
    config = read_json(files, spec.setting("config.json"))
    preprocessing = read_preprocessing(read_processor(spec, files, config), config)
    is_joint = not files.has(vision)
    graph = read_graph(files.path(joint if is_joint else vision))
    check_weights(graph)
    text_source = _TextSource(spec, joint if is_joint else "")
    return ClipExtractor(spec.name, graph, preprocessing, text_source)


class TextEncoder:
    """Runs the text side of a network: texts in, raw features out."""

    def __init__(
        self, session: Session, output: str, tokenizer: Tokenizer, extra_feeds: dict[str, Array]
    ) -> None:
        self.session = session
        self._output = output
        self._tokenizer = tokenizer
        self._extra_feeds = extra_feeds

    def features(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return (n, dim) float32."""
        token_ids, mask = self._tokenizer.encode(texts)
        available: dict[str, Array] = {
            "input_ids": token_ids,
            "attention_mask": mask,
            "position_ids": np.broadcast_to(np.arange(token_ids.shape[1]), token_ids.shape),
        }
        feeds = dict(self._extra_feeds)
        for name, port in self.session.inputs.items():
            if name in available:
                feeds[name] = available[name].astype(port.dtype)
            elif name not in feeds:
                raise UsageError(f"the text network takes an input {name!r}: not supported")
        # Row by row where quantisation would make the texts of a batch depend on each other.
        step = self.session.batch if self.session.batch == 1 else len(texts)
        parts = []
        for at in range(0, len(texts), step):
            rows = {n: a if n in self._extra_feeds else a[at : at + step] for n, a in feeds.items()}
            parts.append(np.asarray(self.session.run([self._output], rows)[0], np.float32))
        return np.concatenate(parts).reshape(len(texts), -1)


def _open_text(source: _TextSource, vision: Session, pixels: PixelSpec) -> TextEncoder:
    spec = source.spec
    name = source.joint_graph or spec.graph("text_model")
    required = spec.text_files(joint=bool(source.joint_graph))
    files = spec.fetch(required)
    rules = read_rules(
        read_json(files, spec.setting("config.json")),
        *(read_json(files, setting) for setting in TOKENIZER_SETTINGS),
    )
    tokenizer = Tokenizer(files.path("tokenizer.json"), rules)
    graph = read_graph(files.path(name))
    output = _first_output(graph, _TEXT_OUTPUTS)
    if source.joint_graph:
        return TextEncoder(vision, output, tokenizer, _dummy_image(vision, pixels))
    check_weights(graph)
    session = open_session(graph, FeatureOutput(output, "flat"))
    length = next(iter(session.inputs.values())).shape[-1]
    if length is not None and length != rules.context:
        # The fixed input length of a graph overrides any setting.
        tokenizer = Tokenizer(files.path("tokenizer.json"), replace(rules, context=length))
    return TextEncoder(session, output, tokenizer, {})


def _first_output(graph: Graph, names: Sequence[str]) -> str:
    found = next((name for name in names if name in graph.outputs), None)
    if found is None:
        raise UsageError(
            f"{graph.path} has no output named {' or '.join(names)}, only "
            f"{', '.join(graph.outputs)}: not the export of a CLIP or SigLIP model"
        )
    return found


def _dummy_text(session: Session) -> dict[str, Array]:
    """Return text inputs: a graph with both sides demands them even if only images are embedded."""
    return {
        name: np.ones((1, port.shape[1] or 1), port.dtype)
        for name, port in session.inputs.items()
        if len(port.shape) == 2
    }


def _dummy_image(session: Session, pixels: PixelSpec) -> dict[str, Array]:
    return {
        name: np.zeros((1, 3, pixels.height, pixels.width), port.dtype)
        for name, port in session.inputs.items()
        if len(port.shape) == 4
    }
