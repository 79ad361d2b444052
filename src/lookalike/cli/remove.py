"""`lookalike remove`: forget pictures, without touching their files."""

from __future__ import annotations

from pathlib import Path

import click

from lookalike.cli import format, open_library, output, parameters


@click.command("remove")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=parameters.PATH)
@parameters.library_option
def command(paths: tuple[Path, ...], library: Path | None) -> None:
    """Forget pictures or whole folders. The files themselves are never touched.

    The next `lookalike index` of a folder finds files that are still in it again: give it
    --exclude to leave them out.
    """
    near = [path.absolute() for path in paths]
    with open_library.open_library(library, near, read_only=False) as opened:
        gone = opened.remove(paths)
    output.put(f"Forgot {format.counted(gone, 'picture')}. No file was touched.")
