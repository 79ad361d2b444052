"""`lookalike drop`: delete all vectors of an extractor."""

from __future__ import annotations

import click

from lookalike.cli import format, open_library, output, parameters


@click.command("drop")
@click.argument("extractor", metavar="NAME", shell_complete=parameters.complete_extractors)
@parameters.library_option
def command(extractor: str, library: parameters.LibraryName | None) -> None:
    """Delete all vectors of an extractor from the library.

    NAME is one that `lookalike info` lists. Images and their vectors of other extractors stay; imported
    images that are known by name only, and have no other vector, go. No image file is touched.

    \b
    lookalike drop clip-large
    """
    with open_library.open_library(library, read_only=False) as opened:
        removed = opened.vectors.drop(extractor)
    gone = format.counted(removed, "image", "images") + " known by name only went with them."
    output.put(f"Deleted the vectors of {extractor}." + (f" {gone}" if removed else ""))
