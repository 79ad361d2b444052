"""Ground truth from what people have: folders, a table of labels, judgements."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from lookalike.errors import UsageError
from lookalike.evaluation.collection import Collection
from lookalike.evaluation.ground_truth import Note, Relevant, Truth, by_labels, note
from lookalike.evaluation.labelled_folder import read_manifest
from lookalike.evaluation.trec import Qrels, read_qrels
from lookalike.stores.interface import Snapshot

FOLDERS = "folders"
FIELD = "field:"
"""Before the name of a field of the library's metadata that holds the labels."""

_TABLE = re.compile(r"(?P<file>.+\.[ct]sv)(?::(?P<column>[^:\\/]+))?", re.IGNORECASE)


def truth(
    labels: str, pictures: Collection, *, folder: Path, snapshot: Snapshot | None = None
) -> Truth:
    """What `--labels` means.

    labels  "folders": the first folder of each picture's path; "field:NAME": the library's metadata, of
            which `view` is needed; "FILE.csv" or "FILE.csv:COLUMN": a table with the columns path and
            label (or COLUMN), looked for here and then in `folder`; any other file: judgements in
            TREC's layout (qrels)
    """
    if labels == FOLDERS:
        return from_folders(pictures)
    if labels.startswith(FIELD) and snapshot is not None:
        return from_field(snapshot, pictures, labels.removeprefix(FIELD))
    table = _TABLE.fullmatch(labels)
    file = existing(Path(table["file"] if table else labels), folder)
    if table:
        return from_table(file, pictures, column=table["column"] or "label")
    return from_qrels(read_qrels(file), pictures, file=file)


def check(labels: str, folder: Path) -> None:
    """Raises UsageError where `labels` names a file that is not there: before pictures are looked at."""
    if labels != FOLDERS and not labels.startswith(FIELD):
        table = _TABLE.fullmatch(labels)
        existing(Path(table["file"] if table else labels), folder)


def existing(file: Path, folder: Path) -> Path:
    """The file, here or in the folder; `UsageError` where it is in neither."""
    for place in (file, folder / file):
        if place.is_file():
            return place
    raise UsageError(f"there is no file {file}, neither here nor in {folder}")


def from_folders(pictures: Collection) -> Truth:
    """The first folder of each path is its label."""
    made = by_labels(pictures.below, pictures.names)
    _differ(pictures.below, "the first folder of each path is the label")
    return _from(made, "folders", made.notes)


def from_field(snapshot: Snapshot, pictures: Collection, name: str) -> Truth:
    """A field of the metadata, or of the picture (camera), is the label; `UsageError` names the fields
    that there are where no picture has it."""
    images = snapshot.images(pictures.ids.tolist())
    shown = [images[id] for id in pictures.ids.tolist()]
    values = [image.metadata.get(name, image.facts.get(name)) for image in shown]
    if all(value is None for value in values):
        known = ", ".join(sorted(snapshot.fields())) or "none"
        raise UsageError(
            f"no picture has the field {name!r} (there are: {known}); give a table: --labels FILE.csv:{name}"
        )
    labels = [None if value is None else str(value) for value in values]
    made = by_labels(labels, pictures.names)
    _differ(labels, "another field may tell them apart")
    return _from(made, f"field {name}", made.notes)


def from_table(file: Path, pictures: Collection, *, column: str = "label") -> Truth:
    """A table's column is the label; its paths are relative to the table's folder. Rows that name no
    picture of the collection are noted, and pictures that no row names have no label."""
    labels: list[str | None] = [None] * len(pictures)
    missing: list[str] = []
    folder = file.parent.resolve()
    for row in read_manifest(file, label=column, unlabelled=True):
        path = os.path.relpath(row.path, file.parent)
        at = pictures.at(folder / path)
        at = pictures.row(path) if at is None else at
        if at is None:
            missing.append(path)
        elif labels[at] not in (None, row.label):
            raise UsageError(
                f"{file}: {pictures.names[at]} has two labels, {labels[at]!r} and {row.label!r}"
            )
        else:
            labels[at] = row.label
    if missing and not any(labels):
        raise UsageError(
            f"none of the {len(missing)} paths of {file} ({missing[0]}, …) is an indexed picture: they "
            "are looked for relative to the table's folder and to the library's"
        )
    notes = note(
        missing,
        "row of the table names no indexed picture",
        "rows of the table name no indexed picture",
    )
    try:
        made = by_labels(labels, pictures.names)
    except UsageError as error:
        raise UsageError("; ".join([str(error), *map(str, notes)])) from error
    _differ(labels, f"another column of {file.name} may tell them apart")
    return _from(made, f"{file.name}, column {column}", (*notes, *made.notes))


