"""`lookalike gap`: pictures on which two ideas of "alike" disagree."""

from __future__ import annotations

from pathlib import Path

import click

from lookalike.cli import format, open_library, output, parameters
from lookalike.errors import UsageError

_SIDE = 256


@click.command("gap")
@click.argument("folder", metavar="[FOLDER]", required=False, type=parameters.PATH)
@click.option(
    "--by",
    default="color",
    show_default=True,
    metavar="MEASURE",
    help="An extractor of the library, or a part of the built-in one (lookalike/color).",
)
@click.option(
    "--and",
    "and_",
    default="network",
    show_default=True,
    metavar="MEASURE",
    help="The other one; network is what the built-in network sees, without its colours.",
)
@click.option("--pairs", type=click.IntRange(1), default=6, show_default=True, help="Of each kind.")
@click.option(
    "-o",
    "--out",
    type=parameters.FIGURE,
    metavar="FILE",
    help="The figure: .png, .jpg, .pdf or .svg. Default: gap.png",
)
@parameters.library_option
@click.option(
    "--format",
    "format_",
    type=click.Choice(("table", "json")),
    default="table",
    show_default=True,
    help="How the pairs are written; with json nothing is drawn without -o.",
)
@click.pass_context
def command(
    ctx: click.Context,
    folder: Path | None,
    by: str,
    and_: str,
    pairs: int,
    out: Path | None,
    library: Path | None,
    format_: str,
) -> None:
    """Show pairs that one measure finds alike and another does not: the semantic gap.

    \b
    lookalike gap
    lookalike gap --by shape --and lookalike -o gap.png
    """
    from lookalike.explain.gap import gap
    from lookalike.images.jpeg import decode_jpeg

    drawn = out or (None if format_ == "json" else Path("gap.png"))
    if drawn is not None and not drawn.absolute().parent.is_dir():
        raise UsageError(f"cannot draw {drawn}: there is no folder {drawn.parent}")
    near = [folder.absolute()] if folder else []
    with open_library.open_library(library or folder, near, read_only=False) as opened:
        found = gap(opened, by, and_, pairs=pairs)
        ids = [sight.id for side in found.only for p in side for sight in (p.first, p.second)]
        made = opened.thumbnails.many(ids, _SIDE) if drawn is not None else ()
        pictures = {
            id: decode_jpeg(each.data) if each else None
            for id, each in zip(ids, made, strict=False)
        }
    if format_ == "json":
        output.put(output.as_json(found.as_dict()))
    else:
        rows = [
            (
                name,
                format.similarity(pair.similarities[0]),
                format.similarity(pair.similarities[1]),
                pair.first.path,
                pair.second.path,
            )
            for name, side in zip(found.measures, found.only, strict=True)
            for pair in side
        ]
        titles = ["alike by", *found.measures, "picture", "picture"]
        output.table(titles, rows, right="lrrll", stretch=(-2, -1))
    output.note(
        f"Of a picture's five nearest by {found.measures[0]}, {found.agreement:.0%} are among those by "
        f"{found.measures[1]} ({format.counted(found.compared, 'picture')})."
    )
    if drawn is not None:
        from lookalike.viz.gap_figure import draw_gap

        draw_gap(found, pictures, drawn)
        output.note(f"Drawn: {drawn}")
    if not any(found.only):
        output.note("The two never disagree so far: no pair is close by one and far by the other.")
        ctx.exit(1)
