"""Images inside archives: tar files (WebDataset) and Parquet files with the bytes of images.

An archive is a folder of the walk: "shards/000.tar/0001.jpg" is a member of the archive "shards/000.tar", and
row 17 of a Parquet file is called "data.parquet/000000017.jpg". An archive of an object storage is copied to
a temporary file first, since its members are read one by one.
"""

from __future__ import annotations

import os
import re
import tarfile
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lookalike.errors import PARSE_ERRORS, ImageError, MissingExtra, ObjectStorageError, Outcome
from lookalike.images.sniff import MAX_FILE_BYTES
from lookalike.object_storage import open_file, url_of

SUFFIXES = (".tar", ".parquet")

_MEMBER = re.compile(r"(.+?\.(?:tar|parquet))/(.+)", re.IGNORECASE | re.DOTALL)

IMAGE_COLUMNS = ("image", "img", "jpg", "jpeg", "png", "webp", "bytes", "image_bytes", "content")
"""Names of Parquet columns that hold the bytes of images; else the only column of bytes is taken."""

ROWS_AT_ONCE, GROWTH = 8, 4
"""Rows of a Parquet file that are read at once, and how many times the size of the file a row group may take
in memory, beside `MAX_FILE_BYTES`: one image that is repeated in every row takes little room in the file."""

