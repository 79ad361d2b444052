"""The vectors of a served library: import, export, and their ANN indexes."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.ann.faiss_index import Progress, no_progress
from lookalike.client.connection import Connection, report_stages, wait_for
from lookalike.errors import UsageError
from lookalike.files import output_file
from lookalike.indexing.ann import CHECK_QUERIES, CheckResult
from lookalike.indexing.import_space import check_name
from lookalike.indexing.vector_import import (
    ImportReport,
    check_finite,
    open_rows,
    read_paths,
    repeated_paths,
)
from lookalike.stores.ann_index import Index, IndexBuildOptions, IndexCheck
from lookalike.stores.records import DType
from lookalike.vectors.similarity import Similarity
from lookalike.wire import decode
from lookalike.wire.http import CheckHistory

# Of one request, which is built in memory, however much the server accepts.
MAX_REQUEST_BYTES = 32_000_000
MAX_REQUEST_ROWS = 100_000

# Bytes of a request beside the vectors and their paths.
OVERHEAD_BYTES = 2000

# How paths become bytes, whatever their names are.
PATH_ENCODING = "utf-8", "surrogateescape"


class Vectors:
    """The vectors of a served library, as `Library.vectors`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def import_vectors(
        self,
        file: Path | str,
        name: str,
        *,
        paths: Path | str | None = None,
        similarity: Similarity | None = None,
        dtype: DType | None = None,
        ann: bool = True,
        pca: int | None = None,
        progress: Progress = no_progress,
    ) -> ImportReport:
        """Import the rows of an NPY file into the space of that name, as `Library.vectors.import_vectors`,
        and wait for the end. `paths` are below the library's folders. `progress` counts rows.

        A file larger than one request may be is sent in several. Everything is checked before anything is
        sent; but if the connection is lost between two requests, the first stay: import again then.
        `UsageError` for more than one request with `pca`, which must see all rows at once.
        """
        file = Path(file)
        rows = open_rows(file)
        check_finite(rows, file)
        names = read_paths(None if paths is None else Path(paths), len(rows))
        limit = self._connection.get("/api/info")["max_upload_bytes"]
        max_bytes = min(limit, MAX_REQUEST_BYTES) - OVERHEAD_BYTES
        params = {"extractor": name, "similarity": similarity, "dtype": dtype, "pca": pca}
        images = files = done = 0
        check_name(name)
        repeated, example = repeated_paths(None if paths is None else Path(paths))
        space = None
        for block, lines in request_parts(rows, names, name, max_bytes):
            last = done + len(block) == len(rows)
            if pca is not None and not last:
                raise UsageError(
                    f"principal components are computed from all vectors, and {file} is larger than one "
                    "request may be: start the server with --max-upload, or import without --pca"
                )
            job = self._connection.request(
                "POST",
                "/api/vectors",
                params={**params, "ann": ann and last},
                files={
                    "vectors": npy_bytes(block),
                    "paths": "".join(lines).encode(*PATH_ENCODING),
                },
            )
            imported = decode(ImportReport, wait_for(self._connection, json.loads(job)))
            images, files = images + imported.images, files + imported.files
            done += len(block)
            space = imported.space
            progress("import", done, len(rows))
        assert space is not None  # an NPY file without rows was refused
        return ImportReport(space, images, files, repeated_paths=repeated, repeated_example=example)

    def drop(self, extractor: str) -> int:
        """Delete all vectors of an extractor, as `Library.vectors.drop`."""
        answer = self._connection.request("DELETE", "/api/vectors", params={"extractor": extractor})
        return int(json.loads(answer)["images"])

    def export_vectors(
        self,
        extractor: str,
        file: Path | str,
        *,
        paths: Path | str | None = None,
        where: str | None = None,
        progress: Progress = no_progress,
    ) -> int:
        """Write the vectors of a space to an NPY file, or to a Parquet file if the name ends in .parquet, as
        `Library.vectors.export_vectors`, and return their number. They are streamed. `progress` counts bytes.
        `LibraryBusy` if the library changed between the vectors and their `paths`."""
        file = Path(file)
        params = {"extractor": extractor, "where": where}
        format = "parquet" if file.suffix.lower() == ".parquet" else "npy"
        with output_file(file) as out:
            headers = self._connection.download(
                "/api/vectors",
                out,
                params={**params, "format": format},
                progress=lambda done, total: progress("export", done, total),
            )
        if paths is not None:
            with output_file(Path(paths)) as out:
                self._connection.download(
                    "/api/vectors",
                    out,
                    params={**params, "format": "paths"},
                    headers={"If-Match": headers["etag"]},
                )
        return int(headers["x-lookalike-rows"])


