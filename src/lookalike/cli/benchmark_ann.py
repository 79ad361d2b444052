"""`lookalike benchmark ann`: recall and cost of ANN indexes on the vectors of a library."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli import format, open_library, output, parameters
from lookalike.cli.progress import ProgressBar

if TYPE_CHECKING:
    from lookalike.stores.ann_index import RecipeResult
    from lookalike.stores.records import Space

_LEVELS = (0.9, 0.95, 0.98, 0.99)


@click.command("ann")
@click.option(
    "--extractor", "-e", metavar="NAME", help="Whose vectors. Default: the largest space."
)
@click.option(
    "--recipe",
    "recipes",
    multiple=True,
    metavar="FACTORY",
    help="A FAISS factory string to try; may be repeated. Default: the built-in and some usual ones.",
)
@click.option(
    "--plot",
    type=parameters.FIGURE,
    metavar="FILE.png",
    help="Also draw recall against milliseconds.",
)
@parameters.library_option
@parameters.format_options("table", "json")
def ann(
    extractor: str | None,
    recipes: tuple[str, ...],
    plot: Path | None,
    library: Path | None,
    format_: str,
) -> None:
    """Compare ANN indexes on the vectors of a library. Nothing is stored.

    Shows for each recipe how long it takes to build, how much memory it needs beside the stored
    vectors, and how many milliseconds a query takes on one thread at a recall@10. The queries are images
    of the library, searched without themselves.
    """
    with (
        open_library.open_library(library) as opened,
        ProgressBar("Measuring", unit="vectors") as line,
    ):
        space, compared = opened.ann.compare(extractor, recipes, progress=line.stage)
    if format_ == "json":
        output.put(
            output.as_json(
                {
                    "extractor": space.name,
                    "vectors": space.count,
                    "dim": space.dim,
                    "recipes": [asdict(one) for one in compared],
                }
            )
        )
    else:
        _table(space, compared)
    if plot is not None:
        from lookalike.viz.charts import recall_chart

        title = f"{space.name}: {space.count:,} vectors of {space.dim:,} dimensions"
        recall_chart(compared, plot, title=title)
        output.note(f"Written: {plot}")


def _table(space: Space, compared: list[RecipeResult]) -> None:
    output.put(
        f"{space.name}: {format.number(space.count)} vectors of {format.number(space.dim)} dimensions; "
        "milliseconds a query, one thread, by recall@10"
    )
    output.put()
    titles = ("recipe", "built in", "bytes each", *(f"at {level:g}" for level in _LEVELS), "most")
    rows = []
    for one in compared:
        if one.failure:
            output.complain(one.failure)
            continue
        cells = [_at(one, level) for level in _LEVELS]
        most = max(recall for _, recall, _ in one.points)
        each = format.number(round(one.bytes / space.count)) if one.bytes else "-"
        built = format.duration(one.seconds) if one.seconds else "-"
        rows.append((one.recipe, built, each, *cells, f"{most:.3f}"))
    output.table(titles, rows, right="lrrrrrrr", stretch=0)


def _at(one: RecipeResult, level: float) -> str:
    """Return the least time at which this recall is reached."""
    reached = [milliseconds for _, recall, milliseconds in one.points if recall >= level]
    return f"{min(reached):.2f}" if reached else "-"
