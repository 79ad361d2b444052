"""Writes vectors as NPY or Parquet, and their paths as text, to a file or a stream."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Literal, TypeAlias

import numpy as np

from lookalike.ann.faiss_index import Progress
from lookalike.errors import MissingExtra, UsageError
from lookalike.stores.interface import Ids, Snapshot, Space

# Bytes of vectors written at a time.
BATCH_BYTES = 16 << 20

# Images whose paths are looked up at a time.
PATH_BATCH = 2000

ExportFormat: TypeAlias = Literal["npy", "parquet", "paths"]


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


def npy_header(rows: int, width: int) -> bytes:
    """Return the header of an NPY file (rows, width) float32."""
    header = io.BytesIO()
    fields = {"descr": "<f4", "fortran_order": False, "shape": (rows, width)}
    np.lib.format.write_array_header_1_0(header, fields)
    return header.getvalue()


def select_images(snapshot: Snapshot, extractor: str, where: str | None) -> tuple[Space, Ids]:
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


Writer: TypeAlias = Callable[[Snapshot, Space, Ids, BinaryIO, Progress], None]

WRITERS: Mapping[ExportFormat, Writer] = {
    "npy": _write_npy,
    "parquet": _write_parquet,
    "paths": _write_paths,
}
"""The function that writes each format to a stream."""
