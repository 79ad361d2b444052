"""`lookalike index`: make a folder of pictures searchable, and keep it up to date."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli import format, open_library, output, parameters, prestart
from lookalike.cli.fetch_progress import FetchLine
from lookalike.cli.progress import ProgressBar

if TYPE_CHECKING:
    from lookalike.indexing.report import IndexEstimate, IndexOptions, IndexReport
    from lookalike.library import Library


@click.command("index")
@click.argument("sources", metavar="PATH...", nargs=-1, required=True, type=parameters.PATH)
@click.option(
    "--with",
    "extractors",
    multiple=True,
    metavar="EXTRACTOR",
    help="What turns pictures into vectors; several may be given, also as a,b. Default: those the "
    "library has already, else the best built-in one.",
)
@click.option(
    "--regions",
    is_flag=True,
    help="Also keep vectors of thirteen parts of every picture, so that a small thing in a large "
    "picture is found, and where it is; takes fourteen times the room.",
)
@click.option(
    "--no-normalise",
    "raw",
    is_flag=True,
    help="Keep new vectors at the length they have, for --similarity euclidean where length means "
    "something. Otherwise vectors that are compared by their angle are stored at length 1.",
)
@parameters.library_option
@click.option(
    "--metadata",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A table (CSV, or JSON lines in a .jsonl) with a column 'path' and others that describe the "
    "pictures; 'caption' holds words to search for.",
)
@click.option(
    "--no-sidecars",
    is_flag=True,
    help="Leave files beside the pictures alone (photo.jpg.txt, photo.json), which describe them.",
)
@click.option(
    "--include",
    multiple=True,
    metavar="GLOB",
    help="Only files that match, for example 'holiday/**' or '*.jpg'; may be repeated.",
)
@click.option(
    "--exclude", multiple=True, metavar="GLOB", help="Leave out files that match; may be repeated."
)
@click.option(
    "--dry-run", is_flag=True, help="Time a sample and say what it would take; changes nothing."
)
@click.option("--retry-failed", is_flag=True, help="Try unchanged files again that failed earlier.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Processes that read pictures. Default: one for each processor core.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="S",
    help="Seconds that one picture may take. Default: 20.",
)
@click.option(
    "--max-memory",
    type=parameters.memory,
    metavar="SIZE",
    help="Memory that one worker may take, as 500M or 4G. Default: half of the machine's, shared.",
)
@click.option(
    "--max-pixels",
    type=parameters.pixels,
    metavar="N",
    help="Largest picture that is opened, as 100M (megapixels). Default: 512M.",
)
@click.option(
    "--no-ann",
    is_flag=True,
    help="Build no index for approximate search, however many pictures there are.",
)
@click.option("--strict", is_flag=True, help="Exit with 3 if pictures could not be indexed.")
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
    no_sidecars: bool,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    dry_run: bool,
    retry_failed: bool,
    workers: int | None,
    timeout: float | None,
    max_memory: int | None,
    max_pixels: int | None,
    no_ann: bool,
    strict: bool,
) -> None:
    """Index pictures, so that they can be searched.

    PATH is a folder (with everything below it) or a single picture. Files that have not changed
    since the last run cost nothing; pictures that were moved are recognised; those that are gone
    are forgotten. Ctrl-C is safe at any time: the same command goes on where it stopped.

    Without --library, the library nearest above the first PATH is used; if there is none, it is
    made in the first folder given.
    """
    if all(source.exists() for source in sources):
        prestart.start_workers(ctx, workers)

    from lookalike.extractors.interface import REGIONS
    from lookalike.extractors.registry import parse
    from lookalike.indexing.report import IndexOptions
    from lookalike.library import DEFAULT_EXTRACTORS
    from lookalike.models import prefetch
    from lookalike.workers.limits import Limits

    defaults = Limits()
    options = IndexOptions(
        include=include,
        exclude=exclude,
        workers=workers,
        limits=Limits(
            timeout=timeout or defaults.timeout,
            max_pixels=max_pixels or defaults.max_pixels,
            max_memory=max_memory or defaults.max_memory,
        ),
        retry_failed=retry_failed,
        normalise=not raw,
        metadata=metadata,
        sidecars=not no_sidecars,
        ann=not no_ann,
    )
    names = parse(",".join(extractors))
    if regions:
        if raw:
            raise click.UsageError("--regions keeps parts at length 1: leave out --no-normalise")
        names = [name + REGIONS for name in names or DEFAULT_EXTRACTORS[:1]]
    with FetchLine() as line:
        prefetch(names, progress=line)
    if dry_run:
        with (
            open_library.open_for_estimate(sources, library) as opened,
            ProgressBar("Timing a sample"),
        ):
            _say_promise(opened.estimate(sources, extractors=names or None, options=options))
        return
    with open_library.open_for_indexing(sources, library) as opened:
        added = _add(ctx, opened, sources, names, options)
        _say_added(opened, added, sources, chosen=bool(include or exclude))
        if strict and (added.failures or added.known_failures):
            ctx.exit(3)
        if not files(added):
            ctx.exit(1)


def _add(
    ctx: click.Context,
    library: Library,
    sources: tuple[Path, ...],
    names: list[str],
    options: IndexOptions,
) -> IndexReport:
    try:
        with ProgressBar("Indexing") as line:
            return library.add(
                sources,
                extractors=names or None,
                options=options,
                progress=line if line.visible else None,
            )
    except KeyboardInterrupt:
        held = format.counted(library.info().images, "picture is", "pictures are")
        output.interrupted(f"{held} in the library; run the same command to go on.")
        ctx.exit(130)


def _say_promise(estimate: IndexEstimate) -> None:
    what = f"{format.counted(estimate.files, 'file')}, {format.number(estimate.to_index)} to index"
    if not estimate.to_index:
        output.put(f"{what}.")
        return
    output.put(f"{what} (timed on {format.counted(estimate.sampled, 'picture')}).")
    output.put(
        f"time         about {format.duration(estimate.seconds)}"
        f" ({format.rate(estimate.images_per_second)} pictures a second)"
    )
    output.put(f"disk         about {format.size(estimate.disk_bytes)}")
    if estimate.peak_memory_bytes is not None:
        output.put(f"peak memory  about {format.size(estimate.peak_memory_bytes)}")


def _say_added(
    library: Library, added: IndexReport, sources: tuple[Path, ...], *, chosen: bool
) -> None:
    from lookalike.indexing.report import EMPTY_SOURCE

    for folder, reason in added.unreadable:
        if reason != EMPTY_SOURCE or files(added):
            output.complain(f"{folder}: {reason}")
    if not files(added):
        output.complain(_nothing(added, sources, chosen=chosen))
        return
    output.put(summary(added))
    for space in library.info().spaces:
        if space.name in added.spaces and space.current and space.projection is not None:
            output.put(f"{space.name}: {format.retained(space.projection)}")
    if added.failed:
        kinds = ", ".join(
            f"{format.number(n)} {outcome.replace('_', ' ')}"
            for outcome, n in sorted(added.failed.items(), key=lambda pair: -pair[1])
        )
        lists = open_library.command_line(library.folder, "failures")
        output.put(f"{format.number(added.failures)} failed: {kinds}. `{lists}` lists them.")
    if added.known_failures:
        output.put(
            f"{format.number(added.known_failures)} failed earlier and have not changed: "
            "--retry-failed tries them again."
        )
    if added.described or added.unmatched_rows:
        output.put(_metadata_line(added))
    if added.sidecars:
        described = format.counted(added.sidecars, "picture has", "pictures have")
        output.put(f"{described} new words from files beside them.")
    for path, reason in added.broken_examples:
        output.complain(f"{path}: {reason}")
    if added.broken_sidecars > len(added.broken_examples):
        more = added.broken_sidecars - len(added.broken_examples)
        output.complain(f"{format.number(more)} more files beside pictures cannot be used.")
    output.aside(f"Next: {open_library.command_line(library.folder, 'search PICTURE')}")


def files(added: IndexReport) -> int:
    """Pictures that the run met or missed; 0 means that there was nothing to do at all."""
    met = added.indexed + added.unchanged + added.removed
    return met + added.failures + added.known_failures


def summary(added: IndexReport) -> str:
    """In one line: "Indexed 812 pictures (3 changed, 1,204 unchanged) in 12.3 s, 66 a second."""
    parts = [
        f"{format.number(n)} {word}"
        for n, word in (
            (added.changed, "changed"),
            (added.added_vectors, "known from other vectors"),
            (added.moved, "moved"),
            (added.copied, "copied"),
            (added.removed, "removed"),
            (added.unchanged, "unchanged"),
        )
        if n
    ]
    aside = f" ({', '.join(parts)})" if parts else ""
    speed = (
        f", {format.rate(added.indexed / added.seconds)} a second"
        if added.indexed and added.seconds > 0
        else ""
    )
    return (
        f"Indexed {format.counted(added.indexed, 'picture')}{aside}"
        f" in {format.duration(added.seconds)}{speed}."
    )


def _metadata_line(added: IndexReport) -> str:
    text = f"{format.counted(added.described, 'picture')} got metadata."
    if added.unmatched_rows:
        rows = format.counted(added.unmatched_rows, "row names", "rows name")
        more = ", …" * (added.unmatched_rows > 1)
        first = output.printable(added.unmatched_example)
        text += (
            f" {rows} no indexed picture: {first}{more}; paths are relative to the table's folder."
        )
    return text


def _nothing(added: IndexReport, sources: tuple[Path, ...], *, chosen: bool) -> str:
    where = ", ".join(str(source) for source in sources)
    if chosen:
        return f"no picture in {where} is let through by --include and --exclude"
    if added.not_images:
        if len(sources) == 1 and sources[0].is_file():
            return f"{where} is no picture: neither its name nor its content says so"
        files = format.counted(added.not_images, "file")
        return f"there are no pictures in {where}, only {files} of other kinds"
    return (
        f"there are no pictures in {where} (JPEG, PNG, GIF, BMP, WebP, TIFF, AVIF or HEIC; "
        "hidden files are skipped)"
    )
