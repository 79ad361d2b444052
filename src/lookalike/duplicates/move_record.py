"""The record of moved files, written ahead of each move, and the way back.

A record is a text file of JSON objects, a line each. The first names the format; then each step is written
before it is done ({"step": …}), and marked afterwards ({"done": N}, {"failed": N}, {"undone": N}). After a
crash the last step may have happened or not: undoing looks at the files. Names that are not UTF-8 are written
as Python's surrogate escapes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self

from lookalike.duplicates.trash import Trash
from lookalike.errors import PARSE_ERRORS, UsageError
from lookalike.files import keep_private, move_file, sync_folder
from lookalike.images.formats import RAW_SUFFIXES, VIDEO_SUFFIXES
from lookalike.images.sniff import HEAD_BYTES, MAYBE_SIDECAR_SUFFIXES, SIDECAR_SUFFIXES, kind_of

FORMAT = "lookalike moved files 1"

# Folder in that of the library where records are written by default.
MOVED = "moved"

# Suffixes of files that go with an image by their names, whatever they contain.
BY_NAME = SIDECAR_SUFFIXES | MAYBE_SIDECAR_SUFFIXES | RAW_SUFFIXES | VIDEO_SUFFIXES


@dataclass(frozen=True, slots=True)
class Step:
    """One file that was moved, or copied beside the image that is kept.

    target  where it went; None for the trash
    sha256  of its content, in hex
    """

    number: int
    action: Literal["move", "copy"]
    source: Path
    target: Path | None
    sha256: str


class MoveRecord:
    """Writes a record. Every line is on the disk before the next step begins."""

    def __init__(self, file: Path) -> None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._out = file.open("xb")
            keep_private(file)
        except FileExistsError:
            raise UsageError(f"{file} exists: name another file for the record") from None
        except OSError as error:
            raise UsageError(
                f"cannot write the record {file}: {error.strerror}; name another file with --record"
            ) from None
        self.file = file
        self._steps = 0
        self._write({"format": FORMAT, "created": datetime.now(UTC).isoformat(timespec="seconds")})
        sync_folder(file.parent)

    def begin(
        self, action: Literal["move", "copy"], source: Path, target: Path | None, sha256: str
    ) -> Step:
        """Write a step that will be done next."""
        self._steps += 1
        step = Step(self._steps, action, source, target, sha256)
        self._write(
            {
                "step": step.number,
                "action": action,
                "from": os.fspath(source),
                "to": None if target is None else os.fspath(target),
                "sha256": sha256,
            }
        )
        return step

    def mark(self, step: Step, how: Literal["done", "failed", "undone"]) -> None:
        """Write what became of a step."""
        self._write({how: step.number})

    def _write(self, line: dict[str, Any]) -> None:
        self._out.write(json.dumps(line).encode() + b"\n")
        self._out.flush()
        os.fsync(self._out.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._out.close()


def read_record(file: Path) -> list[Step]:
    """Return the steps that may have to be undone, in their order. Raises UsageError if it is no record."""
    try:
        lines = file.read_bytes().split(b"\n")
    except OSError as error:
        raise UsageError(f"cannot read {file}: {(error.strerror or 'error').lower()}") from None
    steps: dict[int, Step] = {}
    for number, line in enumerate(lines, start=1):
        try:
            if number == 1 and json.loads(line).get("format") != FORMAT:
                raise ValueError("another format")
            if number > 1 and line:
                _read_line(json.loads(line), steps)
        except PARSE_ERRORS:
            if number == len(lines) and number > 1:  # the program or the machine died while writing
                break
            raise UsageError(
                f"{file} is not a record of moved files (line {number}): name a file that "
                "`duplicates --trash` or `--move-to` wrote"
            ) from None
    return list(steps.values())


def _read_line(line: dict[str, Any], steps: dict[int, Step]) -> None:
    if "step" in line:
        number, action = line["step"], line["action"]
        if action not in ("move", "copy") or {type(number), type(line["sha256"])} != {int, str}:
            raise ValueError("not a step")
        target = None if line["to"] is None else _absolute(line["to"])
        steps[number] = Step(number, action, _absolute(line["from"]), target, line["sha256"])
    for mark in ("failed", "undone"):
        if mark in line:
            steps.pop(line[mark], None)


def _absolute(name: str) -> Path:
    path = Path(name)
    if not path.is_absolute() or "\0" in name:
        raise ValueError(name)
    return path


@dataclass(frozen=True, slots=True)
class Undone:
    """What undoing a record did.

    restored  paths at which files are again
    refused   paths and reasons of the others
    """

    restored: tuple[Path, ...]
    refused: tuple[tuple[Path, str], ...]


def undo(file: Path) -> Undone:
    """Put files back where they were, the last one first.

    Nothing is overwritten; a file that has changed since it was moved stays where it is. A record can be
    undone again: what is back is left alone. The record may be a stranger's: only images, videos and sidecars
    are moved, and a copy is deleted only beside its original.
    """
    steps = read_record(file)[::-1]
    in_trash = [step.source for step in steps if step.target is None]
    trash = Trash(in_trash) if in_trash else None
    restored: list[Path] = []
    refused: list[tuple[Path, str]] = []
    for step in steps:
        try:
            if undo_step(step, trash):
                restored.append(step.source)
            _mark_undone(file, step)
        except OSError as error:
            refused.append((step.source, (error.strerror or str(error)).lower()))
        except UsageError as error:
            refused.append((step.source, str(error)))
    return Undone(tuple(restored), tuple(refused))


def undo_step(step: Step, trash: Trash | None) -> bool:
    """Undo one step; return whether a file came back. Raises UsageError or OSError if it cannot be undone."""
    if step.action == "copy":
        if step.target and _has_content(step.target, step.sha256):
            if not _has_content(step.source, step.sha256) or step.target.samefile(step.source):
                raise UsageError(f"{step.target} stays, because it is not there any more")
            step.target.unlink()
        return False
    if os.path.lexists(step.source):
        if _has_content(step.source, step.sha256):
            return False  # it was never moved, or is back
        raise UsageError("another file is there now; it is not overwritten")
    places: Sequence[Path] = (
        [step.target] if step.target else trash.files_from(step.source) if trash else []
    )
    present = [place for place in places if place.is_file() and not place.is_symlink()]
    moved = next((place for place in present if _has_content(place, step.sha256)), None)
    if moved is None:
        where = step.target or "the trash"
        raise UsageError(
            f"the file in {where} has changed since"
            if present
            else f"it is not in {where} any more"
        )
    if not _is_movable(step.source, moved):
        raise UsageError(f"{moved} is no image, video or sidecar: move it yourself")
    step.source.parent.mkdir(parents=True, exist_ok=True)
    move_file(moved, step.source)
    if step.target is None and trash:
        trash.forget(moved)
    return True


def digest(file: Path) -> str:
    """Return the SHA-256 of a file in hex. Raises OSError."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _has_content(file: Path, sha256: str) -> bool:
    return file.is_file() and not file.is_symlink() and digest(file) == sha256


def _is_movable(source: Path, moved: Path) -> bool:
    """Return whether a file is of a kind that is moved as a spare file or with one."""
    if source.suffix.lower() in BY_NAME:
        return not source.name.startswith(".")
    with moved.open("rb") as content:
        return kind_of(source.name, content.read(HEAD_BYTES)) is not None


def _mark_undone(file: Path, step: Step) -> None:
    """Note in the record that a step is undone, if it can be written."""
    try:
        with file.open("ab") as out:
            out.write(json.dumps({"undone": step.number}).encode() + b"\n")
    except OSError:
        return
