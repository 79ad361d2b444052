"""Labelled folders: pictures together with what is known about them, for evaluation.

Two layouts are understood: a table (`manifest.csv` with the columns `path`, `label` and any
others) and a folder of folders, where the folder's name is the label.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from lookalike.errors import UsageError
from lookalike.indexing.metadata import delimiter, no_utf8

# What a folder of folders may hold besides pictures (notes, tables, thumbnails) is passed over.
_PICTURES = frozenset(
    (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".avif", ".heic", ".heif")
)


@dataclass(frozen=True, slots=True)
class Labelled:
    """One picture and its label; `others` are the table's further columns, as text."""

    path: Path
    label: str
    others: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def read_manifest(
    table: Path, *, label: str = "label", path: str = "path", unlabelled: bool = False
) -> Iterator[Labelled]:
    """The rows of a table, in its order; paths are relative to the folder that the table lies in.

    `label` and `path` name the columns to use (a catalogue's `products.csv` can be read with
    label="kind" or "product"). With `unlabelled`, rows may have an empty label. The pictures themselves
    are not looked at. Raises UsageError when the table or one of its columns is missing, or a row has
    no path or label; the text names the line.
    """
    if not table.is_file():
        raise UsageError(f"{table}: there is no such table; it needs the columns {path},{label}")
    try:
        yield from _rows(table, label, path, unlabelled)
    except UnicodeDecodeError as error:
        raise UsageError(no_utf8(table, error)) from error


def _rows(table: Path, label: str, path: str, unlabelled: bool) -> Iterator[Labelled]:
    with table.open(encoding="utf-8-sig", newline="") as lines:
        rows = csv.DictReader(lines, delimiter=delimiter(lines, path))
        for wanted in (path, label):
            if wanted not in (rows.fieldnames or ()):
                have = ", ".join(rows.fieldnames or ()) or "nothing"
                raise UsageError(f"{table}: no column {wanted!r}; its first line has: {have}")
        for row in rows:
            if not row[path] or not (row[label] or unlabelled):
                raise UsageError(f"{table}, line {rows.line_num}: the {path} or {label} is empty")
            others = {
                k: v for k, v in row.items() if isinstance(k, str) and k not in (path, label) and v
            }
            yield Labelled(table.parent / row[path], row[label] or "", MappingProxyType(others))


def read_folders(folder: Path) -> Iterator[Labelled]:
    """The pictures in the folders directly below `folder`, sorted; deeper ones take the same label.

    Hidden folders and files are passed over. Raises UsageError when there is no such folder or no
    picture in any folder below it.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder")
    found = False
    for shelf in sorted(p for p in folder.iterdir() if p.is_dir() and p.name[0] != "."):
        for picture in sorted(shelf.rglob("*")):
            hidden = any(part[0] == "." for part in picture.relative_to(folder).parts)
            if picture.suffix.lower() in _PICTURES and not hidden and picture.is_file():
                found = True
                yield Labelled(picture, shelf.name)
    if not found:
        raise UsageError(f"{folder}: no pictures in folders below it; one folder a label is needed")


def read_labelled(folder: Path) -> Iterator[Labelled]:
    """A labelled folder in either layout: by its `manifest.csv` if it has one, else by folders."""
    table = folder / "manifest.csv"
    return read_manifest(table) if table.is_file() else read_folders(folder)
