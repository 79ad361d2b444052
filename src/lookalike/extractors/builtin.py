"""`lookalike`: the small network that ships with the program. docs/model-card.md says what it is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock

import numpy as np

from lookalike.errors import LookalikeError
from lookalike.extractors.interface import RunsIn, Vectors
from lookalike.extractors.onnx_graph import with_outputs
from lookalike.extractors.runtime import RuntimeFacts, Session, run_all
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.vectors.similarity import Similarity

MODEL = Path(__file__).parent / "models" / "lookalike.onnx"
SIDE = 112
DIM = 384
BATCH = 16  # of 1, 4, 16 and 32 the fastest on one core; one by one takes 1.7 times as long


class Lookalike:
    """What it shows and its colours in one vector of length 1.

    The graph takes (n, 112, 112, 3) uint8 RGB, the whole picture squeezed into the square, and does all
    else itself, so that no mean and no weight can be paired with it wrongly. Its file is loaded at the
    first picture (or at `extract([])`), not before.
    """

    name = "lookalike"
    dim = DIM
    similarity: Similarity = "cosine"
    pixels = PixelSpec(mode="rgb", fit="stretch", height=SIDE, width=SIDE, resample="area")
    runs_in: RunsIn = "main"
    output = "vectors"

    def __init__(self, model: Path = MODEL) -> None:
        self._model = model
        self._lock = Lock()
        self._session: Session | None = None
        try:
            self.revision = hashlib.sha256(model.read_bytes()).hexdigest()[:12]
        except OSError as error:
            raise LookalikeError(
                f"the built-in model cannot be read ({error.strerror}: {model}); install lookalike again"
            ) from None

    def extract(self, images: Sequence[Pixels]) -> Vectors:
        """(112, 112, 3) pictures → (n, 384) float32 of length 1."""
        session = self._loaded()
        streams = session.streams()
        size = min(BATCH, max(1, -(-len(images) // streams)))
        batches = [np.stack(images[at : at + size]) for at in range(0, len(images), size)]
        made = run_all(streams, batches, lambda pixels: self._run(session, pixels))
        return np.concatenate(made) if made else np.empty((0, DIM), np.float32)

    def concurrency(self) -> tuple[int, int]:
        """See `ConcurrentExtractor`."""
        return self._loaded().concurrency()

    def facts(self) -> RuntimeFacts:
        """How it runs here: provider, threads, batch."""
        return self._loaded().facts()

    @property
    def model(self) -> Path:
        """Where the graph lies."""
        return self._model

    def parts(self) -> Mapping[str, slice]:
        """Where in a vector each part lies (what it shows, colours): the sum of the parts'
        products is the cosine."""
        widths = json.loads(self._loaded().metadata()["parts"])
        parts, start = {}, 0
        for name, part in widths.items():
            parts[name] = slice(start, start + int(part["dim"]))
            start = parts[name].stop
        return parts

    def peek(self, images: Sequence[Pixels], tensors: Sequence[str]) -> list[Vectors]:
        """See `inside.Network`."""
        content = with_outputs(self._model.read_bytes(), list(tensors))
        found = Session(self._model, content=content).run(tensors, {"pixels": np.stack(images)})
        return [np.asarray(array, np.float32) for array in found]

    def _run(self, session: Session, pixels: Pixels) -> Vectors:
        (vectors,) = session.run(["vectors"], {"pixels": pixels})
        return np.asarray(vectors, np.float32)

    def _loaded(self) -> Session:
        with self._lock:
            if self._session is None:
                self._session = Session(self._model, batch=BATCH)
            return self._session
