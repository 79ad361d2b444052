"""The built-in network `lookalike`, described in docs/model-card.md."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from lookalike.errors import LookalikeError
from lookalike.extractors.interface import RunsIn, Vectors
from lookalike.extractors.onnx_graph import with_outputs
from lookalike.extractors.runtime import Session, run_all
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.vectors.similarity import Similarity

if TYPE_CHECKING:
    from lookalike.extractors.class_words import ClassWords

MODEL = Path(__file__).parent / "models" / "lookalike.onnx"
SIDE = 128
DIM = 384
CLASSES = "class_vectors.int8"  # one a class, written by tools/distill/class_vectors.py
BATCH = 8  # as fast as 4, and 5 to 10 % faster than 16 and 32; single images take 1.4 times as long


class BuiltinExtractor:
    """Content and colours of an image in one vector of length 1.

    The graph takes (n, 128, 128, 3) uint8 RGB, the whole image stretched to the square, and includes all
    preprocessing, so it cannot be paired with a wrong mean or scale. Its file is loaded with the first
    image (or by `extract([])`).
    """

    name = "lookalike"
    dim = DIM
    similarity: Similarity = "cosine"
    pixels = PixelSpec(mode="rgb", fit="stretch", height=SIDE, width=SIDE, resample="area")
    runs_in: RunsIn = "main"
    model = MODEL
    output = "vectors"

    def __init__(self) -> None:
        self._lock = Lock()
        self._session: Session | None = None
        try:
            self.revision = hashlib.sha256(MODEL.read_bytes()).hexdigest()[:12]
        except OSError as error:
            raise LookalikeError(
                f"the built-in model cannot be read ({error.strerror}: {MODEL}); reinstall lookalike"
            ) from None

    def extract(self, images: Sequence[Pixels]) -> Vectors:
        """Return (n, 384) float32 of length 1 for images (128, 128, 3)."""
        session = self._loaded()
        streams = session.streams()
        size = min(BATCH, max(1, -(-len(images) // streams)))
        batches = [np.stack(images[at : at + size]) for at in range(0, len(images), size)]
        vectors = run_all(streams, batches, lambda pixels: self._run(session, pixels))
        return np.concatenate(vectors) if vectors else np.empty((0, DIM), np.float32)

    def concurrency(self) -> tuple[int, int]:
        """See `ConcurrentExtractor`."""
        return self._loaded().concurrency()

    def parts(self) -> Mapping[str, slice]:
        """Return the slice of each part of the vector (content, colours).

        The cosine of two vectors is the sum of the inner products of their parts.
        """
        widths = json.loads(self._loaded().metadata()["parts"])
        parts, start = {}, 0
        for name, part in widths.items():
            parts[name] = slice(start, start + int(part["dim"]))
            start = parts[name].stop
        return parts

    def class_words(self) -> ClassWords:
        """See `ClassifierExtractor`. The file holds class vectors: its vectors times these are logits."""
        from lookalike.extractors.class_words import ClassWords
        from lookalike.extractors.onnx_graph import read_graph, values
        from lookalike.extractors.vocabulary import Vocabulary
        from lookalike.extractors.wordnet import load_wordnet

        tensors = read_graph(MODEL).tensors
        numbers, scale, bias, confidence = (
            np.asarray(values(tensors[name], MODEL.parent), np.float32)
            for name in (CLASSES, "class_vectors.scale", "class_bias", "class_confidence")
        )
        labels = tuple(f"n{id}" for id in load_wordnet().imagenet())
        weights = np.ascontiguousarray((numbers * scale).T)
        return ClassWords(Vocabulary(labels), weights, bias, 1.0, float(confidence[0]))

    def color_part(self) -> slice:
        """See `ColorExtractor`."""
        return self.parts()["color"]

    def peek(self, images: Sequence[Pixels], tensors: Sequence[str]) -> list[Vectors]:
        """See `feature_maps.NetworkExtractor`."""
        content = with_outputs(MODEL.read_bytes(), list(tensors))
        found = Session(MODEL, content=content).run(tensors, {"pixels": np.stack(images)})
        return [np.asarray(array, np.float32) for array in found]

    def _run(self, session: Session, pixels: Pixels) -> Vectors:
        (vectors,) = session.run(["vectors"], {"pixels": pixels})
        return np.asarray(vectors, np.float32)

    def _loaded(self) -> Session:
        with self._lock:
            if self._session is None:
                self._session = Session(MODEL, batch=BATCH)
            return self._session
