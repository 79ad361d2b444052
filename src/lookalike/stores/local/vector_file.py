"""The files of a space: appended to, never changed, and mapped into memory to read.

    spaces/<directory>/vectors-<generation>.f32|f16   (n, dim) row-major, little-endian
    spaces/<directory>/ids-<generation>.i64           (n,) the image of each row
    spaces/<directory>/fitted.npz                     arrays of an extractor that had to be fitted

Only rows below the count that the catalogue has committed exist. Bytes behind them are left over from a batch
that was killed or rolled back, and the next batch overwrites them.
"""

from __future__ import annotations

import mmap
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import LibraryDamaged, LibraryError, LibraryReadOnly
from lookalike.files import atomic_write, keep_private, sync_folder
from lookalike.stores.local import bus_errors
from lookalike.stores.local.database import SpaceRow
from lookalike.stores.records import IMPORTED, DType, Ids
from lookalike.vectors.blocks import Floats, Rows
from lookalike.vectors.npz import read_npz

DTYPES: Mapping[DType, np.dtype[np.floating]] = {
    "f32": np.dtype("<f4"),
    "f16": np.dtype("<f2"),
}
ID = np.dtype("<i8")
SPACES = "spaces"
FITTED = "fitted.npz"
STRETCH, STRETCHES = 4096, 256
"""Consecutive ids that `ids_are_intact` reads at a time, and how often at most. That takes a millisecond and
reads at most eight megabytes, even of ten million rows."""

OTHER_FILE = re.compile(r"fitted\.npz(?:\.part)?|ann-[\w-]+\.\w+(?:\.part)?|ann\.json(?:\.part)?")
GENERATION_FILE = re.compile(r"(?:vectors|ids)-(\d+)\.(?:f32|f16|i64)")


def directory_name(name: str, number: int) -> str:
    """Return a readable directory name for a space that every file system takes; unique by `number`."""
    readable = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]
    return f"{readable or 'space'}-{number}"


def space_folder(library: Path, space: SpaceRow) -> Path:
    """Return the directory of a space."""
    return library / SPACES / space.directory


def vectors_file(library: Path, space: SpaceRow) -> Path:
    """Return the file of a space's vectors, of the row's generation."""
    return space_folder(library, space) / f"vectors-{space.generation}.{space.dtype}"


def ids_file(library: Path, space: SpaceRow) -> Path:
    """Return the file of a space's ids, of the row's generation."""
    return space_folder(library, space) / f"ids-{space.generation}.i64"


def row_bytes(space: SpaceRow) -> int:
    """Return the bytes of one stored vector."""
    return space.dim * DTYPES[space.dtype].itemsize


def rows_on_disk(library: Path, space: SpaceRow) -> int:
    """Return how many complete vectors the file holds, committed or not; 0 where it is missing."""
    try:
        return vectors_file(library, space).stat().st_size // row_bytes(space)
    except FileNotFoundError:
        return 0


@dataclass(frozen=True, slots=True)
class MappedVectors:
    """The rows of one state of a space, mapped into memory. Shared by the threads that read it.

    vectors  (n, dim) as stored, float32 or float16
    ids      (n,) int64, the image of each row; an image that changed has several, of which the last counts
    deleted  sorted numbers of the tombstones, rows that belong to no image any more
    ordered  the first `ordered` ids rise strictly
    maps     of the two files
    """

    vectors: Floats
    ids: Ids
    deleted: Rows
    ordered: int
    maps: tuple[mmap.mmap, ...] = ()
    _tail: list[Rows] = field(default_factory=list, compare=False)

    def is_cut(self) -> bool:
        """Return whether a file has become shorter than what is mapped of it."""
        return any([one.size() < len(one) for one in self.maps])  # noqa: C419 - on every search

    def rows_of(self, ids: Ids) -> Rows:
        """Return the row of each image, -1 where it has none.

        Takes a binary search in the ordered part, and another in the rest, which is sorted once.
        """
        if self.ordered:
            head = self.ids[: self.ordered]
            place = head.searchsorted(ids)
            rows = np.where(head.take(place, mode="clip") == ids, place, -1)
        else:
            rows = np.full(len(ids), -1, np.int64)
        if self.ordered < len(self.ids):
            order = self._tail_order()
            tail = self.ids[self.ordered :]
            # The last of equal ids is the newest row of that image.
            place = np.searchsorted(tail, ids, side="right", sorter=order) - 1
            newest = order[np.maximum(place, 0)]
            found = (place >= 0) & (tail[newest] == ids)
            rows[found] = self.ordered + newest[found]
        if len(self.deleted):
            place = np.minimum(np.searchsorted(self.deleted, rows), len(self.deleted) - 1)
            rows[self.deleted[place] == rows] = -1
        return rows

    def _tail_order(self) -> Rows:
        if not self._tail:  # two threads may both compute it: both get the same result
            self._tail.append(np.argsort(self.ids[self.ordered :], kind="stable"))
        return self._tail[0]


