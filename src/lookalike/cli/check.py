"""`lookalike check`: whether the files of a library are whole."""

from __future__ import annotations

from pathlib import Path

import click

from lookalike.cli import format, open_library, output, parameters

DAMAGED = 3


@click.command("check")
@parameters.library_option
@click.pass_context
def command(ctx: click.Context, library: Path | None) -> None:
    """Read the whole library, and say what in it cannot be right.

    After a failing disk, a copy that was cut off or a restored backup: wrong numbers are found like
    right ones. Nothing is changed. Exit 0 if the library is whole, 3 if it is not.
    """
    with open_library.open_library(library) as opened:
        found = opened.check()
        spaces = opened.info().spaces
    for line in found:
        output.put(line)
    if found:
        folder = opened.folder / "spaces"
        output.note(
            f"To rebuild the vectors of an extractor, delete the file vectors-… in its folder of "
            f"{open_library.display_path(folder)}, then run `lookalike index` (`import` for imported ones). "
            "A wrong catalogue needs a backup, or its folder deleted and indexed again."
        )
        ctx.exit(DAMAGED)
    vectors = sum(space.count for space in spaces)
    output.put(f"The library is whole: {format.counted(vectors, 'vector')} read.")
