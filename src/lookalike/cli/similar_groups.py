"""`lookalike similar-groups`: bursts, one scene, one product."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli import duplicate_output, open_library, output, parameters

if TYPE_CHECKING:
    from lookalike.vectors.calibration import Relevance


@click.command("similar-groups")
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=parameters.PATH)
@click.option("--by", metavar="EXTRACTOR", help="Which vectors decide what is similar.")
@click.option(
    "--min-relevance",
    type=click.Choice(("plausible", "strong", "near-copy")),
    default="strong",
    show_default=True,
    help="How similar each picture must be to the best of its group, judged against this library.",
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
    by: str | None,
    min_relevance: Relevance,
    min_similarity: float | None,
    library: Path | None,
    format_: str,
    null: bool,
) -> None:
    """Group pictures that look alike, copies or not: bursts, one scene.

    \b
    lookalike similar-groups ~/Pictures/2024
    lookalike similar-groups --min-similarity 0.9 --format json
    """
    format_ = parameters.chosen_format(format_, null)
    near = [path.absolute() for path in paths]
    with open_library.open_library(library, near) as opened:
        found = opened.similar_groups(
            paths, by=by, min_relevance=min_relevance, min_similarity=min_similarity
        )
    duplicate_output.write(found, format_, null=null)
    if not found.groups:
        output.note("No similar pictures found.")
        ctx.exit(1)
    output.aside(duplicate_output.summary(found, "similar pictures"))
