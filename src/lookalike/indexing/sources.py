"""What is indexed: folders and files, each below one root of the library."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lookalike.errors import UsageError
from lookalike.stores.interface import Root, Writer
from lookalike.stores.paths import relative_path


@dataclass(frozen=True, slots=True)
class Source:
    """A folder or file to index; `below` is its path relative to the root, "" for the root itself."""

    root: Root
    path: Path
    below: str


def place(writer: Writer, roots: Sequence[Root], source: Path) -> Source:
    """The root that a source lies under; a folder outside all roots becomes a root of its own, a file
    outside all roots makes a root of its folder. `UsageError` where the source does not exist."""
    path = resolved(source)
    there = among(path, roots)
    if there is None:
        root = writer.add_root(path if path.is_dir() else path.parent)
        there = among(path, [root]) or Source(root, path, "")
    return there


def among(path: Path, roots: Iterable[Root]) -> Source | None:
    """Where a path lies in the first of the roots that it is in, in the spelling of that root: what is
    found there is named by what comes behind it."""
    for root in roots:
        inside = relative_path(path, root.path)
        if inside is not None:
            return Source(root, root.path / inside, "" if inside == "." else inside)
    return None


def apart(paths: Sequence[Path]) -> list[Path]:
    """The paths without repeats and without those that lie below another one."""
    unique = list(dict.fromkeys(paths))
    return [path for path in unique if not any(other in path.parents for other in unique)]


def resolved(source: Path) -> Path:
    try:
        path = source.resolve(strict=True)
        whole = os.R_OK | os.X_OK if path.is_dir() else 0  # files are judged when they are read
        if not os.access(path, whole):
            raise UsageError(f"no permission to read {source}: change its permissions")
        return path
    except FileNotFoundError as error:
        raise UsageError(f"no such file or folder: {source}") from error
    except OSError as error:
        raise UsageError(f"cannot read {source}: {error.strerror}") from error
    except RuntimeError as error:  # Python up to 3.12
        raise UsageError(f"cannot read {source}: a symbolic link that leads to itself") from error


def relatives(paths: Iterable[str], root: Root) -> list[str]:
    """Found paths below their root, with forward slashes. Plain slicing: this runs for every file."""
    start = len(os.path.join(root.path, ""))  # noqa: PTH118
    return [path[start:].replace(os.sep, "/") for path in paths]
