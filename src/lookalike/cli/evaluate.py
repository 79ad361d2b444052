"""`lookalike evaluate`: measure the search quality on one's own images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lookalike.cli import evaluate_output, open_library, parameters
from lookalike.cli.progress import ProgressBar, download_progress

if TYPE_CHECKING:
    from lookalike.evaluation.collection import EvalLibrary
    from lookalike.evaluation.evaluate import EvalPlan


@click.command("evaluate")
@click.argument("folder", type=parameters.PATH, required=False)
@click.option(
    "--labels",
    metavar="WHAT",
    help="What belongs together: `folders` (the first folder of each path), FILE.csv or "
    "FILE.csv:COLUMN (a table with the columns path and label, or COLUMN), field:NAME of the "
    "library's metadata, or a file of judgements (TREC qrels).",
)
@click.option(
    "--pairs",
    type=parameters.PATH,
    metavar="FILE.csv",
    help="Pairs with the columns first,second,similar (1 or 0): finds the best similarity threshold.",
)
@click.option(
    "--self-test",
    "self_test",
    is_flag=True,
    help="Without labels: edited copies of your images must find their originals.",
)
@parameters.extractors_option(
    "Extractors of the library to evaluate, or to index FOLDER with. Default: all of the library."
)
@click.option(
    "--reindex",
    is_flag=True,
    help="Index FOLDER for this evaluation only, even if it has a library.",
)
@click.option(
    "--index", is_flag=True, help="Also evaluate the library's own search, with its ANN index."
)
@click.option(
    "-k",
    "cutoffs",
    default="1,5,10",
    show_default=True,
    metavar="K,...",
    help="Cut-offs of P@k, R@k, nDCG@k and hit@k.",
)
@parameters.count_option(
    "--depth",
    "Hits of a ranking where not all images are ranked: with an index, or in large libraries.",
    default=1000,
)
@parameters.count_option(
    "--queries",
    "Largest number of queries, evenly spaced, always the same. Default: all; with --self-test 200.",
)
@click.option(
    "--run",
    "runs",
    type=parameters.PATH,
    metavar="FILE",
    multiple=True,
    help="Also evaluate these rankings (TREC run). With judgements in --labels no FOLDER is needed.",
)
@click.option(
    "--save-run",
    type=parameters.PATH,
    metavar="FOLDER",
    help="Write the rankings to --depth hits, one TREC run per system.",
)
@click.option(
    "--save-qrels", type=parameters.OUTPUT, metavar="FILE", help="Write the labels as TREC qrels."
)
@parameters.count_option(
    "--timed",
    "Queries whose time is measured, from the bytes of the file to the hits.",
    default=50,
    low=0,
)
@parameters.count_option("--seed", "Seed of all random choices.", default=0, low=0)
@parameters.output_option(
    "Also write a report with tables, curves and the best and worst queries, and OUT.json.",
    type_=parameters.UserPath(".html", ".htm", output=True, remedy="an .html file"),
    metavar="OUT.html",
)
@parameters.figure_option("--plot", "Also draw the figures (PNG, PDF, SVG).")
@parameters.library_option
@parameters.model_dir_option
@parameters.format_options("table", "json")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    folder: Path | None,
    labels: str | None,
    pairs: Path | None,
    self_test: bool,
    extractors: tuple[str, ...],
    reindex: bool,
    out: Path | None,
    plot: Path | None,
    save_run: Path | None,
    save_qrels: Path | None,
    library: parameters.LibraryName | None,
    format_: str,
    **options: Any,
) -> None:
    """Measure how good the search is on your own images, with labels or without.

    FOLDER restricts the evaluation to the images in it. If it is in no library, it is indexed for this
    evaluation only, and nothing is written into it. Every labelled image is a query for the others of
    its label; the values in brackets are 95 % bootstrap intervals. The best system is compared with
    each other one by a paired randomisation test.

    \b
    lookalike evaluate shop --labels manifest.csv -o shop.html
    lookalike evaluate shop --labels folders --reindex -e color,onnx:resnet18
    lookalike evaluate ~/Pictures --self-test --plot self-test.png
    lookalike evaluate --labels judged.qrels --run a.run --run b.run
    """
    if sum((labels is not None, pairs is not None, self_test)) != 1:
        raise click.UsageError("name what to evaluate with: --labels, --pairs or --self-test")
    plan = _plan(labels, extractors, options, save_runs=save_run is not None)
    title = f"Search quality in {folder.resolve().name}" if folder else "Search quality"
    outputs = evaluate_output.Outputs(title, format_, out, plot, save_run, save_qrels)
    explicit = library if parameters.names_library(ctx) else None
    if folder is None and explicit is None and labels is not None and plan.runs:
        evaluate_output.run_rankings(labels, plan, outputs)
        return
    with open_eval_library(ctx, folder, library, plan.extractors, reindex=reindex) as opened:
        if self_test:
            evaluate_output.run_self_test(opened, plan, outputs)
        elif pairs is not None:
            evaluate_output.run_pairs(opened, plan, pairs, outputs)
        else:
            root = folder or opened.library.home
            evaluate_output.run_evaluation(opened, plan, root, outputs)


@contextmanager
def open_eval_library(
    ctx: click.Context,
    folder: Path | None,
    library: parameters.LibraryName | None,
    extractors: tuple[str, ...] = (),
    *,
    reindex: bool = False,
) -> Iterator[EvalLibrary]:
    """Open the library to evaluate: --library, else that of FOLDER or a temporary one, else as usual."""
    from lookalike.evaluation.collection import open_or_build
    from lookalike.models import prefetch
    from lookalike.stores.open_store import find_library

    if reindex and folder is None:
        raise click.UsageError("--reindex needs a FOLDER of images")
    if folder is None:
        library = open_library.locate(library)
    elif reindex or not parameters.names_library(ctx):
        library = None if reindex else find_library(folder)
    if library is None:
        with download_progress() as progress:
            prefetch(list(extractors), progress=progress)
    with ExitStack() as stack:
        with ProgressBar("Indexing") as bar:
            opened = stack.enter_context(
                open_or_build(
                    folder, library=library, extractors=extractors, reindex=reindex, progress=bar
                )
            )
        yield opened


def _plan(
    labels: str | None, extractors: tuple[str, ...], options: Mapping[str, Any], *, save_runs: bool
) -> EvalPlan:
    from lookalike.evaluation.evaluate import EvalPlan
    from lookalike.evaluation.systems import EvalOptions
    from lookalike.evaluation.trec import read_run

    cutoffs = _cutoffs(options["cutoffs"])
    depth = max(options["depth"], *cutoffs)
    return EvalPlan(
        labels=labels,
        extractors=tuple(parameters.parse_names(extractors)),
        index=options["index"],
        runs={file.stem: read_run(file) for file in options["runs"]},
        queries=options["queries"],
        timed=options["timed"],
        options=EvalOptions(
            cutoffs=cutoffs,
            depth=depth,
            keep=max(10, *cutoffs, depth if save_runs else 0),
            seed=options["seed"],
        ),
    )


def _cutoffs(text: str) -> tuple[int, ...]:
    try:
        found = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        raise click.UsageError(f"-k is a list of numbers like 1,5,10, not {text!r}") from None
    if found[0] < 1:
        raise click.UsageError("-k: a metric needs at least one hit")
    return found
