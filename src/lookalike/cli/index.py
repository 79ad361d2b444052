"""`lookalike index`: make a folder of images searchable, and keep the library up to date."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli import format, open_library, output, parameters, prestart
from lookalike.cli.metadata_table import check_metadata_options, metadata_options, put_table_report
from lookalike.cli.progress import ProgressBar, download_progress

if TYPE_CHECKING:
    from lookalike.indexing.report import IndexEstimate, IndexOptions, IndexReport
    from lookalike.library import Library


MAX_COMPLAINTS = 10
"""Folders and links that cannot be read, of which each is named; `failures` lists all."""


@click.command("index")
@click.argument("sources", metavar="[PATH]...", nargs=-1, type=parameters.PATH)
@parameters.extractors_option(
    "What turns images into vectors; may be repeated. Default: those of the library, or the built-in ones."
)
@click.option(
    "--regions",
    is_flag=True,
    help="Also store vectors of thirteen regions of every image, so that a small object in a large image is "
    "found, with its position; takes fourteen times the space.",
)
@click.option(
    "--no-normalise",
    "raw",
    is_flag=True,
    help="Store new vectors at their original length, for --similarity euclidean where length matters. "
    "Otherwise vectors compared by cosine are stored at length 1.",
)
@parameters.library_option
@metadata_options
@click.option(
    "--no-sidecars",
    is_flag=True,
    help="Ignore sidecar files that describe images (photo.jpg.txt, photo.json).",
)
@click.option(
    "--include",
    multiple=True,
    metavar="GLOB",
    help="Only files that match, for example 'holiday/**' or '*.jpg'; may be repeated.",
)
@click.option(
    "--exclude",
    multiple=True,
    metavar="GLOB",
    help="Leave out files and folders that match, such as 'thumbs' or 'raw/**', now and in later runs; may "
    "be repeated. `lookalike info` lists them.",
)
@click.option(
    "--no-exclude", multiple=True, metavar="GLOB", help="Index again what --exclude GLOB left out."
)
@click.option(
    "--dry-run", is_flag=True, help="Estimate time and space from a sample; change nothing."
)
@click.option(
    "--prune",
    is_flag=True,
    help="Forget images whose files are gone without asking, even more than a tenth of the library.",
)
@click.option("--retry-failed", is_flag=True, help="Try unchanged files again that failed earlier.")
@parameters.count_option(
    "--workers", "Processes that read images. Default: one per processor core."
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="S",
    help="Time limit for one image in seconds. Default: 20.",
)
@click.option(
    "--max-memory",
    type=parameters.memory,
    metavar="SIZE",
    help="Memory limit of one worker, such as 500M or 4G. Default: half of the machine's, shared.",
)
@click.option(
    "--max-pixels",
    type=parameters.pixels,
    metavar="N",
    help="Largest image that is opened, such as 100M (megapixels). Default: 512M.",
)
@click.option(
    "--no-ann",
    is_flag=True,
    help="Do not build ANN indexes, however many images there are.",
)
@click.option(
    "--watch",
    "watching",
    is_flag=True,
    help="Afterwards, index again whenever files in the folders change, until Ctrl-C.",
)
@click.option("--strict", is_flag=True, help="Exit with 3 if images or folders could not be read.")
@parameters.model_dir_option
@click.pass_context
def command(
    ctx: click.Context,
    sources: tuple[Path, ...],
    extractors: tuple[str, ...],
    regions: bool,
    raw: bool,
    library: Path | None,
    metadata: Path | None,
    path_column: str,
    replace_metadata: bool,
    no_sidecars: bool,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    no_exclude: tuple[str, ...],
    dry_run: bool,
    prune: bool,
    retry_failed: bool,
    workers: int | None,
    timeout: float | None,
    max_memory: int | None,
    max_pixels: int | None,
    no_ann: bool,
    watching: bool,
    strict: bool,
) -> None:
    """Index images, so that they can be searched.

    PATH is a folder (with everything below it) or a single image; without one, all folders of the library.
    Files that have not changed since the last run are skipped, moved images are recognised, and images whose
    files are gone are removed from the library. Ctrl-C is safe at any time: the same command resumes where
    it stopped.

    Without --library, the nearest library above the first PATH is used; if there is none, it is created in
    the first folder given.
    """
    check_metadata_options(metadata, path_column, replace_metadata=replace_metadata)
    sources = sources or open_library.folders(library)
    if watching and (dry_run or strict):
        raise click.UsageError("--watch goes on for ever: leave out --dry-run and --strict")
    if watching and (file := next((source for source in sources if source.is_file()), None)):
        raise click.UsageError(f"--watch takes folders, and {file} is a file: name its folder")
    if all(source.exists() for source in sources):
        prestart.start_workers(ctx, workers)

    from lookalike.extractors.interface import REGIONS
    from lookalike.indexing.report import IndexOptions
    from lookalike.library import DEFAULT_EXTRACTORS
    from lookalike.models import prefetch
    from lookalike.workers.limits import Limits

    defaults = Limits()
    options = IndexOptions(
        include=include,
        exclude=exclude,
        no_exclude=no_exclude,
        workers=workers,
        limits=Limits(
            timeout=timeout or defaults.timeout,
            max_pixels=max_pixels or defaults.max_pixels,
            max_memory=max_memory or defaults.max_memory,
        ),
        retry_failed=retry_failed,
        normalise=not raw,
        metadata=metadata,
        path_column=path_column,
        replace_metadata=replace_metadata,
        prune=prune,
        sidecars=not no_sidecars,
        ann=not no_ann,
    )
    names = parameters.parse_names(extractors)
    if regions:
        if raw:
            raise click.UsageError("--regions stores vectors at length 1: omit --no-normalise")
        names = [name + REGIONS for name in names or DEFAULT_EXTRACTORS[:1]]
    with download_progress() as progress:
        prefetch(names, progress=progress)
    if dry_run:
        with (
            open_library.open_for_estimate(sources, library) as opened,
            ProgressBar("Timing a sample"),
        ):
            _print_estimate(opened.estimate(sources, extractors=names or None, options=options))
        return
    with open_library.open_for_indexing(sources, library) as opened:
        report = _add(ctx, opened, sources, names, options)
        _print_report(opened, report, sources, filtered=bool(include or exclude))
        if report.missing:
            _forget(ctx, opened, sources, names, replace(options, metadata=None), report.missing)
        if watching:
            _watch(ctx, opened, sources, names, options)
        if strict and (report.failures or report.known_failures or report.unreadable):
            ctx.exit(3)
        if not count_files(report):
            ctx.exit(1)


def _add(
    ctx: click.Context,
    library: Library,
    sources: tuple[Path, ...],
    names: list[str],
    options: IndexOptions,
) -> IndexReport:
    try:
        with ProgressBar("Indexing") as bar:
            return library.add(
                sources,
                extractors=names or None,
                options=options,
                progress=bar if bar.visible else None,
            )
    except KeyboardInterrupt:
        count = format.counted(library.info().images, "image is", "images are")
        output.interrupted(f"{count} in the library; run the same command to continue.")
        ctx.exit(130)


def _watch(
    ctx: click.Context,
    library: Library,
    sources: tuple[Path, ...],
    names: list[str],
    options: IndexOptions,
) -> None:
    """Index what changes until Ctrl-C."""
    from lookalike.cli.watch import watch

    again = replace(options, exclude=(), no_exclude=(), metadata=None, retry_failed=False)

    def index(folders: Sequence[Path]) -> None:
        report = _add(ctx, library, tuple(folders), names, again)
        if report.indexed or report.removed or report.failures:
            failed = f" {format.number(report.failures)} failed." if report.failures else ""
            output.put(f"{datetime.now():%H:%M:%S} {summary(report)}{failed}")
            sys.stdout.flush()
        if report.missing:
            _forget(ctx, library, tuple(folders), names, again, report.missing)

    output.note("Watching for changes; Ctrl-C ends it.")
    excluded = any(root.exclude for root in library.info().roots)
    try:
        watch(sources, index, whole=excluded or bool(options.include))
    except KeyboardInterrupt:
        output.note("No longer watching.")
        ctx.exit(0)


def _forget(
    ctx: click.Context,
    library: Library,
    sources: tuple[Path, ...],
    names: list[str],
    options: IndexOptions,
    missing: int,
) -> None:
    """Ask whether to forget images whose files are gone; without a terminal, say how to."""
    gone = f"The files of {format.counted(missing, 'image')} are gone, more than a tenth of the library"
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        output.note(f"{gone}: they are kept. --prune forgets them.")
    elif click.confirm(f"{gone}. Forget them?", err=True):
        removed = _add(ctx, library, sources, names, replace(options, prune=True)).removed
        output.put(f"Forgot {format.counted(removed, 'image')}.")


def _print_estimate(estimate: IndexEstimate) -> None:
    files = f"{format.counted(estimate.files, 'file')}, {format.number(estimate.to_index)} to index"
    if not estimate.to_index:
        output.put(f"{files}.")
        return
    output.put(f"{files} (timed on {format.counted(estimate.sampled, 'image')}).")
    output.put(
        f"time         about {format.duration(estimate.seconds)}"
        f" ({format.rate(estimate.images_per_second)} images a second)"
    )
    output.put(f"disk         about {format.size(estimate.disk_bytes)}")
    if estimate.peak_memory_bytes is not None:
        output.put(f"peak memory  about {format.size(estimate.peak_memory_bytes)}")


def _print_report(
    library: Library, report: IndexReport, sources: tuple[Path, ...], *, filtered: bool
) -> None:
    from lookalike.indexing.report import EMPTY_SOURCE

    shown = [pair for pair in report.unreadable if pair[1] != EMPTY_SOURCE or count_files(report)]
    for folder, reason in shown[:MAX_COMPLAINTS]:
        output.complain(f"{folder}: {reason}")
    if len(shown) > MAX_COMPLAINTS:
        others = format.number(len(shown) - MAX_COMPLAINTS)
        output.complain(f"{others} more folders and links cannot be read.")
    if not count_files(report):
        output.complain(_nothing_found(report, sources, filtered=filtered))
        return
    output.put(summary(report))
    for space in library.info().spaces:
        if space.name in report.spaces and space.current and space.projection is not None:
            output.put(f"{space.name}: {format.retained(space.projection)}")
    if report.failed:
        outcomes = ", ".join(
            f"{format.number(n)} {outcome.replace('_', ' ')}"
            for outcome, n in sorted(report.failed.items(), key=lambda pair: -pair[1])
        )
        command = open_library.command_line(library.folder, "failures")
        output.put(f"{format.number(report.failures)} failed: {outcomes}. `{command}` lists them.")
    if report.known_failures:
        output.put(
            f"{format.number(report.known_failures)} failed earlier, unchanged since: "
            "--retry-failed tries them again."
        )
    if report.drawings:
        drawn = format.counted(report.drawings, "file")
        output.put(f"{drawn} drawn by Lookalike {'is' if report.drawings == 1 else 'are'} skipped.")
    if report.described or report.unmatched_rows:
        put_table_report(report)
    if report.sidecars:
        described = format.counted(report.sidecars, "image has", "images have")
        output.put(f"{described} new metadata from sidecar files.")
    for path, reason in report.broken_examples:
        output.complain(f"{path}: {reason}")
    if report.broken_sidecars > len(report.broken_examples):
        more = report.broken_sidecars - len(report.broken_examples)
        output.complain(f"{format.number(more)} more sidecar files cannot be used.")
    output.aside(f"Next: {open_library.command_line(library.folder, 'search IMAGE')}")


def count_files(report: IndexReport) -> int:
    """Return the number of images found or missed; 0 means that there was nothing to do."""
    found = report.indexed + report.unchanged + report.removed
    return found + report.failures + report.known_failures


def summary(report: IndexReport) -> str:
    """Return a line like "Indexed 812 images (3 changed, 1,204 unchanged) in 12.3 s, 66 a second."."""
    parts = [
        f"{format.number(n)} {word}"
        for n, word in (
            (report.changed, "changed"),
            (report.added_vectors, "already known from other extractors"),
            (report.moved, "moved"),
            (report.copied, "copied"),
            (report.removed, "removed"),
            (report.unchanged, "unchanged"),
        )
        if n
    ]
    details = f" ({', '.join(parts)})" if parts else ""
    speed = (
        f", {format.rate(report.indexed / report.seconds)} a second"
        if report.indexed and report.seconds > 0
        else ""
    )
    return (
        f"Indexed {format.counted(report.indexed, 'image')}{details}"
        f" in {format.duration(report.seconds)}{speed}."
    )


def _nothing_found(report: IndexReport, sources: tuple[Path, ...], *, filtered: bool) -> str:
    where = ", ".join(str(source) for source in sources)
    if filtered:
        return f"no image in {where} passes --include and --exclude"
    if report.not_images:
        if len(sources) == 1 and sources[0].is_file():
            return f"{where} is not an image: neither its name nor its content says so"
        files = format.counted(report.not_images, "file")
        return f"there are no images in {where}, only {files} of other kinds"
    return (
        f"there are no images in {where} (JPEG, PNG, GIF, BMP, WebP, TIFF, AVIF or HEIC; "
        "hidden files are skipped)"
    )
