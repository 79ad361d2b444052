"""Writes groups of duplicates, and what became of spare files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike.cli import format, open_library, output

if TYPE_CHECKING:
    from lookalike.duplicates.move_record import Undone
    from lookalike.duplicates.move_spare import MovedFile, MoveReport
    from lookalike.duplicates.report import Duplicates, Group, Member
    from lookalike.duplicates.similar_folders import FolderPair

_FIELDS = (
    "group",
    "kind",
    "keep",
    "spare",
    "path",
    "width",
    "height",
    "size",
    "similarity",
    "evidence",
    "reason",
)


def write_groups(found: Duplicates, format_: str, *, null: bool, spare: bool = True) -> None:
    """Write the groups to stdout in one of the formats.

    spare  `paths` lists the spare files; otherwise all but the best of each group
    """
    if format_ == "json":
        output.put(output.as_json(document(found)))
    elif format_ == "jsonl":
        output.put_jsonl(
            record(number, group) for number, group in enumerate(found.groups, start=1)
        )
    elif format_ == "csv":
        output.put_csv(_FIELDS, _rows(found))
    elif format_ == "paths":
        for group in found.groups:
            for file in spare_files(group) if spare else (m.file for m in group.members[1:]):
                output.put_path(open_library.display_path(file), null=null)
    elif found.groups:
        _table(found)


def spare_files(group: Group) -> Iterator[Path]:
    """Yield the paths of the spare files of a group, with all their hard links."""
    for member in group.spare:
        yield from member.links


def document(found: Duplicates) -> dict[str, Any]:
    """Return the document of --format json. Its keys are stable."""
    from lookalike.wire import encode

    groups = [record(number, group) for number, group in enumerate(found.groups, start=1)]
    return {**encode(replace(found, groups=())), "groups": groups}


def record(number: int, group: Group) -> dict[str, Any]:
    """Return one group of --format json and jsonl; its first member is the one to keep."""
    from lookalike.wire import encode

    members = [_member(member, best=member is group.best) for member in group.members]
    return {"group": number, **encode(group), "members": members}


def _member(member: Member, *, best: bool) -> dict[str, Any]:
    from lookalike.wire import encode

    return {
        **encode(member),
        "path": open_library.display_path(member.file),
        "keep": best or member.keep,
        "evidence": "" if best else member.evidence,
    }


def _rows(found: Duplicates) -> Iterator[dict[str, Any]]:
    for number, group in enumerate(found.groups, start=1):
        for member in group.members:
            image = {"group": number, **_member(member, best=member is group.best)}
            yield {name: image[name] for name in _FIELDS}


def _table(found: Duplicates) -> None:
    rows = []
    for number, group in enumerate(found.groups, start=1):
        for member in group.members:
            best = member is group.best
            image = member.image
            rows.append(
                [
                    str(number) if best else "",
                    "keep" if best or member.keep else member.kind,
                    f"{image.width}×{image.height}" if image.width else "",
                    format.size(image.size),
                    open_library.display_path(member.file),
                    member.reason
                    if best
                    else "; ".join(filter(None, [member.evidence, member.reason])),
                ]
            )
    output.table(
        ["group", "", "pixels", "size", "path", "why"], rows, right="rlrr", stretch=(4, 5), prose=5
    )


def summary(found: Duplicates, what: str) -> str:
    """Return one line that sums up the groups."""
    groups = format.counted(len(found.groups), f"group of {what}", f"groups of {what}")
    spare = sum(len(group.spare) for group in found.groups)
    reclaimable = format.size(sum(group.reclaimable_bytes for group in found.groups))
    among = format.counted(found.searched, "image")
    took = format.duration(found.seconds.get("total", 0.0))
    gain = f"; {format.counted(spare, 'spare file')} of {reclaimable}" if spare else ""
    return f"{groups} among {among} in {took}{gain}"


def write_moves(report: MoveReport, format_: str, *, null: bool) -> None:
    """Write what became of the spare files to stdout; `paths` lists those that were moved."""
    rows = [_moved(file, dry_run=report.dry_run) for file in report.files]
    if format_ == "json":
        record = None if report.record is None else open_library.display_path(report.record)
        output.put(output.as_json({"record": record, "dry_run": report.dry_run, "files": rows}))
    elif format_ == "jsonl":
        output.put_jsonl(rows)
    elif format_ == "csv":
        output.put_csv(_MOVE_FIELDS, rows)
    elif format_ == "paths":
        for file in report.moved:
            output.put_path(open_library.display_path(file.path), null=null)
    elif rows:
        cells = [
            [row["outcome"], row["path"], row["to"], row["kept"], row["reason"]] for row in rows
        ]
        output.table(["", "path", "to", "kept", "why"], cells, stretch=(1, 2, 3, 4), prose=4)


_MOVE_FIELDS = ("outcome", "path", "to", "kept", "bytes", "reason")


def _moved(file: MovedFile, *, dry_run: bool) -> dict[str, Any]:
    outcome = "stays" if file.refused else "would move" if dry_run else "moved"
    target = "" if file.refused else "trash"
    if file.target is not None:
        target = open_library.display_path(file.target)
    return {
        "outcome": outcome,
        "path": open_library.display_path(file.path),
        "to": target,
        "kept": open_library.display_path(file.kept),
        "bytes": file.bytes,
        "reason": file.refused,
    }


def moves_summary(report: MoveReport) -> str:
    """Return what was moved, in a sentence or two."""
    moved = format.counted(len(report.moved), "spare file")
    size = format.size(sum(file.bytes for file in report.moved))
    stayed = f"; {format.number(len(report.refused))} stayed" if report.refused else ""
    if report.dry_run:
        return f"Nothing was moved. {moved} of {size} would be{stayed}."
    return f"Moved {moved} of {size}{stayed}."


def write_folders(pairs: Sequence[FolderPair], format_: str) -> None:
    """Write pairs of folders to stdout in one of the formats."""
    rows = [
        {
            "folder": open_library.display_path(pair.folder),
            "other": open_library.display_path(pair.other),
            "shared": pair.shared,
            "images": pair.images,
            "other_images": pair.other_images,
            "share": round(pair.share, 4),
        }
        for pair in pairs
    ]
    if format_ == "json":
        output.put(output.as_json({"folders": rows}))
    elif format_ == "jsonl":
        output.put_jsonl(rows)
    elif format_ == "csv":
        output.put_csv(_FOLDER_FIELDS, rows)
    elif rows:
        cells = [
            [
                f"{pair.share:.0%}",
                f"{format.number(pair.shared)} of {format.number(pair.images)}",
                open_library.display_path(pair.folder),
                open_library.display_path(pair.other),
                format.number(pair.other_images),
            ]
            for pair in pairs
        ]
        output.table(
            ["share", "images", "folder", "also in", "images"], cells, right="rr  r", stretch=(2, 3)
        )


_FOLDER_FIELDS = ("folder", "other", "shared", "images", "other_images", "share")


def write_undone(undone: Undone) -> None:
    """Write the paths at which files are again, and why others are not."""
    for path in undone.restored:
        output.put(open_library.display_path(path))
    for path, reason in undone.refused:
        output.note(f"{open_library.display_path(path)}: {reason}")
