"""`lookalike train`: a model of one's own from labelled pictures, in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from lookalike.cli import format, open_library, output, parameters
from lookalike.cli.fetch_progress import FetchLine
from lookalike.cli.progress import ProgressBar

if TYPE_CHECKING:
    from lookalike.metric_learning.linear_metric import Learnt

_WHAT = (
    "`folders` (the first folder of each path), FILE.csv, FILE.csv:COLUMN, or field:NAME of the "
)


@click.command("train")
@click.argument("folder", type=parameters.PATH)
@click.option(
    "--labels",
    required=True,
    metavar="WHAT",
    help=f"What belongs together: {_WHAT}library's metadata.",
)
@click.option(
    "--apart",
    metavar="WHAT",
    help="What must not be learnt from and judged by at once, as products are when the labels are "
    "kinds: the same choices.",
)
@click.option(
    "--with",
    "base",
    default="lookalike",
    show_default=True,
    metavar="EXTRACTOR",
    help="Whose vectors are turned.",
)
@click.option(
    "--out",
    type=parameters.PATH,
    default=Path("my-model"),
    show_default=True,
    metavar="DIR",
    help="The model's folder; a trained model that is there is replaced.",
)
@click.option(
    "--held-out",
    type=click.FloatRange(min=0.05, max=0.9),
    default=0.3,
    show_default=True,
    metavar="SHARE",
    help="Share that nothing is learnt from: the figures are its.",
)
@click.option(
    "--split",
    type=click.Choice(("labels", "pictures")),
    help="Hold out whole labels (products: others will be searched later) or pictures (kinds: the "
    "same will be). Default: labels, if there are at least twenty.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Which labels are held out: another number, another choice.",
)
@click.option("--anyway", is_flag=True, help="Write the model even if it ranks no better.")
@parameters.model_dir_option
@parameters.format_options("table", "json")
@click.pass_context
def command(
    ctx: click.Context,
    folder: Path,
    labels: str,
    apart: str | None,
    base: str,
    out: Path,
    held_out: float,
    split: Literal["labels", "pictures"] | None,
    seed: int,
    anyway: bool,
    format_: str,
) -> None:
    """Train a model on labelled pictures: what has one label shall lie together.

    FOLDER is a library, or a folder of pictures (nothing is written into it). What is learnt is a
    linear map on top of another extractor's vectors: it takes seconds. It is judged before and after
    on labels that were held out, and written only if it ranks them better.

    \b
    lookalike train shop --labels shop/products.csv:product
    lookalike index shop --extractor ./my-model
    """
    from lookalike.extractors.registry import parse
    from lookalike.metric_learning.train import Wish, save, train
    from lookalike.models import prefetch
    from lookalike.models.trained import check_output_folder
    from lookalike.viz.charts import learning_chart

    names = parse(base)
    if len(names) != 1:
        raise click.UsageError("--with takes one extractor here")
    check_output_folder(out)
    with FetchLine() as fetched:
        prefetch(names, progress=fetched)
    wish = Wish(labels, apart, names[0], held_out, split, seed)
    with ProgressBar("Looking") as line:
        learnt = train(folder, wish, progress=line)
    written = learnt.better or anyway
    if written:
        save(learnt, out, wish)
        learning_chart(learnt, out / "precision-recall.png", title=_title(wish.base, learnt))
    if format_ == "json":
        output.put(output.as_json(document(learnt, wish.base, out if written else None)))
    else:
        _table(learnt)
    if not learnt.better:
        kept = f"{out} was written all the same" if written else "nothing was written"
        output.complain(f"training did not help, {names[0]} is as good or better: {kept}")
        ctx.exit(0 if written else 1)
    output.note(f"\nWritten: {out}. Use it: lookalike index {folder} --extractor {_typed(out)}")


def document(learnt: Learnt, base: str, out: Path | None) -> dict[str, Any]:
    """What --format json writes; its keys are a promise to scripts."""
    from lookalike.metric_learning.train import figures

    return {
        "model": None if out is None else str(out),
        "base": base,
        "better": learnt.better,
        "split": learnt.split,
        "learnt": {"pictures": learnt.learnt[0], "labels": learnt.learnt[1]},
        "held_out": {"pictures": learnt.held_out[0], "labels": learnt.held_out[1]},
        "dim": learnt.dim,
        "shrinkage": learnt.shrinkage,
        **figures(learnt),
    }


def _table(learnt: Learnt) -> None:
    said = "other labels" if learnt.split == "labels" else "other pictures"
    output.put(
        f"Learnt from {_counted(learnt.learnt)}. Judged on {said}: {_counted(learnt.held_out)}."
    )
    output.put()
    before, after = learnt.before.figures, learnt.after.figures
    rows = []
    for name in before:
        most = learnt.best.get(name, 1.0)
        change = f"{100 * (after[name] - before[name]):+.1f} points"
        rows.append(
            [name, f"{before[name]:.3f}", f"{after[name]:.3f}", change, f"of {most:.3f} at most"]
        )
    output.table(["held out", "before", "after", "", ""], rows, right="lrrrl", stretch=0)


def _counted(counts: tuple[int, int]) -> str:
    pictures, labels = counts
    return f"{format.counted(pictures, 'picture')} of {format.counted(labels, 'label')}"


def _title(base: str, learnt: Learnt) -> str:
    return f"{_counted(learnt.held_out)} held out: {base} before and after training"


def _typed(out: Path) -> str:
    path = open_library.display_path(out)
    return path if Path(path).is_absolute() else f"./{path}"
