"""The way of vectors in and out of one library."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from lookalike.ann.faiss_index import Progress, quiet
from lookalike.indexing.ann import Ann
from lookalike.indexing.vector_export import Form, Outline, export_vectors, stream_vectors
from lookalike.indexing.vector_import import Imported, import_vectors
from lookalike.stores.interface import Store
from lookalike.stores.records import DType
from lookalike.vectors.similarity import Similarity


class Vectors:
    """See `importing.import_vectors` and `exporting.export_vectors`."""

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
        progress: Progress = quiet,
    ) -> Imported:
        """Put the rows of an NPY file into the space of that name; `ann`: build an index where the
        space is large enough for one."""
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
        by: str,
        file: Path,
        *,
        paths: Path | None = None,
        where: str | None = None,
        progress: Progress = quiet,
    ) -> int:
        """Write the vectors of a space to an NPY or a Parquet file; how many."""
        return export_vectors(self._store, by, file, paths=paths, where=where, progress=progress)

    def stream_vectors(
        self,
        by: str,
        out: BinaryIO,
        form: Form = "npy",
        *,
        where: str | None = None,
        begin: Callable[[Outline], None] | None = None,
        progress: Progress = quiet,
    ) -> int:
        """The same into a stream: a pipe, an upload; or the paths of the rows."""
        return stream_vectors(
            self._store, by, out, form, where=where, begin=begin, progress=progress
        )
