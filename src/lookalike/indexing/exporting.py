"""The vectors of a space, written to an NPY or a Parquet file for others."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

from lookalike.errors import MissingExtra, UsageError
from lookalike.stores.contract import Ids, Space, Store, View
from lookalike.vectors.ann import Progress, quiet

BATCH_BYTES = 16 << 20
"""Of vectors that are written at a time."""

MOST_ROWS = 2000
"""Images whose paths are looked up at a time."""


def take_out(
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
    with store.view() as view:
        spaces = {space.name: space for space in view.spaces() if space.current}
        if by not in spaces:
            known = ", ".join(spaces) or "none yet"
            raise UsageError(f"this library has no {by} vectors; it has: {known}")
        space = spaces[by]
        ids = view.sample(space.key, max(space.count, 1))
        if where is not None:
            ids = ids[np.isin(ids, view.select(where))]
        write = _write_parquet if file.suffix.lower() == ".parquet" else _write_npy
        try:
            write(view, space, ids, file, progress)
            if paths is not None:
                _write_paths(view, ids, paths)
        except OSError as error:
            raise UsageError(f"cannot write {error.filename or file}: {error.strerror}") from error
    return len(ids)


def _write_npy(view: View, space: Space, ids: Ids, file: Path, progress: Progress) -> None:
    part = file.with_name(f"{file.name}.part")
    shape = (len(ids), space.width)
    if not len(ids):
        raise UsageError("there are no vectors to export")
    out = np.lib.format.open_memmap(part, "w+", np.dtype("<f4"), shape)
    step = max(1, BATCH_BYTES // (4 * space.width))
    for start in range(0, len(ids), step):
        out[start : start + step] = view.vectors(space.key, ids[start : start + step])
        progress("export", min(start + step, len(ids)), len(ids))
    out.flush()
    del out
    part.replace(file)


def _write_parquet(view: View, space: Space, ids: Ids, file: Path, progress: Progress) -> None:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtra("Parquet needs pyarrow: pip install 'lookalike[parquet]'") from None
    part = file.with_name(f"{file.name}.part")
    schema = pa.schema(
        [
            ("id", pa.int64()),
            ("path", pa.string()),
            ("vector", pa.list_(pa.float32(), space.width)),
            ("metadata", pa.string()),
        ]
    )
    step = max(1, BATCH_BYTES // (4 * space.width))
    with pq.ParquetWriter(part, schema) as writer:
        for start in range(0, len(ids), step):
            some = ids[start : start + step]
            images = view.images(some.tolist())
            vectors = view.vectors(space.key, some)
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
            progress("export", min(start + step, len(ids)), len(ids))
    part.replace(file)


def _text(path: str) -> str:
    """A path as Unicode: Parquet has no bytes that are none."""
    return os.fsencode(path).decode("utf-8", "replace")


def _write_paths(view: View, ids: Ids, file: Path) -> None:
    part = file.with_name(f"{file.name}.part")
    with part.open("w", encoding="utf-8", errors="surrogateescape", newline="\n") as lines:
        for start in range(0, len(ids), MOST_ROWS):
            images = view.images(ids[start : start + MOST_ROWS].tolist())
            for id_ in ids[start : start + MOST_ROWS].tolist():
                if "\n" in images[id_].path:
                    raise UsageError(
                        f"image {id_} has a line break in its path: export to .parquet"
                    )
                lines.write(images[id_].path + "\n")
    part.replace(file)
