"""Which files of a model are needed, and which of them a folder has."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lookalike.errors import UsageError

_POINTER = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The files that make a model whole.

    always   all of these
    either   of these sets the first that is whole; no sets: nothing more is needed
    perhaps  taken where present
    """

    always: tuple[str, ...] = ()
    either: tuple[tuple[str, ...], ...] = ()
    perhaps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model on this disk.

    folder    where its files lie
    names     those that are there, relative to the folder, with forward slashes
    revision  the hub's commit; None for a folder of the user's own
    sha256    what each file must hash to, where that is known
    """

    folder: Path
    names: tuple[str, ...]
    revision: str | None = None
    sha256: Mapping[str, str] = field(default_factory=dict)

    def path(self, name: str) -> Path:
        return self.folder / name

    def has(self, name: str) -> bool:
        return name in self.names


def choose(wanted: Wanted, present: Collection[str], where: str) -> tuple[str, ...]:
    """The files to take out of those `present`; `where` names the place in the error.

    Raises UsageError that says which file is missing.
    """
    here = set(present)
    missing = [name for name in wanted.always if name not in here]
    if missing:
        raise UsageError(_lacks(where, missing[0], here))
    taken = list(wanted.always)
    if wanted.either:
        whole = next((names for names in wanted.either if here.issuperset(names)), None)
        if whole is None:
            # Name the file that the nearest set lacks, not all that could have been.
            nearest = max(wanted.either, key=lambda names: sum(name in here for name in names))
            raise UsageError(_lacks(where, next(n for n in nearest if n not in here), here))
        taken += whole
    taken += [name for name in wanted.perhaps if name in here and name not in taken]
    for graph in [name for name in taken if name.endswith(".onnx")]:
        taken += sorted(_weights_beside(graph, here))
    return tuple(taken)


def list_files(folder: Path) -> Iterator[str]:
    """Files below a folder, relative and with forward slashes, hidden ones left out."""
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in relative.parts):
            yield relative.as_posix()


def open_folder(folder: Path, wanted: Wanted) -> ModelFiles:
    """The model in a folder of the user's own. Raises UsageError naming the missing file."""
    names = choose(wanted, tuple(list_files(folder)), str(folder))
    for name in names:
        refuse_pointer(folder / name)
    return ModelFiles(folder, names)


def refuse_pointer(path: Path) -> None:
    """A clone made without Git LFS has small text files where the weights should be."""
    with path.open("rb") as stream:
        if stream.read(len(_POINTER)) == _POINTER:
            raise UsageError(
                f"{path} is a Git LFS pointer, not the file: run `git lfs pull` in its folder"
            )


def _weights_beside(graph: str, present: Collection[str]) -> list[str]:
    """External data of a graph: model.onnx_data, model.onnx_data_1, model.onnx.data."""
    return [name for name in present if name.startswith((f"{graph}_data", f"{graph}.data"))]


def _lacks(where: str, missing: str, present: Collection[str]) -> str:
    folder = missing.rpartition("/")[0]
    beside = sorted(
        name.rpartition("/")[2]
        for name in present
        if name.rpartition("/")[0] == folder and name.endswith(missing.rpartition(".")[2])
    )
    there = f"; there are {', '.join(beside[:8])}" if beside else ""
    return f"{where} has no {missing}{there}"
