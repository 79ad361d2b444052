"""Ground truth from folders, label tables, metadata and relevance judgements; and labelled image folders."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from lookalike.errors import UsageError
from lookalike.evaluation.collection import Collection
from lookalike.evaluation.ground_truth import GroundTruth, Relevant, names_note, truth_by_labels
from lookalike.evaluation.trec import Qrels, read_qrels
from lookalike.indexing.tables import delimiter, no_utf8
from lookalike.stores.interface import Snapshot

FOLDERS = "folders"
# Prefix of the metadata field that holds the labels.
FIELD = "field:"

_TABLE = re.compile(r"(?P<file>.+\.[ct]sv)(?::(?P<column>[^:\\/]+))?", re.IGNORECASE)

# Other files in labelled folders (notes, tables) are skipped.
_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".avif", ".heic", ".heif")
)


def load_ground_truth(
    labels: str, collection: Collection, *, folder: Path, snapshot: Snapshot | None = None
) -> GroundTruth:
    """Return the ground truth that `--labels` names.

    labels  "folders": the first folder of each path is the label
            "field:NAME": a metadata field; needs `snapshot`
            "FILE.csv" or "FILE.csv:COLUMN": a table with the columns path and label (or COLUMN)
            any other file: relevance judgements (TREC qrels)
    folder  where files are looked up, besides the working directory
    """
    if labels == FOLDERS:
        return from_folders(collection)
    if labels.startswith(FIELD) and snapshot is not None:
        return from_field(snapshot, collection, labels.removeprefix(FIELD))
    table = _TABLE.fullmatch(labels)
    file = _find_file(Path(table["file"] if table else labels), folder)
    if table:
        return from_table(file, collection, column=table["column"] or "label")
    return from_qrels(read_qrels(file), collection, file=file)


def check_labels(labels: str, folder: Path) -> None:
    """Raise UsageError if `labels` names a missing file. Cheap: call it before images are read."""
    if labels != FOLDERS and not labels.startswith(FIELD):
        table = _TABLE.fullmatch(labels)
        _find_file(Path(table["file"] if table else labels), folder)


def _find_file(file: Path, folder: Path) -> Path:
    for candidate in (file, folder / file):
        if candidate.is_file():
            return candidate
    raise UsageError(f"there is no file {file}, neither here nor in {folder}")


def from_folders(collection: Collection) -> GroundTruth:
    """Use the first folder of each path as its label."""
    made = truth_by_labels(collection.first_folders, collection.names)
    _require_two_labels(collection.first_folders, "the first folder of each path is the label")
    return replace(made, source="folders")


def from_field(snapshot: Snapshot, collection: Collection, name: str) -> GroundTruth:
    """Use a metadata field, or a field of the file such as the camera, as the label.

    Raises UsageError that lists the existing fields if no image has this one.
    """
    images = snapshot.images(collection.ids.tolist())
    ordered = [images[id] for id in collection.ids.tolist()]
    values = [image.metadata.get(name, image.facts.get(name)) for image in ordered]
    if all(value is None for value in values):
        known = ", ".join(sorted(snapshot.fields())) or "none"
        raise UsageError(
            f"no image has the field {name!r} (existing fields: {known}); "
            f"use a table instead: --labels FILE.csv:{name}"
        )
    labels = [None if value is None else str(value) for value in values]
    made = truth_by_labels(labels, collection.names)
    _require_two_labels(labels, "another field may distinguish them")
    return replace(made, source=f"field {name}")


def from_table(file: Path, collection: Collection, *, column: str = "label") -> GroundTruth:
    """Use a column of a table as the label; its paths are relative to the table's folder.

    Rows that name no image of the collection are noted, and images without a row have no label.
    """
    labels: list[str | None] = [None] * len(collection)
    missing: list[str] = []
    folder = file.parent.resolve()
    for row in read_manifest(file, label=column, unlabelled=True):
        path = os.path.relpath(row.path, file.parent)
        at = collection.row_of_file(folder / path)
        at = collection.row(path) if at is None else at
        if at is None:
            missing.append(path)
        elif labels[at] not in (None, row.label):
            raise UsageError(
                f"{file}: {collection.names[at]} has two labels, {labels[at]!r} and {row.label!r}"
            )
        else:
            labels[at] = row.label
    if missing and not any(labels):
        raise UsageError(
            f"none of the {len(missing)} paths of {file} ({missing[0]}, …) is an indexed image: they "
            "are looked up relative to the table's folder and to the library's"
        )
    notes = names_note(
        missing,
        "row of the table names no indexed image",
        "rows of the table name no indexed image",
    )
    try:
        made = truth_by_labels(labels, collection.names)
    except UsageError as error:
        raise UsageError("; ".join([str(error), *map(str, notes)])) from error
    _require_two_labels(labels, f"another column of {file.name} may distinguish them")
    return replace(made, notes=(*notes, *made.notes), source=f"{file.name}, column {column}")


def from_qrels(qrels: Qrels, collection: Collection, *, file: Path) -> GroundTruth:
    """Use relevance judgements.

    Queries are images of the collection, or files beside the judgements. Relevant images outside the
    collection count as not found, as in trec_eval.

    Raises UsageError if no query is left that can be run and has a relevant image.
    """
    folders = [file.parent.resolve(), Path.cwd()]
    queries: list[tuple[str, int]] = []
    groups: list[Relevant] = []
    judged: list[np.ndarray] = []
    files: dict[int, Path] = {}
    unknown: list[str] = []
    empty: list[str] = []
    absent: list[str] = []
    for name, grades in qrels.items():
        if not any(grade > 0 for grade in grades.values()):
            empty.append(name)
            continue
        row = collection.row(name, folders)
        outside = None if row is not None else _existing(name, folders)
        if row is None and outside is None and collection.files is not None:
            unknown.append(name)
            continue
        if outside is not None:
            files[len(queries)] = outside
        rows = {document: collection.row(document, folders) for document in grades}
        absent += [d for d, at in rows.items() if at is None and grades[d] > 0]
        queries.append((name, -1 if row is None else row))
        groups.append(_relevant(grades, rows))
        judged.append(np.array(sorted(at for at in rows.values() if at is not None), np.int64))
    notes = [
        *names_note(
            unknown,
            "query is neither an indexed image nor a file beside the judgements: left out",
            "queries are neither indexed images nor files beside the judgements: left out",
        ),
        *names_note(
            empty,
            "query has no relevant image: left out",
            "queries have no relevant image: left out",
        ),
        *names_note(
            absent,
            "relevant image is not indexed: it counts as not found",
            "relevant images are not indexed: they count as not found",
        ),
    ]
    if not queries:
        reasons = "; ".join(map(str, notes))
        raise UsageError(f"no query of {file} can be evaluated: {reasons}")
    return GroundTruth(
        names=tuple(name for name, _ in queries),
        rows=np.array([row for _, row in queries], np.int64),
        groups=tuple(groups),
        group=np.arange(len(queries), dtype=np.int64),
        judged=tuple(judged),
        files=files,
        notes=tuple(notes),
        source=file.name,
    )


def to_qrels(truth: GroundTruth, collection: Collection) -> Qrels:
    """Return the relevant images of every query that are in the collection, as judgements."""
    found: Qrels = {}
    for at, name in enumerate(truth.names):
        relevant = truth.relevant(at)
        rows, gains = relevant.rows.tolist(), relevant.gains.tolist()
        found[name] = {
            collection.names[row]: int(gain) for row, gain in zip(rows, gains, strict=True)
        }
    return found


def _relevant(grades: Mapping[str, int], rows: Mapping[str, int | None]) -> Relevant:
    """Return the relevant images; of two names of one image the larger grade counts."""
    gains: dict[int, float] = {}
    absent: list[float] = []
    for document, grade in grades.items():
        row = rows[document]
        if grade > 0 and row is None:
            absent.append(float(grade))
        elif grade > 0 and row is not None:
            gains[row] = max(float(grade), gains.get(row, 0.0))
    found = np.array(sorted(gains), np.int64)
    return Relevant(found, np.array([gains[row] for row in found.tolist()]), np.array(absent))


def _existing(name: str, folders: list[Path]) -> Path | None:
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def _require_two_labels(labels: Sequence[str | None], hint: str) -> None:
    """Raise UsageError if all images have one label, because every ranking would be perfect."""
    if len(set(labels)) == 1:
        raise UsageError(
            f"all {len(labels):,} images have the same label, {labels[0]!r}, so every ranking is "
            f"perfect: {hint}"
        )


# ---- labelled folders ----


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """One image file and its label; `others` are the table's further columns as text."""

    path: Path
    label: str
    others: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def read_manifest(
    table: Path, *, label: str = "label", path: str = "path", unlabelled: bool = False
) -> Iterator[LabelledImage]:
    """Yield the rows of a table in order; paths are relative to the table's folder.

    label, path  names of the columns (a catalogue's `products.csv` can be read with label="kind")
    unlabelled   accept rows with an empty label

    The image files are not opened. Raises UsageError if the table or a column is missing, or a row has no
    path or label; the message names the line.
    """
    if not table.is_file():
        raise UsageError(f"{table}: there is no such table; it needs the columns {path},{label}")
    try:
        yield from _manifest_rows(table, label, path, unlabelled)
    except UnicodeDecodeError as error:
        raise UsageError(no_utf8(table, error)) from error


