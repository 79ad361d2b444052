"""`lookalike duplicates`: find images that exist more than once, and move the spare files."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli import format, open_library, output, parameters
from lookalike.cli.duplicates_output import (
    moves_summary,
    summary,
    write_folders,
    write_groups,
    write_moves,
    write_undone,
)
from lookalike.cli.progress import ProgressBar
from lookalike.errors import UsageError

if TYPE_CHECKING:
    from lookalike.duplicates.report import Duplicates, Scope
    from lookalike.library import Library


@click.command("duplicates")
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=parameters.PATH)
@click.option(
    "--kind",
    type=click.Choice(("exact", "copies", "near", "burst", "raw-jpeg", "live-photo")),
    default="copies",
    show_default=True,
    help="The loosest kind to include: exact (the same bytes), copies (saved again, resized, and edits: "
    "cropped, rotated, mirrored, brightened …), near (another shot of the same scene). Or only burst "
    "(shots of one series), raw-jpeg (both files of one shot), live-photo (an image and its video).",
)
@click.option(
    "--thorough/--quick",
    "thorough",
    default=None,
    help="Whether to search for crops, frames and tilted copies, which takes longest. Default: in "
    "libraries of up to 100,000 images.",
)
@click.option(
    "--against",
    type=parameters.PATH,
    multiple=True,
    metavar="ARCHIVE",
    help="Compare the images of PATH with those of this folder, of the same library or another one. "
    "Only files of PATH can be spare. May be repeated.",
)
@click.option(
    "--prefer",
    type=parameters.PATH,
    multiple=True,
    metavar="FOLDER",
    help="Keep the file that is in this folder, whatever the others are. May be repeated, the most "
    "important folder first.",
)
@click.option(
    "--edits",
    is_flag=True,
    help="Edits count as spare, too: lighter, grey, cropped, framed, lettered, mirrored …",
)
@click.option("--no-rotated", is_flag=True, help="Leave out what was rotated or mirrored.")
@click.option("--no-exposure", is_flag=True, help="Leave out what was made lighter or darker.")
@click.option(
    "--folders", is_flag=True, help="List pairs of folders that have images in common instead."
)
@click.option("--trash", is_flag=True, help="Move the spare files to the trash of the system.")
@click.option(
    "--move-to",
    type=parameters.PATH,
    metavar="DIR",
    help="Move the spare files to this folder. Sub-folders are kept, nothing is overwritten.",
)
@click.option("--dry-run", is_flag=True, help="With --trash or --move-to: show what would be done.")
@click.option(
    "--record",
    type=parameters.OUTPUT,
    metavar="FILE",
    help="With --trash or --move-to: the file to write for --undo. Default: one in the library.",
)
@click.option(
    "--undo",
    type=parameters.PATH,
    metavar="FILE",
    help="Put the files of this record back where they were. Nothing is overwritten.",
)
@parameters.library_option
@parameters.format_options("table", "json", "jsonl", "csv", "paths")
@click.pass_context
def command(
    ctx: click.Context,
    paths: tuple[Path, ...],
    kind: Scope,
    thorough: bool | None,
    against: tuple[Path, ...],
    prefer: tuple[Path, ...],
    edits: bool,
    no_rotated: bool,
    no_exposure: bool,
    folders: bool,
    trash: bool,
    move_to: Path | None,
    dry_run: bool,
    record: Path | None,
    undo: Path | None,
    library: parameters.LibraryName | None,
    format_: str,
    null: bool,
) -> None:
    """Find images that exist more than once, and say which to keep and why.

    With PATH, only the images there are compared with each other. Each group begins with the image
    to keep: the camera's original, the one with more detail, lossless before lossy, the older one.
    --format paths lists the spare files: other files that are the same image.

    --trash and --move-to check each file again before it is moved, keep its captions and sidecars
    with the image that is kept, and write a record, which --undo reads.

    \b
    lookalike duplicates
    lookalike duplicates ~/Pictures/2024 --kind exact --trash
    lookalike duplicates --folders
    lookalike duplicates ~/Inbox --against ~/Pictures --move-to ~/spare
    lookalike duplicates --kind exact -0 | xargs -0 -I{} mv -n {} ~/spare/
    lookalike feedback add not-duplicate one.jpg other.jpg
    """
    if undo is not None:
        _undo(ctx, undo)
        return
    moves = trash or move_to is not None
    _check_options(
        moves=moves,
        folders=folders,
        trash=trash,
        move_to=move_to,
        dry_run=dry_run,
        record=record,
    )
    format_ = parameters.chosen_format(format_, null)
    if folders and format_ == "paths":
        raise click.UsageError("--folders lists pairs: use the format table, json, jsonl or csv")
    near = (*paths, *against)
    with open_library.open_library(library, near, read_only=False) as opened:
        with ProgressBar("Comparing", unit="steps") as bar:
            found = opened.duplicates(
                paths,
                kind=kind,
                thorough=thorough,
                against=against,
                prefer=prefer,
                edits=edits,
                rotated=not no_rotated,
                exposure=not no_exposure,
                progress=bar.count,
            )
        if moves:
            _move(ctx, opened, found, move_to, record, dry_run=dry_run, format_=format_, null=null)
            return
        pairs = opened.similar_folders(found) if folders else ()
    if folders:
        write_folders(pairs, format_)
        _write_notes(found)
        if not pairs:
            output.note("No folders have images in common.")
            ctx.exit(1)
        return
    write_groups(found, format_, null=null)
    _write_notes(found)
    if not found.groups:
        output.note("No duplicates found.")
        ctx.exit(1)
    output.aside(summary(found, "duplicates"))


def _check_options(
    *,
    moves: bool,
    folders: bool,
    trash: bool,
    move_to: Path | None,
    dry_run: bool,
    record: Path | None,
) -> None:
    if trash and move_to is not None:
        raise click.UsageError("--trash and --move-to exclude each other")
    if not moves and (dry_run or record is not None):
        option = "--dry-run" if dry_run else "--record"
        raise click.UsageError(f"{option} belongs to --trash or --move-to DIR: add one of them")
    if moves and folders:
        raise click.UsageError("--folders lists pairs of folders: leave it out to move files")
    if move_to is not None and move_to.exists() and not move_to.is_dir():
        raise click.UsageError(f"{move_to} is a file: name a folder")


def _write_notes(found: Duplicates) -> None:
    if found.stale:
        files = format.counted(found.stale, "file")
        output.note(f"{files} left out: missing, or changed since the last index run.")
    if found.unreadable:
        pairs = format.counted(found.unreadable, "pair")
        output.note(f"{pairs} could not be compared: files are missing, changed or broken.")
    if found.missing:
        output.note(open_library.with_library(f"Note: {found.missing}"))


def _move(
    ctx: click.Context,
    opened: Library,
    found: Duplicates,
    to: Path | None,
    record: Path | None,
    *,
    dry_run: bool,
    format_: str,
    null: bool,
) -> None:
    """Move the spare files and report; exit 1 if there are none, 3 if some had to stay."""
    with ProgressBar("Moving", unit="files") as bar:
        report = opened.move_spare(found, to, record=record, dry_run=dry_run, progress=bar.count)
    write_moves(report, format_, null=null)
    _write_notes(found)
    if not report.files:
        output.note("No spare files found.")
        ctx.exit(1)
    output.note(moves_summary(report))
    if report.record is not None and report.moved:
        file = shlex.quote(open_library.display_path(report.record))
        output.note(f"To put them back: {open_library.program()} duplicates --undo {file}")
    roots = [root.path for root in opened.info().roots]
    if report.moved and to is not None and any(to.resolve().is_relative_to(root) for root in roots):
        output.note(f"{to} lies in the library: lookalike index will find the files there again.")
    if report.refused:
        ctx.exit(3)


def _undo(ctx: click.Context, record: Path) -> None:
    """Put the files of a record back; exit 1 if there are none, 3 if some could not be put back."""
    from lookalike.duplicates.move_record import undo

    if not record.is_file():
        raise UsageError(f"there is no record at {record}")
    undone = undo(record)
    write_undone(undone)
    if undone.refused:
        ctx.exit(3)
    if not undone.restored:
        output.note("Nothing to put back: the files are where they were.")
        ctx.exit(1)
    output.note(f"Put back {format.counted(len(undone.restored), 'file')}.")
