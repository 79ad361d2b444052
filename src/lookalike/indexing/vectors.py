"""Import and export of the vectors of one library."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from lookalike.ann.faiss_index import Progress, no_progress
from lookalike.indexing.ann import Ann
from lookalike.indexing.vector_export import (
    ExportFormat,
    ExportHeader,
    export_vectors,
    stream_vectors,
)
from lookalike.indexing.vector_import import ImportReport, import_vectors
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
        """Import the rows of an NPY file into the space of that name; see `vector_import.import_vectors`.

        ann  afterwards, build an ANN index where the space is large enough for one
        """
        imported = import_vectors(
            self._store,
            file,
            name,
            paths=paths,
            metadata=metadata,
            similarity=similarity,
            dtype=dtype,
            pca=pca,
            untrusted_paths=untrusted_paths,
            progress=progress,
        )
        if ann:
            Ann(self._store).build_due(progress=progress)
        return imported

    def export_vectors(
        self,
        extractor: str,
        file: Path,
        *,
        paths: Path | None = None,
        where: str | None = None,
        progress: Progress = no_progress,
    ) -> int:
        """Write the vectors of a space to an NPY or Parquet file, and return how many."""
        return export_vectors(
            self._store, extractor, file, paths=paths, where=where, progress=progress
        )

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
        """Write the vectors of a space, or the paths of its rows, to a stream such as a pipe."""
        return stream_vectors(
            self._store, extractor, out, format, where=where, begin=begin, progress=progress
        )
