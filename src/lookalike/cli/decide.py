"""`lookalike decide`: say what is no duplicate, what to keep, what was meant."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli import format, open_library, output, parameters

if TYPE_CHECKING:
    from lookalike.stores.interface import DecisionKind

_KINDS = ("not-duplicate", "keep", "relevant", "not-relevant")


@click.command("decide")
@click.argument("kind", type=click.Choice(_KINDS))
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=parameters.PATH)
@click.option("--who", default="", metavar="NAME", help="Who decides, if that matters later.")
@click.option("--forget", is_flag=True, help="Take the decision back.")
@parameters.library_option
@click.pass_context
def command(
    ctx: click.Context,
    kind: DecisionKind,
    paths: tuple[Path, ...],
    who: str,
    forget: bool,
    library: Path | None,
) -> None:
    """Say what you know better than the program; it is remembered.

    Decisions stay when pictures are moved, removed or indexed again.

    \b
    lookalike decide not-duplicate a.jpg b.jpg     a is not the same as b
    lookalike decide keep a.jpg                    of its copies, keep this one
    lookalike decide relevant a.jpg b.jpg c.jpg    who asks for a means b and c
    lookalike decide not-relevant a.jpg d.jpg      but not d: search a.jpg --feedback
    """
    near = [path.absolute() for path in paths]
    with open_library.open_library(library, near, read_only=False) as opened:
        if forget:
            gone = opened.feedback.remove(kind, *paths)
            if not gone:
                output.note("There was no such decision.")
                ctx.exit(1)
            output.put(f"Forgot {format.counted(gone, 'decision')}.")
            return
        made = opened.feedback.add(kind, *paths, who=who)
    output.put(f"Remembered {format.counted(len(made), 'decision')}.")