def map_vectors(library: Path, space: SpaceRow, deleted: Rows) -> MappedVectors:
    """Map the committed rows of a space.

    Raises `LibraryDamaged` if the files hold fewer rows, and `FileNotFoundError` if there are none, which
    also happens when a writer has just switched to another generation.
    """
    vectors_path, ids_path = vectors_file(library, space), ids_file(library, space)
    dtype = DTYPES[space.dtype]
    if space.rows == 0:
        return MappedVectors(np.empty((0, space.dim), dtype), np.empty(0, ID), deleted, 0)
    vectors_size, ids_size = vectors_path.stat().st_size, ids_path.stat().st_size
    if vectors_size < space.rows * row_bytes(space) or ids_size < space.rows * ID.itemsize:
        raise damaged_error(library, space)
    bus_errors.install()
    maps = (
        _map(vectors_path, space.rows * row_bytes(space)),
        _map(ids_path, space.rows * ID.itemsize),
    )
    vectors = np.frombuffer(maps[0], dtype).reshape(space.rows, space.dim)
    return MappedVectors(vectors, np.frombuffer(maps[1], ID), deleted, space.ordered, maps)


def _map(path: Path, size: int) -> mmap.mmap:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)


def damaged_error(library: Path, space: SpaceRow) -> LibraryError:
    """Return the error for a space whose files cannot be used."""
    for path in (library / SPACES, space_folder(library, space), vectors_file(library, space)):
        if os.path.lexists(path) and not os.access(path, os.R_OK | (os.X_OK * path.is_dir())):
            return LibraryReadOnly(f"no permission to read {path}: change its permissions")
    return LibraryDamaged(
        f"vectors of {space.name!r} are missing or damaged in {space_folder(library, space)}: "
        f"{remedy_for_lost_vectors(space.revision)}"
    )


def remedy_for_lost_vectors(revision: str) -> str:
    """Return what a user does about lost vectors of a space of this revision."""
    if revision == IMPORTED:
        return "import them again with `lookalike import`"
    return "`lookalike index` makes them again from the images"


def remedy_for_damaged_vectors() -> str:
    """Return what a user does about vectors that are not what was written."""
    return "`lookalike check --repair` drops them and makes them again from the images"


def append(library: Path, space: SpaceRow, ids: Ids, vectors: NDArray[np.float32] | Floats) -> None:
    """Write rows behind the committed ones, and wait until they are on the disk. No reader sees them before
    the catalogue counts them. `LibraryDamaged` if a file is shorter: the gap would become zeros."""
    for path, array, start in (
        (vectors_file(library, space), vectors, space.rows * row_bytes(space)),
        (ids_file(library, space), ids, space.rows * ID.itemsize),
    ):
        dtype = ID if array is ids else DTYPES[space.dtype]
        with path.open("r+b", buffering=0) as file:
            if file.seek(0, os.SEEK_END) < start:
                raise damaged_error(library, space)
            file.seek(start)
            _write_all(file.fileno(), np.ascontiguousarray(array, dtype))
            sync(file.fileno())


def _write_all(descriptor: int, array: NDArray[np.generic]) -> None:
    """Write an array; a single write to an almost full disk may write only a part, without an error."""
    rest = memoryview(array.reshape(-1).view(np.uint8).data)
    while len(rest):
        rest = rest[os.write(descriptor, rest[: 1 << 30]) :]


def sync(descriptor: int) -> None:
    """Wait until the content of a file is on the disk."""
    if sys.platform == "linux":
        os.fdatasync(descriptor)
    else:
        os.fsync(descriptor)


def make_files(library: Path, space: SpaceRow) -> None:
    """Make the empty files of a generation."""
    for path in (vectors_file(library, space), ids_file(library, space)):
        path.write_bytes(b"")
        keep_private(path)
    sync_folder(space_folder(library, space))


def save_fitted(library: Path, space: SpaceRow, fitted: Mapping[str, NDArray[np.generic]]) -> None:
    """Replace the fitted arrays of a space, which may be in use."""
    with atomic_write(space_folder(library, space) / FITTED, durable=True) as file:
        # A prefix, because savez takes an array named "file" for its own argument.
        np.savez(file, **{f"_{name}": array for name, array in fitted.items()})  # type: ignore[arg-type]


def load_fitted(library: Path, space: SpaceRow) -> dict[str, NDArray[np.generic]]:
    """Return what `save_fitted` was given.

    Raises `LibraryDamaged` if the file cannot be read, `FileNotFoundError` if it is missing. Never unpickles,
    because a library may come from a stranger.
    """
    try:
        stored = read_npz(space_folder(library, space) / FITTED)
        return {name[1:]: array for name, array in stored.items()}
    except OSError as error:
        if isinstance(error, PermissionError | IsADirectoryError):
            raise damaged_error(library, space) from error
        raise
    except Exception as error:  # damaged archives raise various errors of zipfile, zlib and NumPy
        raise damaged_error(library, space) from error


def ids_are_intact(library: Path, space: SpaceRow, newest: int) -> bool:
    """Return whether the ids can be those that were written: all present, from 1 to `newest`, and rising as
    far as the catalogue says. Checks up to a million ids, and of more than that evenly spaced stretches."""
    if space.rows == 0:
        return True
    try:
        ids = np.memmap(ids_file(library, space), ID, mode="r", shape=(space.rows,))
    except (FileNotFoundError, ValueError):  # missing or too short
        return False
    starts = range(0, space.rows, STRETCH)
    for start in starts[:: 1 + len(starts) // STRETCHES]:
        some = np.asarray(ids[start : start + STRETCH])
        ordered = some[: max(0, space.ordered - start)]
        if some.min() < 1 or some.max() > newest or not (np.diff(ordered) > 0).all():
            return False
    return True


def last_id(library: Path, space: SpaceRow) -> int:
    """Return the image of the last committed row, 0 if there is none."""
    if space.rows == 0:
        return 0
    with ids_file(library, space).open("rb") as file:
        file.seek((space.rows - 1) * ID.itemsize)
        return int.from_bytes(file.read(ID.itemsize), "little")