def from_qrels(qrels: Qrels, pictures: Collection, *, file: Path) -> Truth:
    """Judgements. Questions are pictures of the collection, or files beside the judgements; relevant
    pictures that are not in the collection count as not found, as in trec_eval.

    `UsageError` where no question is left that can be asked and has something to be found.
    """
    folders = [file.parent.resolve(), Path.cwd()]
    asked: list[tuple[str, int]] = []
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
        row = pictures.row(name, folders)
        outside = None if row is not None else _file(name, folders)
        if row is None and outside is None and pictures.files is not None:
            unknown.append(name)
            continue
        if outside is not None:
            files[len(asked)] = outside
        places = {document: pictures.row(document, folders) for document in grades}
        absent += [d for d, place in places.items() if place is None and grades[d] > 0]
        asked.append((name, -1 if row is None else row))
        groups.append(_relevant(grades, places))
        judged.append(np.array(sorted(p for p in places.values() if p is not None), np.int64))
    notes = [
        *note(
            unknown,
            "question is no indexed picture and no file beside the judgements: left out",
            "questions are no indexed pictures and no files beside the judgements: left out",
        ),
        *note(
            empty,
            "question has no relevant picture: left out",
            "questions have no relevant picture: left out",
        ),
        *note(
            absent,
            "relevant picture is not indexed: it counts as not found",
            "relevant pictures are not indexed: they count as not found",
        ),
    ]
    if not asked:
        why = "; ".join(map(str, notes))
        raise UsageError(f"no question of {file} can be judged: {why}")
    return Truth(
        names=tuple(name for name, _ in asked),
        rows=np.array([row for _, row in asked], np.int64),
        groups=tuple(groups),
        group=np.arange(len(asked), dtype=np.int64),
        judged=tuple(judged),
        files=files,
        notes=tuple(notes),
        source=file.name,
    )


def as_qrels(truth: Truth, pictures: Collection) -> Qrels:
    """The truth as judgements: the relevant pictures of every question that are in the collection."""
    found: Qrels = {}
    for at, name in enumerate(truth.names):
        relevant = truth.relevant(at)
        rows, gains = relevant.rows.tolist(), relevant.gains.tolist()
        found[name] = {
            pictures.names[row]: int(gain) for row, gain in zip(rows, gains, strict=True)
        }
    return found


def _relevant(grades: Mapping[str, int], places: Mapping[str, int | None]) -> Relevant:
    """Two names of one picture are one picture, with the larger grade."""
    gains: dict[int, float] = {}
    absent: list[float] = []
    for document, grade in grades.items():
        row = places[document]
        if grade > 0 and row is None:
            absent.append(float(grade))
        elif grade > 0 and row is not None:
            gains[row] = max(float(grade), gains.get(row, 0.0))
    rows = np.array(sorted(gains), np.int64)
    return Relevant(rows, np.array([gains[row] for row in rows.tolist()]), np.array(absent))


def _file(name: str, folders: list[Path]) -> Path | None:
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def _differ(labels: Sequence[str | None], hint: str) -> None:
    """`UsageError` where one label is that of all pictures: every ranking would be right."""
    if len(set(labels)) == 1:
        raise UsageError(
            f"all {len(labels):,} pictures have the same label, {labels[0]!r}, and every ranking of them "
            f"is right: {hint}"
        )


def _from(truth: Truth, source: str, notes: tuple[Note, ...]) -> Truth:
    return replace(truth, notes=notes, source=source)
