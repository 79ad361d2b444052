"""The files of models: the folders that hold them, the files that a model needs, and their checksums."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from lookalike.errors import PARSE_ERRORS, UsageError
from lookalike.files import atomic_write

TRAINED_RECORD = "lookalike-model.json"
"""File in the folder of a trained model that describes it."""

_POINTER = b"version https://git-lfs.github.com/spec/"

# Bytes of a file that are hashed at a time.
_BLOCK = 1 << 20


def cache_folder() -> Path:
    """Return Lookalike's own cache folder, at the platform's usual place."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local") / "lookalike"
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/lookalike"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lookalike"


def models_folder() -> Path:
    """Return the folder that models are read from and downloaded to.

    The environment variable LOOKALIKE_MODELS (--model-dir sets it), else a folder in the platform's cache.
    """
    named = os.environ.get("LOOKALIKE_MODELS")
    return Path(named).expanduser() if named else cache_folder() / "models"


def hub_cache() -> Path:
    """Return the cache of Hugging Face's own tools, which is read here but never written."""
    if named := os.environ.get("HF_HUB_CACHE"):
        return Path(named).expanduser()
    home = os.environ.get("HF_HOME")
    return (Path(home).expanduser() if home else Path.home() / ".cache/huggingface") / "hub"


def folder_name(source: str) -> str:
    """Return the name of a repository's folder in a cache, where "/" becomes "--"."""
    return source.replace("/", "--")


def is_offline() -> bool:
    """Return whether HF_HUB_OFFLINE is set, as Hugging Face's tools read it."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}


@dataclass(frozen=True, slots=True)
class FileSpec:
    """The files that make a model complete.

    required      all of these
    alternatives  the first of these sets that is complete; none: nothing more is needed
    optional      taken if present
    """

    required: tuple[str, ...] = ()
    alternatives: tuple[tuple[str, ...], ...] = ()
    optional: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model on this disk.

    folder    that contains its files
    names     of the files, relative to the folder, with forward slashes
    revision  the hub's commit; None for a folder of the user's own
    sha256    expected checksum of each file, where known
    """

    folder: Path
    names: tuple[str, ...]
    revision: str | None = None
    sha256: Mapping[str, str] = field(default_factory=dict)

    def path(self, name: str) -> Path:
        """Return the path of a file."""
        return self.folder / name

    def has(self, name: str) -> bool:
        """Return whether the model has this file."""
        return name in self.names


def select_files(spec: FileSpec, present: Collection[str], place: str) -> tuple[str, ...]:
    """Return the files to take out of those `present`.

    Raises UsageError that names `place` and the missing file.
    """
    here = set(present)
    missing = [name for name in spec.required if name not in here]
    if missing:
        raise UsageError(_missing(place, missing[0], here))
    taken = list(spec.required)
    if spec.alternatives:
        complete = next((names for names in spec.alternatives if here.issuperset(names)), None)
        if complete is None:
            # Name the file that the most complete set lacks, not every possible one.
            nearest = max(spec.alternatives, key=lambda names: sum(name in here for name in names))
            raise UsageError(_missing(place, next(n for n in nearest if n not in here), here))
        taken += complete
    taken += [name for name in spec.optional if name in here and name not in taken]
    for graph in [name for name in taken if name.endswith(".onnx")]:
        taken += sorted(_external_weights(graph, here))
    return tuple(taken)


def is_trained(folder: Path) -> bool:
    """Return whether the folder holds a trained model."""
    return (folder / TRAINED_RECORD).is_file()


def list_files(folder: Path) -> Iterator[str]:
    """Yield the files below a folder, relative and with forward slashes, without hidden ones."""
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in relative.parts):
            yield relative.as_posix()


def open_folder(folder: Path, spec: FileSpec) -> ModelFiles:
    """Return the model in a folder of the user's own. Raises UsageError naming a missing file."""
    names = select_files(spec, tuple(list_files(folder)), str(folder))
    for name in names:
        refuse_pointer(folder / name)
    return ModelFiles(folder, names)


def refuse_pointer(path: Path) -> None:
    """Raise UsageError for a Git LFS pointer, which a clone without Git LFS has instead of the weights."""
    with path.open("rb") as stream:
        if stream.read(len(_POINTER)) == _POINTER:
            raise UsageError(
                f"{path} is a Git LFS pointer, not the file: run `git lfs pull` in its folder"
            )


def _external_weights(graph: str, present: Collection[str]) -> list[str]:
    """Return the external data of a graph: model.onnx_data, model.onnx_data_1, model.onnx.data."""
    return [name for name in present if name.startswith((f"{graph}_data", f"{graph}.data"))]


def _missing(place: str, missing: str, present: Collection[str]) -> str:
    folder = missing.rpartition("/")[0]
    beside = sorted(
        name.rpartition("/")[2]
        for name in present
        if name.rpartition("/")[0] == folder and name.endswith(missing.rpartition(".")[2])
    )
    found = f"; there are {', '.join(beside[:8])}" if beside else ""
    return f"{place} has no {missing}{found}"


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal.

    The result is cached with size, modification time and change time (programs that restore
    timestamps cannot set the last), so opening a model of a gigabyte again costs no second of hashing.
    If the cache cannot be written, the file is hashed each time.
    """
    status = path.stat()
    state = [status.st_size, status.st_mtime_ns, status.st_ctime_ns]
    cache = _cache_file(path)
    with suppress(OSError, *PARSE_ERRORS):
        known = json.loads(cache.read_text(encoding="utf-8"))
        if known["state"] == state:
            return str(known["sha256"])
    digest = hash_file(path)
    with suppress(OSError):
        cache.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(cache, shared=True) as out:
            out.write(json.dumps({"state": state, "sha256": digest}).encode())
    return digest


def hash_file(path: Path, *, into: Callable[[bytes], None] | None = None) -> str:
    """Return the SHA-256 of a file without the cache; every block is also given to `into`."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
            if into is not None:
                into(block)
    return digest.hexdigest()


def check_sha256(path: Path, expected: str) -> None:
    """Raise UsageError naming the file if its content is not the expected one."""
    actual = file_sha256(path)
    if actual != expected:
        raise UsageError(
            f"{path} is damaged or was altered (SHA-256 {actual[:12]}…, expected "
            f"{expected[:12]}…): delete it, and it is downloaded again"
        )


def _cache_file(path: Path) -> Path:
    key = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]
    return cache_folder() / "checksums" / f"{key}.json"
