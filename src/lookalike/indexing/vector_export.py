"""Export of the vectors of a space to an NPY or Parquet file, or to a stream."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias

import numpy as np

from lookalike.ann.faiss_index import Progress, no_progress
from lookalike.errors import MissingExtra, UsageError
from lookalike.files import output_file
from lookalike.stores.interface import Ids, Snapshot, Space, Store

# Bytes of vectors written at a time.
BATCH_BYTES = 16 << 20

# Images whose paths are looked up at a time.
PATH_BATCH = 2000

ExportFormat: TypeAlias = Literal["npy", "parquet", "paths"]
EXPORT_FORMATS: tuple[ExportFormat, ...] = ("npy", "parquet", "paths")


@dataclass(frozen=True, slots=True)
class ExportHeader:
    """Describes an export before its first byte.

    rows   number of vectors or paths
    bytes  size of the export; None where it is known only at the end
    state  equal for two exports of the same rows from one state of the library
    """

    rows: int
    bytes: int | None
    state: str


def export_vectors(
    store: Store,
    extractor: str,
    file: Path,
    *,
    paths: Path | None = None,
    where: str | None = None,
    progress: Progress = no_progress,
) -> int:
    """Write the vectors of a space to a file, ordered by image id, and return how many.

    The file is an NPY array (n, dim) float32, or, where its name ends in .parquet, a table with `id`, `path`,
    `vector` and `metadata` (JSON).

    paths  a text file that gets the path of each row
    where  filter: only images that match it

    Raises UsageError; MissingExtra for Parquet without pyarrow.
    """
    with store.snapshot() as snapshot:
        space, ids = _select(snapshot, extractor, where)
        write = _write_parquet if file.suffix.lower() == ".parquet" else _write_npy
        with output_file(file) as out:
            write(snapshot, space, ids, out, progress)
        if paths is not None:
            with output_file(paths) as out:
                _write_paths(snapshot, space, ids, out, no_progress)
    return len(ids)


def stream_vectors(
    store: Store,
    extractor: str,
    out: BinaryIO,
    format: ExportFormat = "npy",
    *,
    where: str | None = None,
    begin: Callable[[ExportHeader], None] | None = None,
    progress: Progress = no_progress,
) -> int:
    """Write the vectors of a space to a stream, which need not be seekable, and return how many.

    The format "paths" writes the path of each row on a line. `begin` is called before the first byte. OSError
    of the stream is raised.
    """
    with store.snapshot() as snapshot:
        space, ids = _select(snapshot, extractor, where)
        if format == "npy" and not len(ids):
            raise UsageError("there are no vectors to export")
        if begin is not None:
            header = len(npy_header(len(ids), space.width))
            size = header + 4 * len(ids) * space.width if format == "npy" else None
            state = repr((snapshot.version, space.key, where))
            begin(ExportHeader(len(ids), size, hashlib.sha256(state.encode()).hexdigest()[:32]))
        write = {"npy": _write_npy, "parquet": _write_parquet, "paths": _write_paths}[format]
        write(snapshot, space, ids, out, progress)
    return len(ids)


def npy_header(rows: int, width: int) -> bytes:
    """Return the header of an NPY file (rows, width) float32."""
    header = io.BytesIO()
    fields = {"descr": "<f4", "fortran_order": False, "shape": (rows, width)}
    np.lib.format.write_array_header_1_0(header, fields)
    return header.getvalue()


def _select(snapshot: Snapshot, extractor: str, where: str | None) -> tuple[Space, Ids]:
    """Return the space, and the ascending ids of its images that match the filter."""
    spaces = {space.name: space for space in snapshot.spaces() if space.current}
    if extractor not in spaces:
        known = ", ".join(spaces) or "none yet"
        raise UsageError(f"this library has no {extractor} vectors; it has: {known}")
    space = spaces[extractor]
    ids = snapshot.sample(space.key, max(space.count, 1))
    if where is not None:
        ids = ids[np.isin(ids, snapshot.select(where))]
    return space, ids


def _batches(space: Space, ids: Ids, progress: Progress) -> Iterator[Ids]:
    step = max(1, BATCH_BYTES // (4 * space.width))
    for start in range(0, len(ids), step):
        yield ids[start : start + step]
        progress("export", min(start + step, len(ids)), len(ids))


def _write_npy(
    snapshot: Snapshot, space: Space, ids: Ids, out: BinaryIO, progress: Progress
) -> None:
    if not len(ids):
        raise UsageError("there are no vectors to export")
    out.write(npy_header(len(ids), space.width))
    for batch in _batches(space, ids, progress):
        out.write(np.ascontiguousarray(snapshot.vectors(space.key, batch), "<f4").data)


def _write_parquet(
    snapshot: Snapshot, space: Space, ids: Ids, out: BinaryIO, progress: Progress
) -> None:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtra("Parquet needs pyarrow: pip install 'lookalike[parquet]'") from None
    schema = pa.schema(
        [
            ("id", pa.int64()),
            ("path", pa.string()),
            ("vector", pa.list_(pa.float32(), space.width)),
            ("metadata", pa.string()),
        ]
    )
    with pq.ParquetWriter(pa.PythonFile(CountingStream(out), "w"), schema) as writer:
        for batch in _batches(space, ids, progress):
            images = snapshot.images(batch.tolist())
            vectors = snapshot.vectors(space.key, batch)
            table = pa.table(
                {
                    "id": batch,
                    "path": [_text(images[id_].path) for id_ in batch.tolist()],
                    "vector": pa.FixedSizeListArray.from_arrays(
                        pa.array(vectors.reshape(-1)), space.width
                    ),
                    "metadata": [json.dumps(dict(images[id_].metadata)) for id_ in batch.tolist()],
                },
                schema=schema,
            )
            writer.write_table(table)


class CountingStream:
    """A stream that knows its position: Parquet records offsets, and a pipe has no position."""

    closed = False

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._at = 0

    def write(self, data: bytes) -> int:
        self._out.write(data)
        self._at += len(data)
        return len(data)

    def tell(self) -> int:
        return self._at

    def flush(self) -> None:
        self._out.flush()

    def close(self) -> None:
        """Do nothing: the stream belongs to the caller."""


def _text(path: str) -> str:
    """Return a path as valid Unicode, which Parquet requires."""
    return os.fsencode(path).decode("utf-8", "replace")


def _write_paths(
    snapshot: Snapshot, space: Space, ids: Ids, out: BinaryIO, progress: Progress
) -> None:
    for start in range(0, len(ids), PATH_BATCH):
        batch = ids[start : start + PATH_BATCH].tolist()
        images = snapshot.images(batch)
        for id_ in batch:
            if "\n" in images[id_].path:
                raise UsageError(f"image {id_} has a line break in its path: export to .parquet")
        lines = "".join(f"{images[id_].path}\n" for id_ in batch)
        out.write(lines.encode("utf-8", "surrogateescape"))
        progress("export", min(start + PATH_BATCH, len(ids)), len(ids))
