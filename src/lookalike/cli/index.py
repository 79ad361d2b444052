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
from lookalike.cli.index_parts import write_parts
from lookalike.cli.index_report import count_files, put_index_report, summary
from lookalike.cli.metadata_table import check_metadata_options, metadata_options
from lookalike.cli.progress import ProgressBar, download_progress
from lookalike.object_storage import is_url

if TYPE_CHECKING:
    from lookalike.indexing.report import IndexEstimate, IndexOptions, IndexReport
    from lookalike.library import Library


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
    "--pages",
    is_flag=True,
    help="Pages of TIFF files and chosen frames of animations become images of their own (scan.tif#2), as "
    "the pages of PDF files and frames of videos do.",
)
@click.option(
    "--no-pairs",
    is_flag=True,
    help="A raw file beside a JPEG of the same name and moment, and the video of a live photo, are images of "
    "their own.",
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
@click.option(
    "--parts",
    metavar="URL",
    help="Write parts to this folder or URL instead of a library; `lookalike import-parts` loads them.",
)
@click.option(
    "--shard",
    metavar="N/COUNT",
    help="With --parts, index only one share of the files, for example 3/16 on the third of 16 machines.",
)
@click.option(
    "--ray",
    metavar="ADDRESS",
    help="With --parts, index on the Ray cluster at this address; auto: the one that this machine belongs "
    "to, local: one that is started here. --workers are the processes of each actor. (lookalike[ray])",
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
    library: parameters.LibraryName | None,
    metadata: Path | None,
    path_column: str,
    replace_metadata: bool,
    no_sidecars: bool,
    pages: bool,
    no_pairs: bool,
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
    parts: str | None,
    shard: str | None,
    ray: str | None,
    strict: bool,
) -> None:
    """Index images, so that they can be searched.

    PATH is a folder (with everything below it) or a single image; without one, all folders of the library.
    Files that have not changed since the last run are skipped, moved images are recognised, and images whose
    files are gone are removed from the library. Ctrl-C is safe at any time: the same command resumes where
    it stopped.

    PATH may also be an s3://, gs:// or az:// URL, an archive (.tar as WebDataset writes it, .parquet with the
    bytes of images), or a .txt file that lists https:// addresses, one a line.

    Without --library, the nearest library above the first PATH is used; if there is none, it is created in
    the first folder given, or for images elsewhere in the current folder.
    """
    check_metadata_options(metadata, path_column, replace_metadata=replace_metadata)
    check_parts_options(sources, parts, shard, ray, watching=watching, dry_run=dry_run)
    sources = sources or open_library.folders(library)
    if watching:
        check_watch_options(sources, dry_run=dry_run, strict=strict)
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
        pages=pages,
        pairs=not no_pairs,
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
    if parts is not None:
        report = write_parts(ctx, sources, names or DEFAULT_EXTRACTORS, options, parts, shard, ray)
        if strict and (report.failures or report.known_failures or report.unreadable):
            ctx.exit(3)
        return
    with open_library.open_for_indexing(sources, library) as opened:
        report = _add(ctx, opened, sources, names, options)
        put_index_report(opened, report, sources, filtered=bool(include or exclude))
        if report.missing:
            _forget(ctx, opened, sources, names, replace(options, metadata=None), report.missing)
        if watching:
            _watch(ctx, opened, sources, names, options)
        if strict and (report.failures or report.known_failures or report.unreadable):
            ctx.exit(3)
        if not count_files(report):
            ctx.exit(1)


def check_parts_options(
    sources: tuple[Path, ...],
    parts: str | None,
    shard: str | None,
    ray: str | None,
    *,
    watching: bool,
    dry_run: bool,
) -> None:
    """Raise `click.UsageError` where options about parts contradict each other."""
    if shard is not None and parts is None:
        raise click.UsageError("--shard writes parts: say where, --parts DIR or URL")
    if ray is not None and (parts is None or shard is not None):
        raise click.UsageError(
            "--ray takes --parts DIR or URL and does all shards: leave out --shard"
        )
    if parts is not None and (watching or dry_run):
        raise click.UsageError("--parts goes neither with --watch nor with --dry-run")
    if parts is not None and not sources:
        raise click.UsageError("name the folders whose files are to be written as parts")


def check_watch_options(sources: tuple[Path, ...], *, dry_run: bool, strict: bool) -> None:
    """Raise `click.UsageError` for options and sources that --watch cannot take."""
    if dry_run or strict:
        raise click.UsageError("--watch goes on for ever: leave out --dry-run and --strict")
    if (file := next((source for source in sources if source.is_file()), None)) is not None:
        raise click.UsageError(f"--watch takes folders, and {file} is a file: name its folder")
    if any(map(is_url, sources)):
        raise click.UsageError("--watch sees changes of files on this machine only")


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
