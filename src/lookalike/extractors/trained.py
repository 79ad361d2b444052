"""Models trained by users with `lookalike train`: a linear map on the vectors of another extractor.

Such a model is a folder with a JSON record and the weights that it describes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import PARSE_ERRORS, UsageError
from lookalike.extractors.interface import (
    Extractor,
    FittedExtractor,
    RunsIn,
    Vectors,
    concurrency_of,
)
from lookalike.files import atomic_folder
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.models.files import (
    TRAINED_RECORD,
    FileSpec,
    hash_file,
    is_trained,
    models_folder,
    open_folder,
)
from lookalike.vectors.lda import LinearMap
from lookalike.vectors.npz import read_npz
from lookalike.vectors.similarity import Similarity, normalise

HEAD = "head.npz"
FORMAT = "lookalike-trained"
VERSION = 1

MAX_DIM = 1 << 16
"""Largest dimension of vectors that a record may state."""


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """The record of a trained model.

    name                 at the time of training
    base, base_revision  extractor whose vectors it transforms
    base_dim, dim        length of its input and output vectors
    sha256               of the file with the weights
    learnt               number of images, labels and settings of the training
    figures              metrics "before" and "after" on held-out images, and "curve"
    """

    name: str
    base: str
    base_revision: str
    base_dim: int
    dim: int
    sha256: str
    learnt: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)


def find_trained(text: str) -> Path:
    """Return the folder of a trained model: a path, or the name of a folder among the models.

    A library moved from another machine names a path of that machine. Raises UsageError.
    """
    folder = Path(text).expanduser()
    installed = models_folder() / folder.name
    for place in (folder, installed):
        if is_trained(place):
            return place.resolve()
    if folder.is_dir():
        raise UsageError(
            f"{folder} is not a trained model: it has no {TRAINED_RECORD} (`lookalike train` makes one)"
        )
    raise UsageError(
        f"there is no folder {folder}, nor {installed}: name the folder of a trained model"
    )


def read_trained(folder: Path) -> tuple[TrainedModel, Mapping[str, NDArray[np.float32]]]:
    """Return the record and the arrays "mean" (base_dim,) and "axes" (base_dim, dim), float32.

    Raises UsageError if a file is missing, was altered, or is of a newer version.
    """
    files = open_folder(folder, FileSpec((TRAINED_RECORD, HEAD)))
    record = _record(files.path(TRAINED_RECORD))
    head = files.path(HEAD)
    if hash_file(head) != record.sha256:
        raise UsageError(
            f"{head} is damaged or was altered: its checksum is not the one in {TRAINED_RECORD}; "
            "train it again"
        )
    try:
        arrays = _arrays(head, record)
    except Exception as error:  # zipfile, zlib and NumPy raise various errors for a damaged archive
        raise UsageError(
            f"{head} does not contain what {TRAINED_RECORD} states: train it again"
        ) from error
    return record, arrays


def _arrays(head: Path, record: TrainedModel) -> dict[str, NDArray[np.float32]]:
    """Return the arrays."""
    shapes = {"mean": (record.base_dim,), "axes": (record.base_dim, record.dim)}
    stored = read_npz(head)
    arrays = {name: np.asarray(stored[name], np.float32) for name in shapes}
    if any(arrays[name].shape != shape for name, shape in shapes.items()):
        raise ValueError(shapes)
    return arrays


def write_trained(
    folder: Path,
    *,
    mean: NDArray[np.float32],
    axes: NDArray[np.float32],
    base: str,
    base_revision: str,
    learnt: Mapping[str, Any],
    figures: Mapping[str, Any],
) -> TrainedModel:
    """Write the folder atomically and return its record.

    An existing trained model is replaced; any other folder that is not empty is refused (see
    `check_output_folder`).
    """
    check_output_folder(folder)
    folder = folder.absolute()
    try:
        with atomic_folder(folder) as part:
            np.savez(part / HEAD, mean=mean, axes=axes)
            record = TrainedModel(
                name=folder.name,
                base=base,
                base_revision=base_revision,
                base_dim=len(axes),
                dim=axes.shape[1],
                sha256=hash_file(part / HEAD),
                learnt=learnt,
                figures=figures,
            )
            text = json.dumps({"format": FORMAT, "version": VERSION} | asdict(record), indent=1)
            (part / TRAINED_RECORD).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {folder}: {error.strerror or error}") from error
    return record


def check_output_folder(folder: Path) -> None:
    """Raise UsageError if a model must not be written there. Call it before computing one."""
    if folder.is_file():
        raise UsageError(f"{folder} is a file: name a folder for the model with --output")
    if folder.is_dir() and not is_trained(folder) and any(folder.iterdir()):
        raise UsageError(
            f"{folder} is not empty and does not contain a trained model: name another folder with --output"
        )


def _record(path: Path) -> TrainedModel:
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        if fields.pop("format") != FORMAT:
            raise ValueError("another format")
        if fields.pop("version") > VERSION:
            raise UsageError(f"{path} was made by a newer Lookalike: update this one")
        record = TrainedModel(**fields)
        dims = (record.base_dim, record.dim)
        texts = (record.name, record.base, record.base_revision, record.sha256)
        if not all(isinstance(n, int) for n in dims) or not all(isinstance(t, str) for t in texts):
            raise TypeError("a value of the wrong type")
        if not all(0 < n <= MAX_DIM for n in dims):
            raise ValueError(f"dimensions {record.base_dim} and {record.dim}")
    except (OSError, *PARSE_ERRORS) as error:
        raise UsageError(f"{path} is not the record of a trained model ({error})") from None
    return record


FAMILY = "trained"
# Part of every revision: changes when this file computes other numbers from the same model.
_RECIPE = "1"


class TrainedExtractor:
    """The base extractor's unit vectors, mapped linearly and normalised again."""

    similarity: Similarity = "cosine"

    def __init__(
        self, name: str, record: TrainedModel, mapping: LinearMap, base: Extractor
    ) -> None:
        self.name = name
        self.record = record
        self.revision = f"{record.sha256[:12]}.{_RECIPE}+{base.revision}"
        self.dim = record.dim
        self.pixels: PixelSpec = base.pixels
        self.runs_in: RunsIn = base.runs_in
        self._mapping = mapping
        self._base = base

    def concurrency(self) -> tuple[int, int] | None:
        """See `ConcurrentExtractor`."""
        return concurrency_of(self._base)

    def extract(self, images: Sequence[Pixels]) -> Vectors:
        """Return (n, dim) float32 of length 1 for images prepared for the base extractor."""
        return project(self._base.extract(images), self._mapping)


