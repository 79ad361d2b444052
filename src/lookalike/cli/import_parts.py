"""`lookalike import-parts`: load what `index --parts` wrote into a library."""

from __future__ import annotations

from pathlib import Path

import click

from lookalike.cli import format, open_library, output, parameters
from lookalike.cli.progress import ProgressBar


@click.command("import-parts")
@click.argument("location", metavar="URL")
@parameters.library_option
@click.option(
    "--root",
    type=parameters.PATH,
    metavar="DIR",
    help="Folder or URL that holds the images now, if it is not where they were indexed.",
)
@click.option("--no-ann", is_flag=True, help="Do not build ANN indexes.")
@click.option(
    "--strict", is_flag=True, help="Exit with 3 if parts were refused or shards are missing."
)
@click.pass_context
def command(
    ctx: click.Context,
    location: str,
    library: parameters.LibraryName | None,
    root: Path | None,
    no_ann: bool,
    strict: bool,
) -> None:
    """Load the parts that `lookalike index --parts` wrote.

    URL is the folder or the s3://, gs:// or az:// URL of the parts. They may be loaded in any order, while
    shards are still being written, and again: what the library has already is left alone. Damaged parts, and
    those of another extractor revision, are refused, and the others are loaded.

    Without --library, the nearest library above the current folder is used; if there is none, it is created
    in the current folder.

    \b
    lookalike index s3://shop/images --shard 3/16 --parts s3://shop/parts     # on each of 16 machines
    lookalike import-parts s3://shop/parts --library shop
    """
    with (
        open_library.open_for_indexing([Path.cwd()], library) as opened,
        ProgressBar("Importing", unit="parts") as bar,
    ):
        report = opened.import_parts(
            location,
            root=root,
            ann=not no_ann,
            progress=bar.count if bar.visible else None,
        )
        failures = open_library.command_line(opened.address, "failures")
    indexed = report.images.get("indexed", 0)
    known = f", {format.number(report.known)} of them known already" if report.known else ""
    output.put(
        f"Imported {format.counted(indexed, 'image')} from {format.counted(report.parts, 'part')}{known}."
    )
    others = {name: n for name, n in report.images.items() if name not in ("indexed", "skipped")}
    if others:
        outcomes = ", ".join(
            f"{format.number(n)} {name.replace('_', ' ')}" for name, n in sorted(others.items())
        )
        output.put(f"Not indexed: {outcomes}. `{failures}` lists them.")
    for name, reason in report.refused:
        output.complain(f"{name}: {reason}")
    if report.incomplete:
        shown = ", ".join(report.incomplete[:8]) + (" …" if len(report.incomplete) > 8 else "")
        output.complain(
            f"{format.counted(len(report.incomplete), 'shard is', 'shards are')} missing or not complete "
            f"({shown}): run them again with the same command, then import again"
        )
    if strict and (report.refused or report.incomplete):
        ctx.exit(3)
    if report.refused and report.parts <= len(report.refused):
        ctx.exit(1)
