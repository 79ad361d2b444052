"""Pictures and words in one space: CLIP, SigLIP and their kin, exported to ONNX.

Radford et al., Learning Transferable Visual Models From Natural Language Supervision, ICML 2021.
Zhai et al., Sigmoid Loss for Language Image Pre-Training, ICCV 2023; Tschannen et al., SigLIP 2,
arXiv 2502.14786.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.extractors.interface import RunsIn, Vectors
from lookalike.extractors.onnx import read_processor
from lookalike.extractors.onnx_encoder import Eye, Tap, check_weights, open_session, revision_of
from lookalike.extractors.onnx_graph import Graph, read_graph, values
from lookalike.extractors.preprocessing import Preprocessing, read_preprocessing
from lookalike.extractors.runtime import Array, RuntimeFacts, Session
from lookalike.extractors.tokenizer import Tokenizer, read_rules
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.models.fetch import Progress
from lookalike.models.files import ModelFiles
from lookalike.models.presets import DEFAULT_CLIP
from lookalike.models.spec import TOKENIZER_SETTINGS, ModelSpec, parse_spec, read_json
from lookalike.vectors.similarity import Similarity, normalise

_RECIPE = "1"

TEMPLATES = ("{}", "a photo of {}", "a picture of {}")
"""What is said around the words that were typed; the vectors of all three are averaged. The bare
words are among them because people also type whole sentences."""

_IMAGE_OUTPUTS = ("image_embeds", "pooler_output")
_TEXT_OUTPUTS = ("text_embeds", "pooler_output")


@dataclass(frozen=True, slots=True)
class SimilarityScale:
    """What the model was trained to make of a cosine: probability = sigmoid(scale · cosine + bias)
    for SigLIP, softmax over scale · cosine for CLIP (which has no bias)."""

    scale: float
    bias: float | None = None


@dataclass(frozen=True, slots=True)
class _Loading:
    """What is needed to load the text side when the first words come."""

    spec: ModelSpec
    models: Path | None
    progress: Progress | None
    joint: str  # the one graph that holds both sides, or ""


class ClipExtractor:
    """Turns pictures and words into vectors of unit length in one space. Made by `load_clip`.

    The text side (often the larger one) is fetched and loaded when the first words come.
    """

    similarity: Similarity = "cosine"
    runs_in: RunsIn = "main"

    def __init__(
        self, name: str, graph: Graph, files: ModelFiles, preparing: Preprocessing, later: _Loading
    ) -> None:
        output = _one_of(graph, _IMAGE_OUTPUTS)
        tap = self._tap = Tap(output, "flat")
        self.name = name
        self.revision = revision_of(graph, [_RECIPE, output, repr(preparing)])
        self.pixels: PixelSpec = preparing.pixels
        self.scale = _read_scale(graph, later.spec)
        self._files = files
        self._later = later
        self._lock = threading.Lock()
        self._mind: _Mind | None = None
        self._session = open_session(graph, tap)
        self._eye = Eye(self._session, tap, preparing, also=_no_words(self._session))
        self.dim = self._eye.dim()

    def extract(self, images: Sequence[Pixels]) -> Vectors:
        """Pictures (height, width, 3) as `pixels` says → (n, dim) float32 of unit length."""
        if not len(images):
            return np.zeros((0, self.dim), np.float32)
        return normalise(self._eye.features(images))

    def extract_text(self, texts: Sequence[str]) -> Vectors:
        """Words → (n, dim) float32 of unit length: the mean over `TEMPLATES`, each at unit length."""
        if not len(texts):
            return np.zeros((0, self.dim), np.float32)
        mind = self._load_text()
        vectors = np.empty((len(texts), self.dim), np.float32)
        for row, text in enumerate(texts):
            said = [template.format(text) for template in TEMPLATES]
            vectors[row] = normalise(mind.features(said)).mean(axis=0)
        return normalise(vectors)

    def concurrency(self) -> tuple[int, int]:
        """See `ConcurrentExtractor`."""
        return self._session.concurrency()

    def facts(self) -> RuntimeFacts:
        """How the image side runs here: provider, threads, batch."""
        return self._session.facts()

    @property
    def model(self) -> Path:
        """Where the graph of the image side lies."""
        return self._session.path

    @property
    def output(self) -> str:
        """The tensor that the vectors are made of."""
        return self._tap.output

    def peek(self, images: Sequence[Pixels], tensors: Sequence[str]) -> list[NDArray[np.float32]]:
        """See `inside.Network`."""
        return self._eye.peek(images, tensors)

    def close(self) -> None:
        """Gives the memory of both sides back; forgetting the extractor does too."""
        self._session.close()
        if self._mind is not None:
            self._mind.session.close()

    def _load_text(self) -> _Mind:
        with self._lock:
            if self._mind is None:
                self._mind = _open_text(self._later, self._session, self.pixels)
                dim = self._mind.features(["a"]).shape[1]
                if dim != self.dim:
                    raise UsageError(f"{self.name}: pictures have {self.dim} numbers, words {dim}")
            return self._mind


def load_clip(
    text: str = "", *, models: Path | None = None, progress: Progress | None = None
) -> ClipExtractor:
    """The extractor for "clip:" and `text`: a preset, a folder, or OWNER/NAME[@REVISION][:VARIANT];
    nothing means the default.

    models    where models are kept (--model-dir); see `models.places`
    progress  called while the model is downloaded

    Raises UsageError: which file is missing or damaged, or what is not supported.
    """
    spec = parse_spec("clip", text or DEFAULT_CLIP.partition(":")[2], models=models)
    vision, joint = spec.graph("vision_model"), spec.graph("model")
    files = spec.fetch(spec.picture_files("clip"), models=models, progress=progress)
    config = read_json(files, "config.json")
    preparing = read_preprocessing(read_processor(spec, files, config), config)
    both = not files.has(vision)
    graph = read_graph(files.path(joint if both else vision))
    check_weights(graph)
    later = _Loading(spec, models, progress, joint if both else "")
    return ClipExtractor(spec.name, graph, files, preparing, later)


class _Mind:
    """The part of a network that reads: texts in, raw features out."""

    def __init__(
        self, session: Session, output: str, tokenizer: Tokenizer, also: dict[str, Array]
    ) -> None:
        self.session = session
        self._output = output
        self._tokenizer = tokenizer
        self._also = also

    def features(self, texts: Sequence[str]) -> NDArray[np.float32]:
        numbers, mask = self._tokenizer.encode(texts)
        known: dict[str, Array] = {
            "input_ids": numbers,
            "attention_mask": mask,
            "position_ids": np.broadcast_to(np.arange(numbers.shape[1]), numbers.shape),
        }
        feeds = dict(self._also)
        for name, port in self.session.inputs.items():
            if name in known:
                feeds[name] = known[name].astype(port.dtype)
            elif name not in feeds:
                raise UsageError(f"the text network wants an input {name!r}: not supported")
        # Row by row where quantisation would let texts of one batch touch each other.
        step = self.session.batch if self.session.batch == 1 else len(texts)
        parts = []
        for at in range(0, len(texts), step):
            rows = {n: a if n in self._also else a[at : at + step] for n, a in feeds.items()}
            parts.append(np.asarray(self.session.run([self._output], rows)[0], np.float32))
        return np.concatenate(parts).reshape(len(texts), -1)


def _open_text(later: _Loading, vision: Session, needs: PixelSpec) -> _Mind:
    spec = later.spec
    name = later.joint or spec.graph("text_model")
    wanted = spec.word_files(joint=bool(later.joint))
    files = spec.fetch(wanted, models=later.models, progress=later.progress)
    rules = read_rules(
        read_json(files, "config.json"),
        *(read_json(files, setting) for setting in TOKENIZER_SETTINGS),
    )
    tokenizer = Tokenizer(files.path("tokenizer.json"), rules)
    graph = read_graph(files.path(name))
    output = _one_of(graph, _TEXT_OUTPUTS)
    if later.joint:
        return _Mind(vision, output, tokenizer, _no_picture(vision, needs))
    check_weights(graph)
    session = open_session(graph, Tap(output, "flat"))
    width = next(iter(session.inputs.values())).shape[-1]
    if width is not None and width != rules.context:
        # A graph made for rows of one length knows better than any setting.
        tokenizer = Tokenizer(files.path("tokenizer.json"), replace(rules, context=width))
    return _Mind(session, output, tokenizer, {})


def _one_of(graph: Graph, names: Sequence[str]) -> str:
    found = next((name for name in names if name in graph.outputs), None)
    if found is None:
        raise UsageError(
            f"{graph.path} has no output named {' or '.join(names)}, only "
            f"{', '.join(graph.outputs)}: not the export of a CLIP or SigLIP model"
        )
    return found


def _no_words(session: Session) -> dict[str, Array]:
    """A graph that holds both sides demands words also when only the picture is asked for."""
    return {
        name: np.ones((1, port.shape[1] or 1), port.dtype)
        for name, port in session.inputs.items()
        if len(port.shape) == 2
    }


def _no_picture(session: Session, needs: PixelSpec) -> dict[str, Array]:
    return {
        name: np.zeros((1, 3, needs.height, needs.width), port.dtype)
        for name, port in session.inputs.items()
        if len(port.shape) == 4
    }


def _read_scale(graph: Graph, spec: ModelSpec) -> SimilarityScale | None:
    """The scale that the record states or the graph holds. config.json has only the value that
    training began with, so it is not asked."""
    if spec.record is not None and spec.record.scale is not None:
        return SimilarityScale(spec.record.scale, spec.record.bias)
    found: dict[str, float] = {}
    for name, tensor in graph.tensors.items():
        last = name.rpartition(".")[2]
        if last in {"logit_scale", "logit_bias"} and math.prod(tensor.shape) == 1:
            found[last] = float(np.asarray(values(tensor, graph.path.parent)).ravel()[0])
    if "logit_scale" not in found:
        return None
    return SimilarityScale(math.exp(found["logit_scale"]), found.get("logit_bias"))
