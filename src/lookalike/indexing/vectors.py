"""Import and export of the vectors of one library."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from lookalike.ann.faiss_index import Progress, no_progress
from lookalike.errors import UsageError
from lookalike.files import output_file
from lookalike.indexing.ann import Ann
from lookalike.indexing.metadata import describe
from lookalike.indexing.path_mapping import PathMapper
from lookalike.indexing.vector_export import (
    WRITERS,
    ExportFormat,
    ExportHeader,
    npy_header,
    select_images,
)
from lookalike.indexing.vector_import import (
    ImportReport,
    check_finite,
    open_rows,
    read_paths,
    row_blocks,
    space_for,
)
from lookalike.stores.interface import Store
from lookalike.stores.records import DType
from lookalike.vectors.similarity import Similarity


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
        similarity: Similarity = "cosine",
        dtype: DType = "f32",
        ann: bool = True,
        pca: int | None = None,
        untrusted_paths: bool = False,
        progress: Progress = no_progress,
    ) -> ImportReport:
        """Import the rows of an NPY file (n, dim) into the space of that name, creating it if necessary.

        paths            a text file with one path per line, in the order of the rows; relative paths are
                         relative to its folder. None: the images are called NAME/0, NAME/1, …
        metadata         a table as for `index --metadata`
        ann              afterwards, build an ANN index where the space is large enough for one
        pca              store this many principal components, learned from a sample of the rows; an existing
                         space keeps its own
        untrusted_paths  `paths` are relative to the library's roots and refer to no hidden file and no file
                         elsewhere

        An image in the library keeps its other vectors. Everything is checked before anything is stored.
        Raises UsageError for what cannot be imported.
        """
        rows = open_rows(file)
        names = read_paths(paths, len(rows), untrusted_paths=untrusted_paths)
        check_finite(rows, file, progress)
        with self._store.writer() as writer:
            with self._store.snapshot() as snapshot:
                space = space_for(snapshot, name, rows, similarity, dtype, file, pca)
            writer.add_space(space)
            folder = None if untrusted_paths or paths is None else paths.absolute().parent
            mapper = PathMapper(self._store, writer, folder, name, untrusted_paths=untrusted_paths)
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
            described, unmatched_rows, _ = (
                describe(self._store, writer, metadata) if metadata else (0, 0, "")
            )
        with self._store.snapshot() as snapshot:  # the space with its new vectors
            space = next(other for other in snapshot.spaces() if other.key == space.key)
        if ann:
            Ann(self._store).build_due(progress=progress)
        return ImportReport(space, done, files, described, unmatched_rows)

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
