"""`lookalike ann`: the indexes that make large libraries quick to search, and how good they are."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli import format, open_library, output, parameters
from lookalike.cli.build_output import put_built
from lookalike.cli.progress import ProgressBar

if TYPE_CHECKING:
    from lookalike.indexing.ann import Verdict
    from lookalike.stores.ann_index import IndexCheck

_by = click.option(
    "--by", metavar="EXTRACTOR", help="Only these vectors. Default: all that are many."
)


@click.group("ann")
def command() -> None:
    """Build and check the indexes of large libraries.

    From some 100,000 pictures on, comparing with all of them takes time. An index looks at a few, and
    misses some: how many is measured when it is built, and shown by `lookalike info`. `index` and
    `import` build one by themselves where it is worth it; `search --exact` goes past it.
    """


@command.command("build")
@_by
@click.option(
    "--recipe",
    metavar="FACTORY",
    help="A FAISS factory string, as 'HNSW32' or 'PCAR256,IVF2048,RaBitQfs'. Default: the smallest of "
    "ours that finds enough.",
)
@click.option(
    "--recall",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.98,
    show_default=True,
    help="The share of the true ten nearest that it must find.",
)
@click.option(
    "--max-memory",
    type=parameters.memory,
    metavar="SIZE",
    help="Memory that it may take beside the vectors, as 500M or 4G.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    metavar="N",
    help="Cores that building may take. Default: all.",
)
@parameters.library_option
def build(
    by: str | None,
    recipe: str | None,
    recall: float,
    max_memory: int | None,
    threads: int | None,
    library: Path | None,
) -> None:
    """Build an index, in place of the older one if there is one.

    Searches go on meanwhile, and use the older one until the new one is whole.
    """
    from lookalike.stores.ann_index import IndexBuildOptions

    wish = IndexBuildOptions(recipe=recipe, target=recall, memory=max_memory, threads=threads)
    with (
        open_library.open_library(library, read_only=False) as opened,
        ProgressBar("Indexing vectors", unit="vectors") as line,
    ):
        built = opened.ann.build(by, wish, progress=line.stage)
    if not built:
        output.note(
            "All vectors are few enough to be compared one by one: name some with --by to index "
            "them nevertheless."
        )
    for name, index in built.items():
        put_built(name, index)


@command.command("check")
@_by
@click.option(
    "--queries",
    type=click.IntRange(min=1),
    default=500,
    show_default=True,
    help="Pictures of the library that are asked for.",
)
@click.option("--no-rebuild", is_flag=True, help="Only measure.")
@parameters.library_option
@parameters.format_options("table", "json")
@click.pass_context
def check(
    ctx: click.Context,
    by: str | None,
    queries: int,
    no_rebuild: bool,
    library: Path | None,
    format_: str,
) -> None:
    """Measure indexes against exact search; build those anew that are not good enough.

    For a nightly cron line: exit 0 if all are good now, 3 if one is not. An index is built anew if it
    finds less than its target, cannot be used, or more than a fifth as many vectors came later.
    """
    with (
        open_library.open_library(library, read_only=False) as opened,
        ProgressBar("Indexing vectors", unit="vectors") as line,
    ):
        verdicts = opened.ann.check(
            by, queries=queries, rebuild=not no_rebuild, progress=line.stage
        )
    if format_ == "json":
        output.put(output.as_json([document(verdict) for verdict in verdicts]))
    else:
        for verdict in verdicts:
            output.put(sentence(verdict))
    if not verdicts:
        output.note("There is no index to check, and no need for one.")
    if not all(verdict.good for verdict in verdicts):
        ctx.exit(3)


@command.command("history")
@click.option("--by", metavar="EXTRACTOR", required=True, help="Whose index.")
@parameters.library_option
@parameters.format_options("table", "json")
@click.pass_context
def history(ctx: click.Context, by: str, library: Path | None, format_: str) -> None:
    """Show what every check of an index found."""
    with open_library.open_library(library) as opened:
        checks = opened.ann.history(by)
    if format_ == "json":
        output.put(output.as_json([asdict(one) for one in checks]))
    elif checks:
        titles = ("when", "recall@10", "ms", "exact ms", "vectors", "not covered")
        output.table(titles, [_row(one) for one in checks], right="lrrrrr", stretch=0)
    else:
        output.note("It was never checked.")
        ctx.exit(1)


@command.command("remove")
@_by
@parameters.library_option
def remove(by: str | None, library: Path | None) -> None:
    """Remove indexes: searches compare with every vector again.

    The next `index` builds one again where it is worth it, unless it is given --no-ann.
    """
    with open_library.open_library(library, read_only=False) as opened:
        gone = opened.ann.remove(by)
    output.put(
        f"Removed {format.counted(len(gone), 'index', 'indexes')}: {', '.join(gone)}."
        if gone
        else "There was no index."
    )


def sentence(verdict: Verdict) -> str:
    """What a check found, and what was done about it."""
    name, found = verdict.space.name, verdict.check
    measured = (
        f"finds {found.recall:.1%} of the true ten nearest, {found.milliseconds:.2f} ms a query "
        f"(exact: {found.exact_milliseconds:.1f} ms)"
        if found
        else "is not in use"
    )
    done = ""
    if verdict.before:
        done = f"; built anew: {verdict.before}" if verdict.rebuilt else f"; {verdict.before}"
    return f"{name}: the index {measured}{done}."


def document(verdict: Verdict) -> dict[str, object]:
    """What --format json writes of a check."""
    return {
        "extractor": verdict.space.name,
        "good": verdict.good,
        "wrong": verdict.before,
        "rebuilt": verdict.rebuilt,
        "check": asdict(verdict.check) if verdict.check else None,
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
