"""`lookalike duplicates`: find images that exist more than once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli import duplicate_output, format, open_library, output, parameters
from lookalike.cli.progress import ProgressBar

if TYPE_CHECKING:
    from lookalike.duplicates.report import Kind


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
    kind: Kind,
    thorough: bool | None,
    library: Path | None,
    format_: str,
    null: bool,
) -> None:
    """Find images that exist more than once, and suggest which to keep.

    With PATH, only the images there are compared with each other. Each group begins with the image
    to keep: the one with the most pixels, then the largest file, then the oldest. --format paths
    lists all the others. Nothing is ever deleted.

    \b
    lookalike duplicates
    lookalike duplicates ~/Pictures/2024 --kind exact
    lookalike duplicates -0 | xargs -0 -I{} mv -n {} ~/spare/
    lookalike feedback add not-duplicate one.jpg other.jpg
    """
    format_ = parameters.chosen_format(format_, null)
    near = [path.absolute() for path in paths]
    with (
        open_library.open_library(library, near) as opened,
        ProgressBar("Comparing", unit="pairs") as line,
    ):
        found = opened.duplicates(paths, kind=kind, thorough=thorough, progress=line.count)
    duplicate_output.write(found, format_, null=null)
    if found.unreadable:
        pairs = format.counted(found.unreadable, "pair")
        output.note(f"{pairs} could not be compared: files are missing, changed or broken.")
    if found.missing:
        output.note(f"Note: {found.missing}")
    if not found.groups:
        output.note("No duplicates found.")
        ctx.exit(1)
    output.aside(duplicate_output.summary(found, "duplicates"))
