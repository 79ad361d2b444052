"""Class vectors: what the vectors of the shipped file say about ImageNet's classes, so that it answers words.

The student has two linear maps of its pooled features, one to the vector and one to class logits. The file
that ships gives only unit vectors, with fewer numbers than the pooled features, so the logits are fitted to
these by ridge regression. They are stored in the file as weights that the graph does not use; see
`lookalike.extractors.builtin`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# Ridge, as a share of the mean variance of a dimension: some thousand images for some hundred dimensions.
RIDGE = 0.001
# Factors of the fitted logits that are tried: regression makes them smaller than they are.
FACTORS = tuple(np.geomspace(0.5, 8, 41).tolist())


@dataclass(frozen=True)
class ClassVectors:
    """Logits are `vectors @ weights + bias`: (dim, classes) and (classes,).

    confidence  mean of the highest probability of an image
    """

    weights: Floats
    bias: Floats
    confidence: float


def fit_class_vectors(vectors: Floats, logits: Floats) -> ClassVectors:
    """Fit class vectors to unit vectors (n, dim) and the class logits (n, classes) of the same images."""
    x, y = np.asarray(vectors, np.float64), np.asarray(logits, np.float64)
    y = y - y.mean(axis=1, keepdims=True)  # a common shift changes no probability
    centre = x.mean(axis=0)
    x = x - centre
    covariance = x.T @ x / len(x)
    ridge = RIDGE * np.trace(covariance) / len(covariance)
    weights = np.linalg.solve(covariance + ridge * np.eye(len(covariance)), x.T @ y / len(x))
    mean = y.mean(axis=0)
    wanted = _softmax(y)
    # The weights rank; a factor makes the probabilities as sure as the student's own.
    factor = min(FACTORS, key=lambda f: _cross_entropy(wanted, mean + f * (x @ weights)))
    scaled = factor * weights
    confidence = float(_softmax(mean + x @ scaled).max(axis=1).mean())
    bias = (mean - centre @ scaled).astype(np.float32)
    return ClassVectors(scaled.astype(np.float32), bias, confidence)


def store_class_vectors(model: Any, vectors: ClassVectors) -> None:
    """Add class vectors to an ONNX model, in 8 bits with a scale for each class."""
    from onnx import numpy_helper

    numbers, scale = quantised(np.ascontiguousarray(vectors.weights.T))
    stored = {
        "class_vectors.int8": numbers,
        "class_vectors.scale": scale,
        "class_bias": vectors.bias,
        "class_confidence": np.array([vectors.confidence], np.float32),
    }
    model.graph.initializer.extend(numpy_helper.from_array(v, name) for name, v in stored.items())


def quantised(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return int8 numbers and a scale for each row of the first axis (the output channel), such that
    `weight ≈ numbers * scale`."""
    axes = tuple(range(1, weight.ndim))
    largest = np.abs(weight).max(axis=axes, keepdims=True)
    scale = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    return np.round(weight / scale).astype(np.int8), scale


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), np.float64)


def _cross_entropy(wanted: NDArray[np.float64], logits: NDArray[np.float64]) -> float:
    highest = logits.max(axis=1, keepdims=True)
    sums = np.log(np.exp(logits - highest).sum(axis=1, keepdims=True)) + highest
    return float((wanted * (sums - logits)).sum(axis=1).mean())
