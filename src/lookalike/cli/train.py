"""`lookalike train`: train your own model on labelled images, in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from lookalike.cli import format, open_library, output, parameters
from lookalike.cli.progress import ProgressBar, download_progress

if TYPE_CHECKING:
    from lookalike.metric_learning.linear_metric import LearntMetric

_SOURCES = (
    "`folders` (the first folder of each path), FILE.csv, FILE.csv:COLUMN, or field:NAME of the "
    "library's metadata."
)


@click.command("train")
@click.argument("folder", type=parameters.PATH, required=False)
@click.option(
    "--labels",
    required=True,
    metavar="WHAT",
    help=f"Which images belong together: {_SOURCES}",
)
@click.option(
    "--group-by",
    metavar="WHAT",
    help="Images that must not be split between training and held-out, such as those of one product "
    "when the labels are kinds. Same choices as --labels.",
)
@parameters.extractor_option("The extractor whose vectors are mapped.", default="lookalike")
@parameters.output_option(
    "Folder of the model; an existing trained model is replaced.",
    metavar="DIR",
    default="my-model",
)
@click.option(
    "--held-out",
    type=click.FloatRange(min=0.05, max=0.9),
    default=0.3,
    show_default=True,
    metavar="SHARE",
    help="Share that is not learnt from: the metrics are measured on it.",
)
@click.option(
    "--split",
    type=click.Choice(("labels", "images")),
    help="Hold out whole labels (products: others will be searched later) or images (kinds: the same "
    "will be). Default: labels, if there are at least twenty.",
)
@parameters.count_option(
    "--seed", "Seed of the random choice of what is held out.", default=0, low=0
)
@click.option("--force", is_flag=True, help="Write the model even if it ranks no better.")
@parameters.library_option
@parameters.model_dir_option
@parameters.format_options("table", "json")
@click.pass_context
def command(
    ctx: click.Context,
    folder: Path | None,
    labels: str,
    group_by: str | None,
    extractor: str,
    out: Path,
    held_out: float,
    split: Literal["labels", "images"] | None,
    seed: int,
    force: bool,
    library: parameters.LibraryName | None,
    format_: str,
) -> None:
    """Train a model on labelled images, so that images of one label are close together.

    Learns from the images in FOLDER, by default from all of the library. If FOLDER is in no library,
    its vectors are computed for this only, and nothing is written into it. The model is a linear map on
    top of another extractor's vectors. It is evaluated on held-out labels, and written only if it
    ranks them better.

    \b
    lookalike train shop --labels shop/products.csv:product
    lookalike index shop --extractor ./my-model
    """
    from lookalike.extractors.trained import check_output_folder
    from lookalike.metric_learning.train import TrainingOptions, save, train
    from lookalike.models import prefetch
    from lookalike.viz.charts import learning_chart

    names = parameters.parse_names((extractor,))
    if len(names) != 1:
        raise click.UsageError("--extractor takes one extractor here")
    check_output_folder(out)
    library = _library(ctx, folder, library)
    with download_progress() as progress:
        prefetch(names, progress=progress)
    options = TrainingOptions(labels, group_by, names[0], held_out, split, seed)
    with ProgressBar("Indexing") as bar:
        learnt = train(folder, options, library=library, progress=bar)
    written = learnt.improved or force
    if written:
        save(learnt, out, options)
        learning_chart(learnt, out / "precision-recall.png", title=_title(options.base, learnt))
    if format_ == "json":
        output.put(output.as_json(document(learnt, options.base, out if written else None)))
    else:
        _table(learnt)
    if not learnt.improved:
        outcome = f"{out} was written anyway" if written else "nothing was written"
        output.complain(f"training did not help, {names[0]} is as good or better: {outcome}")
        ctx.exit(0 if written else 1)
    location = folder or open_library.locate(library)
    shown = open_library.shown_library(location)
    place = f"--library {shown}" if isinstance(location, str) else shown
    output.note(
        f"\nWritten: {out}. To use it: lookalike index {place} --extractor {_as_argument(out)}"
    )


def _library(
    ctx: click.Context, folder: Path | None, library: parameters.LibraryName | None
) -> parameters.LibraryName | None:
    """Return the library to use: the one typed, else that of FOLDER if it is in one, else as usual."""
    if folder is None:
        return open_library.locate(library)
    return library if parameters.names_library(ctx) else None


def document(learnt: LearntMetric, base: str, out: Path | None) -> dict[str, Any]:
    """Return the JSON document of `--format json`; its keys are stable."""
    from lookalike.metric_learning.train import quality_document

    return {
        "model": None if out is None else str(out),
        "base": base,
        "improved": learnt.improved,
        "split": learnt.split,
        "trained_on": {"images": learnt.trained_on[0], "labels": learnt.trained_on[1]},
        "held_out": {"images": learnt.held_out[0], "labels": learnt.held_out[1]},
        "dim": learnt.dim,
        "shrinkage": learnt.shrinkage,
        **quality_document(learnt),
    }


def _table(learnt: LearntMetric) -> None:
    output.put(
        f"Trained on {_counted(learnt.trained_on)}. Evaluated on {_counted(learnt.held_out)}"
        f"{', none of them trained on' if learnt.split == 'labels' else ''}."
    )
    output.put()
    before, after = learnt.before.metrics, learnt.after.metrics
    rows = []
    for name in before:
        possible = learnt.best_possible.get(name, 1.0)
        change = f"{100 * (after[name] - before[name]):+.1f} points"
        rows.append(
            [name, f"{before[name]:.3f}", f"{after[name]:.3f}", change, f"of {possible:.3f}"]
        )
    titles = ["held out", "before", "after", "change", "at most"]
    output.table(titles, rows, right="lrrrl", stretch=0)


def _counted(counts: tuple[int, int]) -> str:
    images, labels = counts
    return f"{format.counted(images, 'image')} of {format.counted(labels, 'label')}"


def _title(base: str, learnt: LearntMetric) -> str:
    return f"{_counted(learnt.held_out)} held out: {base} before and after training"


def _as_argument(out: Path) -> str:
    """Return the path as it must be typed to be taken for a folder, not for the name of an extractor."""
    path = open_library.display_path(out)
    return path if Path(path).is_absolute() else f"./{path}"
