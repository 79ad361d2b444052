"""Options of a table with metadata, and what is said about it: for `index` and `import`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

import click

from lookalike.cli import format, output

PATH = "path"
"""Column of a table that names the images, unless --path-column says otherwise."""

F = TypeVar("F", bound=Callable[..., Any])


class TableReport(Protocol):
    """Fields about the metadata table that `IndexReport` and `ImportReport` share."""

    @property
    def described(self) -> int: ...
    @property
    def repeated_rows(self) -> int: ...
    @property
    def unmatched_rows(self) -> int: ...
    @property
    def unmatched_example(self) -> str: ...
    @property
    def table_notes(self) -> tuple[str, ...]: ...


def metadata_options(command: F) -> F:
    """Add --metadata, --path-column and --replace-metadata."""
    for option in (
        click.option(
            "--replace-metadata",
            is_flag=True,
            help="The table replaces what earlier tables said about its images; otherwise it adds to it.",
        ),
        click.option(
            "--path-column",
            default=PATH,
            show_default=True,
            metavar="NAME",
            help="Column of the table that names the images.",
        ),
        click.option(
            "--metadata",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            metavar="FILE",
            help="A table (CSV, or JSON lines in a .jsonl) with a column of paths and others that describe "
            "the images; a text query also searches 'caption'.",
        ),
    ):
        command = option(command)
    return command


def check_metadata_options(
    metadata: Path | None, path_column: str, *, replace_metadata: bool
) -> None:
    """Refuse options that say how a table is read where there is none."""
    for given, option in (
        (path_column != PATH, "--path-column"),
        (replace_metadata, "--replace-metadata"),
    ):
        if given and metadata is None:
            raise click.UsageError(f"{option} is about a table: name it with --metadata FILE")


def put_table_report(report: TableReport) -> None:
    """Print how many images got metadata, and whatever the reader of the table should know."""
    text = f"{format.counted(report.described, 'image')} got metadata."
    if report.repeated_rows:
        rows = format.counted(report.repeated_rows, "row describes", "rows describe")
        text += f" {rows} an image again: captions were joined, other values listed."
    if report.unmatched_rows:
        rows = format.counted(report.unmatched_rows, "row names", "rows name")
        more = ", …" * (report.unmatched_rows > 1)
        first = output.printable(report.unmatched_example)
        text += (
            f" {rows} no indexed image: {first}{more}; paths are relative to the table's folder."
        )
    output.put(text)
    for note in report.table_notes:
        output.put(f"  {output.printable(note)}.")
