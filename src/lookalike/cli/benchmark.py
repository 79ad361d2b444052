"""`lookalike benchmark`: measure search, ANN indexes, PCA and extractors on this machine."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli import format, open_library, output, parameters
from lookalike.cli.benchmark_extractors import extractors
from lookalike.cli.progress import ProgressBar
from lookalike.errors import UsageError

if TYPE_CHECKING:
    from lookalike.evaluation.search_benchmark import SearchSpeed
    from lookalike.stores.ann_index import RecipeResult
    from lookalike.stores.records import Space
    from lookalike.vectors.similarity import Similarity

_RECALLS = (0.9, 0.95, 0.98, 0.99)
"""Recalls at which the table shows the time of a query."""


@click.group("benchmark")
def command() -> None:
    """Measure search, indexes and extractors on this machine."""


command.add_command(extractors)


@command.command("ann")
@parameters.extractor_option("Whose vectors. Default: the largest space.")
@click.option(
    "--recipe",
    "recipes",
    multiple=True,
    metavar="FACTORY",
    help="A FAISS factory string to try; may be repeated. Default: the built-in and some usual ones.",
)
@parameters.figure_option("--plot", "Also draw recall against milliseconds.")
@parameters.library_option
@parameters.format_options("table", "json")
def ann(
    extractor: str | None,
    recipes: tuple[str, ...],
    plot: Path | None,
    library: parameters.LibraryName | None,
    format_: str,
) -> None:
    """Compare ANN indexes on the vectors of a library. Nothing is stored.

    Shows for each recipe how long it takes to build, how much memory it needs beside the stored
    vectors, and how many milliseconds a query takes on one thread at a recall@10. The queries are images
    of the library, searched without themselves.
    """
    with (
        open_library.open_library(library) as opened,
        ProgressBar("Measuring", unit="vectors") as bar,
    ):
        space, compared = opened.ann.compare(extractor, recipes, progress=bar.stage)
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
        _ann_table(space, compared)
    if plot is not None:
        from lookalike.viz.charts import recall_chart

        title = f"{space.name}: {space.count:,} vectors of {space.dim:,} dimensions"
        recall_chart(compared, plot, title=title)
        output.note(f"Written: {plot}")


def _ann_table(space: Space, compared: list[RecipeResult]) -> None:
    output.put(
        f"{space.name}: {format.number(space.count)} vectors of {format.number(space.dim)} dimensions; "
        "milliseconds a query, one thread, by recall@10"
    )
    output.put()
    titles = ("recipe", "built in", "bytes each", *(f"at {level:g}" for level in _RECALLS), "most")
    rows = []
    for one in compared:
        if one.failure:
            output.complain(one.failure)
            continue
        cells = [_at(one, level) for level in _RECALLS]
        most = max(recall for _, recall, _ in one.points)
        each = format.number(round(one.bytes / space.count)) if one.bytes else "-"
        built = format.duration(one.seconds) if one.seconds else "-"
        rows.append((one.recipe, built, each, *cells, f"{most:.3f}"))
    output.table(titles, rows, right="lrrrrrrr", stretch=0)


def _at(one: RecipeResult, level: float) -> str:
    """Return the least time at which this recall is reached."""
    reached = [milliseconds for _, recall, milliseconds in one.points if recall >= level]
    return f"{min(reached):.2f}" if reached else "-"


@command.command("pca")
@parameters.extractor_option("Whose vectors. Default: those of the largest dimension.")
@click.option(
    "--keep",
    default="512,256,128,64",
    show_default=True,
    metavar="N,...",
    help="Numbers of principal components to try; values not below the dimension are skipped.",
)
@click.option(
    "--labels",
    metavar="WHAT",
    help="Which images belong together, as for `evaluate`. Adds mAP and P@1.",
)
@parameters.library_option
@parameters.format_options("table", "json")
def pca(
    extractor: str | None,
    keep: str,
    labels: str | None,
    library: parameters.LibraryName | None,
    format_: str,
) -> None:
    """Measure what vectors lose when they are reduced by PCA. Nothing is stored.

    Shows for each number of principal components the share of the variance that they explain, the
    recall@10 against the full vectors, and with labels the quality of the rankings. To store such
    vectors, index with EXTRACTOR+pcaN or import with --pca N.

    \b
    lookalike benchmark pca -e color --labels folders
    """
    from lookalike.evaluation.collection import select_spaces
    from lookalike.evaluation.pca_ablation import ablate_space

    try:
        wanted = [int(number) for number in keep.split(",")]
    except ValueError as error:
        raise click.UsageError(f"--keep takes numbers such as 256,64, not {keep!r}") from error
    with open_library.open_library(library) as opened, opened.snapshot() as snapshot:
        spaces = select_spaces(snapshot, [extractor] if extractor else [])
        full = [
            one for one in spaces if extractor or (one.boxes is None and one.projection is None)
        ]
        if not full:
            raise UsageError("the library has no vectors that are not reduced or of regions")
        space = max(full, key=lambda one: one.dim)
        fewer = [number for number in wanted if number < space.dim] or wanted
        count, made = ablate_space(snapshot, space, fewer, labels=labels, folder=opened.home)
    if format_ == "json":
        lines = [asdict(one) for one in made]
        output.put(output.as_json({"extractor": space.name, "vectors": count, "components": lines}))
        return
    output.put(
        f"{space.name}: {format.number(count)} vectors of {format.number(space.dim)} dimensions"
    )
    output.put()
    titles = ["dimensions", "bytes", "variance", "recall@10"] + ["mAP", "P@1"] * (
        labels is not None
    )
    rows = []
    for one in made:
        cells = [
            format.number(one.components),
            format.number(4 * one.components),
            f"{one.retained_variance:.1%}",
            f"{one.recall:.3f}",
        ]
        rows.append([*cells, *(f"{value:.3f}" for value in (one.AP, one.P1) if value is not None)])
    output.table(titles, rows, right="r" * len(titles), stretch=0)


@command.command("search")
@parameters.count_option("--count", "How many vectors are searched.", default=10_000)
@parameters.count_option("--dim", "Dimension of the vectors.", default=512)
@parameters.count_option("--queries", "Queries, searched one by one and as a batch.", default=64)
@parameters.count_option("-k", "How many hits.", default=10)
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
        _search_table(speed)


def _search_table(speed: SearchSpeed) -> None:
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
