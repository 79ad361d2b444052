"""`lookalike duplicates`: find images that exist more than once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lookalike.cli import format, open_library, output, parameters
from lookalike.cli.progress import ProgressBar

if TYPE_CHECKING:
    from lookalike.duplicates.report import Duplicates, Group, Member, Scope

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


@click.command("duplicates")
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=parameters.PATH)
@click.option(
    "--kind",
    type=click.Choice(("exact", "copies", "near")),
    default="copies",
    show_default=True,
    help="The loosest kind to include: exact (the same bytes), copies (saved again, resized, cropped, "
    "rotated, mirrored, brightened …), near (another shot of the same scene).",
)
@click.option(
    "--thorough/--quick",
    "thorough",
    default=None,
    help="Whether to search for crops, frames and tilted copies, which takes longest. Default: in "
    "libraries of up to 100,000 images.",
)
@parameters.library_option
@parameters.format_options("table", "json", "jsonl", "csv", "paths")
@click.pass_context
def command(
    ctx: click.Context,
    paths: tuple[Path, ...],
    kind: Scope,
    thorough: bool | None,
    library: Path | None,
    format_: str,
    null: bool,
) -> None:
    """Find images that exist more than once, and suggest which to keep.

    With PATH, only the images there are compared with each other. Each group begins with the image
    to keep: the camera's original, the one with more detail, lossless before lossy, the older one.
    --format paths lists the spare files: other files that are the same image.

    \b
    lookalike duplicates
    lookalike duplicates ~/Pictures/2024 --kind exact
    lookalike duplicates -0 | xargs -0 -I{} mv -n {} ~/spare/
    lookalike feedback add not-duplicate one.jpg other.jpg
    """
    format_ = parameters.chosen_format(format_, null)
    with (
        open_library.open_library(library, paths) as opened,
        ProgressBar("Comparing", unit="pairs") as bar,
    ):
        found = opened.duplicates(paths, kind=kind, thorough=thorough, progress=bar.count)
    write_groups(found, format_, null=null)
    if found.unreadable:
        pairs = format.counted(found.unreadable, "pair")
        output.note(f"{pairs} could not be compared: files are missing, changed or broken.")
    if found.missing:
        output.note(f"Note: {found.missing}")
    if not found.groups:
        output.note("No duplicates found.")
        ctx.exit(1)
    output.aside(summary(found, "duplicates"))


def write_groups(found: Duplicates, format_: str, *, null: bool, spare: bool = True) -> None:
    """Write the groups to stdout in one of the formats.

    spare  `paths` lists the spare files; otherwise all but the best of each group
    """
    if format_ == "json":
        output.put(output.as_json(document(found)))
    elif format_ == "jsonl":
        for number, group in enumerate(found.groups, start=1):
            output.put(output.as_json(record(number, group), indent=None))
    elif format_ == "csv":
        output.put(output.csv_line(_FIELDS))
        for row in _rows(found):
            output.put(output.csv_line(output.flatten(row)))
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
