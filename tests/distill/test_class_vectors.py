"""Class vectors of the built-in network: how they are fitted, and that its file answers words with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tools.distill.class_vectors import fit_class_vectors, quantised

from lookalike.extractors import builtin
from lookalike.extractors.onnx_writer import GraphWriter
from lookalike.extractors.wordnet import load_wordnet
from lookalike.vectors.similarity import normalise


def test_logits_that_are_linear_in_the_vectors_are_found_again() -> None:
    rng = np.random.default_rng(0)
    vectors = normalise(rng.normal(size=(400, 8)))
    logits = 4 * vectors @ rng.normal(size=(8, 5)) + rng.normal(size=5)
    found = fit_class_vectors(vectors, logits.astype(np.float32))
    fitted = vectors @ found.weights + found.bias
    assert (fitted.argmax(axis=1) == logits.argmax(axis=1)).mean() > 0.95
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert found.confidence == pytest.approx(shares.max(axis=1).mean(), abs=0.03)


def test_the_built_in_network_answers_words_if_its_file_has_class_vectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wordnet = load_wordnet()
    banana = next(
        number
        for number, id in enumerate(wordnet.imagenet())
        if wordnet.synsets[id].lemmas == ("banana",)
    )
    vectors = np.zeros((1000, builtin.DIM), np.float32)
    vectors[banana, 7] = 3
    numbers, scale = quantised(vectors)
    graph = GraphWriter()
    graph.weight("class_vectors.int8", numbers.astype(np.float32))
    graph.weight("class_vectors.scale", scale)
    graph.weight("class_bias", np.zeros(1000, np.float32))
    graph.weight("class_confidence", np.array([0.1], np.float32))
    path = tmp_path / "model.onnx"
    path.write_bytes(graph.finish({}, {}))
    monkeypatch.setattr(builtin, "MODEL", path)
    words = builtin.BuiltinExtractor().class_words()
    concept = words.vocabulary.find("bananas")
    assert concept is not None
    assert concept.classes == (banana,)
    assert words.weights[7, banana] == pytest.approx(3)
    assert words.direction([concept]).argmax() == 7
    assert words.confidence == pytest.approx(0.1)
