"""`lookalike similar-groups`: find groups of similar images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli import open_library, output, parameters
from lookalike.cli.duplicates_output import summary, write_groups

if TYPE_CHECKING:
    from lookalike.vectors import Relevance


@click.command("similar-groups")
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=parameters.PATH)
@parameters.extractor_option("The extractor that defines what is similar.")
@click.option(
    "--min-relevance",
    type=click.Choice(("plausible", "strong", "near-copy")),
    default="strong",
    show_default=True,
    help="How similar each image must be to the best of its group, calibrated against this library.",
)
@click.option(
    "--min-similarity",
    type=float,
    metavar="S",
    help="The same as a number, instead of a relevance.",
)
@parameters.library_option
@parameters.format_options("table", "json", "jsonl", "csv", "paths")
@click.pass_context
def command(
    ctx: click.Context,
    paths: tuple[Path, ...],
    extractor: str | None,
    min_relevance: Relevance,
    min_similarity: float | None,
    library: parameters.LibraryName | None,
    format_: str,
    null: bool,
) -> None:
    """Group images that look alike, copies or not: bursts, one scene, one product.

    \b
    lookalike similar-groups ~/Pictures/2024
    lookalike similar-groups --min-similarity 0.9 --format json
    """
    format_ = parameters.chosen_format(format_, null)
    with open_library.open_library(library, paths) as opened:
        found = opened.similar_groups(
            paths, extractor=extractor, min_relevance=min_relevance, min_similarity=min_similarity
        )
    write_groups(found, format_, null=null, spare=False)
    if not found.groups:
        output.note("No similar images found.")
        ctx.exit(1)
    output.aside(summary(found, "similar images"))
