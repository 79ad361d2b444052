"""Vectors that others made, taken from an NPY file into a library.

An image whose file is not there (any more, or here) lies below a root of its own, the folder
`imported` in the library's, which is never swept. It has no size and no facts, and in place of the hash
of its content one of its path.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import ImageError, Outcome, UsageError
from lookalike.images.reading import read
from lookalike.indexing.metadata import describe
from lookalike.stores.contract import Entry, Known, Root, Space, Store, View, Writer
from lookalike.stores.records import IMPORTED, DType
from lookalike.vectors.ann import Progress, quiet
from lookalike.vectors.reduction import learn_projection, refuse_more, sample_size
from lookalike.vectors.similarity import Similarity

BATCH_BYTES = 16 << 20
"""Of vectors, as float32, that are read, checked or stored at a time."""

SAMPLE_BYTES = 64 << 20
"""Of vectors, as float32, from which principal components are learnt."""

MOST_ROWS = 2000
"""Rows of a batch: each is a place in the catalogue."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What came in. `files` of the images have a file here; the others are known by name only.

    undescribed  rows of the table of metadata that name no image of the library
    """

    space: Space
    images: int
    files: int
    described: int = 0
    undescribed: int = 0


def bring_in(
    store: Store,
    file: Path,
    name: str,
    *,
    paths: Path | None = None,
    metadata: Path | None = None,
    similarity: Similarity = "cosine",
    dtype: DType = "f32",
    pca: int | None = None,
    progress: Progress = quiet,
) -> Imported:
    """Put the rows of an NPY file (n, dim) into the space of that name, which is made if there is none.

    paths     a text file with a path a line, in the order of the rows; relative ones are relative to its
              folder. None: the rows are called NAME/0, NAME/1, …
    metadata  a table as `index --metadata` takes it
    pca       keep so many principal components, learnt from a sample of the rows; a space that has some
              goes on with those

    An image that is in the library keeps its other vectors. Everything is checked before anything is
    stored. `UsageError` of one line for what cannot be taken.
    """
    rows = open_rows(file)
    names = _names(paths, len(rows))
    _refuse_odd_numbers(rows, file, progress)
    with store.writer() as writer:
        with store.view() as view:
            space = _space(view, name, rows, similarity, dtype, file, pca)
        writer.add_space(space)
        places = _Places(store, writer, paths.absolute().parent if paths else None, name)
        projection = space.projection
        done = files = 0
        for start, block in _blocks(rows):
            batch = list(islice(names, len(block)))
            if projection is not None:
                block = projection.apply(block, similarity=space.similarity)
            entries = places.entries(batch, block, start, space.key)
            writer.put(entries)
            files += sum(entry.size > 0 for entry in entries)
            done += len(entries)
            progress("import", done, len(rows))
        described, undescribed = describe(store, writer, metadata) if metadata else (0, 0)
    return Imported(space, done, files, described, undescribed)


def open_rows(file: Path) -> NDArray[Any]:
    """The rows of an NPY file, mapped: of a file larger than memory only what is touched is read.
    `UsageError` where it holds no rows of numbers."""
    try:
        rows = np.load(file, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror or error}") from error
    except (ValueError, EOFError) as error:
        raise UsageError(
            f"{file} is not a whole NPY file of numbers: write it with numpy.save"
        ) from error
    if not isinstance(rows, np.ndarray) or rows.ndim != 2 or rows.dtype.kind not in "fiu":
        shape = getattr(rows, "shape", "several arrays")
        raise UsageError(f"{file} holds {shape}, not rows of numbers (n, dim)")
    if not rows.size:
        raise UsageError(f"{file} holds no vectors: its shape is {rows.shape}")
    return rows


def _blocks(rows: NDArray[Any]) -> Iterator[tuple[int, NDArray[np.float32]]]:
    step = max(1, min(MOST_ROWS, BATCH_BYTES // (4 * rows.shape[1])))
    for start in range(0, len(rows), step):
        # What does not fit in float32 becomes infinite, and is refused as such.
        with np.errstate(over="ignore"):
            yield start, np.asarray(rows[start : start + step]).astype(np.float32)


def _refuse_odd_numbers(rows: NDArray[Any], file: Path, progress: Progress) -> None:
    for start, block in _blocks(rows):
        finite = np.isfinite(block).all(axis=1)
        if not finite.all():
            row = start + int(np.argmin(finite))
            raise UsageError(f"{file}, row {row}: holds NaN or infinity; nothing was imported")
        progress("check", start + len(block), len(rows))


def _names(paths: Path | None, count: int) -> Iterator[str | None]:
    """A name a row; None for those that have none. Read twice, so that a missing line is told before
    anything is stored, and no list of ten million is held."""
    if paths is None:
        return (None for _ in range(count))
    try:
        with paths.open(encoding="utf-8", errors="surrogateescape", newline="\n") as lines:
            found = 0
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    raise UsageError(f"{paths}, line {number}: is empty; every row needs a path")
                found = number
    except OSError as error:
        raise UsageError(f"cannot read {paths}: {error.strerror}") from error
    if found != count:
        raise UsageError(
            f"{paths} names {found:,} paths for {count:,} vectors; nothing was imported"
        )
    return _lines(paths)


def _lines(paths: Path) -> Iterator[str]:
    with paths.open(encoding="utf-8", errors="surrogateescape", newline="\n") as lines:
        for line in lines:
            yield line.rstrip("\r\n")


def _space(
    view: View,
    name: str,
    rows: NDArray[Any],
    similarity: Similarity,
    dtype: DType,
    file: Path,
    pca: int | None,
) -> Space:
    """The space that is there, if it fits, or a new one."""
    if not name.strip() or "@" in name:
        raise UsageError(f"a name for vectors has letters and no @: {name!r} is none")
    dim = rows.shape[1]
    for space in view.spaces():
        if space.name == name and space.current:
            _refuse_other_pca(space, pca)
            expected = space.projection.whole if space.projection else space.dim
            if expected != dim:
                raise UsageError(
                    f"{file} has vectors of {dim} numbers, the {name} vectors of this library have "
                    f"{expected}: give them another name with --by"
                )
            if space.boxes is not None:
                raise UsageError(f"{name} keeps vectors of parts of pictures: use another --by")
            return space
    fitted = None
    if pca is not None:
        refuse_more(pca, dim, f"the vectors of {file}")
        sample = _sample(rows, pca)
        fitted = learn_projection(sample, pca, similarity=similarity).arrays()
    return Space(
        f"{name}@{IMPORTED}",
        name,
        IMPORTED,
        pca or dim,
        similarity,
        dtype,
        normalised=similarity == "cosine",
        fitted=fitted,
    )


def _refuse_other_pca(space: Space, pca: int | None) -> None:
    if pca is not None and (space.projection is None or space.dim != pca):
        kept = f"{space.dim} principal components" if space.projection else "all their numbers"
        raise UsageError(
            f"the {space.name} vectors of this library keep {kept}: give these another name with --by"
        )


def _sample(rows: NDArray[Any], pca: int) -> NDArray[np.float32]:
    """Rows drawn evenly, always the same ones; more than are needed where they are small."""
    wanted = max(sample_size(pca), SAMPLE_BYTES // (4 * rows.shape[1]))
    if wanted >= len(rows):
        return np.asarray(rows, np.float32)
    chosen = np.random.default_rng(0).choice(len(rows), wanted, replace=False)
    return np.asarray(rows[np.sort(chosen)], np.float32)


class _Places:
    """Where images lie: below a root if their file is there, else among those without one."""

    def __init__(self, store: Store, writer: Writer, folder: Path | None, name: str) -> None:
        self._writer = writer
        self._folder = folder
        self._name = name
        self._home = store.folder.parent
        with store.view() as view:
            self._roots = [root for root in view.roots() if root.path != store.folder / IMPORTED]
        self._nowhere = writer.add_root(store.folder / IMPORTED)

    def entries(
        self, names: Sequence[str | None], vectors: NDArray[np.float32], start: int, key: str
    ) -> list[Entry]:
        places = [self._place(name, start + number) for number, name in enumerate(names)]
        known: dict[tuple[int, str], Known] = {}
        for id_ in {root.id for root, _, _ in places}:
            paths = [path for root, path, _ in places if root.id == id_]
            known |= {(id_, path): found for path, found in self._writer.known(id_, paths).items()}
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

    def _place(self, name: str | None, row: int) -> tuple[Root, str, Path | None]:
        if name is None:
            return self._nowhere, f"{self._name}/{row}", None
        if self._folder is not None and "://" not in name:
            whole = Path(os.path.normpath(self._folder / name))
            with suppress(OSError):
                if whole.is_file() and (root := self._root(whole)) is not None:
                    return root, whole.relative_to(root.path).as_posix(), whole
        plain = name if "://" in name else os.path.normpath(name).replace(os.sep, "/")
        return self._nowhere, plain.lstrip("/"), None

    def _root(self, file: Path) -> Root | None:
        for root in self._roots:
            if file.is_relative_to(root.path):
                return root
        if file.is_relative_to(self._home):
            self._roots.append(self._writer.add_root(self._home))
            return self._roots[-1]
        return None


def _content(file: Path | None, path: str) -> tuple[int, int, bytes]:
    """Size, date and hash: of the file, by which `index` knows it again, or in place of them."""
    if file is not None:
        with suppress(ImageError):
            content = read(file)
            return content.size, content.mtime_ns, content.digest
    return 0, 0, hashlib.sha256(os.fsencode(f"{IMPORTED}\0{path}")).digest()