OPEN_ARCHIVES = 4
COPY_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive; `size` is 0 where it is only known when the member is read."""

    name: str
    size: int


class TarArchive:
    """A tar file on this machine."""

    def __init__(self, file: Path) -> None:
        self.problem = ""
        self._places: dict[str, tuple[int, int]] = {}
        self._lock = threading.Lock()
        # A descriptor: the file may have no name any more when its members are read.
        self._handle = os.open(file, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        total = os.fstat(self._handle).st_size
        try:
            with tarfile.open(file, mode="r:") as tar:
                for entry in tar:
                    if entry.size < 0 or entry.offset_data > total:  # it would come again and again
                        raise ValueError
                    if entry.isreg():
                        name = entry.name.removeprefix("./")
                        left = total - entry.offset_data
                        self._places[name] = entry.offset_data, min(entry.size, left)
        except (tarfile.TarError, *PARSE_ERRORS, OSError) as error:
            cause = str(error) or "a member has an impossible size"
            self.problem = f"is damaged: {cause}; its members up to there are read"

    def members(self) -> Iterator[Member]:
        """Yield the members in the byte order of their names."""
        for name in sorted(self._places, key=os.fsencode):
            yield Member(name, self._places[name][1])

    def read(self, name: str) -> bytes:
        """Return the bytes of a member. Raises KeyError and OSError."""
        offset, size = self._places[name]
        if size > MAX_FILE_BYTES:
            raise OSError(f"it has {size >> 20} MB; at most {MAX_FILE_BYTES >> 20} MB are read")
        parts = []
        with self._lock:
            os.lseek(self._handle, offset, os.SEEK_SET)
            while size > 0 and (part := os.read(self._handle, size)):
                parts.append(part)
                size -= len(part)
        return b"".join(parts)

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)


class ParquetArchive:
    """A Parquet file on this machine, a member a row. One row group is held in memory."""

    def __init__(self, file: Path) -> None:
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError:
            message = "Parquet files need pyarrow: pip install 'lookalike[parquet]'"
            raise MissingExtra(message) from None
        self.problem = ""
        self._lock = threading.Lock()
        self._held: tuple[int, Any] = (-1, None)
        self._starts: list[int] = [0]
        self._bytes = file.stat().st_size
        try:
            self._file = pq.ParquetFile(file)
            self._column = image_column(pa, self._file.schema_arrow)
        except (pa.ArrowException, OSError, ValueError) as error:
            self.problem = f"cannot be read: {str(error).splitlines()[0][:120]}"
            return
        metadata = self._file.metadata
        for group in range(metadata.num_row_groups):
            rows = metadata.row_group(group).num_rows
            if not 0 <= rows <= 8 * self._bytes:  # nulls take less than a bit each, images more
                self.problem = f"is damaged: it states {rows:,} rows; those before them are read"
                return
            self._starts.append(self._starts[-1] + rows)

    def members(self) -> Iterator[Member]:
        """Yield a member for every row."""
        for row in range(self._starts[-1]):
            yield Member(f"{row:09d}.jpg", 0)

    def read(self, name: str) -> bytes:
        """Return the bytes in a row. Raises KeyError where there are none, and OSError."""
        row = int(name.removesuffix(".jpg")) if re.fullmatch(r"\d{9}\.jpg", name) else -1
        if not 0 <= row < self._starts[-1]:
            raise KeyError(name)
        group = next(n for n, end in enumerate(self._starts[1:]) if row < end)
        with self._lock:
            if self._held[0] != group:
                self._held = (-1, None)  # two groups at once would take twice the memory
                self._held = group, self._read_group(group)
            place = row - self._starts[group]
            if place >= len(self._held[1]):
                raise OSError(f"row group {group} is damaged, or too large in memory")
            value = self._held[1][place].as_py()
        if isinstance(value, dict):
            value = value.get("bytes")
        if not value:
            raise KeyError(name)
        return bytes(value)

    def close(self) -> None:
        """Close the file."""
        if not self.problem:
            self._file.close()

    def _read_group(self, group: int) -> Any:
        import pyarrow as pa

        read, left = [], MAX_FILE_BYTES + GROWTH * self._bytes
        try:
            for batch in self._file.iter_batches(ROWS_AT_ONCE, [group], [self._column]):
                read.append(batch.column(0))
                left -= batch.nbytes
                if left < 0:
                    break
            return pa.chunked_array(read) if read else read
        except pa.ArrowException as error:
            raise OSError(f"row group {group}: {str(error).splitlines()[0][:120]}") from None


Archive = TarArchive | ParquetArchive


def image_column(pa: Any, schema: Any) -> str:
    """Return the name of the column that holds the bytes of images. Raises ValueError without one."""

    def holds_bytes(kind: Any) -> bool:
        if pa.types.is_struct(kind):  # as the library `datasets` writes images
            return any(part.name == "bytes" and holds_bytes(part.type) for part in kind)
        return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))

    found = [str(field.name) for field in schema if holds_bytes(field.type)]
    named = [name for name in found if name.lower() in IMAGE_COLUMNS]
    if named or len(found) == 1:
        return (named or found)[0]
    raise ValueError(
        f"no column is known to hold the bytes of images: call it {IMAGE_COLUMNS[0]}"
        if found
        else "no column holds bytes"
    )


def is_archive(path: str) -> bool:
    """Return whether a path has the name of an archive."""
    return path.lower().endswith(SUFFIXES)


def split_member(path: str) -> tuple[str, str] | None:
    """Return the path of an archive and the name in it, or None for a path outside archives."""
    found = _MEMBER.fullmatch(path)
    return (found[1], found[2]) if found else None


def read_member(archive: str, name: str) -> bytes:
    """Return the bytes of a member of an archive at a URL. Raises ImageError."""
    try:
        return open_archive(archive).read(name)
    except KeyError:
        raise ImageError(
            Outcome.MISSING,
            "the archive has no image of this name (any more); index the archive again",
        ) from None
    except (OSError, ObjectStorageError) as error:
        raise ImageError(Outcome.UNREADABLE, f"cannot be read: {error}") from None


_opened: OrderedDict[str, tuple[Archive, Path | None]] = OrderedDict()
_lock = threading.Lock()


def open_archive(path: str, *, fresh: bool = False) -> Archive:
    """Return the archive at a URL; the last ones stay open. `fresh`: it may have changed.

    Raises ObjectStorageError and MissingExtra.
    """
    with _lock:
        if fresh and path in _opened:
            _close(*_opened.pop(path))
        if path in _opened:
            _opened.move_to_end(path)
            return _opened[path][0]
        while len(_opened) >= OPEN_ARCHIVES:
            _close(*_opened.popitem(last=False)[1])
        url = url_of(path) or path
        copy = None if url.startswith("file:") else _copied(path)
        file = copy or Path(url.removeprefix("file://"))
        kind: Callable[[Path], Archive] = (
            TarArchive if path.lower().endswith(".tar") else ParquetArchive
        )
        _opened[path] = kind(file), copy
        if copy is not None and os.name == "posix":
            copy.unlink()  # it stays readable until it is closed, and no kill leaves it behind
        return _opened[path][0]


def _close(archive: Archive, copy: Path | None) -> None:
    archive.close()
    if copy is not None:
        with suppress(OSError):
            copy.unlink(missing_ok=True)


def _copied(path: str) -> Path:
    """Copy an archive of an object storage to a temporary file, a piece at a time."""
    with (
        open_file(path) as source,
        tempfile.NamedTemporaryFile(
            prefix="lookalike-", suffix=Path(path).suffix, delete=False
        ) as out,
    ):
        try:
            while piece := source.read(COPY_BYTES):
                out.write(piece)
        except BaseException:
            with suppress(OSError):
                os.unlink(out.name)  # noqa: PTH108
            raise
    return Path(out.name)
