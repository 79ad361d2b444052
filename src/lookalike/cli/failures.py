"""`lookalike failures`: list files that could not be indexed, with the reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli import format, open_library, output, parameters
from lookalike.errors import FAILED, Outcome, UsageError
from lookalike.images.formats import became_readable, missing_extra

if TYPE_CHECKING:
    from lookalike.library import Library

_FAILED = tuple(outcome.value for outcome in Outcome if outcome is not Outcome.INDEXED)
_FIELDS = ("path", "outcome", "reason")


@click.command("failures")
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=parameters.PATH)
@click.option(
    "--outcome",
    "outcomes",
    multiple=True,
    type=click.Choice(_FAILED),
    help="Only files with this outcome; may be repeated.",
)
@parameters.library_option
@parameters.format_options("table", "json", "jsonl", "csv", "paths")
@click.pass_context
def command(
    ctx: click.Context,
    paths: tuple[Path, ...],
    outcomes: tuple[str, ...],
    library: parameters.LibraryName | None,
    format_: str,
    null: bool,
) -> None:
    """List the files that could not be indexed, with the reason.

    With PATH (files or folders) the outcome of each of their files is listed, indexed ones included; exit
    code 1 means that the library does not know some of them.

    \b
    lookalike failures --outcome truncated
    lookalike failures ~/Pictures/cat.jpg
    """
    format_ = parameters.chosen_format(format_, null)
    with open_library.open_library(library, paths) as opened:
        wanted = [Outcome(name) for name in outcomes] or (list(Outcome) if paths else None)
        listing = _Listing(opened, paths, wanted)
        _write(listing.records(), format_, null=null)
        if not paths and format_ == "table":
            put_missing_extras(opened)
    if listing.unknown:
        ctx.exit(1)
    if not listing.count and not paths:
        output.note("No file has failed." if not outcomes else "No file has that outcome.")


def put_missing_extras(library: Library) -> None:
    """Write how many files of each kind could be read with an extra that is not installed."""
    counts = Counter(
        missing
        for image in library.files((Outcome.SKIPPED, Outcome.UNSUPPORTED))
        if (missing := missing_extra(image.reason)) and not became_readable(image.reason, "")
    )
    for (name, extra), count in sorted(counts.items()):
        files = format.counted(count, f"{name} file")
        output.note(f"{files}: pip install 'lookalike[{extra}]'")


class _Listing:
    """Yields the records to print one by one: a library may have millions."""

    def __init__(
        self, library: Library, paths: tuple[Path, ...], outcomes: list[Outcome] | None
    ) -> None:
        self._library = library
        self._paths = paths
        self._outcomes = outcomes
        self.count = 0
        self.unknown = 0

    def records(self) -> Iterator[dict[str, str]]:
        roots = {root.id: root.path for root in self._library.info().roots}
        for path in self._paths or (None,):
            try:
                for image in self._library.files(self._outcomes or FAILED, below=path):
                    self.count += 1
                    file = roots[image.root] / image.path
                    yield {
                        "path": open_library.display_path(file),
                        "outcome": image.outcome.value,
                        "reason": image.reason,
                    }
            except UsageError as error:
                self.unknown += 1
                output.complain(str(error))


def _write(records: Iterator[dict[str, str]], format_: str, *, null: bool) -> None:
    if format_ == "json":
        output.put(output.as_json({"files": list(records)}))
    elif format_ == "jsonl":
        output.put_jsonl(records)
    elif format_ == "csv":
        output.put_csv(_FIELDS, records)
    elif format_ == "paths":
        for record in records:
            output.put_path(record["path"], null=null)
    else:
        # Outcome first, so that the lines are aligned although they are printed one by one.
        width = max(map(len, _FAILED))
        for record in records:
            reason = f": {record['reason']}" if record["reason"] else ""
            outcome = record["outcome"].ljust(width)
            output.put(output.printable(f"{outcome}  {record['path']}{reason}"))
