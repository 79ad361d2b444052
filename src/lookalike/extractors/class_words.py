"""Words as vectors: what a classifier's last layer says about the vectors of its features.

The last layer of a classifier scores a class by the inner product of the pooled features with a row of
weights. A word names classes (`vocabulary`), so it is a direction in the space of the features: the mean of
their rows minus the mean of all rows. Searching with it needs nothing but the vectors of the images. Among
the candidates, the probability of the classes ranks better (docs/benchmarks.md), and tells when nothing
fits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.extractors.classifier_head import ClassifierHead, find_classifier_head
from lookalike.extractors.onnx_encoder import ImageEncoder, features_of_noise
from lookalike.extractors.vocabulary import Concept, Vocabulary
from lookalike.extractors.wordnet import load_wordnet
from lookalike.vectors.blocks import Floats
from lookalike.vectors.similarity import normalise

if TYPE_CHECKING:
    from lookalike.extractors.onnx_graph import Graph
    from lookalike.models.files import ModelFiles

IMAGENET = "imagenet-1k"
"""`Model.labels` of presets whose classes are those of ILSVRC-2012, in their order."""

USUAL_CONFIDENCE = 0.25
"""Mean of the highest probability that EfficientNet-Lite2 gives photos; MobileNetV2 is twice as sure."""

ROWS = 512
"""Vectors whose class probabilities are computed at once."""


@dataclass(frozen=True, slots=True)
class ClassWords:
    """A classifier's words, and its last layer for vectors of unit length.

    weights     (dim, classes)
    bias        (classes,)
    scale       what a unit vector is multiplied by: the usual length of the features
    confidence  usual highest probability of an image; that of EfficientNet-Lite2 where it is not known
    """

    vocabulary: Vocabulary
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    scale: float
    confidence: float = USUAL_CONFIDENCE

    def direction(self, concepts: Sequence[Concept]) -> NDArray[np.float32]:
        """Return the unit vector (dim,) of concepts that an image should show together."""
        centred = self.weights - self.weights.mean(axis=1, keepdims=True)
        each = [centred[:, list(concept.classes)].mean(axis=1) for concept in concepts]
        return normalise(normalise(np.stack(each)).sum(axis=0))

    def probabilities(self, vectors: Floats, concepts: Sequence[Concept]) -> NDArray[np.float32]:
        """Return the probability of each concept (n, concepts) for unit vectors (n, dim): the sum over its
        classes."""
        found = np.empty((len(vectors), len(concepts)), np.float32)
        for start in range(0, len(vectors), ROWS):
            part = np.asarray(vectors[start : start + ROWS], np.float32)
            logits = self.scale * (part @ self.weights) + self.bias
            shares = np.exp(logits - logits.max(axis=1, keepdims=True))
            shares /= shares.sum(axis=1, keepdims=True)
            for column, concept in enumerate(concepts):
                found[start : start + ROWS, column] = shares[:, list(concept.classes)].sum(axis=1)
        return found


def classifier_words(
    encoder: ImageEncoder,
    graph: Graph,
    features: str,
    labels: Sequence[str],
    *,
    name: str,
) -> ClassWords:
    """Return the words of the classifier in a graph; `UsageError` where it is none.

    features  the tensor that the vectors are made of
    """
    outputs = sorted(graph.outputs, key=lambda output: output != "logits")
    heads = {
        output: head
        for output in outputs
        if output != features and (head := find_classifier_head(graph, output)) is not None
    }
    for output, head in heads.items():
        raw = features_of_noise(encoder, head, features, output)
        if raw is not None:
            return words_of_head(head, labels, float(np.linalg.norm(raw)), name=name)
    raise UsageError(
        f"{name} is not a classifier whose last layer is over its vectors: it knows no words"
    )


def read_labels(files: ModelFiles, config: Mapping[str, Any], usual: str = "") -> list[str]:
    """Return the names of a model's classes, none if its files do not state them.

    They come from `id2label` in config.json, else from labels.txt. `UsageError` for numbers that do not run
    from 0.

    usual  `Model.labels` of a preset
    """
    from lookalike.models.spec import LABELS_FILE  # loads what fetches models

    named = config.get("id2label")
    if isinstance(named, list):
        named = dict(enumerate(named))
    if isinstance(named, dict) and named:
        labels = {str(number): str(label) for number, label in named.items()}
        ordered = [labels.get(str(number)) for number in range(len(labels))]
        if None in ordered:
            path = files.path("config.json")
            raise UsageError(f"{path}: the numbers of id2label are not 0, 1, 2 …")
        if any(label != f"LABEL_{number}" for number, label in enumerate(ordered)):
            return [label or "" for label in ordered]
    if files.has(LABELS_FILE):
        path = files.path(LABELS_FILE)
        try:
            return path.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, ValueError) as error:
            raise UsageError(f"{path} cannot be read as UTF-8 text ({error})") from None
    return [f"n{synset}" for synset in load_wordnet().imagenet()] if usual == IMAGENET else []


def words_of_head(
    head: ClassifierHead, labels: Sequence[str], scale: float, *, name: str
) -> ClassWords:
    """Return the words of a last layer; `UsageError` where its classes have no names, or not as many.

    scale  length of the features of an image of noise, which is about that of photos
    """
    from lookalike.models.spec import LABELS_FILE

    classes = head.weights.shape[1]
    if not any(label.strip() for label in labels):
        raise UsageError(
            f"the classes of {name} have no names: put a file {LABELS_FILE} with one name a line beside its "
            "config.json, or id2label into it"
        )
    if len(labels) != classes:
        raise UsageError(
            f"the labels of {name} do not fit: {len(labels)} names for {classes} classes of its last layer"
        )
    bias = head.bias if head.bias is not None else np.zeros(classes, np.float32)
    return ClassWords(Vocabulary(tuple(labels)), head.weights, bias, scale)
