"""Import and export of the vectors of one library."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias, get_args

import numpy as np

from lookalike.ann.faiss_index import Progress, no_progress
from lookalike.errors import MissingExtra, UsageError
from lookalike.field_options import check_choice
from lookalike.files import output_file
from lookalike.indexing.ann import Ann
from lookalike.indexing.import_space import check_name, check_range, space_for
from lookalike.indexing.metadata import Described, describe, mixed_notes
from lookalike.indexing.tables import PATH_COLUMN, check_table
from lookalike.indexing.vector_import import (
    ImportReport,
    PathMapper,
    check_finite,
    open_rows,
    read_paths,
    repeated_paths,
    row_blocks,
)
from lookalike.stores.interface import Ids, Snapshot, Space, Store
from lookalike.stores.records import DType, missing_vectors
from lookalike.vectors.similarity import Similarity

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
        raise missing_vectors(extractor, spaces)
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
        """Write and count bytes."""
        self._out.write(data)
        self._at += len(data)
        return len(data)

    def tell(self) -> int:
        """Return the number of bytes written."""
        return self._at

    def flush(self) -> None:
        """Flush the underlying stream."""
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


class Vectors:
    """Imports and exports vectors; `library.vectors`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def import_vectors(
        self,
        file: Path,
        name: str,
        *,
        paths: Path | None = None,
        metadata: Path | None = None,
        path_column: str = PATH_COLUMN,
        replace_metadata: bool = False,
        similarity: Similarity | None = None,
        dtype: DType | None = None,
        ann: bool = True,
        pca: int | None = None,
        untrusted_paths: bool = False,
        progress: Progress = no_progress,
    ) -> ImportReport:
        """Import the rows of an NPY file (n, dim) into the space of that name, creating it if necessary.

        paths             a text file with one path per line, in the order of the rows; relative paths are
                          relative to its folder. None: the images are called NAME/0, NAME/1, …
        metadata          a table as for `index --metadata`; `path_column` and `replace_metadata` as there
        similarity        None: that of an existing space, else "cosine"
        dtype             None: that of an existing space, else "f32"
        ann               afterwards, build an ANN index where the space is large enough for one
        pca               store this many principal components, learned from a sample of the rows; an existing
                          space keeps its own
        untrusted_paths   `paths` are relative to the library's roots and refer to no hidden file and no file
                          elsewhere

        An image in the library keeps its other vectors. Everything is checked before anything is stored, and
        what stops the import later (a full disk, Ctrl-C, a kill) leaves no new image and no new space.
        Raises UsageError for what cannot be imported.
        """
        check_name(name)
        rows = open_rows(file)
        names = read_paths(paths, len(rows), untrusted_paths=untrusted_paths)
        repeated, example = repeated_paths(paths)
        table = None if metadata is None else check_table(metadata, path_column)
        check_finite(rows, file, progress)
        with self._store.writer() as writer:
            with self._store.snapshot() as snapshot:
                space = space_for(snapshot, name, rows, similarity, dtype, file, pca)
            check_range(rows, space, file)
            with writer.all_or_nothing():
                writer.add_space(space)
                folder = None if untrusted_paths or paths is None else paths.absolute().parent
                mapper = PathMapper(
                    self._store, writer, folder, name, untrusted_paths=untrusted_paths
                )
                projection = space.projection
                done = files = 0
                for start, block in row_blocks(rows):
                    batch = list(islice(names, len(block)))
                    if projection is not None:
                        block = projection.apply(block, similarity=space.similarity)
                    entries = mapper.entries(batch, block, start, space.key)
                    writer.put(entries)
                    files += sum(entry.size > 0 for entry in entries)
                    done += len(entries)
                    progress("import", done, len(rows))
                described = Described()
                if table is not None:
                    described = describe(self._store, writer, table, replace=replace_metadata)
        with self._store.snapshot() as snapshot:  # the space with its new vectors
            space = next(other for other in snapshot.spaces() if other.key == space.key)
            mixed = mixed_notes(snapshot, described.fields)
        if ann:
            Ann(self._store).build_due(progress=progress)
        return ImportReport(
            space,
            done - repeated,
            files,
            described=described.images,
            unmatched_rows=described.unmatched,
            unmatched_example=described.example,
            repeated_paths=repeated,
            repeated_example=example,
            repeated_rows=described.repeated,
            table_notes=() if table is None else (*table.notes, *mixed),
        )

    def drop(self, extractor: str) -> int:
        """Delete all vectors of an extractor, and the images known by name only that have no others.

        Returns the number of these images. All other images, and all files, stay. `UsageError` for an
        extractor whose vectors the library lacks.
        """
        with self._store.writer() as writer:
            return writer.drop_space(extractor)

    def export_vectors(
        self,
        extractor: str,
        file: Path,
        *,
        paths: Path | None = None,
        where: str | None = None,
        progress: Progress = no_progress,
    ) -> int:
        """Write the vectors of a space to a file, ordered by image id, and return how many.

        The file is an NPY array (n, dim) float32, or, where its name ends in .parquet, a table with `id`,
        `path`, `vector` and `metadata` (JSON).

        paths  a text file that gets the path of each row
        where  filter: only images that match it

        Raises UsageError; MissingExtra for Parquet without pyarrow.
        """
        with self._store.snapshot() as snapshot:
            space, ids = select_images(snapshot, extractor, where)
            format_: ExportFormat = "parquet" if file.suffix.lower() == ".parquet" else "npy"
            with output_file(file) as out:
                WRITERS[format_](snapshot, space, ids, out, progress)
            if paths is not None:
                with output_file(paths) as out:
                    WRITERS["paths"](snapshot, space, ids, out, no_progress)
        return len(ids)

    def stream_vectors(
        self,
        extractor: str,
        out: BinaryIO,
        format: ExportFormat = "npy",
        *,
        where: str | None = None,
        begin: Callable[[ExportHeader], None] | None = None,
        progress: Progress = no_progress,
    ) -> int:
        """Write the vectors of a space to a stream, which need not be seekable, and return how many.

        The format "paths" writes the path of each row on a line. `begin` is called before the first byte.
        OSError of the stream is raised.
        """
        check_choice("format", format, get_args(ExportFormat))
        with self._store.snapshot() as snapshot:
            space, ids = select_images(snapshot, extractor, where)
            if format == "npy" and not len(ids):
                raise UsageError("there are no vectors to export")
            if begin is not None:
                header = len(npy_header(len(ids), space.width))
                size = header + 4 * len(ids) * space.width if format == "npy" else None
                state = repr((snapshot.version, space.key, where))
                begin(ExportHeader(len(ids), size, hashlib.sha256(state.encode()).hexdigest()[:32]))
            WRITERS[format](snapshot, space, ids, out, progress)
        return len(ids)
