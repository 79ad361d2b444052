"""Models that users trained: a folder with a record and the numbers that it vouches for."""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.models.cache_dirs import models_folder
from lookalike.models.checksums import hash_file
from lookalike.models.files import Wanted, open_folder

RECORD = "lookalike-model.json"
HEAD = "head.npz"
FORMAT = "lookalike-trained"
MOST_DIM = 1 << 16
_NPY_HEAD = 4096
VERSION = 1


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """What a folder says of itself.

    name           what it was called when it was made
    base           extractor whose vectors it turns into its own, and `base_revision`, without which
                   its numbers mean nothing
    base_dim, dim  length of the vectors that go in and come out
    sha256         of the file with the numbers
    learnt         from how many pictures, of which labels, with what settings
    figures        "before" and "after" on pictures that nothing was learnt from, and "curve"
    """

    name: str
    base: str
    base_revision: str
    base_dim: int
    dim: int
    sha256: str
    learnt: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)


def is_trained(folder: Path) -> bool:
    """Whether the folder holds a trained model."""
    return (folder / RECORD).is_file()


def find_trained(text: str) -> Path:
    """The folder that `text` means: a path, or the name of a folder where models are kept, as a library
    that was moved to another machine names them. Raises UsageError."""
    folder = Path(text).expanduser()
    kept = models_folder() / folder.name
    for place in (folder, kept):
        if is_trained(place):
            return place.resolve()
    if folder.is_dir():
        raise UsageError(
            f"{folder} is no trained model: it has no {RECORD} (`lookalike train` makes one)"
        )
    raise UsageError(f"there is no folder {folder}, nor {kept}: name the folder of a trained model")


def read_trained(folder: Path) -> tuple[TrainedModel, Mapping[str, NDArray[np.float32]]]:
    """The record and the arrays "mean" (base_dim,) and "axes" (base_dim, dim).

    Raises UsageError where a file is missing, was altered, or is of a newer version.
    """
    files = open_folder(folder, Wanted((RECORD, HEAD)))
    record = _record(files.path(RECORD))
    head = files.path(HEAD)
    if hash_file(head) != record.sha256:
        raise UsageError(
            f"{head} is damaged or was altered: its checksum is not the one in {RECORD}; train it again"
        )
    try:
        arrays = _arrays(head, record)
    except Exception as error:  # a damaged archive raises whatever zipfile, zlib and NumPy meet
        raise UsageError(f"{head} does not hold what {RECORD} says: train it again") from error
    return record, arrays


def _arrays(head: Path, record: TrainedModel) -> dict[str, NDArray[np.float32]]:
    """The arrays, unpacked only where they are no larger than they should be: a few kilobytes of zeros
    that were packed well could fill the memory."""
    shapes = {"mean": (record.base_dim,), "axes": (record.base_dim, record.dim)}
    with zipfile.ZipFile(head) as packed:
        for name, shape in shapes.items():
            if packed.getinfo(f"{name}.npy").file_size > 8 * math.prod(shape) + _NPY_HEAD:
                raise ValueError(name)
    with np.load(head, allow_pickle=False) as stored:
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
    """Write the folder whole or not at all. A trained model that is there is replaced; any other
    folder that is not empty is refused (`check_place`)."""
    check_place(folder)
    folder = folder.absolute()
    part: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
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
        (part / RECORD).write_text(text + "\n", encoding="utf-8")
        part.chmod(0o755 & ~_umask())
        if folder.exists():
            shutil.rmtree(folder)
        part.replace(folder)
    except OSError as error:
        raise UsageError(f"cannot write {folder}: {error.strerror}") from error
    finally:
        if part is not None:  # it has another name by now, if all went well
            shutil.rmtree(part, ignore_errors=True)
    return record


def check_place(folder: Path) -> None:
    """Raises UsageError where a model must not be written: before anything is computed for it."""
    if folder.is_file():
        raise UsageError(f"{folder} is a file: name a folder for the model with --out")
    if folder.is_dir() and not is_trained(folder) and any(folder.iterdir()):
        raise UsageError(
            f"{folder} is not empty and holds no trained model: name another folder with --out"
        )


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _record(path: Path) -> TrainedModel:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found.pop("format") != FORMAT:
            raise ValueError("another format")
        if found.pop("version") > VERSION:
            raise UsageError(f"{path} was made by a newer Lookalike: update this one")
        record = TrainedModel(**found)
        numbers = (record.base_dim, record.dim)
        texts = (record.name, record.base, record.base_revision, record.sha256)
        if not all(isinstance(n, int) for n in numbers) or not all(
            isinstance(t, str) for t in texts
        ):
            raise TypeError("a value of another kind")
        if not all(0 < n <= MOST_DIM for n in numbers):
            raise ValueError(f"vectors of {record.base_dim} and {record.dim} numbers")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f"{path} is no record of a trained model ({error})") from None
    return record
