"""`lookalike ann`: build, check and remove the ANN indexes of large libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lookalike.cli import format, open_library, output, parameters
from lookalike.cli.progress import ProgressBar

if TYPE_CHECKING:
    from lookalike.indexing.ann import CheckResult
    from lookalike.stores.ann_index import Index, IndexCheck

_extractor = parameters.extractor_option(
    "Only the vectors of this extractor. Default: all spaces that are large."
)


@click.group("ann")
def command() -> None:
    """Build, check and remove the ANN indexes of large libraries.

    From some 100,000 images on, comparing with all of them takes time. An approximate nearest-neighbour
    (ANN) index compares with a few, and misses some of the true nearest: its recall is measured when it is
    built, and shown by `lookalike info`. `index` and `import` build one automatically where it is worth it;
    `search --exact` does not use it.
    """


@command.command("build")
@_extractor
@click.option(
    "--recipe",
    metavar="FACTORY",
    help="A FAISS factory string, such as 'HNSW32' or 'PCAR256,IVF2048,RaBitQfs'. Default: the "
    "smallest built-in one that reaches the recall.",
)
@click.option(
    "--recall",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.98,
    show_default=True,
    help="Target recall@10: the share of the true ten nearest that it must find.",
)
@click.option(
    "--max-memory",
    type=parameters.memory,
    metavar="SIZE",
    help="Memory that it may take beside the vectors, such as 500M or 4G.",
)
@parameters.count_option("--threads", "Cores that building may use. Default: all.")
@parameters.library_option
def build(
    extractor: str | None,
    recipe: str | None,
    recall: float,
    max_memory: int | None,
    threads: int | None,
    library: parameters.LibraryName | None,
) -> None:
    """Build an index, replacing an existing one.

    Searches continue meanwhile, with the old index until the new one is complete.
    """
    from lookalike.stores.ann_index import IndexBuildOptions

    options = IndexBuildOptions(recipe=recipe, target=recall, memory=max_memory, threads=threads)
    with (
        open_library.open_library(library, read_only=False) as opened,
        ProgressBar("Indexing vectors", unit="vectors") as bar,
    ):
        built = opened.ann.build(extractor, options, progress=bar.stage)
    if not built:
        output.note(
            "No space is large enough to need an index: name one with --extractor to build its index "
            "anyway."
        )
    for name, index in built.items():
        put_built(name, index)


@command.command("check")
@_extractor
@parameters.count_option(
    "--queries", "How many images of the library are searched for.", default=500
)
@click.option("--no-rebuild", is_flag=True, help="Only measure.")
@parameters.library_option
@parameters.format_options("table", "json")
@click.pass_context
def check(
    ctx: click.Context,
    extractor: str | None,
    queries: int,
    no_rebuild: bool,
    library: parameters.LibraryName | None,
    format_: str,
) -> None:
    """Measure indexes against exact search, and rebuild those that are not good enough.

    For a nightly cron job: exits with 0 if all indexes are good now, with 3 if one is not. An index is
    rebuilt if its recall is below its target, if it cannot be used, or if more than a fifth as many
    vectors were added since.
    """
    with (
        open_library.open_library(library, read_only=False) as opened,
        ProgressBar("Indexing vectors", unit="vectors") as bar,
    ):
        results = opened.ann.check(
            extractor, queries=queries, rebuild=not no_rebuild, progress=bar.stage
        )
    if format_ == "json":
        output.put(output.as_json([document(result) for result in results]))
    else:
        for result in results:
            output.put(sentence(result))
    if not results:
        output.note("There is no index to check, and none is needed.")
    if not all(result.ok for result in results):
        ctx.exit(3)


@command.command("history")
@parameters.extractor_option("Whose index.", required=True)
@parameters.library_option
@parameters.format_options("table", "json")
@click.pass_context
def history(
    ctx: click.Context, extractor: str, library: parameters.LibraryName | None, format_: str
) -> None:
    """Show the results of all checks of an index."""
    from lookalike.wire import encode

    with open_library.open_library(library) as opened:
        checks = opened.ann.history(extractor)
    if format_ == "json":
        output.put(output.as_json([encode(one) for one in checks]))
    elif checks:
        titles = ("when", "recall@10", "ms", "exact ms", "vectors", "unindexed")
        output.table(titles, [_row(one) for one in checks], right="lrrrrr", stretch=0)
    else:
        output.note("It was never checked.")
        ctx.exit(1)


@command.command("remove")
@_extractor
@parameters.library_option
def remove(extractor: str | None, library: parameters.LibraryName | None) -> None:
    """Remove indexes, so that searches are exact.

    The next `index` builds one again where it is worth it, unless it is given --no-ann.
    """
    with open_library.open_library(library, read_only=False) as opened:
        removed = opened.ann.remove(extractor)
    output.put(
        f"Removed {format.counted(len(removed), 'index', 'indexes')}: {', '.join(removed)}."
        if removed
        else "There was no index."
    )


def put_built(name: str, index: Index) -> None:
    """Print what was built; warn where the recall target was missed."""
    output.put(
        f"{name}: {format.number(index.rows)} vectors in {format.duration(index.seconds)}, "
        f"recall@10 {index.recall:.3f} in {index.milliseconds:.2f} ms, "
        f"{format.number(index.bytes_per_vector)} bytes a vector ({index.recipe})."
    )
    if index.recall < index.target:
        output.complain(
            f"{name}: the index reaches a recall of {index.recall:.3f}, not {index.target:.3f}: another "
            "--recipe may reach more; search --exact finds all"
        )


def sentence(result: CheckResult) -> str:
    """Return what a check found, and what was done, as a sentence."""
    name, found = result.space.name, result.check
    measured = (
        f"reaches recall@10 {found.recall:.3f}, {found.milliseconds:.2f} ms a query "
        f"(exact: {found.exact_milliseconds:.1f} ms)"
        if found
        else "is not in use"
    )
    done = ""
    if result.problem:
        done = f"; rebuilt: {result.problem}" if result.rebuilt else f"; {result.problem}"
    return f"{name}: the index {measured}{done}."


def document(result: CheckResult) -> dict[str, object]:
    """Return the JSON document of one result."""
    from lookalike.wire import encode

    return {
        "extractor": result.space.name,
        "ok": result.ok,
        "problem": result.problem,
        "rebuilt": result.rebuilt,
        "check": encode(result.check) if result.check else None,
    }


def _row(check: IndexCheck) -> tuple[str, ...]:
    return (
        check.when,
        f"{check.recall:.4f}",
        f"{check.milliseconds:.2f}",
        f"{check.exact_milliseconds:.1f}",
        format.number(check.rows),
        format.number(check.unindexed),
    )
