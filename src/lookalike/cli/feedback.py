"""`lookalike feedback`: judgements about images: add, remove, list, export, import."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli import format, open_library, output, parameters
from lookalike.errors import UsageError
from lookalike.files import output_file

if TYPE_CHECKING:
    from lookalike.stores.interface import DecisionKind

# As `DECISIONS` of the stores, which need NumPy.
_KINDS = ("not-duplicate", "keep", "relevant", "not-relevant")

_kind = click.argument("kind", type=click.Choice(_KINDS))
_images = click.argument(
    "images", metavar="IMAGE...", nargs=-1, required=True, type=parameters.PATH
)


@click.group("feedback")
def command() -> None:
    """Tell the library what you know better: duplicates, originals, relevance.

    Feedback refers to the content of images. It stays valid when they are moved, removed or indexed
    again, and can be copied to other libraries.
    """


@command.command("add")
@_kind
@_images
@click.option("--who", default="", metavar="NAME", help="Who says so, if that matters later.")
@parameters.library_option
def add(
    kind: DecisionKind, images: tuple[Path, ...], who: str, library: parameters.LibraryName | None
) -> None:
    """Store a judgement about images.

    \b
    lookalike feedback add not-duplicate a.jpg b.jpg     a is not a duplicate of b
    lookalike feedback add keep a.jpg                    of its copies, keep this one
    lookalike feedback add relevant a.jpg b.jpg c.jpg    a search with a means b and c
    lookalike feedback add not-relevant a.jpg d.jpg      but not d: search a.jpg --feedback
    """
    with open_library.open_library(library, images, read_only=False) as opened:
        added = opened.feedback.add(kind, *images, who=who)
    output.put(f"Added {format.counted(len(added), 'judgement')}.")


@command.command("remove")
@_kind
@_images
@parameters.library_option
@click.pass_context
def remove(
    ctx: click.Context,
    kind: DecisionKind,
    images: tuple[Path, ...],
    library: parameters.LibraryName | None,
) -> None:
    """Remove a judgement that was added with the same arguments."""
    with open_library.open_library(library, images, read_only=False) as opened:
        removed = opened.feedback.remove(kind, *images)
    if not removed:
        output.note("There is no such judgement: `lookalike feedback list` shows all.")
        ctx.exit(1)
    output.put(f"Removed {format.counted(removed, 'judgement')}.")


@command.command("list")
@parameters.library_option
@click.pass_context
def list_(ctx: click.Context, library: parameters.LibraryName | None) -> None:
    """List all judgements."""
    with open_library.open_library(library) as opened:
        rows = [
            [
                one.decision.kind,
                _shown(one.first, one.decision.first),
                _shown(one.second, one.decision.second),
                one.decision.who,
                one.decision.when,
            ]
            for one in opened.feedback.all()
        ]
    if not rows:
        output.note("No feedback has been added yet.")
        ctx.exit(1)
    output.table(["judgement", "image", "other", "who", "when"], rows, stretch=(1, 2))


@command.command("export")
@parameters.output_option("Default: standard output.")
@parameters.library_option
def export(out: Path | None, library: parameters.LibraryName | None) -> None:
    """Write all judgements as JSON lines, for `feedback import`."""
    with open_library.open_library(library) as opened:
        lines = list(opened.feedback.export_lines())
    if out is None or str(out) == "-":
        for line in lines:
            output.put(line)
        return
    with output_file(out) as file:
        file.write("".join(f"{line}\n" for line in lines).encode("utf-8"))
    output.note(f"Wrote {format.counted(len(lines), 'judgement')} to {out}.")


@command.command("import")
@click.argument("file", type=parameters.PATH, required=False)
@parameters.library_option
def import_(file: Path | None, library: parameters.LibraryName | None) -> None:
    """Add judgements from a file that `feedback export` wrote, or from standard input."""
    with open_library.open_library(library, read_only=False) as opened:
        added = opened.feedback.import_lines(_read_lines(file))
    output.put(f"Added {format.counted(added, 'new judgement')}.")


def _read_lines(file: Path | None) -> list[str]:
    if file is None or str(file) == "-":
        return sys.stdin.read().splitlines()
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from None


def _shown(files: tuple[Path, ...], hash: bytes | None) -> str:
    """Return the first file with a content, or the start of its hash if there is none."""
    if files:
        return open_library.display_path(files[0])
    return f"({hash.hex()[:12]}, not in the library)" if hash else ""
