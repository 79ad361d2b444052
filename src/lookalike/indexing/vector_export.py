"""The vectors of a space, written to an NPY or a Parquet file for others, or poured into a stream."""

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

from lookalike.ann.faiss_index import Progress, quiet
from lookalike.errors import MissingExtra, UsageError
from lookalike.files import output_file
from lookalike.stores.interface import Ids, Snapshot, Space, Store

BATCH_BYTES = 16 << 20
"""Of vectors that are written at a time."""

MOST_ROWS = 2000
"""Images whose paths are looked up at a time."""

Form: TypeAlias = Literal["npy", "parquet", "paths"]
FORMS: tuple[Form, ...] = ("npy", "parquet", "paths")


@dataclass(frozen=True, slots=True)
class Outline:
    """What is about to be poured out.

    rows   vectors, or paths
    bytes  that will come; None where that shows only at the end
    state  equal for two outlines of the same rows in one state of the library
    """

    rows: int
    bytes: int | None
    state: str


def export_vectors(
    store: Store,
    by: str,
    file: Path,
    *,
    paths: Path | None = None,
    where: str | None = None,
    progress: Progress = quiet,
) -> int:
    """Write the vectors of a space, by rising id: an NPY (n, dim) float32, or, where the name ends in
    .parquet, a table with `id`, `path`, `vector` and `metadata` (JSON). How many.

    paths  a text file that gets the path of each row
    where  only images that fulfil this filter

    `UsageError`; `MissingExtra` for Parquet without pyarrow.
    """
    with store.snapshot() as snapshot:
        space, ids = _chosen(snapshot, by, where)
        write = _write_parquet if file.suffix.lower() == ".parquet" else _write_npy
        with output_file(file) as out:
            write(snapshot, space, ids, out, progress)
        if paths is not None:
            with output_file(paths) as out:
                _write_paths(snapshot, space, ids, out, quiet)
    return len(ids)


def stream_vectors(
    store: Store,
    by: str,
    out: BinaryIO,
    form: Form = "npy",
    *,
    where: str | None = None,
    begin: Callable[[Outline], None] | None = None,
    progress: Progress = quiet,
) -> int:
    """The same into a stream, which need not be one that can seek: "npy", "parquet", or "paths", the path
    of each row in a line. `begin` is called before the first byte. `OSError` as the stream raises it."""
    with store.snapshot() as snapshot:
        space, ids = _chosen(snapshot, by, where)
        if form == "npy" and not len(ids):
            raise UsageError("there are no vectors to export")
        if begin is not None:
            header = len(npy_header(len(ids), space.width))
            whole = header + 4 * len(ids) * space.width if form == "npy" else None
            said = repr((snapshot.version, space.key, where))
            begin(Outline(len(ids), whole, hashlib.sha256(said.encode()).hexdigest()[:32]))
        write = {"npy": _write_npy, "parquet": _write_parquet, "paths": _write_paths}[form]
        write(snapshot, space, ids, out, progress)
    return len(ids)


def npy_header(rows: int, width: int) -> bytes:
    """What stands before the numbers of an NPY file (rows, width) float32."""
    header = io.BytesIO()
    kind = {"descr": "<f4", "fortran_order": False, "shape": (rows, width)}
    np.lib.format.write_array_header_1_0(header, kind)
    return header.getvalue()


def _chosen(snapshot: Snapshot, by: str, where: str | None) -> tuple[Space, Ids]:
    """The space, and the ids of its images that fulfil the filter, rising."""
    spaces = {space.name: space for space in snapshot.spaces() if space.current}
    if by not in spaces:
        known = ", ".join(spaces) or "none yet"
        raise UsageError(f"this library has no {by} vectors; it has: {known}")
    space = spaces[by]
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
    for some in _batches(space, ids, progress):
        out.write(np.ascontiguousarray(snapshot.vectors(space.key, some), "<f4").data)


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
    with pq.ParquetWriter(pa.PythonFile(Counting(out), "w"), schema) as writer:
        for some in _batches(space, ids, progress):
            images = snapshot.images(some.tolist())
            vectors = snapshot.vectors(space.key, some)
            table = pa.table(
                {
                    "id": some,
                    "path": [_text(images[id_].path) for id_ in some.tolist()],
                    "vector": pa.FixedSizeListArray.from_arrays(
                        pa.array(vectors.reshape(-1)), space.width
                    ),
                    "metadata": [json.dumps(dict(images[id_].metadata)) for id_ in some.tolist()],
                },
                schema=schema,
            )
            writer.write_table(table)


class Counting:
    """A stream that knows how much went through it: Parquet notes places, and a pipe tells none."""

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
        """The stream is whoever's who opened it."""


def _text(path: str) -> str:
    """A path as Unicode: Parquet has no bytes that are none."""
    return os.fsencode(path).decode("utf-8", "replace")


def _write_paths(
    snapshot: Snapshot, space: Space, ids: Ids, out: BinaryIO, progress: Progress
) -> None:
    for start in range(0, len(ids), MOST_ROWS):
        some = ids[start : start + MOST_ROWS].tolist()
        images = snapshot.images(some)
        for id_ in some:
            if "\n" in images[id_].path:
                raise UsageError(f"image {id_} has a line break in its path: export to .parquet")
        lines = "".join(f"{images[id_].path}\n" for id_ in some)
        out.write(lines.encode("utf-8", "surrogateescape"))
        progress("export", min(start + MOST_ROWS, len(ids)), len(ids))
