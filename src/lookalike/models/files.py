"""The files that a model needs, and those that a folder has."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lookalike.errors import UsageError

_POINTER = b"version https://git-lfs.github.com/spec/"


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
