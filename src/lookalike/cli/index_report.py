"""What `lookalike index` says about a finished run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.cli import format, open_library, output
from lookalike.cli.metadata_table import put_table_report
from lookalike.images.sniff import not_an_image
from lookalike.object_storage import shown

if TYPE_CHECKING:
    from lookalike.indexing.report import IndexReport
    from lookalike.library import Library

MAX_COMPLAINTS = 10
"""Folders and links that cannot be read, of which each is named; `failures` lists all."""


def put_index_report(
    library: Library, report: IndexReport, sources: tuple[Path, ...], *, filtered: bool
) -> None:
    """Write what an indexing run did, and what could not be read.

    filtered  whether --include or --exclude was given
    """
    put_unreadable(report)
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
        command = open_library.command_line(library.address, "failures")
        output.put(f"{format.number(report.failures)} failed: {outcomes}. `{command}` lists them.")
    if report.known_failures:
        output.put(
            f"{format.number(report.known_failures)} failed earlier, unchanged since: "
            "--retry-failed tries them again."
        )
    if report.companions:
        files = format.counted(report.companions, "raw file or video", "raw files and videos")
        output.put(f"{files} beside an image of the same name: shown with it.")
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
    if report.broken_sidecars:
        output.note(
            "The images of these sidecars are indexed without them: mend or delete them, then index again."
        )
    if report.orphan_sidecars:
        files = format.counted(
            report.orphan_sidecars, "XMP sidecar describes", "XMP sidecars describe"
        )
        output.note(
            f"{files} no image here ({report.orphan_example}): keep a sidecar beside its image, "
            "under its name."
        )
    output.aside(f"Next: {open_library.command_line(library.address, 'search IMAGE')}")


def put_unreadable(report: IndexReport) -> None:
    """Complain about folders and links that could not be read."""
    from lookalike.indexing.report import EMPTY_SOURCE

    listed = [pair for pair in report.unreadable if pair[1] != EMPTY_SOURCE or count_files(report)]
    for folder, reason in listed[:MAX_COMPLAINTS]:
        output.complain(f"{shown(folder)}: {reason}")
    if len(listed) > MAX_COMPLAINTS:
        others = format.number(len(listed) - MAX_COMPLAINTS)
        output.complain(f"{others} more folders and links cannot be read.")


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
    where = ", ".join(shown(source) for source in sources)
    if filtered:
        return f"no image in {where} passes --include and --exclude"
    if report.not_images:
        if len(sources) == 1 and sources[0].is_file():
            return f"{where} is {not_an_image(where)}"
        files = format.counted(report.not_images, "file")
        return f"there are no images in {where}, only {files} of other kinds"
    return (
        f"there are no images in {where} (JPEG, PNG, GIF, BMP, WebP, TIFF, AVIF, HEIC or "
        "what docs/formats.md lists; hidden files are skipped)"
    )
