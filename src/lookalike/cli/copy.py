"""`lookalike copy`: copy a library into another store."""

from __future__ import annotations

from pathlib import Path

import click

from lookalike.cli import format, open_library, output, parameters
from lookalike.cli.progress import ProgressBar


@click.command("copy")
@click.argument("source", metavar="LIBRARY", type=parameters.LIBRARY)
@click.argument("target", metavar="OTHER", type=parameters.LIBRARY)
def command(source: parameters.LibraryName, target: parameters.LibraryName) -> None:
    """Copy a library, for example from a folder into a database.

    LIBRARY and OTHER are folders, or databases as postgresql://USER@HOST/DATABASE?schema=NAME. OTHER is made
    if it is not there. The images stay where they are, and both libraries name them by the same paths. The
    copy is compared with the library: counts, hashes, metadata, and the neighbours of 100 images in each
    space. After an interruption the same command goes on. ANN indexes are not copied: build them with
    `lookalike ann build`.

    \b
    lookalike copy ~/Pictures postgresql://me@server/photos
    """
    with open_library.open_library(source) as opened, ProgressBar("Copying") as bar:
        report = opened.copy_to(
            target if isinstance(target, str) else Path(target),
            progress=bar.count if bar.visible else None,
        )
    vectors = sum(report.vectors.values())
    known = report.files - report.copied
    there = f", {format.number(known)} were there" if known else ""
    output.put(
        f"Copied {format.counted(report.copied, 'file')}{there}; "
        f"{format.counted(vectors, 'vector')} in {format.counted(len(report.vectors), 'space')}."
    )
    output.put(
        f"The copy is equal, and {format.number(report.queries)} searches have the same answers."
    )
