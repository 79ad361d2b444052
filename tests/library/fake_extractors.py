"""Extractors for the tests of spaces, in a module that worker processes can import."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.extractors.interface import RunsIn, Vectors
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.vectors.similarity import Similarity


class CallLogger:
    """Mean colour. In the worker it wraps `read` and `decode` to log every call."""

    dim = 3
    revision = "1"
    similarity: Similarity = "cosine"
    runs_in: RunsIn = "worker"

    def __init__(self, name: str, log: Path, pixels: PixelSpec) -> None:
        self.name, self.pixels, self._log = name, pixels, log

    def __setstate__(self, state: dict[str, Any]) -> None:
        from lookalike.images import decode, reading

        self.__dict__.update(state)
        for home, word in ((reading, "read"), (decode, "decode")):
            setattr(home, word, self._logged(word, getattr(home, word)))

    def _logged(self, word: str, function: Any) -> Any:
        def logged(*arguments: Any, **options: Any) -> Any:
            if self._log.parent.exists():  # a worker that is kept still logs for the test before
                with self._log.open("a") as log:  # one short write in append mode is never torn
                    log.write(f"{word} {options.get('name', arguments[0])}\n")
            return function(*arguments, **options)

        return logged

    def extract(self, images: Sequence[Pixels]) -> Vectors:
        return means(images)

    def calls(self, word: str) -> list[str]:
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        return sorted(line.partition(" ")[2] for line in lines if line.startswith(word))


class Revised:
    """Mean colour; from revision "2" on, of the negative. Runs in the main process and counts images."""

    name = "toy"
    dim = 3
    similarity: Similarity = "cosine"
    pixels = PixelSpec(min_side=8)
    runs_in: RunsIn = "main"

    def __init__(self, revision: str) -> None:
        self.revision = revision
        self.extracted = 0

    def extract(self, images: Sequence[Pixels]) -> Vectors:
        self.extracted += len(images)
        found = means(images)
        return found if self.revision == "1" else np.ascontiguousarray(1 - found)


class Fitted:
    """Mean colour minus that of a sample. `fits` has the sample size of each fit, over all copies."""

    dim = 3
    name = "fitted-toy"
    sample_size = 512
    similarity: Similarity = "cosine"
    pixels = PixelSpec(min_side=8)
    runs_in: RunsIn = "main"

    def __init__(
        self,
        revision: str,
        fits: list[int],
        fitted: Mapping[str, NDArray[np.generic]] | None = None,
    ) -> None:
        self.revision, self.fits, self.fitted = revision, fits, fitted

    def fit(self, images: Sequence[Pixels]) -> Fitted:
        self.fits.append(len(images))
        # Another fit gives other numbers, as a visual vocabulary would.
        mean = means(images).mean(axis=0) + len(self.fits) / 100
        return self.with_fitted({"mean": mean.astype(np.float32)})

    def with_fitted(self, fitted: Mapping[str, NDArray[np.generic]]) -> Fitted:
        stem = self.revision.partition("-")[0]
        print_of = int(np.asarray(fitted["mean"], np.float64).sum() * 1e6)
        return Fitted(f"{stem}-{print_of}", self.fits, dict(fitted))

    def extract(self, images: Sequence[Pixels]) -> Vectors:
        assert self.fitted is not None
        return means(images) - np.asarray(self.fitted["mean"], np.float32)


def means(images: Sequence[Pixels]) -> Vectors:
    found = [image.reshape(-1, 3).mean(axis=0) / 255 for image in images]
    return np.array(found, np.float32).reshape(len(images), 3)
