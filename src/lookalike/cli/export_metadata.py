"""`lookalike export-metadata`: write captions and tags into XMP sidecars."""

from __future__ import annotations

from pathlib import Path

import click

from lookalike.cli import format, open_library, output, parameters
from lookalike.cli.index_report import MAX_COMPLAINTS
from lookalike.cli.progress import ProgressBar


@click.command("export-metadata")
@click.argument("paths", metavar="[PATH...]", nargs=-1, type=parameters.PATH)
@click.option("--where", metavar="EXPR", help="Only images that match this filter.")
@click.option(
    "--replace",
    is_flag=True,
    help="Replace a title, caption, rating or color label that a sidecar has and that differs.",
)
@click.option(
    "--dry-run", is_flag=True, help="List the sidecars that would be written; write none."
)
@parameters.library_option
@click.pass_context
def command(
    ctx: click.Context,
    paths: tuple[Path, ...],
    where: str | None,
    replace: bool,
    dry_run: bool,
    library: parameters.LibraryName | None,
) -> None:
    """Write captions, tags and ratings into XMP sidecars beside the images.

    Without PATH, for all images of which tables, sidecars or people on the page have said something. Images
    are never changed, and what other programs wrote into a sidecar stays. Exit 1 if some cannot be written.
    """
    with (
        open_library.open_library(library, paths) as opened,
        ProgressBar("Writing", unit="images") as bar,
    ):
        report = opened.export_metadata(
            paths, where=where, replace=replace, dry_run=dry_run, progress=bar.count
        )
    for sidecar in report.written if dry_run else ():
        output.put(str(sidecar))
    written = format.counted(len(report.written), "sidecar")
    same = f"; {format.number(report.unchanged)} said it already" if report.unchanged else ""
    (output.note if dry_run else output.put)(
        f"{'Would write' if dry_run else 'Wrote'} {written}{same}."
    )
    if report.kept:
        output.note(
            f"{format.counted(report.kept, 'sidecar has', 'sidecars have')} another title, caption, rating "
            "or color label, which stayed: --replace overwrites them."
        )
    for path, reason in report.failed[:MAX_COMPLAINTS]:
        output.complain(f"{path}: {reason}")
    if len(report.failed) > MAX_COMPLAINTS:
        output.complain(f"{len(report.failed) - MAX_COMPLAINTS} more cannot be written.")
    if report.failed:
        ctx.exit(1)
