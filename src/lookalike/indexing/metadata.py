"""Metadata from a table beside the pictures: one row a picture, found by its path."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeAlias

from lookalike.errors import UsageError
from lookalike.stores.contract import Root, Store, View, Writer

CHUNK = 1000  # rows a transaction

Value: TypeAlias = str | int | float | None

WHOLE = re.compile(r"-?(0|[1-9]\d{0,17})")  # "007" is a name, not a number
DECIMAL = re.compile(r"-?(0|[1-9]\d*)\.\d+([eE][-+]?\d+)?")


def value(text: str) -> Value:
    """A cell as JSON knows it: "" is None, 3 and 3.5 are numbers, everything else stays text."""
    if not text:
        return None
    if WHOLE.fullmatch(text):
        return int(text)
    return float(text) if DECIMAL.fullmatch(text) else text


def read_table(file: Path) -> Iterator[tuple[str, dict[str, Value]]]:
    """The rows of a CSV (UTF-8, first line names the columns) as (path, the other columns).

    `UsageError` where the file cannot be read, is no CSV or has no column `path`.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as handle:
            rows = csv.DictReader(handle, strict=True)
            if "path" not in (rows.fieldnames or ()):
                columns = ", ".join(rows.fieldnames or ()) or "none"
                raise UsageError(f"{file} needs a column `path`; it has: {columns}")
            for number, row in enumerate(rows, start=2):
                if None in row or None in row.values():
                    raise UsageError(f"{file}, row {number}: not as many cells as the header has")
                path = row.pop("path")
                yield path, {name: value(text) for name, text in row.items()}
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{file} is not a CSV in UTF-8: {error}") from error


def describe(store: Store, writer: Writer, table: Path) -> tuple[int, int]:
    """Give pictures the metadata of a table; how many got some, and how many rows name no picture."""
    described = undescribed = 0
    rows = read_table(table)
    folder = table.absolute().parent
    while chunk := list(islice(rows, CHUNK)):
        with store.view() as view:
            roots = view.roots()
            found = [(locate(view, roots, folder, path), cells) for path, cells in chunk]
        metadata = {id: cells for id, cells in found if id is not None}
        writer.set_metadata(metadata)
        described += len(metadata)
        undescribed += sum(id is None for id, _ in found)
    return described, undescribed


def locate(view: View, roots: Sequence[Root], folder: Path, path: str) -> int | None:
    """Id of the picture that a row means: a path relative to the table's folder, then to a root."""
    for base in (folder, *(root.path for root in roots)):
        whole = os.path.normpath(base / path)
        for root in roots:
            below = relative(whole, root.path)
            image = view.lookup(root.id, below) if below is not None else None
            if image:
                return image.id
    return None


def relative(path: str | Path, folder: Path) -> str | None:
    """`path` below `folder` with forward slashes, None where it lies elsewhere. No file is touched."""
    try:
        return Path(path).relative_to(folder).as_posix()
    except ValueError:
        return None