def request_parts(
    rows: NDArray[Any], names: Iterator[str | None], name: str, max_bytes: int
) -> Iterator[tuple[NDArray[Any], list[str]]]:
    """Yield rows and the lines that name them, as many as fit into one request, at least one."""
    wide = rows.dtype.itemsize > 4
    row_bytes = rows.shape[1] * (4 if wide else rows.dtype.itemsize)
    start, size = 0, 0
    lines: list[str] = []
    for row in range(len(rows)):
        line = f"{next(names) or f'{name}/{row}'}\n"
        added = row_bytes + len(line.encode(*PATH_ENCODING))
        if lines and (size + added > max_bytes or len(lines) == MAX_REQUEST_ROWS):
            yield as_float(rows[start:row], wide), lines
            start, size, lines = row, 0, []
        size += added
        lines.append(line)
    yield as_float(rows[start:], wide), lines


def as_float(block: NDArray[Any], wide: bool) -> NDArray[Any]:
    """Return rows as float32 if they are wider."""
    return np.ascontiguousarray(block, np.float32 if wide else block.dtype)


def npy_bytes(block: NDArray[Any]) -> bytes:
    """Return an array as the bytes of an NPY file."""
    file = io.BytesIO()
    np.save(file, block)
    return file.getvalue()


class Ann:
    """The ANN indexes of a served library, as `Library.ann`. `Client.info` tells of each space what its
    index is."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def build(
        self,
        extractor: str | None = None,
        options: IndexBuildOptions | None = None,
        *,
        progress: Progress = no_progress,
    ) -> dict[str, Index]:
        """Build indexes as `Library.ann.build` does, and wait for the end. The server chooses recipe and
        threads: `UsageError` if they are given."""
        options = options or IndexBuildOptions()
        if options.recipe is not None or options.threads is not None:
            raise UsageError("over HTTP the server chooses recipe and threads: leave them out")
        request = {"extractor": extractor, "target": options.target, "memory": options.memory}
        job = self._connection.send("POST", "/api/ann", request)
        built = wait_for(self._connection, job, report_stages(progress))
        return {name: decode(Index, one) for name, one in built.items()}

    def remove(self, extractor: str | None = None) -> list[str]:
        """Search exactly from now on, as `Library.ann.remove`; return the names of the spaces that had an
        index."""
        return list(
            self._connection.send("DELETE", "/api/ann", {"extractor": extractor})["removed"]
        )

    def check(
        self,
        extractor: str | None = None,
        *,
        queries: int = CHECK_QUERIES,
        rebuild: bool = True,
        progress: Progress = no_progress,
    ) -> list[CheckResult]:
        """Measure indexes as `Library.ann.check` does, and wait for the end."""
        request = {"extractor": extractor, "queries": queries, "rebuild": rebuild}
        job = self._connection.send("POST", "/api/ann/check", request)
        found = wait_for(self._connection, job, report_stages(progress))
        return [decode(CheckResult, one) for one in found["results"]]

    def history(self, extractor: str) -> list[IndexCheck]:
        """Return all measurements of a space's index, oldest first."""
        document = self._connection.get("/api/ann/history", {"extractor": extractor})
        return list(decode(CheckHistory, document).checks)
