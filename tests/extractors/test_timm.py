"""Tests of timm networks; most of them run only where timm is installed.

Weights cannot be downloaded in a test, so the networks here have random ones: that tests everything
but how good the vectors are.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lookalike.errors import MissingExtra, UnknownExtractor, UsageError
from lookalike.extractors.timm import best_device, load_timm
from lookalike.images.resize import fit


def test_without_pytorch_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtra, match=r"pip install 'lookalike\[timm\]'"):
        load_timm("resnet18.a1_in1k")


@pytest.mark.parametrize(
    ("cuda", "mps", "device"), [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")]
)
def test_the_best_device_is_chosen(cuda: bool, mps: bool, device: str) -> None:
    torch = SimpleNamespace(
        cuda=SimpleNamespace(is_available=lambda: cuda),
        backends=SimpleNamespace(mps=SimpleNamespace(is_available=lambda: mps)),
    )
    assert best_device(torch) == device


@pytest.fixture
def timm(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return timm, with deterministic random weights instead of trained ones."""
    timm = pytest.importorskip("timm")
    torch = pytest.importorskip("torch")
    make = timm.create_model

    def random_weights(name: str, pretrained: bool) -> Any:
        torch.manual_seed(0)
        return make(name, pretrained=False)

    monkeypatch.setattr(timm, "create_model", random_weights)
    return timm


def test_pooled_features_have_unit_length_alone_and_in_a_batch(timm: Any) -> None:
    extractor = load_timm("resnet18.a1_in1k")
    assert (extractor.name, extractor.dim) == ("timm:resnet18.a1_in1k", 512)
    size = (extractor.pixels.height, extractor.pixels.width, 3)
    images = list(np.random.default_rng(0).integers(0, 256, (9, *size), np.uint8))
    found = extractor.extract(images)
    assert found.shape == (9, 512)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(extractor.extract(images[4:5])[0], found[4], atol=1e-5)
    assert extractor.extract([]).shape == (0, 512)
    assert load_timm("resnet18.a1_in1k").revision == extractor.revision


def test_the_pixels_are_those_of_timms_own_transform(timm: Any) -> None:
    from PIL import Image

    extractor = load_timm("mobilenetv3_small_100.lamb_in1k")
    small = np.random.default_rng(1).integers(0, 256, (30, 40, 3), np.uint8)
    image = Image.fromarray(small).resize((400, 300), Image.Resampling.BICUBIC)
    config = timm.data.resolve_data_config({}, model=extractor.network)
    expected = timm.data.create_transform(**config, is_training=False)(image).numpy()
    out = np.empty((1, *expected.shape), np.float32)
    extractor.preprocessing.scaling.batch([fit(np.asarray(image), extractor.pixels)], out)
    # Resizing rounds to whole grey levels: one or two of 255 may differ.
    assert np.abs(out[0] - expected).max() < 2.5 / 255 / 0.2


def test_an_unknown_name_suggests_similar_ones(timm: Any) -> None:
    with pytest.raises(UnknownExtractor, match=r"no model resnet19; near are .*resnet18"):
        load_timm("resnet19")


def test_a_closed_network_says_so(timm: Any) -> None:
    extractor = load_timm("resnet18.a1_in1k")
    extractor.close()
    with pytest.raises(UsageError, match="was closed"):
        extractor.extract([np.zeros((224, 224, 3), np.uint8)])


def test_the_classes_of_a_classifier_are_words(timm: Any) -> None:
    words = load_timm("resnet18.a1_in1k").class_words()
    assert words.weights.shape == (512, 1000)
    dog = words.vocabulary.find("dogs")
    assert dog is not None
    assert len(dog.classes) == 118
