"""`lookalike remove`: remove images from a library, without touching their files."""

from __future__ import annotations

from pathlib import Path

import click

from lookalike.cli import format, open_library, output, parameters


@click.command("remove")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=parameters.PATH)
@parameters.library_option
def command(paths: tuple[Path, ...], library: parameters.LibraryName | None) -> None:
    """Remove images or whole folders from the library. The files themselves are never touched.

    PATH is a file or a folder, also as a hit shows it, or id:42 for the image with that id.

    The next `lookalike index` of a folder adds files that are still in it again; use its --exclude to leave
    them out.
    """
    with open_library.open_library(library, paths, read_only=False) as opened:
        removed = opened.remove(paths)
    output.put(f"Removed {format.counted(removed, 'image')} from the library. No file was touched.")
