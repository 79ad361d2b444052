"""Vectors into a served library, and out of it."""

from __future__ import annotations

import io
import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray

from lookalike.ann.faiss_index import Progress, no_progress
from lookalike.client.connection import Connection, pairs
from lookalike.client.decode import space
from lookalike.client.jobs import ended
from lookalike.errors import UsageError
from lookalike.files import output_file
from lookalike.indexing.vector_import import ImportReport, check_finite, open_rows, read_paths
from lookalike.stores.records import DType
from lookalike.vectors.similarity import Similarity

MOST_BYTES = 32_000_000
"""Of one request, which is put together in memory, however much the server takes."""

FRAME_BYTES = 2000
"""Of a request, beside the vectors and their paths."""

MOST_ROWS = 100_000
"""Of one request."""

RAW = "utf-8", "surrogateescape"
"""How paths become bytes, whatever names of files are."""


class Vectors:
    """The vectors of a served library, as `Library.vectors`: `Client.vectors`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def import_vectors(
        self,
        file: Path | str,
        name: str,
        *,
        paths: Path | str | None = None,
        similarity: Similarity = "cosine",
        dtype: DType = "f32",
        ann: bool = True,
        pca: int | None = None,
        progress: Progress = no_progress,
    ) -> ImportReport:
        """As `Library.vectors.import_vectors`, and waits for the end: put the rows of an NPY file into
        the space of that name. `paths` are those below the library's folders. `progress` is told of rows.

        A file larger than the server takes in one request goes in several. All is checked before anything
        is sent, but where the connection ends between two of them, the first stay; import again then.
        `UsageError` for more than one with `pca`, which must see all rows at once.
        """
        file = Path(file)
        rows = open_rows(file)
        check_finite(rows, file)
        names = read_paths(None if paths is None else Path(paths), len(rows))
        room = min(self._connection.get("/api/info")["max_upload_bytes"], MOST_BYTES) - FRAME_BYTES
        words = {"by": name, "similarity": similarity, "dtype": dtype, "pca": pca}
        images = files = done = 0
        brought = None
        for block, lines in parcels(rows, names, name, room):
            last = done + len(block) == len(rows)
            if pca is not None and not last:
                raise UsageError(
                    f"principal components are learnt from all vectors, and {file} is larger than one "
                    "request may be: start the server with --max-upload, or import without --pca"
                )
            address = urlencode(pairs({**words, "ann": ann and last}))
            kind, body = form(vectors=npy(block), paths="".join(lines).encode(*RAW))
            answered = self._connection.fetch("POST", f"/api/vectors?{address}", body, kind)
            result = ended(self._connection, json.loads(answered))
            images, files = images + result["images"], files + result["files"]
            done += len(block)
            brought = space(result["space"])
            progress("import", done, len(rows))
        assert brought is not None  # an NPY without rows was refused
        return ImportReport(brought, images, files)

    def export_vectors(
        self,
        extractor: str,
        file: Path | str,
        *,
        paths: Path | str | None = None,
        where: str | None = None,
        progress: Progress = no_progress,
    ) -> int:
        """As `Library.vectors.export_vectors`: write the vectors of a space to an NPY file, or a Parquet file
        where the name ends in .parquet, as they come; how many. `progress` is told of bytes.
        `LibraryBusy` where the library changed between the vectors and their `paths`."""
        file = Path(file)
        form = "parquet" if file.suffix.lower() == ".parquet" else "npy"

        def watch(done: int, total: int) -> None:
            progress("export", done, total)

        with output_file(file) as out:
            told = self._connection.download(address(extractor, form, where), out, watch=watch)
        if paths is not None:
            with output_file(Path(paths)) as out:
                same = {"If-Match": told["etag"]}
                self._connection.download(address(extractor, "paths", where), out, same)
        return int(told["x-lookalike-rows"])


def parcels(
    rows: NDArray[Any], names: Iterator[str | None], name: str, room: int
) -> Iterator[tuple[NDArray[Any], list[str]]]:
    """Rows and the lines that name them, so many at a time as have room in one request, one at least."""
    wide = rows.dtype.itemsize > 4
    each = rows.shape[1] * (4 if wide else rows.dtype.itemsize)
    start, taken = 0, 0
    lines: list[str] = []
    for row in range(len(rows)):
        line = f"{next(names) or f'{name}/{row}'}\n"
        size = each + len(line.encode(*RAW))
        if lines and (taken + size > room or len(lines) == MOST_ROWS):
            yield narrowed(rows[start:row], wide), lines
            start, taken, lines = row, 0, []
        taken += size
        lines.append(line)
    yield narrowed(rows[start:], wide), lines


def narrowed(block: NDArray[Any], wide: bool) -> NDArray[Any]:
    return np.ascontiguousarray(block, np.float32 if wide else block.dtype)


def npy(block: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, block)
    return file.getvalue()


def form(**files: bytes) -> tuple[dict[str, str], bytes]:
    """A form with these files: its headers and its body."""
    mark = secrets.token_hex(16)
    parts = []
    for name, data in files.items():
        said = f'Content-Disposition: form-data; name="{name}"; filename="{name}"'
        parts += [f"--{mark}\r\n{said}\r\n\r\n".encode(), data, b"\r\n"]
    parts.append(f"--{mark}--\r\n".encode())
    return {"Content-Type": f"multipart/form-data; boundary={mark}"}, b"".join(parts)


def address(by: str, form: str, where: str | None) -> str:
    words = {"by": by, "format": form, "where": where}
    return f"/api/vectors?{urlencode(pairs(words))}"
