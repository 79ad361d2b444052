"""Protocols that extractors implement. Third parties satisfy them structurally; nothing is inherited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.vectors.similarity import Similarity

if TYPE_CHECKING:
    from lookalike.extractors.class_words import ClassWords

Vectors: TypeAlias = NDArray[np.float32]
"""A batch of vectors, (n, dim) float32, C-contiguous."""

RunsIn: TypeAlias = Literal["worker", "main"]


@runtime_checkable
class Extractor(Protocol):
    """Turns images into vectors.

    name        what users type after --extractor, e.g. "color" or "onnx:microsoft/resnet-50"
    revision    changes whenever the numbers change; stored with every space, never mixed
    dim         length of a vector
    similarity  the one it was made for: "cosine" (vectors are stored at unit length) or "euclidean"
    pixels      size, colour mode and fit of the pixels that `extract` takes
    runs_in     "worker": cheap and picklable, runs next to the decoder in the worker processes;
                "main": heavy or stateful (a network), runs once in the main process, in batches
    """

    @property
    def name(self) -> str: ...
    @property
    def revision(self) -> str: ...
    @property
    def dim(self) -> int: ...
    @property
    def similarity(self) -> Similarity: ...
    @property
    def pixels(self) -> PixelSpec: ...
    @property
    def runs_in(self) -> RunsIn: ...

    def extract(self, images: Sequence[Pixels]) -> Vectors:
        """Return one vector per image: (n, dim) float32, finite; (0, dim) for no images.

        Each image is prepared as `pixels` describes. An image without content for this extractor (all
        black, for example) gives the zero vector, whose similarity to everything is 0. The result for an
        image does not depend on the others in the batch.
        """
        ...


@runtime_checkable
class TextExtractor(Protocol):
    """An extractor that also embeds text in the space of its images (CLIP)."""

    def extract_text(self, texts: Sequence[str]) -> Vectors:
        """Return one vector per text: (n, dim) float32."""
        ...


@runtime_checkable
class ClassifierExtractor(Protocol):
    """An extractor whose vectors are the features of a classifier, so that the names of classes are words."""

    def class_words(self) -> ClassWords:
        """Return its words; UsageError where the model is no classifier or does not name its classes."""
        ...


@runtime_checkable
class ColorExtractor(Extractor, Protocol):
    """An extractor whose vectors, or a part of them, tell the colours of an image."""

    def color_part(self) -> slice:
        """Return the part of a vector that does."""
        ...


@dataclass(frozen=True, slots=True)
class ImageText:
    """The text that was read in an image.

    text        its lines
    confidence  mean probability of a letter, 0 to 1; None without text
    outcome     "read", "no text", or "failed: " and why
    """

    text: str = ""
    confidence: float | None = None
    outcome: str = ""


@runtime_checkable
class TextReader(Protocol):
    """An extractor that reads text in images, which is stored with them, and makes vectors of it."""

    def read(self, image: Pixels) -> ImageText:
        """Return the text of an image, prepared as `pixels` describes."""
        ...

    def vectors(self, texts: Sequence[ImageText]) -> Vectors:
        """Return one vector per text: (n, dim) float32."""
        ...


@runtime_checkable
class FittedExtractor(Protocol):
    """An extractor that must be fitted to a sample of the library first (a visual vocabulary, PCA).

    fitted       the fitted arrays, stored with the space; None before fitting
    sample_size  how many images `fit` should get
    """

    @property
    def fitted(self) -> Mapping[str, NDArray[np.generic]] | None: ...
    @property
    def sample_size(self) -> int: ...

    def fit(self, images: Sequence[Pixels]) -> Extractor:
        """Return a fitted copy; images are prepared as `pixels` describes."""
        ...

    def with_fitted(self, fitted: Mapping[str, NDArray[np.generic]]) -> Extractor:
        """Return a copy with arrays that an earlier fit produced."""
        ...


@runtime_checkable
class ConcurrentExtractor(Protocol):
    """An extractor that runs in the main process and may be called by several threads at a time.

    All others are called by the indexing thread only.
    """

    def concurrency(self) -> tuple[int, int] | None:
        """Return how many concurrent calls keep this machine busy, and with how many images each.

        None (from a wrapper around an extractor that is not concurrent) means one thread only.
        """
        ...


def concurrency_of(extractor: Extractor) -> tuple[int, int] | None:
    """Return `extractor.concurrency()`, or None where it does not implement `ConcurrentExtractor`."""
    return extractor.concurrency() if isinstance(extractor, ConcurrentExtractor) else None


TEXT_IN_IMAGES = "text"
"""Name of the extractor that reads text in images."""

REGIONS = "+regions"
"""Suffix of a name: vectors of image regions, too ("color+regions")."""

PCA = "+pca"
"""Suffix of a name, followed by a number: that many principal components ("color+pca64")."""

BOXES = "boxes"
"""Fitted array of an extractor whose rows hold the vectors of several regions of an image side by side:
(regions, 4) with x, y, width and height as fractions; the first is the whole image."""


def space_key(extractor: Extractor) -> str:
    """Return the key of the space that holds this extractor's vectors: "name@revision"."""
    return f"{extractor.name}@{extractor.revision}"
