"""What an extractor is. Third parties implement these protocols; nothing needs to be inherited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from lookalike.images.pixel_spec import Needs, Pixels
from lookalike.vectors.similarity import Similarity

Vectors: TypeAlias = NDArray[np.float32]
"""A batch of vectors, (n, dim) float32, C-contiguous."""

Place: TypeAlias = Literal["worker", "parent"]


@runtime_checkable
class Extractor(Protocol):
    """Turns pictures into vectors.

    name        what users type after --with and --by, e.g. "color" or "onnx:microsoft/resnet-50"
    revision    changes whenever the numbers change; stored with every space, never mixed
    dim         length of a vector
    similarity  the one it was made for: "cosine" (vectors are stored at unit length) or "euclidean"
    needs       the pixels it wants
    place       "worker": cheap and picklable, runs beside the decoder in the worker processes;
                "parent": heavy or stateful (a network), runs once in the main process, in batches
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
    def needs(self) -> Needs: ...
    @property
    def place(self) -> Place: ...

    def extract(self, images: Sequence[Pixels]) -> Vectors:
        """Pictures, each as `needs` describes → (n, dim) float32, finite; n = 0 gives (0, dim).

        A picture without content for this extractor (all black, say) gives the zero vector, whose
        similarity to everything is 0. One by one and in a batch the numbers agree.
        """
        ...


@runtime_checkable
class TextExtractor(Protocol):
    """An extractor that also puts words into the same space as pictures (CLIP)."""

    def extract_text(self, texts: Sequence[str]) -> Vectors: ...


@runtime_checkable
class FittedExtractor(Protocol):
    """An extractor that must see a sample of the library before it can work (a visual vocabulary).

    `fitted` is None until then; what `fit` returns is a ready extractor whose `fitted` arrays are
    stored with the space and handed back by `with_fitted` when the library is opened again.
    """

    @property
    def fitted(self) -> Mapping[str, NDArray[np.generic]] | None: ...
    def fit(self, images: Sequence[Pixels]) -> Extractor: ...
    def with_fitted(self, fitted: Mapping[str, NDArray[np.generic]]) -> Extractor: ...


@runtime_checkable
class Concurrent(Protocol):
    """An extractor of the parent that several threads may call at once, and should. All others are called
    by the thread that indexes alone."""

    def lanes(self) -> tuple[int, int] | None:
        """How many calls of `extract` at a time keep this machine busy, and with how many pictures each;
        None: as if there were no such method."""
        ...


def lanes_of(extractor: Extractor) -> tuple[int, int] | None:
    """See `Concurrent`."""
    return extractor.lanes() if isinstance(extractor, Concurrent) else None


BOXES = "boxes"
"""The fitted array of an extractor whose rows hold the vectors of several parts of a picture, side by
side: (parts, 4) x, y, width and height as fractions; the first is the whole picture."""


def space_key(extractor: Extractor) -> str:
    """The key of the space that holds this extractor's vectors: name and revision."""
    return f"{extractor.name}@{extractor.revision}"
