"""Metadata from a table with one row per image: a file, a data frame or a list of dicts."""

from __future__ import annotations

import csv
import datetime
import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TextIO, TypeAlias

from lookalike.errors import UsageError
from lookalike.indexing.report import ArrowTable, DataFrame, Table
from lookalike.indexing.sidecars import refuse_constant
from lookalike.stores.interface import Root, Snapshot, Store, Writer

CHUNK = 900  # rows per transaction

Value: TypeAlias = str | int | float | bool | None
Row: TypeAlias = tuple[str, Mapping[str, Any]]

WHOLE = re.compile(r"-?(0|[1-9]\d{0,17})")  # "007" is a name, not a number
DECIMAL = re.compile(r"-?(0|[1-9]\d*)\.\d+([eE][-+]?\d+)?")
TRUTH = {"true": True, "false": False, "TRUE": True, "FALSE": False}  # as programs write them
LINES = frozenset({".jsonl", ".ndjson", ".json"})


def value(text: str) -> Value:
    """Return a cell of a CSV as a JSON value.

    "" is None, 3 and 3.5 are numbers, true and false are booleans; everything else stays text, also
    numbers too large for a float.
    """
    if not text:
        return None
    if WHOLE.fullmatch(text):
        return int(text)
    if DECIMAL.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    return TRUTH.get(text, text)


def read_table(table: Table) -> Iterator[Row]:
    """Yield the rows of a table as (path, other columns); `UsageError` if it cannot be read.

    A file is a CSV in UTF-8 whose first line names the columns, or has a JSON object on each line if
    its name ends with .jsonl, .ndjson or .json.
    """
    if not isinstance(table, Path | str):
        yield from _rows_in_memory(table)
        return
    file = Path(table)
    try:
        if file.suffix.lower() in LINES:
            yield from _objects(file)
        else:
            yield from _cells(file)
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(no_utf8(file, error)) from error


def no_utf8(file: Path, error: UnicodeDecodeError) -> str:
    """Return the message for a table in another encoding."""
    return (
        f"{file} is not text in UTF-8 (byte 0x{error.object[error.start]:02x}): save it again as "
        "UTF-8; in Excel the type is called CSV UTF-8"
    )


def _rows_in_memory(table: Iterable[Mapping[str, Any]] | DataFrame | ArrowTable) -> Iterator[Row]:
    rows: Iterable[Any] = table  # type: ignore[assignment]
    if isinstance(table, ArrowTable):
        rows = table.to_pylist()
    elif isinstance(table, DataFrame):
        rows = table.to_dict("records")
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, Mapping) or not isinstance(row.get("path"), str | Path):
            raise UsageError(f"metadata, row {number}: needs a mapping with a `path`")
        cells = {str(name): json_value(cell) for name, cell in row.items() if name != "path"}
        yield os.fspath(row["path"]), cells


def json_value(cell: Any) -> Any:
    """Return a cell of a data frame as a JSON value: missing values are None, dates are ISO 8601."""
    if cell is None or type(cell).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(cell, bool | int | str):
        return cell
    if isinstance(cell, float):
        return cell if math.isfinite(cell) else None
    if isinstance(cell, datetime.date):
        return cell.isoformat()
    if isinstance(cell, Mapping):
        return {str(name): json_value(one) for name, one in cell.items()}
    if isinstance(cell, list | tuple):
        return [json_value(one) for one in cell]
    if hasattr(cell, "tolist"):  # numbers and arrays of NumPy
        return json_value(cell.tolist())
    return str(cell)


def _cells(file: Path) -> Iterator[Row]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as handle:
            rows = csv.DictReader(handle, delimiter=delimiter(handle), strict=True)
            if "path" not in (rows.fieldnames or ()):
                columns = ", ".join(rows.fieldnames or ()) or "none"
                raise UsageError(f"{file} needs a column `path`; it has: {columns}")
            for number, row in enumerate(rows, start=2):
                if None in row or None in row.values():
                    raise UsageError(f"{file}, row {number}: not as many cells as the header has")
                path = row.pop("path")
                yield path, {name: value(text) for name, text in row.items()}
    except csv.Error as error:
        raise UsageError(f"{file} is not a CSV in UTF-8: {error}") from error


def delimiter(table: TextIO, column: str = "path") -> str:
    """Return the delimiter of a CSV that has this column, read from its beginning.

    A comma, else the semicolon or tab that spreadsheets write where numbers have decimal commas.
    """
    header = table.readline()
    table.seek(0)
    for mark in (",", ";", "\t"):
        if column in next(csv.reader([header], delimiter=mark), []):
            return mark
    return ","


def _objects(file: Path) -> Iterator[Row]:
    with file.open(encoding="utf-8-sig") as handle:
        for number, line in enumerate(handle, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line, parse_constant=refuse_constant)
            except (ValueError, RecursionError) as error:
                raise UsageError(
                    f"{file}, line {number}: not a JSON object on one line ({error})"
                ) from error
            path = row.pop("path", None) if isinstance(row, dict) else None
            if not isinstance(path, str):
                raise UsageError(f'{file}, line {number}: needs an object with a string "path"')
            yield path, row


def describe(store: Store, writer: Writer, table: Table) -> tuple[int, int, str]:
    """Store the metadata of a table.

    Returns how many images got metadata, how many rows match no image, and the path of the first of these.
    """
    described = unmatched_rows = 0
    example = ""
    rows = read_table(table)
    folder = Path(table).absolute().parent if isinstance(table, Path | str) else Path.cwd()
    while chunk := list(islice(rows, CHUNK)):
        with store.snapshot() as snapshot:
            found = locate(snapshot, snapshot.roots(), folder, [path for path, _ in chunk])
        metadata = {found[path]: cells for path, cells in chunk if path in found}
        writer.set_metadata(metadata)
        described += len(metadata)
        missing = [path for path, _ in chunk if path not in found]
        unmatched_rows += len(missing)
        example = example or next(iter(missing), "")
    return described, unmatched_rows, example


def locate(
    snapshot: Snapshot, roots: Sequence[Root], folder: Path, paths: Sequence[str]
) -> dict[str, int]:
    """Return the ids of images by paths, which are relative to the table's folder, or else to a root."""
    found: dict[str, int] = {}
    for base in (folder, *(root.path for root in roots)):
        for root in roots:
            below: dict[str, str] = {}
            for path in paths:
                if path not in found:
                    place = relative(os.path.normpath(base / path), root.path)
                    if place is not None:
                        below[path] = place
            known = snapshot.file_states(root.id, list(set(below.values())))
            found |= {path: known[place].id for path, place in below.items() if place in known}
    return found


def relative(path: str | Path, folder: Path) -> str | None:
    """Return `path` relative to `folder` with forward slashes, None if it is elsewhere. Reads no file."""
    try:
        return Path(path).relative_to(folder).as_posix()
    except ValueError:
        return None
