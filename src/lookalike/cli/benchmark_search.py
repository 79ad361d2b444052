"""`lookalike benchmark search`: speed of exact search on this machine."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from lookalike.cli import format, output, parameters

if TYPE_CHECKING:
    from lookalike.evaluation.search_benchmark import SearchSpeed
    from lookalike.vectors.similarity import Similarity


@click.command("search")
@click.option(
    "--count",
    type=click.IntRange(min=1),
    default=10_000,
    show_default=True,
    metavar="N",
    help="How many vectors are searched.",
)
@click.option(
    "--dim",
    type=click.IntRange(min=1),
    default=512,
    show_default=True,
    metavar="N",
    help="Dimension of the vectors.",
)
@click.option(
    "--queries",
    type=click.IntRange(min=1),
    default=64,
    show_default=True,
    metavar="N",
    help="Queries, searched one by one and as a batch.",
)
@click.option(
    "-k", "k", type=click.IntRange(min=1), default=10, show_default=True, help="How many hits."
)
@click.option(
    "--similarity",
    type=click.Choice(("cosine", "euclidean")),
    default="cosine",
    show_default=True,
    help="How vectors are compared.",
)
@parameters.format_options("table", "json")
def search(
    count: int, dim: int, queries: int, k: int, similarity: Similarity, format_: str
) -> None:
    """Compare exact search by a plain loop over the images with one matrix product.

    Shows the time for a query each way, the speed-up, and the memory of the vectors.
    """
    from lookalike.evaluation.search_benchmark import measure_search

    speed = measure_search(count=count, dim=dim, queries=queries, k=k, similarity=similarity)
    if format_ == "json":
        output.put(output.as_json(asdict(speed)))
    else:
        _table(speed)


def _table(speed: SearchSpeed) -> None:
    output.put(
        f"{format.number(speed.count)} vectors of {format.number(speed.dim)} dimensions (float32): "
        f"{speed.bytes / 1e6:,.1f} MB in all, {speed.bytes / speed.count / 1e3:,.2f} KB per image"
    )
    output.put()
    ways = (
        ("loop over the images", speed.loop),
        ("matrix, one by one", speed.single),
        (f"matrix, {speed.queries} at once", speed.batch),
    )
    rows = [
        (way, f"{seconds * 1000:,.3f}", f"{format.rate(speed.loop / seconds)} x")
        for way, seconds in ways
    ]
    output.table(("exact search", "ms a query", "speed-up"), rows, right="lrr", stretch=0)
    output.put()
    if speed.agree:
        output.put(f"All three find the same {speed.k} nearest, in the same order.")
    else:
        output.put("The results do NOT agree: please report this.")
