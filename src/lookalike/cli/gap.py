"""`lookalike gap`: find images on which two measures of similarity disagree."""

from __future__ import annotations

from pathlib import Path

import click

from lookalike.cli import format, open_library, output, parameters

# Largest side of the images in the figure, in pixels.
_SIDE = 256


@click.command("gap")
@click.argument("folder", metavar="[FOLDER]", required=False, type=parameters.PATH)
@parameters.extractor_option(
    "An extractor of the library, or a part of the built-in one (lookalike/color).", default="color"
)
@click.option(
    "--versus",
    default="network",
    show_default=True,
    metavar="NAME",
    help="The other one; network is the built-in network without its colours.",
)
@parameters.count_option("--pairs", "Pairs of each kind.", default=6)
@parameters.output_option(
    "The figure: .png, .jpg, .pdf or .svg. Default: gap.png", type_=parameters.FIGURE
)
@parameters.library_option
@parameters.format_options(
    "table", "json", description="Format of the pairs; with json nothing is drawn without -o."
)
@click.pass_context
def command(
    ctx: click.Context,
    folder: Path | None,
    extractor: str,
    versus: str,
    pairs: int,
    out: Path | None,
    library: parameters.LibraryName | None,
    format_: str,
) -> None:
    """Show pairs that are similar by one measure and not by another: the semantic gap.

    \b
    lookalike gap
    lookalike gap -e shape --versus lookalike -o gap.png
    """
    from lookalike.explain.gap import find_gap
    from lookalike.images.jpeg import decode_jpeg

    figure = out or (None if format_ == "json" else Path("gap.png"))
    named = parameters.library_or_folder(ctx, library, folder)
    with open_library.open_library(named, read_only=False) as opened:
        found = find_gap(opened, extractor, versus, pairs=pairs)
        ids = [image.id for side in found.only for p in side for image in (p.first, p.second)]
        thumbnails = opened.thumbnails.many(ids, _SIDE) if figure is not None else ()
        pixels = {
            id: decode_jpeg(each.data) if each else None
            for id, each in zip(ids, thumbnails, strict=False)
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
        titles = ["similar by", *found.measures, "image", "image"]
        output.table(titles, rows, right="lrrll", stretch=(-2, -1))
    output.note(
        f"Of an image's five nearest by {found.measures[0]}, {found.agreement:.0%} are among those by "
        f"{found.measures[1]} ({format.counted(found.compared, 'image')})."
    )
    if figure is not None:
        from lookalike.viz.gap_figure import draw_gap

        draw_gap(found, pixels, figure)
        output.note(f"Drawn: {figure}")
    if not any(found.only):
        output.note("The measures agree: no pair is close by one and far by the other.")
        ctx.exit(1)
