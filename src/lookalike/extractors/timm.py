"""Extractor for the networks of timm (PyTorch Image Models).

https://github.com/huggingface/pytorch-image-models
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lookalike.errors import MissingExtra, UnknownExtractor, UsageError
from lookalike.extractors.classifier_head import ClassifierHead, reproduces
from lookalike.extractors.interface import RunsIn, Vectors
from lookalike.extractors.preprocessing import Preprocessing, read_preprocessing
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.vectors.similarity import Similarity, normalise

if TYPE_CHECKING:
    from lookalike.extractors.class_words import ClassWords

# Part of every revision: changes when this file computes other numbers from the same model.
_RECIPE = "1"
_BATCH = {"cuda": 64, "mps": 16, "cpu": 8}


class TimmExtractor:
    """Pooled features of a timm network, at unit length; created by `load_timm`."""

    similarity: Similarity = "cosine"
    runs_in: RunsIn = "main"

    def __init__(
        self,
        name: str,
        torch: Any,
        network: Any,
        preprocessing: Preprocessing,
        device: str,
        head: ClassifierHead | None = None,
        labels: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.pixels: PixelSpec = preprocessing.pixels
        self.dim = int(network.num_features)
        self._torch = torch
        self.network: Any = network
        self.preprocessing = preprocessing
        self._device = device
        self._head = head
        self._labels = labels
        self.revision = _revision(network, preprocessing)
        # A few networks have a layer between the last features and the pooled ones.
        blank = np.full((self.pixels.height, self.pixels.width, 3), 127, np.uint8)
        self.dim = int(self.extract([blank]).shape[1])

    def extract(self, images: Sequence[Pixels]) -> Vectors:
        """Return (n, dim) float32 of unit length for images (height, width, 3)."""
        size = _BATCH[self._device]
        batches = [images[start : start + size] for start in range(0, len(images), size)]
        if not batches:
            return np.zeros((0, self.dim), np.float32)
        return normalise(np.concatenate([self._features(batch) for batch in batches]))

    def class_words(self) -> ClassWords:
        """See `ClassifierExtractor`."""
        from lookalike.extractors.class_words import words_of_head

        if self._head is None:
            raise UsageError(
                f"{self.name} is not a classifier whose last layer is known: it knows no words"
            )
        size = self.pixels.height, self.pixels.width, 3
        noise = np.random.default_rng(0).integers(0, 256, size, np.uint8)
        scale = float(np.linalg.norm(self._features([noise])))
        return words_of_head(self._head, self._labels, scale, name=self.name)

    def close(self) -> None:
        """Free the memory of the network; dropping the extractor does so, too."""
        self.network = None

    def _features(self, images: Sequence[Pixels]) -> Vectors:
        if self.network is None:
            raise UsageError(f"{self.name} was closed; load it again")
        spec = self.pixels
        buffer = np.empty((len(images), 3, spec.height, spec.width), np.float32)
        pixels = self._torch.from_numpy(self.preprocessing.scaling.batch(images, buffer))
        with self._torch.inference_mode():
            found = self.network(pixels.to(self._device))
        return np.asarray(found.float().cpu().numpy(), np.float32).reshape(len(images), -1)


def load_timm(text: str) -> TimmExtractor:
    """Return the extractor for "timm:" and a model's name, e.g. "resnet50.a1_in1k".

    timm keeps its weights in Hugging Face's cache. Raises MissingExtra, UnknownExtractor with similar
    names, or UsageError when the weights cannot be loaded.
    """
    timm, torch = _import_timm()
    if not text:
        raise UnknownExtractor("timm: needs the name of a model, e.g. timm:resnet50.a1_in1k")
    if not text.startswith("hf-hub:") and not timm.is_model(text):
        stem = text.partition(".")[0]  # the part after the dot names the weights
        near = difflib.get_close_matches(stem, timm.list_models(), n=6, cutoff=0.5)
        raise UnknownExtractor(
            f"timm has no model {text}; similar names: {', '.join(near) or 'none'}"
        )
    try:
        network = timm.create_model(text, pretrained=True)
    except Exception as error:  # the errors of hub, torch and timm have no common class
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(f"timm:{text} cannot be loaded: {reason}") from None
    config = timm.data.resolve_data_config({}, model=network)
    preprocessing = read_preprocessing({}, {"pretrained_cfg": config})
    head, labels = _remove_classifier(timm, torch, network.eval(), config["input_size"])
    device = best_device(torch)
    network = network.to(device)
    return TimmExtractor(f"timm:{text}", torch, network, preprocessing, device, head, labels)


def _remove_classifier(
    timm: Any, torch: Any, network: Any, size: Sequence[int]
) -> tuple[ClassifierHead | None, list[str]]:
    """Remove the last layer of a network, so that it returns pooled features, and return the layer and the
    names of its classes (ImageNet ids) where timm knows them.

    No layer where features × layer does not equal the logits of the whole network.
    """
    layer = network.get_classifier()
    weight, bias = getattr(layer, "weight", None), getattr(layer, "bias", None)
    noise = torch.rand((1, *size), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        logits = np.asarray(network(noise).float().numpy(), np.float32)
        network.reset_classifier(0)
        features = np.asarray(network(noise).float().numpy(), np.float32)
    if weight is None or weight.ndim != 2:
        return None, []
    matrix = np.ascontiguousarray(weight.detach().float().numpy().T)
    offset = None if bias is None else bias.detach().float().numpy()
    head = ClassifierHead("", matrix, offset, True)
    if not reproduces(head, features, logits):
        return None, []
    named = network.pretrained_cfg.get("label_names") or []
    subset = timm.data.infer_imagenet_subset(network)
    if not named and subset is not None:
        named = timm.data.ImageNetInfo(subset).label_names()
    return head, [str(name) for name in named]


def best_device(torch: Any) -> str:
    """Return "cuda", "mps" or "cpu", the first that PyTorch can use."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _revision(network: Any, preprocessing: Preprocessing) -> str:
    """Return a hash of name, shape and sum of every weight tensor.

    Reading each value once takes well under a second; timm does not say which file it loaded.
    """
    summary = [
        [name, list(tensor.shape), repr(float(tensor.double().sum()))]
        for name, tensor in sorted(network.state_dict().items())
    ]
    text = json.dumps([_RECIPE, preprocessing.recipe(), summary])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _import_timm() -> tuple[Any, Any]:
    with contextlib.suppress(ImportError):
        import timm
        import torch

        return timm, torch
    raise MissingExtra("timm models need PyTorch and timm: pip install 'lookalike[timm]'")
