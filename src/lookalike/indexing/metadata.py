"""Metadata from a table beside the pictures: one row a picture, found by its path."""

from __future__ import annotations

import csv
import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TextIO, TypeAlias

from lookalike.errors import UsageError
from lookalike.indexing.sidecars import refuse_constant
from lookalike.stores.interface import Root, Snapshot, Store, Writer

CHUNK = 900  # rows a transaction

Value: TypeAlias = str | int | float | bool | None
Row: TypeAlias = tuple[str, Mapping[str, Any]]

WHOLE = re.compile(r"-?(0|[1-9]\d{0,17})")  # "007" is a name, not a number
DECIMAL = re.compile(r"-?(0|[1-9]\d*)\.\d+([eE][-+]?\d+)?")
TRUTH = {"true": True, "false": False, "TRUE": True, "FALSE": False}  # as programs write them
LINES = frozenset({".jsonl", ".ndjson", ".json"})


def value(text: str) -> Value:
    """A cell as JSON knows it: "" is None, 3 and 3.5 are numbers, true and false are themselves,
    everything else stays text, numbers too large for a float as well."""
    if not text:
        return None
    if WHOLE.fullmatch(text):
        return int(text)
    if DECIMAL.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    return TRUTH.get(text, text)


def read_table(file: Path) -> Iterator[Row]:
    """The rows of a table as (path, everything else): a CSV (UTF-8, the first line names the
    columns), or lines of JSON, an object each, where the file's name ends so. `UsageError`."""
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
    """What to do about a table in another encoding."""
    return (
        f"{file} is not a text in UTF-8 (byte 0x{error.object[error.start]:02x}): save it again as "
        "UTF-8; in Excel the type is called CSV UTF-8"
    )


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
    """What stands between the cells of a CSV that has this column: a comma, else the semicolon or tab that
    spreadsheets write where the comma is part of numbers. The table is read from its beginning."""
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
                    f"{file}, line {number}: not an object of JSON in one line ({error})"
                ) from error
            path = row.pop("path", None) if isinstance(row, dict) else None
            if not isinstance(path, str):
                raise UsageError(f'{file}, line {number}: needs an object with a text "path"')
            yield path, row


def describe(store: Store, writer: Writer, table: Path) -> tuple[int, int, str]:
    """Give pictures the metadata of a table; how many got some, how many rows name no picture, and what
    the first of these names."""
    described = unmatched_rows = 0
    example = ""
    rows = read_table(table)
    folder = table.absolute().parent
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
    """Ids of the pictures that rows mean: paths relative to the table's folder, then to a root."""
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
    """`path` below `folder` with forward slashes, None where it lies elsewhere. No file is touched."""
    try:
        return Path(path).relative_to(folder).as_posix()
    except ValueError:
        return None
