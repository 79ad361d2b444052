"""`lookalike benchmark extractors`: size, speed and quality of extractors on your own images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lookalike.cli import format, output, parameters
from lookalike.cli.progress import ProgressBar, download_progress
from lookalike.errors import UsageError

if TYPE_CHECKING:
    from lookalike.evaluation.extractor_benchmark import BenchmarkImages, ExtractorBenchmark

# Name of each edit, and the title of its column.
_EDITS = {
    "tilted-5": "turn 5°",
    "turned-90": "turn 90°",
    "brighter": "brighter",
    "crop-10": "crop 80%",
    "jpeg-30": "JPEG 30",
    "mirrored": "mirror",
}
_QUALITY = ("mAP", "P@1", "P@10", "MRR")


@click.command("extractors")
@click.argument("folder", type=parameters.PATH)
@parameters.extractors_option("Which extractors. Default: all that need no model.")
@click.option(
    "--labels",
    metavar="FILE.csv|folders",
    help="Which images belong together: a table with the columns path (relative to it) and label, "
    "or `folders`, where subfolders are the labels. Adds mAP, P@1, P@10 and MRR.",
)
@parameters.count_option(
    "--limit",
    "Largest number of images; from a larger folder a fixed sample is drawn.",
    default=1000,
    low=2,
)
@parameters.count_option("--workers", "Decoding processes. Default: cores.")
@parameters.model_dir_option
@parameters.format_options("table", "json")
@parameters.figure_option("--plot", "Also draw the figures as a chart (PNG, PDF or SVG).")
def extractors(
    folder: Path,
    extractors: tuple[str, ...],
    labels: str | None,
    limit: int,
    workers: int | None,
    format_: str,
    plot: Path | None,
) -> None:
    """Compare extractors on your own images: size, speed, invariance and, with labels, ranking.

    Cosines are between an image and an edited copy; `unrelated` is the mean between two different
    images, for comparison. Nothing is stored.

    \b
    lookalike benchmark extractors ~/Pictures --limit 300
    lookalike benchmark extractors shop --labels manifest.csv -e color,onnx:resnet18 --plot out.png
    """
    from lookalike.evaluation.extractor_benchmark import (
        benchmark_extractor,
        benchmark_images,
        model_free,
    )
    from lookalike.models import prefetch

    chosen = parameters.parse_names(extractors) or model_free()
    found = benchmark_images(folder, labels=labels, limit=limit)
    if not found.paths:
        raise UsageError(f"there are no files in {folder}")
    with download_progress() as progress:
        prefetch(chosen, progress=progress)
    measured: list[ExtractorBenchmark] = []
    for name in chosen:
        with ProgressBar(name) as bar:
            measured.append(benchmark_extractor(name, found, workers=workers, progress=bar.count))
    if format_ == "json":
        output.put(output.as_json(document(folder, found, measured)))
    else:
        _tables(found, measured)
    if lost := measured[0].unreadable:
        output.note(f"{format.counted(lost, 'file')} could not be used and were left out.")
    if plot is not None:
        from lookalike.viz.charts import extractor_chart

        title = f"Extractors on {format.counted(measured[0].images, 'image')} of {folder.name}"
        extractor_chart(measured, plot, title=title)
        output.note(f"Written: {plot}")


def document(
    folder: Path, found: BenchmarkImages, measured: list[ExtractorBenchmark]
) -> dict[str, Any]:
    """Return the JSON document of `--format json`; its keys are stable."""
    return {
        "folder": str(folder),
        "files": len(found.paths),
        "labels": len(set(found.labels)) if found.labels is not None else None,
        "extractors": [_record(one) for one in measured],
    }


def _record(one: ExtractorBenchmark) -> dict[str, Any]:
    return {
        "extractor": one.name,
        "revision": one.revision,
        "dim": one.dim,
        "bytes_per_image": one.bytes,
        "images": one.images,
        "unreadable": one.unreadable,
        "images_per_second": {
            "extraction_per_core": _rounded(one.extraction_rate, 1),
            "from_files_per_core": _rounded(one.core_rate, 1),
            "from_files": _rounded(one.parallel_rate, 1),
        },
        "cosine": {
            **{name: _rounded(value) for name, value in one.invariance.items()},
            "unrelated": _rounded(one.mean_cosine),
        },
        "quality": {name: _rounded(value) for name, value in one.quality.items()} or None,
    }


def _rounded(value: float | None, digits: int = 4) -> float | None:
    """Round for JSON, which has no NaN."""
    return None if value is None or value != value else round(value, digits)


def _tables(found: BenchmarkImages, measured: list[ExtractorBenchmark]) -> None:
    labelled = found.labels is not None
    titles = ["extractor", "dim", "bytes", "extract/s", "files/s a core", "files/s here"]
    rows = [
        [
            one.name,
            format.number(one.dim),
            format.number(one.bytes),
            format.rate(one.extraction_rate),
            format.rate(one.core_rate),
            format.rate(one.parallel_rate),
            *([f"{one.quality[name]:.3f}" for name in _QUALITY] if labelled else []),
        ]
        for one in measured
    ]
    output.table([*titles, *(_QUALITY if labelled else [])], rows, right="lrrrrrrrrr", stretch=0)
    output.put()
    cosines = [
        [
            one.name,
            *(_cosine(one.invariance.get(name)) for name in _EDITS),
            _cosine(one.mean_cosine),
        ]
        for one in measured
    ]
    output.table(
        ["cosine after", *_EDITS.values(), "unrelated"], cosines, right="lrrrrrrr", stretch=0
    )
    output.put()
    output.put(
        "extract/s and files/s a core are images per second of CPU time: from decoded pixels, and from "
        "the file.\nfiles/s here is by wall-clock time, with all workers."
    )


def _cosine(value: float | None) -> str:
    return "–" if value is None or value != value else format.similarity(value)
