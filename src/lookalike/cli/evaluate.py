"""`lookalike evaluate`: how good is it, on one's own pictures?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lookalike.cli import evaluate_output, parameters
from lookalike.cli.fetch_progress import FetchLine
from lookalike.cli.progress import ProgressLine
from lookalike.errors import UsageError

if TYPE_CHECKING:
    from lookalike.evaluation.evaluate import Plan
    from lookalike.evaluation.open_or_build import Opened


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
    help="Known pairs, columns first,second,similar (1 or 0): finds the similarity from which on two "
    "pictures are alike.",
)
@click.option(
    "--self",
    "itself",
    is_flag=True,
    help="Without labels: edited copies of your pictures must find their originals.",
)
@click.option(
    "--by",
    metavar="EXTRACTOR,...",
    multiple=True,
    help="Which vectors of the library. Default: all.",
)
@click.option(
    "--with",
    "with_",
    metavar="EXTRACTOR,...",
    multiple=True,
    help="Index FOLDER with these for this evaluation only, library or not.",
)
@click.option(
    "--index", is_flag=True, help="Also as the library's own search answers, by its index."
)
@click.option(
    "-k",
    "cutoffs",
    default="1,5,10",
    show_default=True,
    metavar="K,...",
    help="Cut-offs of P@k, R@k, nDCG@k and hit@k.",
)
@click.option(
    "--depth",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    metavar="N",
    help="Hits of a ranking where not all pictures are ranked: with an index, or in large libraries.",
)
@click.option(
    "--queries",
    type=click.IntRange(min=1),
    metavar="N",
    help="Questions at most, drawn evenly, always the same. Default: all; with --self 200.",
)
@click.option(
    "--run",
    "runs",
    type=parameters.PATH,
    metavar="FILE",
    multiple=True,
    help="Also judge these rankings (TREC run). With judgements in --labels no FOLDER is needed.",
)
@click.option(
    "--save-run",
    type=parameters.PATH,
    metavar="FOLDER",
    help="Write the rankings, a TREC run a system, to --depth.",
)
@click.option(
    "--save-qrels", type=parameters.PATH, metavar="FILE", help="Write the labels as TREC qrels."
)
@click.option(
    "--timed",
    type=click.IntRange(min=0),
    default=50,
    show_default=True,
    metavar="N",
    help="Questions whose time is taken, from the file's bytes to the hits.",
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Of whatever is drawn at random."
)
@click.option(
    "--report",
    type=parameters.PATH,
    metavar="OUT.html",
    help="Also write a page with tables, curves and the best and worst questions, and OUT.json.",
)
@click.option(
    "--plot",
    type=parameters.FIGURE,
    metavar="OUT.png",
    help="Also draw the figures (PNG, PDF, SVG).",
)
@parameters.model_dir_option
@parameters.format_options("table", "json")
def command(
    folder: Path | None,
    labels: str | None,
    pairs: Path | None,
    itself: bool,
    with_: tuple[str, ...],
    report: Path | None,
    plot: Path | None,
    save_run: Path | None,
    save_qrels: Path | None,
    format_: str,
    **asked: Any,
) -> None:
    """How good the search is on your own pictures, with labels or without.

    FOLDER is a library, or a folder of pictures that is indexed for this only (nothing is written into
    it). Every labelled picture asks for the others of its label; the value in brackets is the 95 %
    bootstrap interval. The best system is compared with each other one by a paired randomisation test.

    \b
    lookalike evaluate shop --labels manifest.csv --report shop.html
    lookalike evaluate shop --labels folders --with color,onnx:resnet18
    lookalike evaluate ~/Pictures --self --plot self.png
    lookalike evaluate --labels judged.qrels --run a.run --run b.run
    """
    if sum((labels is not None, pairs is not None, itself)) != 1:
        raise click.UsageError("say what to evaluate with: one of --labels, --pairs and --self")
    if asked["by"] and with_:
        raise click.UsageError("--by names vectors of a library, --with indexes anew: not both")
    for out in (report, plot, save_qrels):
        if out is not None and not out.absolute().parent.is_dir():
            raise UsageError(f"cannot write {out}: there is no folder {out.parent}")
    if report is not None and report.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"a report is a page: name it {report.with_suffix('.html')}")
    plan = _plan(labels, asked, saved=save_run is not None)
    outputs = evaluate_output.Outputs(
        _title(folder, labels), format_, report, plot, save_run, save_qrels
    )
    if folder is None:
        if labels is None or not plan.runs:
            raise click.UsageError("name a FOLDER of pictures or a library")
        evaluate_output.runs_alone(labels, plan, outputs)
        return
    with _open(folder, with_) as opened:
        if itself:
            evaluate_output.by_itself(opened, plan, outputs)
        elif pairs is not None:
            evaluate_output.known_pairs(opened, plan, pairs, outputs)
        else:
            evaluate_output.labelled(opened, plan, folder, outputs)


def _title(folder: Path | None, labels: str | None) -> str:
    return f"How good is the search in {folder.resolve().name}?" if folder else f"Runs on {labels}"


@contextmanager
def _open(folder: Path, with_: tuple[str, ...]) -> Iterator[Opened]:
    from lookalike.evaluation.open_or_build import opened
    from lookalike.extractors.registry import parse
    from lookalike.models import fetch_ahead

    names = parse(",".join(with_)) if with_ else []
    with FetchLine() as fetched:
        fetch_ahead(names, progress=fetched)
    with ExitStack() as stack:
        with ProgressLine("Indexing") as line:
            found = stack.enter_context(opened(folder, extractors=names, progress=line))
        yield found


def _plan(labels: str | None, asked: Mapping[str, Any], *, saved: bool) -> Plan:
    from lookalike.evaluation.evaluate import Plan
    from lookalike.evaluation.systems import Asked
    from lookalike.evaluation.trec import read_run
    from lookalike.extractors.registry import parse

    cutoffs = _cutoffs(asked["cutoffs"])
    depth = max(asked["depth"], *cutoffs)
    return Plan(
        labels=labels,
        by=tuple(parse(",".join(asked["by"]))),
        index=asked["index"],
        runs={file.stem: read_run(file) for file in asked["runs"]},
        queries=asked["queries"],
        timed=asked["timed"],
        asked=Asked(
            cutoffs=cutoffs,
            depth=depth,
            kept=max(10, *cutoffs, depth if saved else 0),
            seed=asked["seed"],
        ),
    )


def _cutoffs(text: str) -> tuple[int, ...]:
    try:
        found = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        raise click.UsageError(f"-k is a list of numbers like 1,5,10, not {text!r}") from None
    if found[0] < 1:
        raise click.UsageError("-k: a metric looks at one hit at least")
    return found