def project(vectors: NDArray[np.float32], mapping: LinearMap) -> NDArray[np.float32]:
    """Map vectors (n, base_dim) to (n, dim) of length 1; a zero vector, without content, stays zero."""
    unit = normalise(vectors)
    mapped = normalise(mapping(unit))
    mapped[~unit.any(axis=1)] = 0
    return mapped


def load_trained(text: str) -> TrainedExtractor:
    """Return the extractor in the folder `text`.

    Raises UsageError where the folder is damaged, or its base extractor is not the one it was trained on.
    """
    from lookalike.extractors.registry import load, parse

    folder = find_trained(text)
    record, arrays = read_trained(folder)
    if any(name.partition(":")[0] == FAMILY for name in parse(record.base)):
        # It might be trained on itself, recursively.
        raise UsageError(f"{folder} was trained on a trained model: train it again")
    base = load(record.base)
    check_trainable(base)
    if (base.revision, base.dim) != (record.base_revision, record.base_dim):
        raise UsageError(
            f"{folder} was trained on {record.base} {record.base_revision}, and this is "
            f"{base.revision}: train it again"
        )
    name = f"{FAMILY}:{folder.as_posix()}"
    return TrainedExtractor(name, record, LinearMap(arrays["mean"], arrays["axes"]), base)


def check_trainable(base: Extractor) -> None:
    """Raise UsageError for extractors that a model cannot be trained on."""
    if isinstance(base, FittedExtractor):
        raise UsageError(
            f"{base.name} is different in every library: train on lookalike, color, shape or a network"
        )
    if base.name.partition(":")[0] == FAMILY:
        raise UsageError(f"{base.name} is trained already: train on the extractor below it")
