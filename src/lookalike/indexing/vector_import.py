"""Reads vectors and their paths from files, and maps the paths to images of the library.

An image whose file does not exist (any more, or on this machine) is stored below the root for imported
images, which is never swept. It has no size and no facts, and a hash of its path instead of its content.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.ann.faiss_index import Progress, no_progress
from lookalike.errors import ImageError, Outcome, UsageError
from lookalike.images.reading import read
from lookalike.stores.interface import Entry, FileState, Root, Space, Store, Writer
from lookalike.stores.paths import existing_path
from lookalike.stores.records import IMPORTED

# First bytes of an NPY file.
MAGIC = b"\x93NUMPY"

# Bytes of vectors, as float32, that are read, checked or stored at a time.
BATCH_BYTES = 32 << 20

# Rows in a batch, at most: each is a row of the catalogue, too.
MAX_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class ImportReport:
    """Summary of an import.

    images            images that got a vector
    files             images among them whose file exists; the others are known by name only
    described         images that got metadata
    unmatched_rows    rows of the metadata table that match no image of the library; unmatched_example: one
    repeated_paths    rows whose path a later row has, too, whose vector is stored; repeated_example: one
    repeated_rows     rows of the metadata table that describe an image again
    table_notes       how columns of the metadata table were read, where that is not plain
    """

    space: Space
    images: int
    files: int
    described: int = 0
    unmatched_rows: int = 0
    unmatched_example: str = ""
    repeated_paths: int = 0
    repeated_example: str = ""
    repeated_rows: int = 0
    table_notes: tuple[str, ...] = ()


def open_rows(file: Path) -> NDArray[Any]:
    """Return the memory-mapped rows (n, dim) of an NPY file, which may be larger than memory.

    Raises UsageError where it holds no rows of numbers.
    """
    message = f"{file} is not a complete NPY file of numbers: write it with numpy.save"
    try:
        with file.open("rb") as opened:
            if opened.read(len(MAGIC)) != MAGIC:  # numpy.load would accept archives and more
                raise UsageError(message)
        rows = np.load(file, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror or error}") from error
    except UsageError:
        raise
    except Exception as error:  # the header is parsed as Python: a damaged one can raise anything
        raise UsageError(message) from error
    if not isinstance(rows, np.ndarray) or rows.ndim != 2 or rows.dtype.kind not in "fiu":
        shape = getattr(rows, "shape", "several arrays")
        raise UsageError(f"{file} holds {shape}, not rows of numbers (n, dim)")
    if not rows.size:
        raise UsageError(f"{file} holds no vectors: its shape is {rows.shape}")
    return rows


def row_blocks(rows: NDArray[Any]) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield the rows in batches as float32, each with the number of its first row."""
    step = max(1, min(MAX_ROWS, BATCH_BYTES // (4 * rows.shape[1])))
    for start in range(0, len(rows), step):
        # Values beyond float32 become infinite, and are refused as such.
        with np.errstate(over="ignore"):
            yield start, np.asarray(rows[start : start + step]).astype(np.float32)


def check_finite(rows: NDArray[Any], file: Path, progress: Progress = no_progress) -> None:
    """Raise UsageError naming the first row with NaN, infinity, or values beyond float32."""
    for start, block in row_blocks(rows):
        finite = np.isfinite(block).all(axis=1)
        if not finite.all():
            row = start + int(np.argmin(finite))
            raise UsageError(f"{file}, row {row}: holds NaN or infinity; nothing was imported")
        progress("check", start + len(block), len(rows))


def repeated_paths(paths: Path | None) -> tuple[int, str]:
    """Return how many rows have a path that a later row has, too, and one such path."""
    if paths is None:
        return 0, ""
    keys = np.fromiter((hash(_plain_path(name)) for name in _lines(paths)), np.int64)
    distinct, counts = np.unique(keys, return_counts=True)
    if len(distinct) == len(keys):
        return 0, ""
    again = frozenset(distinct[counts > 1].tolist())
    example = next(name for name in _lines(paths) if hash(_plain_path(name)) in again)
    return len(keys) - len(distinct), example


def _plain_path(name: str) -> str:
    return name if "://" in name else os.path.normpath(name).replace(os.sep, "/")


def read_paths(
    paths: Path | None, count: int, *, untrusted_paths: bool = False
) -> Iterator[str | None]:
    """Return an iterator of the path of each row; None for rows without one.

    The file is read twice, so that a missing line is reported before anything is stored, and ten million
    paths are not held in memory.
    """
    if paths is None:
        return (None for _ in range(count))
    try:
        found = 0
        for number, line in enumerate(_lines(paths), start=1):
            if not line.strip():
                raise UsageError(f"{paths}, line {number}: is empty; every row needs a path")
            if "\0" in line:
                raise UsageError(f"{paths}, line {number}: has a zero byte: save the file as UTF-8")
            if untrusted_paths and may_leave_folder(line):
                raise UsageError(
                    f"{paths}, line {number}: write the path relative to the library's folder"
                )
            found = number
    except OSError as error:
        raise UsageError(f"cannot read {paths}: {error.strerror}") from error
    if found != count:
        raise UsageError(f"{paths} has {found:,} paths for {count:,} vectors; nothing was imported")
    return _lines(paths)


def _lines(paths: Path) -> Iterator[str]:
    with paths.open(encoding="utf-8-sig", errors="surrogateescape", newline="\n") as lines:
        for line in lines:
            yield line.rstrip("\r\n")


# Longest untrusted path in characters, the limit of most systems.
MAX_PATH = 4096


def may_leave_folder(name: str) -> bool:
    """Return whether a relative path might lead out of the folder that it is joined to."""
    plain = name.replace("\\", "/")
    return (
        len(name) > MAX_PATH
        or "\0" in name
        or plain.startswith("/")
        or bool(PureWindowsPath(name).drive)
        or ".." in plain.split("/")
    )


class PathMapper:
    """Finds root and path of imported images: below a root if the file exists, else the imported root.

    folder           paths are relative to this folder, or else to the library's; None: there are no paths
    untrusted_paths  paths are relative to the roots and must not lead elsewhere
    """

    def __init__(
        self, store: Store, writer: Writer, folder: Path | None, name: str, *, untrusted_paths: bool
    ) -> None:
        self._writer = writer
        self._folder = folder
        self._name = name
        self._untrusted_paths = untrusted_paths
        self._library_parent = None if store.folder is None else store.folder.parent
        with store.snapshot() as snapshot:
            self._roots = [root for root in snapshot.roots() if not root.imported]
        self._bases = list(
            dict.fromkeys(
                base
                for base in (folder, self._library_parent, *(root.path for root in self._roots))
                if base is not None
            )
        )
        self._imported_root = writer.add_imported_root()

    def entries(
        self, names: Sequence[str | None], vectors: NDArray[np.float32], start: int, key: str
    ) -> list[Entry]:
        """Return the entries for a batch of rows; `start` is the number of the first row."""
        places = [self._locate(name, start + number) for number, name in enumerate(names)]
        known: dict[tuple[int, str], FileState] = {}
        for id_ in {root.id for root, _, _ in places}:
            paths = [path for root, path, _ in places if root.id == id_]
            known |= {
                (id_, path): found for path, found in self._writer.file_states(id_, paths).items()
            }
        entries: list[Entry] = []
        for (root, path, file), vector in zip(places, vectors, strict=True):
            before = known.get((root.id, path))
            if before is not None and before.hash is not None:
                size, time, digest = before.size, before.mtime_ns, before.hash
            else:
                size, time, digest = _content(file, path)
            entries.append(
                Entry(root.id, path, size, time, digest, Outcome.INDEXED, vectors={key: vector})
            )
        return entries

    def _locate(self, name: str | None, row: int) -> tuple[Root, str, Path | None]:
        if name is None:
            return self._imported_root, f"{self._name}/{row}", None
        if self._untrusted_paths:
            return self._locate_untrusted(name)
        if self._folder is not None and "://" not in name:
            for folder in self._bases:
                # Not pathlib, which takes longer than all else that is done for a row.
                file = os.path.normpath(os.path.join(folder, name.replace("\\", "/")))  # noqa: PTH118
                if not file.isascii():
                    file = os.fspath(existing_path(Path(file)))
                if os.path.isfile(file):  # noqa: PTH113
                    whole = Path(file)
                    if (root := self._root(whole)) is not None:
                        return root, whole.relative_to(root.path).as_posix(), whole
        return self._imported_root, _plain_path(name).lstrip("/"), None

    def _locate_untrusted(self, name: str) -> tuple[Root, str, Path | None]:
        """Return root, path and file of an untrusted path, which must end below an existing root."""
        plain = name if "://" in name else posixpath.normpath(name)
        if not any(part.startswith(".") for part in plain.split("/")):
            for root in self._roots:
                file = existing_path(root.path / plain)
                with suppress(OSError, RuntimeError, ValueError):
                    inside = file.resolve(strict=True).is_relative_to(root.path.resolve())
                    if inside and file.is_file():
                        return root, file.relative_to(root.path).as_posix(), file
        return self._imported_root, plain, None

    def _root(self, file: Path) -> Root | None:
        for root in self._roots:
            if file.is_relative_to(root.path):
                return root
        if self._library_parent is not None and file.is_relative_to(self._library_parent):
            self._roots.append(self._writer.add_root(self._library_parent))
            return self._roots[-1]
        return None


def _content(file: Path | None, path: str) -> tuple[int, int, bytes]:
    """Return size, date and hash of the file, by which `index` recognises it, or substitutes."""
    if file is not None:
        with suppress(ImageError):
            content = read(file)
            return content.size, content.mtime_ns, content.digest
    return 0, 0, hashlib.sha256(os.fsencode(f"{IMPORTED}\0{path}")).digest()