def _manifest_rows(table: Path, label: str, path: str, unlabelled: bool) -> Iterator[LabelledImage]:
    with table.open(encoding="utf-8-sig", newline="") as lines:
        rows = csv.DictReader(lines, delimiter=delimiter(lines, path))
        for wanted in (path, label):
            if wanted not in (rows.fieldnames or ()):
                have = " ".join(", ".join(rows.fieldnames or ()).split()) or "nothing"
                raise UsageError(f"{table}: no column {wanted!r}; its first line has: {have}")
        for row in rows:
            if not row[path] or not (row[label] or unlabelled):
                raise UsageError(f"{table}, line {rows.line_num}: the {path} or {label} is empty")
            others = {
                k: v for k, v in row.items() if isinstance(k, str) and k not in (path, label) and v
            }
            yield LabelledImage(
                table.parent / row[path], row[label] or "", MappingProxyType(others)
            )


def read_folders(folder: Path) -> Iterator[LabelledImage]:
    """Yield the images below each subfolder, sorted; the subfolder's name is the label.

    Hidden folders and files are skipped. Raises UsageError if there is no such folder or no image.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder")
    found = False
    for subfolder in sorted(p for p in folder.iterdir() if p.is_dir() and p.name[0] != "."):
        for file in sorted(subfolder.rglob("*")):
            hidden = any(part[0] == "." for part in file.relative_to(folder).parts)
            if file.suffix.lower() in _SUFFIXES and not hidden and file.is_file():
                found = True
                yield LabelledImage(file, subfolder.name)
    if not found:
        raise UsageError(f"{folder}: no images in subfolders; make one subfolder per label")


def read_labelled(folder: Path) -> Iterator[LabelledImage]:
    """Yield the images of a labelled folder: by its `manifest.csv` if it has one, else by subfolders."""
    table = folder / "manifest.csv"
    return read_manifest(table) if table.is_file() else read_folders(folder)
